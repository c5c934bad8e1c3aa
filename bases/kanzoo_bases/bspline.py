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

    @torch.no_grad()
    def update_grid(self, x: Tensor) -> None:
        """Move the knots in place to suit samples `(N, in_features)`; the cells cover the domain and all samples.

        Inner cells have `grid_uniformity` of the even width and the rest of the width between quantiles. Samples that are not finite are
        left out. An input whose samples hardly vary keeps its knots.
        """
        samples = x.reshape(-1, self.in_features).double()
        if not len(samples):
            return
        low, high = self.domain
        quantiles = _quantiles(samples, self.grid_size)
        spread = quantiles[-1] - quantiles[0]
        quantiles[0].clamp_(max=low)  # beyond its last knot a spline is a polynomial that may grow without bound
        quantiles[-1].clamp_(min=high)
        span = quantiles[-1] - quantiles[0]
        step = span / self.grid_size
        widths = self.grid_uniformity * step + (1 - self.grid_uniformity) * quantiles.diff(dim=0)
        widths = torch.maximum(widths, MIN_SPACING * step)
        widths = widths * (span / widths.sum(0))
        outside = step.expand(self.degree, -1)
        steps = torch.cat([(quantiles[0] - self.degree * step).unsqueeze(0), outside, widths, outside])
        knots = steps.cumsum(0).T.to(self.knots.dtype)
        varies = (spread >= MIN_RANGE * (high - low)) & (knots.diff(dim=1) >= MIN_SPACING / 2 * step.unsqueeze(1)).all(1)
        usable = varies & (knots[:, -1] - knots[:, 0]).isfinite()
        self.knots.copy_(knots.where(usable.unsqueeze(1), self.knots))

    def _pieces(self, x: Tensor, knots: Tensor, cell: Tensor) -> list[Tensor]:
        """Return the p + 1 functions that are not zero in the cell of x, each of the shape of `x`."""
        first = cell + 1 + knots.shape[1] * torch.arange(self.in_features, device=x.device)
        places = [(first + place).flatten() for place in range(2 * self.degree)]
        near = [knots.flatten().index_select(0, place).view_as(x) for place in places]  # near[p - 1] <= x < near[p]
        distance = [x - knot for knot in near]
        values = [1 + 0 * x]
        for degree in range(1, self.degree + 1):
            saved, raised = 0 * x, []
            for right, value in enumerate(values, self.degree):
                share = value / (near[right] - near[right - degree])
                raised.append(saved - distance[right] * share)
                saved = distance[right - degree] * share
            values = [*raised, saved]
        return values


def _quantiles(samples: Tensor, parts: int) -> Tensor:
    """Return what cuts the finite samples `(N, in_features)` of each input into equal parts, `(parts + 1, in_features)`."""
    finite = samples.isfinite()
    ranked = samples.where(finite, torch.inf).sort(0).values
    last = (finite.sum(0) - 1).clamp(min=0)
    place = torch.linspace(0, 1, parts + 1, dtype=samples.dtype, device=samples.device).unsqueeze(1) * last
    return torch.lerp(ranked.gather(0, place.floor().long()), ranked.gather(0, place.ceil().long()), place.frac())
