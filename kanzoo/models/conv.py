"""Convolutional networks: ConvKAN, and the baseline CNN of the same shape."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.layers.expansion import Residual
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.layers.squash import Squash
from kanzoo.models.dense import check_widths
from kanzoo.models.grid import update_grid


class ConvNet(nn.Sequential):
    """Convolutions from a factory, each with batch normalisation and max pooling by two; then dense layers over the flat map.

    Args:
        layers: the factory.
        in_channels: channels of the image.
        image_size: height and width in pixels.
        channels: output channels of each convolution.
        widths: `[hidden…, out]` of the dense layers.
        kernel_size: height and width of each kernel; the image keeps its size (padding kernel_size // 2).
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        *,
        kernel_size: int = 3,
    ) -> None:
        all_channels = (in_channels, *map(layers.scaled, check_widths(channels, "channels", 1)))
        height, width = image_size
        parts: list[nn.Module] = []
        for index, (fan_in, fan_out) in enumerate(pairwise(all_channels)):
            parts.append(layers.conv2d(fan_in, fan_out, kernel_size, padding=kernel_size // 2, first=index == 0))
            parts += [nn.BatchNorm2d(fan_out), nn.MaxPool2d(2)]
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise ValueError(f"channels must be at most log2 of the image size {image_size}, got {list(channels)}")
        parts.append(nn.Flatten())
        *hidden, last = check_widths(widths, "widths", 1)
        dense = (all_channels[-1] * height * width, *map(layers.scaled, hidden), last)
        parts += [layers.linear(*pair, last=index == len(hidden)) for index, pair in enumerate(pairwise(dense))]
        super().__init__(*parts)

    def update_grid(self, x: Tensor) -> None:
        """Let every adaptive grid follow what it sees when the network is fed `x`, layer by layer."""
        update_grid(self, x)


class ConvKAN(ConvNet):
    """A convolutional KAN; arguments as in `ConvNet` and `KAN`.

    Example:
        >>> import torch
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net = ConvKAN(1, (28, 28), channels=[4, 8], widths=[10], basis=Chebyshev)
        >>> net(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        basis: BasisFactory,
        *,
        kernel_size: int = 3,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        extrapolate: Extrapolate = "linear",
        generator: Generator | None = None,
    ) -> None:
        layers = KANLayers(basis, squash=squash, residual=residual, extrapolate=extrapolate, generator=generator)
        super().__init__(layers, in_channels, image_size, channels, widths, kernel_size=kernel_size)


class CNN(ConvNet):
    """The baseline of `ConvKAN`: ordinary convolutions with SiLU between them; arguments as in `ConvNet`."""

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        *,
        kernel_size: int = 3,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(PlainLayers(generator=generator), in_channels, image_size, channels, widths, kernel_size=kernel_size)
