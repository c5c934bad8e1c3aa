"""Generic KAN layers: each contracts any basis with coefficients; one file a topology. A front end for signals. Needs torch alone."""

from kanzoo.layers.activation import NodeActivation, Sine
from kanzoo.layers.attention import KANAttention, TransformerBlock
from kanzoo.layers.conv import KANConv1d, KANConv2d, KANConv3d
from kanzoo.layers.conv_transpose import KANConvTranspose1d, KANConvTranspose2d
from kanzoo.layers.fourier_features import FourierFeatures
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.mixture import MixtureOfExperts, load_balance
from kanzoo.layers.modwt import MODWT
from kanzoo.layers.power import PowerLayer
from kanzoo.layers.recurrent import KANGRU, KANLSTM, KANGRUCell, KANLSTMCell
from kanzoo.layers.revin import RevIN
from kanzoo.layers.tkan import TKAN, TKANCell

__all__ = [
    "KANGRU",
    "KANLSTM",
    "MODWT",
    "TKAN",
    "FourierFeatures",
    "KANAttention",
    "KANConv1d",
    "KANConv2d",
    "KANConv3d",
    "KANConvTranspose1d",
    "KANConvTranspose2d",
    "KANGRUCell",
    "KANLSTMCell",
    "KANLinear",
    "MixtureOfExperts",
    "NodeActivation",
    "PowerLayer",
    "RevIN",
    "Sine",
    "TKANCell",
    "TransformerBlock",
    "load_balance",
]
