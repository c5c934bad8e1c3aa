"""Factories of layers: a task asks for dense or convolutional layers, and what they are made of is the factory's business."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypedDict, Unpack, get_args

import torch
from torch import Generator, nn

from kanzoo.basis import BasisFactory
from kanzoo.layers.conv import KANConv1d, KANConv2d, KANConv3d
from kanzoo.layers.conv_transpose import KANConvTranspose1d, KANConvTranspose2d
from kanzoo.layers.convolution import Size
from kanzoo.layers.expansion import Residual
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.norm import Norm, NormAt, check_norm, normalised
from kanzoo.layers.squash import Squash

Activation = Literal["none", "silu"]
ConvName = Literal["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d"]

_KAN: dict[ConvName, Callable[..., nn.Module]] = {
    "conv1d": KANConv1d,
    "conv2d": KANConv2d,
    "conv3d": KANConv3d,
    "conv_transpose1d": KANConvTranspose1d,
    "conv_transpose2d": KANConvTranspose2d,
}
#: Ordinary convolutions by name.
PLAIN_CONVOLUTIONS: dict[ConvName, Callable[..., nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "conv_transpose1d": nn.ConvTranspose1d,
    "conv_transpose2d": nn.ConvTranspose2d,
}


class ConvOptions(TypedDict, total=False):
    """Options of a convolution: `first` when it sees the raw data; `output_padding` of a transposed one alone."""

    stride: Size
    padding: Size
    output_padding: Size
    first: bool


class Layers(ABC):
    """Makes the layers of a network. A layer bends its inputs first and mixes them then, so that layers stack by themselves.

    A factory whose layers mix first and bend then makes an ordinary one of the `last`, which gives a network's outputs.

    Attributes:
        width: factor on the hidden widths that a task asks for: a baseline of another size on the same task.
        norm: `layer`, `batch` or `none`: what normalises layers, see `normalised`.
        norm_at: where: `between` layers, `before` each, the first too, or `after` each, the last too.
        generator: source of all initial weights; torch's global one when None.
    """

    width: float = 1.0
    norm: Norm = "none"
    norm_at: NormAt = "between"
    generator: Generator | None = None

    def scaled(self, width: int) -> int:
        """Return a hidden width, or number of channels, times the factor: 1 at least."""
        return max(1, round(self.width * width))

    def linear(self, in_features: int, out_features: int, *, first: bool = False, last: bool = False) -> nn.Module:
        """Return a layer `(*batch, in_features)` to `(*batch, out_features)`, normalised.

        Args:
            in_features: number of inputs.
            out_features: number of outputs.
            first: whether it sees the raw data.
            last: whether it gives a network's outputs.
        """
        layer = self._linear(in_features, out_features, first=first, last=last)
        return normalised(layer, self.norm, self.norm_at, (in_features, out_features), first=first)

    def convolution(
        self, name: ConvName, in_channels: int, out_channels: int, kernel_size: Size, *, first: bool = False, **options: Any
    ) -> nn.Module:
        """Return a normalised layer `(batch, in_channels, *size)` to `(batch, out_channels, *new_size)`, of the kind that the name says."""
        layer = self._convolution(name, in_channels, out_channels, kernel_size, first=first, **options)
        dimensions = int(name[-2])
        return normalised(layer, self.norm, self.norm_at, (in_channels, out_channels), dimensions=dimensions, first=first)

    @abstractmethod
    def _linear(self, in_features: int, out_features: int, *, first: bool, last: bool) -> nn.Module:
        """Return a dense layer."""

    @abstractmethod
    def _convolution(
        self, name: ConvName, in_channels: int, out_channels: int, kernel_size: Size, *, first: bool, **options: Any
    ) -> nn.Module:
        """Return a convolution."""

    def conv1d(self, in_channels: int, out_channels: int, kernel_size: Size, **options: Unpack[ConvOptions]) -> nn.Module:
        """Return a layer for signals `(batch, in_channels, length)`."""
        return self.convolution("conv1d", in_channels, out_channels, kernel_size, **options)

    def conv2d(self, in_channels: int, out_channels: int, kernel_size: Size, **options: Unpack[ConvOptions]) -> nn.Module:
        """Return a layer for images `(batch, in_channels, height, width)`."""
        return self.convolution("conv2d", in_channels, out_channels, kernel_size, **options)

    def conv3d(self, in_channels: int, out_channels: int, kernel_size: Size, **options: Unpack[ConvOptions]) -> nn.Module:
        """Return a layer for volumes `(batch, in_channels, depth, height, width)`."""
        return self.convolution("conv3d", in_channels, out_channels, kernel_size, **options)

    def conv_transpose1d(self, in_channels: int, out_channels: int, kernel_size: Size, **options: Unpack[ConvOptions]) -> nn.Module:
        """Return a layer from signals to longer ones."""
        return self.convolution("conv_transpose1d", in_channels, out_channels, kernel_size, **options)

    def conv_transpose2d(self, in_channels: int, out_channels: int, kernel_size: Size, **options: Unpack[ConvOptions]) -> nn.Module:
        """Return a layer from images to larger ones."""
        return self.convolution("conv_transpose2d", in_channels, out_channels, kernel_size, **options)


class KANLayers(Layers):
    """Makes KAN layers, all with one basis.

    Args:
        basis: a class, or a partial of one.
        squash: as in `KANLinear`.
        residual: as in `KANLinear`.
        extrapolate: as in `KANLinear`.
        bias: as in `KANLinear`; without one, a layer of local functions changes its output only where it sees samples.
        init: as in `KANLinear`.
        activation: `silu` stands before each layer but the first, behind a normalisation, as in `PlainLayers`; or `none`.
        norm: as in `Layers`.
        norm_at: as in `Layers`.
        width: factor on hidden widths.
        generator: source of the initial coefficients of all layers.

    Raises:
        ValueError: `activation`, `norm` or `norm_at` is not allowed.

    Example:
        >>> from kanzoo.models import DenseNet
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net = DenseNet(KANLayers(Chebyshev, norm="layer"), [2, 5, 1])
        >>> [type(part).__name__ for part in (net[0], *net[1])]
        ['KANLinear', 'LayerNorm', 'KANLinear']
    """

    def __init__(
        self,
        basis: BasisFactory,
        *,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        extrapolate: Extrapolate = "linear",
        bias: bool = True,
        init: str | None = None,
        activation: Activation = "none",
        norm: Norm = "none",
        norm_at: NormAt = "between",
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        check_norm(norm, norm_at)
        if activation not in get_args(Activation):
            raise ValueError(f"activation must be one of {', '.join(get_args(Activation))}, got {activation!r}")
        self.activation = activation
        self.basis, self.squash, self.residual, self.extrapolate, self.bias = basis, squash, residual, extrapolate, bias
        self.init, self.norm, self.norm_at, self.width, self.generator = init, norm, norm_at, width, generator

    def _linear(self, in_features: int, out_features: int, *, first: bool, last: bool) -> nn.Module:
        return self._activated(KANLinear(in_features, out_features, **self._options()), first)

    def _convolution(
        self, name: ConvName, in_channels: int, out_channels: int, kernel_size: Size, *, first: bool, **options: Any
    ) -> nn.Module:
        return self._activated(_KAN[name](in_channels, out_channels, kernel_size, **self._options(), **options), first)

    def _activated(self, layer: nn.Module, first: bool) -> nn.Module:
        return layer if first or self.activation == "none" else nn.Sequential(nn.SiLU(), layer)

    def _options(self) -> dict[str, Any]:
        names = ("basis", "squash", "residual", "extrapolate", "bias", "init", "generator")
        return {name: getattr(self, name) for name in names}


class PlainLayers(Layers):
    """Makes the baseline: an activation, then an ordinary linear or convolutional layer, initialised as torch does.

    Args:
        activation: class of the activation; none stands before a first layer.
        norm: as in `Layers`; it stands before the activation.
        norm_at: as in `Layers`.
        width: factor on hidden widths.
        generator: source of the initial weights of all layers.
    """

    def __init__(
        self,
        *,
        activation: Callable[[], nn.Module] = nn.SiLU,
        norm: Norm = "none",
        norm_at: NormAt = "between",
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        check_norm(norm, norm_at)
        self.activation, self.norm, self.norm_at, self.width, self.generator = activation, norm, norm_at, width, generator

    def _linear(self, in_features: int, out_features: int, *, first: bool, last: bool) -> nn.Module:
        layer = self._initialised(nn.Linear(in_features, out_features, device="meta"), in_features, first)
        return layer if first else nn.Sequential(self._activation(in_features, 0), layer)

    def _convolution(
        self, name: ConvName, in_channels: int, out_channels: int, kernel_size: Size, *, first: bool, **options: Any
    ) -> nn.Module:
        made = PLAIN_CONVOLUTIONS[name](in_channels, out_channels, kernel_size, **options, device="meta")
        layer = self._initialised(made, made.weight[0].numel(), first)
        return layer if first else nn.Sequential(self._activation(in_channels, int(name[-2])), layer)

    def _activation(self, size: int, dimensions: int) -> nn.Module:
        """Return what stands before a layer of so many features, or channels of an image with so many dimensions of space."""
        return self.activation()

    def _bound(self, fan_in: int, first: bool) -> float:
        """Return where the initial weights of a layer end: they are uniform in ± this."""
        return float(fan_in**-0.5)

    def _initialised(self, layer: nn.Module, fan_in: int, first: bool) -> nn.Module:
        # Built on the meta device, which draws nothing, and filled as nn.Linear.reset_parameters does: biases uniform in ±1/√fan_in.
        layer.to_empty(device="cpu")
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                bound = self._bound(fan_in, first) if name == "weight" else fan_in**-0.5
                parameter.uniform_(-bound, bound, generator=self.generator)
        return layer
