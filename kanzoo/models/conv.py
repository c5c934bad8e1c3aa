"""Convolutional networks: ConvKAN, and the baseline CNN of the same shape."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypedDict, Unpack, get_args

from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.layers.expansion import Residual
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.layers.squash import Squash
from kanzoo.models.dense import check_widths
from kanzoo.models.grid import update_grid

Padding = Literal["same", "valid"]


class ConvShape(TypedDict, total=False):
    """The arguments of a `ConvNet` that say how its convolutions are laid out."""

    kernel_size: int
    padding: Padding
    batch_norm: bool
    strides: Sequence[int]
    average: bool


class ConvNet(nn.Sequential):
    """Convolutions from a factory, each with batch normalisation and max pooling by two unless told otherwise; then dense layers.

    Args:
        layers: the factory.
        in_channels: channels of the image.
        image_size: height and width in pixels.
        channels: output channels of each convolution.
        widths: `[hidden…, out]` of the dense layers.
        kernel_size: height and width of each kernel.
        padding: `same` puts kernel_size // 2 zeros around, so that an odd kernel keeps the size of the image; `valid` none.
        batch_norm: whether each convolution has a batch normalisation behind it.
        strides: one for each convolution, instead of the max poolings; none leaves the poolings.
        average: whether the dense layers see the means of the last channels, not all of their places.

    Raises:
        ValueError: a number is not allowed, or the image is too small.
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
        padding: Padding = "same",
        batch_norm: bool = True,
        strides: Sequence[int] = (),
        average: bool = False,
    ) -> None:
        if padding not in get_args(Padding):
            raise ValueError(f"padding must be one of {', '.join(get_args(Padding))}, got {padding!r}")
        if strides and len(strides) != len(channels):
            raise ValueError(f"strides must be one for each of channels {list(channels)}, or none, got {list(strides)}")
        all_channels = (in_channels, *map(layers.scaled, check_widths(channels, "channels", 1)))
        zeros = kernel_size // 2 if padding == "same" else 0
        size = image_size
        parts: list[nn.Module] = []
        for index, (fan_in, fan_out) in enumerate(pairwise(all_channels)):
            stride = strides[index] if strides else 1
            parts.append(layers.conv2d(fan_in, fan_out, kernel_size, stride=stride, padding=zeros, first=index == 0))
            if batch_norm:
                parts.append(nn.BatchNorm2d(fan_out))
            height, width = ((length + 2 * zeros - kernel_size) // stride + 1 for length in size)
            if not strides:
                parts.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            size = height, width
            if min(size) < 1:
                raise ValueError(f"channels must be of length <= {index} for the image size {image_size}, got {list(channels)}")
        if average:
            parts.append(nn.AdaptiveAvgPool2d(1))
            size = 1, 1
        parts.append(nn.Flatten())
        *hidden, last = check_widths(widths, "widths", 1)
        dense = (all_channels[-1] * size[0] * size[1], *map(layers.scaled, hidden), last)
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
        squash: Squash = "tanh",
        residual: Residual = "silu",
        extrapolate: Extrapolate = "linear",
        generator: Generator | None = None,
        **shape: Unpack[ConvShape],
    ) -> None:
        layers = KANLayers(basis, squash=squash, residual=residual, extrapolate=extrapolate, generator=generator)
        super().__init__(layers, in_channels, image_size, channels, widths, **shape)


class CNN(ConvNet):
    """The baseline of `ConvKAN`: ordinary convolutions with SiLU between them; arguments as in `ConvNet`."""

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        *,
        generator: Generator | None = None,
        **shape: Unpack[ConvShape],
    ) -> None:
        super().__init__(PlainLayers(generator=generator), in_channels, image_size, channels, widths, **shape)
