"""Stacks of layers: KAN and ConvKAN, and the baselines MLP and CNN of the same shapes. Needs torch alone."""

from kanzoo.models.conv import CNN, ConvKAN, ConvNet, ConvShape
from kanzoo.models.dense import KAN, MLP, DenseNet
from kanzoo.models.grid import update_grid
from kanzoo.models.parameters import Role, num_parameters

__all__ = ["CNN", "KAN", "MLP", "ConvKAN", "ConvNet", "ConvShape", "DenseNet", "Role", "num_parameters", "update_grid"]
