"""Factories of layers: a task asks for dense or convolutional layers, and what they are made of is the factory's business."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Generator, nn

from kanzoo.basis import BasisFactory
from kanzoo.layers.conv import KANConv2d, Size
from kanzoo.layers.expansion import Residual
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.squash import Squash


class Layers(ABC):
    """Makes the layers of a network. A layer bends its inputs first and mixes them then, so that layers stack by themselves.

    Attributes:
        width: factor on the hidden widths that a task asks for: a baseline of another size on the same task.
        generator: source of all initial weights; torch's global one when None.
    """

    width: float = 1.0
    generator: Generator | None = None

    def scaled(self, width: int) -> int:
        """Return a hidden width, or number of channels, times the factor: 1 at least."""
        return max(1, round(self.width * width))

    @abstractmethod
    def linear(self, in_features: int, out_features: int, *, first: bool = False) -> nn.Module:
        """Return a layer `(*batch, in_features)` to `(*batch, out_features)`; `first` when it sees the raw data."""

    @abstractmethod
    def conv2d(
        self, in_channels: int, out_channels: int, kernel_size: Size, *, stride: Size = 1, padding: Size = 0, first: bool = False
    ) -> nn.Module:
        """Return a layer for images `(batch, in_channels, height, width)`; `first` when it sees the raw data."""


class KANLayers(Layers):
    """Makes KAN layers, all with one basis.

    Args:
        basis: a class, or a partial of one.
        squash: as in `KANLinear`.
        residual: as in `KANLinear`.
        extrapolate: as in `KANLinear`.
        bias: as in `KANLinear`; without one, a layer of local functions changes its output only where it sees samples.
        width: factor on hidden widths.
        generator: source of the initial coefficients of all layers.
    """

    def __init__(
        self,
        basis: BasisFactory,
        *,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        extrapolate: Extrapolate = "linear",
        bias: bool = True,
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        self.basis, self.squash, self.residual, self.extrapolate, self.bias = basis, squash, residual, extrapolate, bias
        self.width, self.generator = width, generator

    def linear(self, in_features: int, out_features: int, *, first: bool = False) -> nn.Module:
        """Return a `KANLinear`."""
        return KANLinear(
            in_features,
            out_features,
            self.basis,
            squash=self.squash,
            residual=self.residual,
            extrapolate=self.extrapolate,
            bias=self.bias,
            generator=self.generator,
        )

    def conv2d(
        self, in_channels: int, out_channels: int, kernel_size: Size, *, stride: Size = 1, padding: Size = 0, first: bool = False
    ) -> nn.Module:
        """Return a `KANConv2d`."""
        return KANConv2d(
            in_channels,
            out_channels,
            kernel_size,
            self.basis,
            stride=stride,
            padding=padding,
            squash=self.squash,
            residual=self.residual,
            extrapolate=self.extrapolate,
            bias=self.bias,
            generator=self.generator,
        )


class PlainLayers(Layers):
    """Makes the baseline: an activation, then an ordinary linear or convolutional layer, initialised as torch does.

    Args:
        activation: class of the activation; none stands before a first layer.
        width: factor on hidden widths.
        generator: source of the initial weights of all layers.
    """

    def __init__(self, *, activation: Callable[[], nn.Module] = nn.SiLU, width: float = 1.0, generator: Generator | None = None) -> None:
        self.activation, self.width, self.generator = activation, width, generator

    def linear(self, in_features: int, out_features: int, *, first: bool = False) -> nn.Module:
        """Return an activation and an `nn.Linear`."""
        return self._after_activation(nn.Linear(in_features, out_features, device="meta"), in_features, first)

    def conv2d(
        self, in_channels: int, out_channels: int, kernel_size: Size, *, stride: Size = 1, padding: Size = 0, first: bool = False
    ) -> nn.Module:
        """Return an activation and an `nn.Conv2d`."""
        layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, device="meta")
        return self._after_activation(layer, layer.weight[0].numel(), first)

    def _after_activation(self, layer: nn.Linear | nn.Conv2d, fan_in: int, first: bool) -> nn.Module:
        # Built on the meta device, which draws nothing, and filled as nn.Linear.reset_parameters does: uniform in ±1/√fan_in.
        layer.to_empty(device="cpu")
        bound = fan_in**-0.5
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.uniform_(-bound, bound, generator=self.generator)
        return layer if first else nn.Sequential(self.activation(), layer)
