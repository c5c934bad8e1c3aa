"""B-splines on a knot vector of its own for each input."""

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from kanzoo.basis import AdaptiveBasis
from kanzoo.signature import checked

MIN_RANGE = 1e-6  # of the domain's width: an input that varies less is constant, and keeps its knots
MIN_SPACING = 0.01  # of the uniform step: no two knots come closer, so that no piece is too steep for float32


class BSpline(AdaptiveBasis):
    r"""B-splines $B_{0,p}, \dots, B_{G+p-1,p}$ of degree p over G cells, one knot vector an input.

    $B_{i,0} = 1$ on $[t_i, t_{i+1})$, $B_{i,p}(x) = \frac{x - t_i}{t_{i+p} - t_i} B_{i,p-1}(x)
    + \frac{t_{i+p+1} - x}{t_{i+p+1} - t_{i+1}} B_{i+1,p-1}(x)$. Only the p + 1 functions that are not zero at x are computed, by the
    triangular recurrence of Piegl & Tiller (The NURBS Book, algorithm A2.2), and scattered to their places. They sum to one. The right
    end belongs to the last cell; outside the grid the end pieces continue as polynomials. `knots` is a buffer of shape
    `(in_features, grid_size + 2 * degree + 1)`.

    Args:
        in_features: number of inputs.
        degree: degree p of the pieces, 3 for cubic; K = grid_size + degree, order = degree + 1.
        grid_size: number of cells G.
        domain: ends of the first grid.
        grid_uniformity: weight of evenly spaced against quantile knots in `update_grid`; 1 is even, 0 all quantiles.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756.

    Example:
        >>> import torch
        >>> BSpline(1, degree=1, grid_size=2)(torch.tensor([0.25]))
        tensor([[0.0000, 0.7500, 0.2500]])
    """

    resolution = "grid_size"
    support = "local"
    reference = "arXiv:2404.19756"
    knots: Tensor

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(0)] = 3,
        grid_size: Annotated[int, Ge(1)] = 5,
        domain: tuple[float, float] = (-1.0, 1.0),
        grid_uniformity: Annotated[float, Ge(0), Le(1)] = 0.02,
    ) -> None:
        super().__init__(in_features, num_basis=grid_size + degree, domain=domain)
        self.degree, self.grid_size, self.grid_uniformity = degree, grid_size, grid_uniformity
        self.order = degree + 1
        low, high = self.domain
        knots = low + (high - low) / grid_size * torch.arange(-degree, grid_size + degree + 1, dtype=torch.float64)
        self.register_buffer("knots", knots.to(torch.get_default_dtype()).repeat(in_features, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        knots = self.knots.to(x.dtype)
        inner = knots[:, self.degree + 1 : self.degree + self.grid_size]
        cell = (x.detach().unsqueeze(-2) >= inner.T).sum(-2)
        values = torch.stack(self._pieces(x, knots, cell), -2)
        index = cell.unsqueeze(-2) + torch.arange(self.degree + 1, device=x.device).unsqueeze(-1)
        zeros = values.new_zeros((*x.shape[:-1], self.num_basis, self.in_features))
        return zeros.scatter_(-2, index, values)

    def _pieces(self, x: Tensor, knots: Tensor, cell: Tensor) -> list[Tensor]:
        """Return the p + 1 functions that are not zero in the cell of x, each of the shape of `x`."""
        first = cell + knots.shape[1] * torch.arange(self.in_features, device=x.device)
        near = [knots.flatten()[first + place] for place in range(2 * self.degree + 1)]  # near[p] <= x < near[p + 1]
        values = [1 + 0 * x]
        for degree in range(1, self.degree + 1):
            saved, raised = 0 * x, []
            for place, value in enumerate(values):
                left, right = near[self.degree + 1 - degree + place], near[self.degree + 1 + place]
                share = value / (right - left)
                raised.append(saved + (right - x) * share)
                saved = (x - left) * share
            values = [*raised, saved]
        return values
