"""What all convolutional KAN layers share: sizes, coefficients over a kernel in any number of dimensions, and their grid updates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory, is_edge_factory
from kanzoo.layers import expansion
from kanzoo.layers.expansion import Expansion, Residual, check_residual, draw_residual, residual_branch
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.squash import Squash

Size = int | tuple[int, ...]


class KANConvolution(nn.Module, ABC):
    """A convolution, or a transposed one, whose kernel carries learnt functions: `KANConv` and `KANConvTranspose` say which.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the kernel, one number for all dimensions or one for each, as are the next three.
        basis: a class, or a `functools.partial` of one.
        stride: step of the kernel.
        padding: zeros put around the input; of a transposed convolution what is cut off around the output.
        dilation: spacing of the kernel's points.
        groups: blocks of channels that do not see each other.
        squash: as in `KANLinear`; `layernorm` and `standardize` are over the channels (of an `EdgeBasis`: over what a layer in `patches`
            sees).
        residual: as in `KANLinear`.
        extrapolate: as in `KANLinear`.
        bias: whether to add b.
        init: as in `KANLinear`; `fan_in` counts the points of the kernel too, `fan_out` is out_channels.
        generator: source of the initial coefficients.

    Attributes:
        dimensions: of space.
        patches: of an `EdgeBasis` one `KANLinear` a group; else None.
        weight: coefficients, `(out, K·in/groups, *kernel_size)`, basis-major; None for an `EdgeBasis`.
        residual_weight: `(out, in/groups, *kernel_size)`, or None.
        bias: `(out,)`, or None.

    Raises:
        ValueError: a size is not allowed.
    """

    dimensions: ClassVar[int]

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
        self.kernel_size = self._size(kernel_size, "kernel_size", 1)
        self.stride, self.dilation = self._size(stride, "stride", 1), self._size(dilation, "dilation", 1)
        self.padding = self._size(padding, "padding", 0)
        self.residual = check_residual(residual)
        self.expansion: Expansion | None = None
        self.patches: nn.ModuleList | None = None
        self.weight: nn.Parameter | None = None
        self.residual_weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if is_edge_factory(basis):
            make = partial(KANLinear, basis=basis, squash=squash, residual=residual, bias=bias, init=init, generator=generator)
            self.patches = nn.ModuleList(self._patch_layer(make) for _ in range(groups))
            return
        self.expansion = Expansion(in_channels, basis, squash, extrapolate)
        shape = (out_channels, -1, in_channels // groups, *self.kernel_size)
        share = 1.0 if residual == "none" else expansion.COEFFICIENT_SHARE
        fan_in = self._fan_in()
        std = self.expansion.coefficient_std(fan_in, out_channels, share, init)
        start = torch.randn(out_channels, len(std), *shape[2:], generator=generator) * std.view(-1, *(1 for _ in shape[2:]))
        self.weight = nn.Parameter(start.flatten(1, 2))
        if residual != "none":
            domain, branch = self.expansion.basis.domain, (out_channels, *shape[2:])
            self.residual_weight = nn.Parameter(draw_residual(residual, domain, branch, fan_in, 1 - share, init, generator))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    @property
    def points(self) -> int:
        """The number of points of the kernel."""
        return math.prod(self.kernel_size)

    @abstractmethod
    def pixels(self, x: Tensor) -> Tensor:
        """Return all places of inputs `(batch, in_channels, *size)` at which edge functions are evaluated, `(N, in_channels)`."""

    @abstractmethod
    def _fan_in(self) -> float:
        """Return how many edges lead to one number of the output, on the average."""

    @abstractmethod
    def _patch_layer(self, make: Callable[..., KANLinear]) -> KANLinear:
        """Return the dense layer of one group for an `EdgeBasis`, made by `make(in_features, out_features)`."""

    @abstractmethod
    def _contract(self, columns: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Contract channels `(batch, J·groups, *size)` with weights `(out, J, *kernel_size)`."""

    @abstractmethod
    def _by_patches(self, x: Tensor) -> Tensor:
        """Return the output by the layers in `patches`."""

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
        """Map `(batch, in_channels, *size)` to `(batch, out_channels, *new_size)`."""
        if self.patches is not None:
            return self._by_patches(x)
        assert self.weight is not None
        image = x.movedim(1, -1).contiguous()
        pixels = image.flatten(0, -2)  # one row a pixel: the basis is one plain pass, and channels stay last without a copy
        columns = self._columns(pixels).view(*image.shape[:-1], -1).movedim(-1, 1)
        y = self._contract(columns, self.weight, self.bias)
        if self.residual_weight is not None:
            y = y + self._contract(residual_branch(self.residual, image).movedim(-1, 1), self.residual_weight, None)
        return y

    def _columns(self, pixels: Tensor) -> Tensor:
        """Return all functions of pixels `(N, C)` as the channels of the contraction, `(N, K·C)`: group by group, K outer in each."""
        assert self.expansion is not None
        features: Tensor = self.expansion(pixels)  # (N, K, C)
        if self.groups > 1:
            features = torch.unflatten(features, -1, (self.groups, -1)).transpose(-2, -3)
        return features.flatten(1)

    @torch.no_grad()
    def update_grid(self, x: Tensor) -> None:
        """Let the grid follow the pixels of inputs `(batch, in_channels, *size)`; the function stays.

        Raises:
            TypeError: the basis has no grid that follows data.
        """
        if self.expansion is None or self.weight is None:
            raise TypeError("an EdgeBasis has no grid that follows data")
        per_group = self.in_channels // self.groups
        # Rows that belong to another group have zeros for this feature: the solution for them is zero too.
        coeff = self.coeff.new_zeros(self.out_channels, *self.kernel_size, self.in_channels, self.coeff.shape[-1])
        out = self.out_channels // self.groups
        blocks = [(slice(g * out, (g + 1) * out), slice(g * per_group, (g + 1) * per_group)) for g in range(self.groups)]
        for rows, features in blocks:
            coeff[rows, ..., features, :] = self.coeff[rows].movedim(1, -2)
        new = self.expansion.update_grid(self.pixels(x), coeff.flatten(0, -3)).view_as(coeff)
        for rows, features in blocks:
            self.coeff[rows] = new[rows, ..., features, :].movedim(-2, 1)

    def _size(self, value: Size, name: str, least: int) -> tuple[int, ...]:
        sizes = (value,) * self.dimensions if isinstance(value, int) else tuple(value)
        if len(sizes) != self.dimensions or min(sizes) < least:
            counts = ("one integer", "one or two integers", "one or three integers")[self.dimensions - 1]
            raise ValueError(f"{name} must be {counts} >= {least}, got {value!r}")
        return sizes

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, groups={self.groups}, residual={self.residual!r}"
        )
