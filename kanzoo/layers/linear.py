"""The dense KAN layer."""

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import BasisFactory, EdgeBasis, LocalBasis, is_edge_factory
from kanzoo.initial import initial_std
from kanzoo.kernels.compact import contract, pays
from kanzoo.kernels.gemm import linear
from kanzoo.layers import expansion
from kanzoo.layers.expansion import Expansion, Residual, check_residual, draw_residual, edge_mean_square, residual_branch
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.sparse import distinct_values, sample_rows
from kanzoo.layers.squash import Squash, SquashInto

#: Rows of a sparse matrix that a grid update looks at.
_GRID_ROWS = 1024


class KANLinear(nn.Module):
    r"""A dense layer whose edges carry learnt functions.

    $$y_o = b_o + \sum_i \Big[\sum_k \mathrm{coeff}_{oik}\,\phi_k(s(x_i)) + w_{oi}\,\mathrm{silu}(x_i)\Big]$$

    with the squash s into the basis's domain. For an `EdgeBasis` the inner sum is $\mathrm{coeff}_{oi1}\,\psi_{oi}(s(x_i))$.
    Coefficients begin as independent normal numbers scaled so that the output has unit variance for inputs spread evenly over
    the domain; with a residual branch each part contributes half. With `init` their standard deviation is what it says, times the
    basis's `initial_scale`, and residual weights begin as those of `nn.Linear`, uniform in $\pm 1/\sqrt{\mathrm{in}}$. They are drawn
    from `generator`, or from torch's global one as in `nn.Linear`; no seed is ever set.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        basis: a class, or a `functools.partial` of one: `partial(Chebyshev, degree=8)`.
        squash: `tanh`, `layernorm`, `standardize`, `clamp` or `none`, see `SquashInto`; the residual branch sees x as it is.
        residual: `silu`, `identity` or `none`.
        extrapolate: what edge functions do outside the domain under the squash `none` or `standardize`: go on as their tangent (`linear`),
            stay (`clamp`), vanish (`zero`), raise an `error`, or do what the basis does there (`basis`); an `EdgeBasis` is its own affair.
        bias: whether to add b.
        init: standard deviation of the initial coefficients as a formula, see `kanzoo.initial.initial_std`; unit variance when None.
        generator: source of the initial coefficients.

    Attributes:
        weight: the coefficients as they are stored: `(out, K·in)`, basis-major, all inputs of the first function, then of the second;
            of a `LocalBasis` `(in, K, out)` where the layer is contracted locally (`is_local`). `coeff` is the same for every basis.
        residual_weight: `(out, in)`, or None.
        bias: `(out,)`, or None.
        edge_mask: booleans `(out, in)`, false where an edge was cut, or None; set by `mask_edges`.

    Raises:
        ValueError: a size, `squash`, `residual`, `extrapolate` or `init` is not allowed.

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
        extrapolate: Extrapolate = "linear",
        bias: bool = True,
        init: str | None = None,
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
            if init is None:
                std = (share / (in_features * edge_mean_square(edge)).clamp_min(1e-12)).sqrt()
            else:
                std = torch.full((in_features,), initial_std(init, in_features, out_features, 1))
        else:
            self.expansion = Expansion(in_features, basis, squash, extrapolate)
            domain = self.expansion.basis.domain
            std = self.expansion.coefficient_std(in_features, out_features, share, init).repeat_interleave(in_features)
        start = torch.randn(out_features, std.shape[-1], generator=generator) * std
        self.is_local = self._is_contracted_locally()
        self.weight = nn.Parameter(start.view(out_features, -1, in_features).permute(2, 1, 0).contiguous() if self.is_local else start)
        self.residual_weight: nn.Parameter | None = None
        if residual != "none":
            start = draw_residual(residual, domain, (out_features, in_features), in_features, 1 - share, init, generator)
            self.residual_weight = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.edge_mask: Tensor | None
        self.register_buffer("edge_mask", None)

    @property
    def coeff(self) -> Tensor:
        """The coefficients as a view `(out_features, in_features, K)` of `weight`."""
        return self.as_coeff(self.weight)

    def as_coeff(self, weight: Tensor) -> Tensor:
        """View what is stored as `weight` is or was, a gradient or a moment of an optimizer, as `(out_features, in_features, K)`."""
        if weight.ndim == 3:
            return weight.permute(2, 0, 1)
        return weight.view(self.out_features, -1, self.in_features).transpose(1, 2)

    def as_weight(self, coeff: Tensor) -> Tensor:
        """Return a copy of `(out_features, in_features, K)` as `weight` stores it."""
        weight = coeff.permute(1, 2, 0) if self.is_local else coeff.transpose(1, 2).flatten(1)
        return weight.detach().clone(memory_format=torch.contiguous_format)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)`, or a sparse matrix `(N, in_features)`, to `(*batch, out_features)`.

        A sparse matrix gives the same numbers, at the cost of `kanzoo.layers.sparse.DistinctValues`. It is made dense first where
        it takes more values than it has rows, where it needs a gradient, and with a squash that is not elementwise.

        Raises:
            ValueError: the last dimension is not `in_features`.
        """
        self._check_inputs(x)
        if x.layout is not torch.strided:
            found = distinct_values(x)
            if found is not None and self._is_elementwise():
                y = found.sum(self.edge_functions)
                return y if self.bias is None else y + self.bias
            x = x.to_dense()
        if self.expansion is None:
            assert self.edge is not None
            y = (self._kept(self.weight) * self.edge(self.squash(x))).sum(-1)
        elif self.is_local:
            first, values = self.expansion.local(x.reshape(-1, self.in_features))
            y = contract(first, values, self._kept(self.weight)).view(*x.shape[:-1], self.out_features)
        else:
            y = linear(self.expansion(x).flatten(-2), self._kept(self.weight))
        if self.residual_weight is not None:
            y = y + F.linear(residual_branch(self.residual, x), self._kept(self.residual_weight), self.bias)
        elif self.bias is not None:
            y = y + self.bias
        return y

    def set_expansion(self, expansion: Expansion, coeff: Tensor) -> None:
        """Take another squash and basis, with their coefficients `(out_features, in_features, K)`; an `EdgeBasis` goes."""
        if self.expansion is None:
            self.edge = None
            del self.squash
        self.expansion = expansion
        self.is_local = self._is_contracted_locally()
        self.weight = nn.Parameter(self.as_weight(coeff), self.weight.requires_grad)

    def _is_contracted_locally(self) -> bool:
        if self.expansion is None or not self.expansion.is_local:
            return False
        basis = self.expansion.basis
        assert isinstance(basis, LocalBasis)
        return pays(basis.num_local, basis.num_basis, self.out_features)

    def mask_edges(self, mask: Tensor | None) -> None:
        """Cut the edges where `mask`, `(out, in)`, is false: they give zero, without a residual, and learn nothing; None restores all.

        Raises:
            ValueError: the mask has another shape.
        """
        if mask is not None and mask.shape != (self.out_features, self.in_features):
            raise ValueError(f"mask must have the shape {(self.out_features, self.in_features)}, got {tuple(mask.shape)}")
        self.edge_mask = None if mask is None else mask.to(self.weight.device, torch.bool)

    def _kept(self, weight: Tensor) -> Tensor:
        """Return the weights, stored in any of the layer's ways, with zeros for the edges that were cut."""
        if self.edge_mask is None:
            return weight
        if weight.ndim == 3:
            return weight * self.edge_mask.T.unsqueeze(1)
        return (weight.view(self.out_features, -1, self.in_features) * self.edge_mask.unsqueeze(1)).flatten(1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        mask = state_dict.get(f"{prefix}edge_mask")
        if mask is None or self.edge_mask is None:
            self.mask_edges(mask)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def edge_functions(self, points: Tensor) -> Tensor:
        """Return every edge function, its residual branch included, at points `(P,)`: `(P, in_features, out_features)`.

        Raises:
            ValueError: the squash is `layernorm` or `standardize`, so that an edge function is not one of its input alone.
        """
        if not self._is_elementwise():
            raise ValueError(f"edge_functions must have a squash that is elementwise, got {self._squash().kind!r}")
        x = points.unsqueeze(-1).expand(-1, self.in_features)
        if self.expansion is not None:
            # One small matrix product an input; contiguous, or each is copied by itself.
            table: Tensor = (self.expansion(x).permute(2, 0, 1).contiguous() @ self.coeff.permute(1, 2, 0).contiguous()).transpose(0, 1)
        else:
            assert self.edge is not None
            table = (self.weight * self.edge(self.squash(x))).transpose(1, 2)
        if self.residual_weight is not None:
            table = table + residual_branch(self.residual, points)[:, None, None] * self.residual_weight.T
        return table if self.edge_mask is None else table * self.edge_mask.T

    def _check_inputs(self, x: Tensor) -> None:
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ValueError(f"the last dimension of inputs must be in_features={self.in_features}, got the shape {tuple(x.shape)}")

    def _is_elementwise(self) -> bool:
        return self._squash().norm is None

    def _squash(self) -> SquashInto:
        return self.squash if self.expansion is None else self.expansion.squash

    @torch.no_grad()
    def update_grid(self, x: Tensor) -> None:
        """Let the grid follow the samples `(*batch, in_features)` and re-fit the coefficients so that the function stays.

        Of a sparse matrix it looks at 1,024 rows, evenly spread.

        Raises:
            ValueError: the last dimension is not `in_features`.
            TypeError: the basis has no grid that follows data.
        """
        if self.expansion is None:
            raise TypeError(f"{type(self.edge).__name__} has no grid that follows data")
        self._check_inputs(x)
        if x.layout is not torch.strided:
            x = sample_rows(x, _GRID_ROWS)
        self.coeff.copy_(self.expansion.update_grid(x.reshape(-1, self.in_features), self.coeff))

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"{self.in_features}, {self.out_features}, residual={self.residual!r}, bias={self.bias is not None}"
