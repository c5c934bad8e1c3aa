"""Transposed convolutional KAN layers: from small signals and images to larger ones."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import BasisFactory
from kanzoo.layers.convolution import KANConvolution, Size
from kanzoo.layers.linear import KANLinear

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (F.conv_transpose1d, F.conv_transpose2d)


class KANConvTranspose(KANConvolution):
    r"""A transposed convolution whose kernel carries learnt functions; its subclasses say in how many dimensions.

    Each input pixel i is scattered over the output pixels stride·i + dilation·q − padding, one for each point q of the kernel:

    $$y_o(p) = b_o + \sum_{c,i,q:\,p = \mathrm{stride}\,i + \mathrm{dilation}\,q - \mathrm{padding}}
    \Big[\sum_k \mathrm{coeff}_{ocqk}\,\phi_k(s(x_c(i))) + w_{ocq}\,\mathrm{silu}(x_c(i))\Big]$$

    An output has the size (n − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1. Some output pixels are sums of
    more functions than others, at the borders and where the stride does not divide the kernel: unlike in other layers, the constants of
    functions are not one number of the bias. Initial coefficients are scaled by the mean number inside. Other arguments, attributes
    and errors as in `KANConvolution`; with an `EdgeBasis`, `patches` map a pixel to `(out/groups, *kernel_size)` and have no bias.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the kernel.
        basis: a class, or a `functools.partial` of one.
        output_padding: what the output is larger by at its end in each dimension, below the stride.
        bias: whether to add b.
        options: as in `KANConvolution`.

    Reference:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        basis: BasisFactory,
        *,
        output_padding: Size = 0,
        bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, basis, bias=bias, **options)
        self.output_padding = self._size(output_padding, "output_padding", 0)
        if any(extra >= step for extra, step in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"output_padding must be less than the stride {self.stride}, got {output_padding!r}")
        if self.patches is not None and bias:
            self.bias = nn.Parameter(torch.zeros(out_channels))

    def pixels(self, x: Tensor) -> Tensor:
        """Return the pixels of inputs `(batch, in_channels, *size)`, `(N, in_channels)`."""
        return x.movedim(1, -1).reshape(-1, self.in_channels)

    def _fan_in(self) -> float:
        """Return the mean number of edges to an output pixel, of those alone that any leads to."""
        return self.in_channels // self.groups * self._overlap()

    def _overlap(self) -> float:
        return math.prod(max(1.0, kernel / stride) for kernel, stride in zip(self.kernel_size, self.stride, strict=True))

    def _patch_layer(self, make: Callable[..., KANLinear]) -> KANLinear:
        layer = make(self.in_channels // self.groups, self.out_channels // self.groups * self.points, bias=False)
        with torch.no_grad():
            for weight in (layer.weight, layer.residual_weight):
                if weight is not None:
                    weight.div_(self._overlap() ** 0.5)
        return layer

    def _contract(self, columns: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        scattered = torch.unflatten(weight, 0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)  # (groups·J, out/groups, *kernel_size)
        convolve = _CONVOLVE[self.dimensions - 1]
        return convolve(columns, scattered, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation)

    def _by_patches(self, x: Tensor) -> Tensor:
        assert self.patches is not None
        groups = x.movedim(1, -1).flatten(1, -2).chunk(self.groups, -1)
        scattered = torch.cat([layer(part) for layer, part in zip(self.patches, groups, strict=True)], -1)  # (batch, N, out·points)
        size = tuple(
            (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
            for length, stride, padding, dilation, kernel, extra in zip(
                x.shape[2:], self.stride, self.padding, self.dilation, self.kernel_size, self.output_padding, strict=True
            )
        )
        # `F.fold` knows images alone: a signal is one row.
        kernel, dilation, stride = ((1, *sizes)[-2:] for sizes in (self.kernel_size, self.dilation, self.stride))
        y = F.fold(scattered.transpose(1, 2), (1, *size)[-2:], kernel, dilation, (0, *self.padding)[-2:], stride)
        y = y.view(len(x), self.out_channels, *size)
        return y if self.bias is None else y + self.bias.view(-1, *(1 for _ in size))

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"{super().extra_repr()}, output_padding={self.output_padding}"


class KANConvTranspose1d(KANConvTranspose):
    """A `KANConvTranspose` of signals `(batch, in_channels, length)`.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANConvTranspose1d(8, 3, 4, basis=Chebyshev, stride=2, padding=1)(torch.zeros(2, 8, 14)).shape
        torch.Size([2, 3, 28])
    """

    dimensions = 1


class KANConvTranspose2d(KANConvTranspose):
    """A `KANConvTranspose` of images `(batch, in_channels, height, width)`.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANConvTranspose2d(8, 3, 3, basis=Chebyshev, stride=2, padding=1, output_padding=1)(torch.zeros(2, 8, 14, 14)).shape
        torch.Size([2, 3, 28, 28])
    """

    dimensions = 2
