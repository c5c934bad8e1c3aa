"""Generic KAN layers: each contracts any basis with coefficients; one file a topology. A front end for signals. Needs torch alone."""

from kanzoo.layers.conv import KANConv2d
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.modwt import MODWT

__all__ = ["MODWT", "KANConv2d", "KANLinear"]
