"""Generic KAN layers: each contracts any basis with coefficients; one file a topology. Needs torch alone."""

from kanzoo.layers.conv import KANConv2d
from kanzoo.layers.linear import KANLinear

__all__ = ["KANConv2d", "KANLinear"]
