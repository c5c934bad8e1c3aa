"""The dense KAN layer."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import BasisFactory, EdgeBasis, is_edge_factory
from kanzoo.layers import expansion
from kanzoo.layers.expansion import Expansion, Residual, check_residual, edge_mean_square, residual_branch, residual_std
from kanzoo.layers.squash import Squash, SquashInto


class KANLinear(nn.Module):
    r"""A dense layer whose edges carry learnt functions.

    $$y_o = b_o + \sum_i \Big[\sum_k \mathrm{coeff}_{oik}\,\phi_k(s(x_i)) + w_{oi}\,\mathrm{silu}(x_i)\Big]$$

    with the squash s into the basis's domain. For an `EdgeBasis` the inner sum is $\mathrm{coeff}_{oi1}\,\psi_{oi}(s(x_i))$.
    Coefficients begin as independent normal numbers scaled so that the output has unit variance for inputs spread evenly over
    the domain; with a residual branch each part contributes half. They are drawn from `generator`, or from torch's global one
    as in `nn.Linear`; no seed is ever set.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        basis: a class, or a `functools.partial` of one: `partial(Chebyshev, degree=8)`.
        squash: `tanh`, `layernorm`, `clamp` or `none`, see `SquashInto`.
        residual: `silu`, `identity` or `none`.
        bias: whether to add b.
        generator: source of the initial coefficients.

    Attributes:
        weight: the coefficients as one matrix, `(out, K·in)`, basis-major: all inputs of the first function, then of the second.
        residual_weight: `(out, in)`, or None.
        bias: `(out,)`, or None.

    Raises:
        ValueError: a size, `squash` or `residual` is not allowed.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> layer = KANLinear(3, 2, basis=Chebyshev)
        >>> layer(torch.zeros(5, 4, 3)).shape, layer.coeff.shape
        (torch.Size([5, 4, 2]), torch.Size([2, 3, 8]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        basis: BasisFactory,
        *,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        bias: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"in_features and out_features must be >= 1, got {in_features} and {out_features}")
        self.in_features, self.out_features = in_features, out_features
        self.residual = check_residual(residual)
        self.edge: EdgeBasis | None = None
        self.expansion: Expansion | None = None
        share = 1.0 if residual == "none" else expansion.COEFFICIENT_SHARE
        if is_edge_factory(basis):
            edge = basis(in_features, out_features)
            assert isinstance(edge, EdgeBasis)
            self.edge, domain = edge, edge.domain
            self.squash = SquashInto(squash, domain, in_features)
            std = (share / (in_features * edge_mean_square(edge)).clamp_min(1e-12)).sqrt()
        else:
            self.expansion = Expansion(in_features, basis, squash)
            domain = self.expansion.basis.domain
            std = self.expansion.coefficient_std(in_features, share).repeat_interleave(in_features)
        self.weight = nn.Parameter(torch.randn(out_features, std.shape[-1], generator=generator) * std)
        self.residual_weight: nn.Parameter | None = None
        if residual != "none":
            scale = residual_std(residual, domain, in_features, 1 - share)
            self.residual_weight = nn.Parameter(torch.randn(out_features, in_features, generator=generator) * scale)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @property
    def coeff(self) -> Tensor:
        """The coefficients as a view `(out_features, in_features, K)` of `weight`."""
        return self.weight.view(self.out_features, -1, self.in_features).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to `(*batch, out_features)`."""
        if self.expansion is not None:
            y = F.linear(self.expansion(x).flatten(-2), self.weight, self.bias)
        else:
            assert self.edge is not None
            y = (self.weight * self.edge(self.squash(x))).sum(-1)
            if self.bias is not None:
                y = y + self.bias
        if self.residual_weight is not None:
            y = y + F.linear(residual_branch(self.residual, x), self.residual_weight)
        return y

    @torch.no_grad()
    def update_grid(self, x: Tensor) -> None:
        """Let the grid follow the samples `(*batch, in_features)` and re-fit the coefficients so that the function stays.

        Raises:
            TypeError: the basis has no grid that follows data.
        """
        if self.expansion is None:
            raise TypeError(f"{type(self.edge).__name__} has no grid that follows data")
        coeff = self.expansion.update_grid(x.reshape(-1, self.in_features), self.coeff)
        self.weight.copy_(coeff.transpose(1, 2).reshape_as(self.weight))

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"{self.in_features}, {self.out_features}, residual={self.residual!r}, bias={self.bias is not None}"
