"""The convolutional KAN layer."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import BasisFactory, is_edge_factory
from kanzoo.layers import expansion
from kanzoo.layers.expansion import Expansion, Residual, check_residual, draw_residual, residual_branch
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.squash import Squash

Size = int | tuple[int, int]


def _pair(value: Size, name: str, least: int) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < least:
        raise ValueError(f"{name} must be one or two integers >= {least}, got {value!r}")
    return pair


class KANConv2d(nn.Module):
    r"""A convolution whose kernel carries learnt functions instead of numbers.

    $$y_o(p) = b_o + \sum_{c,q} \Big[\sum_k \mathrm{coeff}_{ocqk}\,\phi_k(s(x_c(p + q))) + w_{ocq}\,\mathrm{silu}(x_c(p + q))\Big]$$

    The basis is evaluated once a pixel, and one `conv2d` contracts it. The image is padded with zeros: a padded pixel contributes
    φ(s(0)), as in a dense layer over unfolded patches. An `EdgeBasis` is applied to the unfolded patches.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel.
        basis: a class, or a `functools.partial` of one.
        stride: step of the kernel.
        padding: rows and columns of zeros put around the image.
        dilation: spacing of the kernel's points.
        groups: blocks of channels that do not see each other.
        squash: as in `KANLinear`; `layernorm` and `standardize` are over the channels (of an `EdgeBasis`: over the patch).
        residual: as in `KANLinear`.
        extrapolate: as in `KANLinear`.
        bias: whether to add b.
        init: as in `KANLinear`; `fan_in` is in_channels/groups times the points of the kernel, `fan_out` out_channels.
        generator: source of the initial coefficients.

    Attributes:
        weight: coefficients, `(out, K·in/groups, *kernel_size)`, basis-major; None for an `EdgeBasis`.
        residual_weight: `(out, in/groups, *kernel_size)`, or None.
        bias: `(out,)`, or None.

    Raises:
        ValueError: a size is not allowed.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANConv2d(3, 8, 3, basis=Chebyshev, padding=1)(torch.zeros(2, 3, 28, 28)).shape
        torch.Size([2, 8, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        basis: BasisFactory,
        *,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        extrapolate: Extrapolate = "linear",
        bias: bool = True,
        init: str | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"in_channels and out_channels must be multiples of groups, got {in_channels}, {out_channels} and {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = _pair(kernel_size, "kernel_size", 1)
        self.stride, self.dilation = _pair(stride, "stride", 1), _pair(dilation, "dilation", 1)
        self.padding = _pair(padding, "padding", 0)
        self.residual = check_residual(residual)
        points = self.kernel_size[0] * self.kernel_size[1]
        fan_in = in_channels // groups * points
        self.expansion: Expansion | None = None
        self.patches: nn.ModuleList | None = None
        self.weight: nn.Parameter | None = None
        self.residual_weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if is_edge_factory(basis):
            self.patches = nn.ModuleList(
                KANLinear(
                    fan_in, out_channels // groups, basis, squash=squash, residual=residual, bias=bias, init=init, generator=generator
                )
                for _ in range(groups)
            )
            return
        self.expansion = Expansion(in_channels, basis, squash, extrapolate)
        shape = (out_channels, -1, in_channels // groups, *self.kernel_size)
        share = 1.0 if residual == "none" else expansion.COEFFICIENT_SHARE
        std = self.expansion.coefficient_std(fan_in, out_channels, share, init)
        start = torch.randn(out_channels, len(std), *shape[2:], generator=generator) * std[:, None, None, None]
        self.weight = nn.Parameter(start.flatten(1, 2))
        if residual != "none":
            domain = self.expansion.basis.domain
            start = draw_residual(residual, domain, (out_channels, *shape[2:]), 1 - share, init, generator)
            self.residual_weight = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    @property
    def coeff(self) -> Tensor:
        """The coefficients as a view `(out, in/groups, *kernel_size, K)` of `weight`.

        Raises:
            TypeError: the basis is an `EdgeBasis`; see the layers in `patches`.
        """
        if self.weight is None:
            raise TypeError("a convolution with an EdgeBasis keeps its coefficients in `patches`")
        return self.as_coeff(self.weight)

    def as_coeff(self, weight: Tensor) -> Tensor:
        """View what is stored as `weight` is, a gradient or a moment of an optimizer, as `(out, in/groups, *kernel_size, K)`."""
        return torch.unflatten(weight, 1, (-1, self.in_channels // self.groups)).movedim(1, -1)

    def as_weight(self, coeff: Tensor) -> Tensor:
        """Return a copy of `(out, in/groups, *kernel_size, K)` as `weight` stores it."""
        return coeff.movedim(-1, 1).flatten(1, 2).detach().clone(memory_format=torch.contiguous_format)

    def set_expansion(self, expansion: Expansion, coeff: Tensor) -> None:
        """Take another squash and basis, with their coefficients `(out, in/groups, *kernel_size, K)`; what was in `patches` goes."""
        trains = self.weight is None or self.weight.requires_grad
        self.patches, self.expansion = None, expansion
        self.weight = nn.Parameter(self.as_weight(coeff), trains)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, in_channels, height, width)` to `(batch, out_channels, height', width')`."""
        if self.patches is not None:
            return self._unfold(x)
        assert self.expansion is not None
        assert self.weight is not None
        image = x.movedim(1, -1).contiguous()
        pixels = image.flatten(0, 2)  # one row a pixel: the basis is one plain pass, and channels stay last without a copy
        columns = self._columns(pixels).view(*image.shape[:-1], -1).movedim(-1, 1)
        y = F.conv2d(columns, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if self.residual_weight is not None:
            branch = residual_branch(self.residual, image).movedim(-1, 1)
            y = y + F.conv2d(branch, self.residual_weight, None, self.stride, self.padding, self.dilation, self.groups)
        return y + self._frame(pixels, image.shape[1:3]) if max(self.padding) else y

    def _columns(self, pixels: Tensor) -> Tensor:
        """Return all functions of pixels `(N, C)` as the channels of the contraction, `(N, K·C)`: group by group, K outer in each."""
        assert self.expansion is not None
        features: Tensor = self.expansion(pixels)  # (N, K, C)
        if self.groups > 1:
            features = torch.unflatten(features, -1, (self.groups, -1)).transpose(-2, -3)
        return features.flatten(1)

    def _frame(self, pixels: Tensor, size: torch.Size) -> Tensor:
        """Return what the padded pixels add, `(1, out, height', width')`: they are all zero, so that one pixel tells for all images."""
        assert self.weight is not None
        blank = self._columns(pixels.new_zeros(1, self.in_channels)).view(self.groups, -1)
        taps = torch.einsum("gojhw,gj->gohw", torch.unflatten(self.weight, 0, (self.groups, -1)), blank).flatten(0, 1)
        outside = 1 - self._pad(pixels.new_ones(1, 1, *size))
        return F.conv2d(outside, taps.unsqueeze(1), None, self.stride, 0, self.dilation)

    def _pad(self, x: Tensor) -> Tensor:
        rows, columns = self.padding
        return F.pad(x, (columns, columns, rows, rows)) if rows or columns else x

    def _unfold(self, x: Tensor) -> Tensor:
        assert self.patches is not None
        padded = self._pad(x)
        size = [
            (length - dilation * (kernel - 1) - 1) // stride + 1
            for length, dilation, kernel, stride in zip(padded.shape[-2:], self.dilation, self.kernel_size, self.stride, strict=True)
        ]
        columns = F.unfold(padded, self.kernel_size, self.dilation, 0, self.stride).transpose(1, 2)  # (batch, places, C·points)
        outputs = [layer(part) for layer, part in zip(self.patches, columns.chunk(self.groups, -1), strict=True)]
        return torch.unflatten(torch.cat(outputs, -1).transpose(1, 2), -1, size)

    @torch.no_grad()
    def update_grid(self, x: Tensor) -> None:
        """Let the grid follow the pixels of images `(batch, in_channels, height, width)`; the function stays.

        Raises:
            TypeError: the basis has no grid that follows data.
        """
        if self.expansion is None or self.weight is None:
            raise TypeError("an EdgeBasis has no grid that follows data")
        pixels = self._pad(x).movedim(1, -1).reshape(-1, self.in_channels)
        per_group = self.in_channels // self.groups
        # Rows that belong to another group have zeros for this feature: the solution for them is zero too.
        coeff = self.coeff.new_zeros(self.out_channels, *self.kernel_size, self.in_channels, self.coeff.shape[-1])
        out = self.out_channels // self.groups
        blocks = [(slice(g * out, (g + 1) * out), slice(g * per_group, (g + 1) * per_group)) for g in range(self.groups)]
        for rows, features in blocks:
            coeff[rows, ..., features, :] = self.coeff[rows].movedim(1, -2)
        new = self.expansion.update_grid(pixels, coeff.flatten(0, 2)).view_as(coeff)
        for rows, features in blocks:
            self.coeff[rows] = new[rows, ..., features, :].movedim(-2, 1)

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, groups={self.groups}, residual={self.residual!r}"
        )
