"""Convolutional KAN layers for signals, images and volumes."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from kanzoo.layers.convolution import KANConvolution
from kanzoo.layers.linear import KANLinear

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)


class KANConv(KANConvolution):
    r"""A convolution whose kernel carries learnt functions instead of numbers; its subclasses say in how many dimensions.

    $$y_o(p) = b_o + \sum_{c,q} \Big[\sum_k \mathrm{coeff}_{ocqk}\,\phi_k(s(x_c(p + q))) + w_{ocq}\,\mathrm{silu}(x_c(p + q))\Big]$$

    The basis is evaluated once a pixel, and one ordinary convolution contracts it. The input is padded with zeros: a padded pixel
    contributes φ(s(0)), as in a dense layer over unfolded patches. An `EdgeBasis` is applied to the unfolded patches.
    Arguments, attributes and errors as in `KANConvolution`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, in_channels, *size)` to `(batch, out_channels, *new_size)`."""
        y = super().forward(x)
        return y + self._frame(x) if self.patches is None and max(self.padding) else y

    def pixels(self, x: Tensor) -> Tensor:
        """Return the pixels of inputs `(batch, in_channels, *size)`, the padded ones too, `(N, in_channels)`."""
        return self._pad(x).movedim(1, -1).reshape(-1, self.in_channels)

    def _fan_in(self) -> float:
        return self.in_channels // self.groups * self.points

    def _patch_layer(self, make: Callable[..., KANLinear]) -> KANLinear:
        return make(self.in_channels // self.groups * self.points, self.out_channels // self.groups)

    def _contract(self, columns: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = _CONVOLVE[self.dimensions - 1]
        return convolve(columns, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _frame(self, x: Tensor) -> Tensor:
        """Return what the padded pixels add, `(1, out, *new_size)`: they are all zero, so that one pixel tells for all images."""
        assert self.weight is not None
        blank = self._columns(x.new_zeros(1, self.in_channels)).view(self.groups, -1)
        taps = torch.einsum("goj...,gj->go...", torch.unflatten(self.weight, 0, (self.groups, -1)), blank).flatten(0, 1)
        outside = 1 - self._pad(x.new_ones(1, 1, *x.shape[2:]))
        return _CONVOLVE[self.dimensions - 1](outside, taps.unsqueeze(1), None, self.stride, 0, self.dilation)

    def _pad(self, x: Tensor) -> Tensor:
        return F.pad(x, [size for size in reversed(self.padding) for _ in range(2)]) if max(self.padding) else x

    def _by_patches(self, x: Tensor) -> Tensor:
        assert self.patches is not None
        image = self._pad(x)
        size = [
            (length - dilation * (kernel - 1) - 1) // stride + 1
            for length, dilation, kernel, stride in zip(image.shape[2:], self.dilation, self.kernel_size, self.stride, strict=True)
        ]
        if self.dimensions == 1:  # `F.unfold` knows images alone: a signal is one row
            image = image.unsqueeze(2)
        if self.dimensions == 3:  # and the slices of a volume that a kernel sees are channels
            slices = image.unfold(2, self.dilation[0] * (self.kernel_size[0] - 1) + 1, self.stride[0])[..., :: self.dilation[0]]
            image = slices.permute(0, 2, 1, 5, 3, 4).flatten(2, 3).flatten(0, 1)
        kernel, dilation, stride = ((1, *sizes)[-2:] for sizes in (self.kernel_size, self.dilation, self.stride))
        columns = F.unfold(image, kernel, dilation, 0, stride).transpose(1, 2)  # (·, places, C·points)
        outputs = [layer(part) for layer, part in zip(self.patches, columns.chunk(self.groups, -1), strict=True)]
        return torch.unflatten(torch.cat(outputs, -1).reshape(len(x), -1, self.out_channels).transpose(1, 2), -1, size)


class KANConv1d(KANConv):
    """A `KANConv` of signals `(batch, in_channels, length)`.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANConv1d(3, 8, 5, basis=Chebyshev, stride=2)(torch.zeros(2, 3, 28)).shape
        torch.Size([2, 8, 12])
    """

    dimensions = 1


class KANConv2d(KANConv):
    """A `KANConv` of images `(batch, in_channels, height, width)`.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANConv2d(3, 8, 3, basis=Chebyshev, padding=1)(torch.zeros(2, 3, 28, 28)).shape
        torch.Size([2, 8, 28, 28])
    """

    dimensions = 2


class KANConv3d(KANConv):
    """A `KANConv` of volumes `(batch, in_channels, depth, height, width)`.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANConv3d(3, 8, (1, 3, 3), basis=Chebyshev)(torch.zeros(2, 3, 4, 8, 8)).shape
        torch.Size([2, 8, 4, 6, 6])
    """

    dimensions = 3
