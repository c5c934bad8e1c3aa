"""B-splines on a knot vector of its own for each input."""

import math
from collections.abc import Callable
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor

from kanzoo.basis import AdaptiveBasis, LocalBasis, spread
from kanzoo.signature import checked

MIN_RANGE = 1e-6  # of the domain's width: an input that varies less is constant, and keeps its knots
_UNROLLED = 16  # functions that a compiler is given one by one
_SEARCHED = 24  # inner knots from which a binary search beats a comparison with each
MIN_SPACING = 0.01  # of the uniform step: no two knots come closer, so that no piece is too steep for float32


class BSpline(LocalBasis, AdaptiveBasis):
    r"""B-splines $B_{0,p}, \dots, B_{G+p-1,p}$ of degree p over G cells, one knot vector an input.

    $B_{i,0} = 1$ on $[t_i, t_{i+1})$, $B_{i,p}(x) = \frac{x - t_i}{t_{i+p} - t_i} B_{i,p-1}(x)
    + \frac{t_{i+p+1} - x}{t_{i+p+1} - t_{i+1}} B_{i+1,p-1}(x)$. Only the p + 1 functions that are not zero at x are computed, by the
    triangular recurrence of Piegl & Tiller (The NURBS Book, algorithm A2.2). They sum to one. The right end belongs to the last cell;
    outside the grid the end pieces continue as polynomials, while in `everywhere` each spline ends with its own knots. `knots` is a buffer
    of shape `(in_features, grid_size + 2 * degree + 1)`.

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
    family = "spline"
    formula = "B_k,p(x), by Cox-de Boor on a grid that can follow the data"
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
        self.order, self.num_local = degree + 1, degree + 1
        self.register_buffer("knots", self._first_knots().to(torch.get_default_dtype()).repeat(in_features, 1))
        self._moved = False  # until then a product finds the cell, which is faster than a search

    def _first_knots(self) -> Tensor:
        low, high = self.domain
        step = (high - low) / self.grid_size
        return low + step * torch.arange(-self.degree, self.grid_size + self.degree + 1, dtype=torch.float64)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        first = self._first_knots().to(self.knots)
        self._moved = not torch.allclose(self.knots, first.expand_as(self.knots), rtol=0, atol=1e-6 * float(first[-1] - first[0]))

    def local(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the cell of x, and the p + 1 functions that are not zero in it, each of the shape of `x`."""
        if not self._moved and self.degree:  # of degree 0 the rounding of a product would show
            low, high = self.domain
            place = (x - (low + high) / 2) * (self.grid_size / (high - low))  # in cells, from the middle, where rounding is least
            shifted = place if self.grid_size % 2 == 0 else place + 0.5
            cell = (shifted.detach().floor().long() + self.grid_size // 2).clamp(0, self.grid_size - 1)
            inside = place - (cell - self.grid_size / 2)
            # Knots in units of a cell, as seen from x: near[p - 1] <= 0 < near[p].
            distance = [inside - (index - self.degree + 1) for index in range(2 * self.degree)]
            pieces = _pieces(distance, torch.full_like(x, 1 / math.factorial(self.degree)))
            return cell, [piece.to(x.dtype) for piece in pieces]  # those of half precision are computed in float32, as cells are counted
        return local_splines(x, self.knots.to(x.dtype), self.degree)

    def interval(self) -> tuple[Tensor | float, Tensor | float]:
        """Return the ends of the grid of each input."""
        return (self.knots[:, self.degree], self.knots[:, -1 - self.degree]) if self._moved else self.domain

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major inside the grid: `(*batch, K, in_features)`; compiled, without a place in memory that depends on x."""
        return self._one_by_one(x) if self._is_unrolled() and torch.compiler.is_compiling() else super().features(x)

    def everywhere(self, x: Tensor) -> Tensor:
        """Evaluate basis-major on the whole line, `(*batch, K, in_features)`: each spline vanishes beyond its p + 2 knots."""
        if self._is_unrolled():
            return self._one_by_one(x)
        p, knots = self.degree, self.knots.to(x.dtype)
        nearest = torch.minimum(torch.maximum(x, knots[:, 0]), knots[:, -1])
        cell = (nearest.detach().unsqueeze(-2) >= knots[:, 1:-1].T).sum(-2)
        # p knots more on each side, wherever they lie, so that every cell has p + 1 functions. Those that they bound are left out.
        beyond = torch.arange(1, p + 1, dtype=x.dtype, device=x.device)
        knots = torch.cat([knots[:, :1] - beyond.flip(0), knots, knots[:, -1:] + beyond], 1)
        first = cell + 1 + knots.shape[1] * torch.arange(self.in_features, device=x.device)
        near = [knots.flatten().index_select(0, (first + place).flatten()).view_as(x) for place in range(2 * p)]
        pieces = _pieces([nearest - knot for knot in near], torch.ones_like(x), lambda right, degree: near[right] - near[right - degree])
        values = spread(cell, torch.stack(pieces, -2), self.num_basis + 2 * p)[..., p : p + self.num_basis, :]
        return values * (x == nearest).unsqueeze(-2)

    def _is_unrolled(self) -> bool:
        return not self._moved and self.degree in (2, 3) and self.num_basis <= _UNROLLED

    def _one_by_one(self, x: Tensor) -> Tensor:
        low, high = self.domain
        place = (x - (low + high) / 2) * (self.grid_size / (high - low))  # in cells, from the middle of the domain
        return torch.stack([_even_spline(place - (index - (self.num_basis - 1) / 2), self.degree) for index in range(self.num_basis)], -2)

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
        self._moved = self._moved or bool(usable.any())

    def cell_ends(self) -> Tensor:
        """Return the ends of the cells, `(in_features, grid_size + 1)`."""
        return self.knots[:, self.degree : self.degree + self.grid_size + 1]

    def refined(self, resolution: int) -> "BSpline":
        """Return splines on `resolution` cells, whose knots contain the present ones, so that they span the present functions.

        Evenly spaced knots stay so where `resolution` is a multiple of `grid_size`. Else the widest cell, again and again, is cut into one
        part more; its parts are equal.
        """
        new = self.remade(grid_size=resolution).to(self.knots.device, self.knots.dtype)
        if not self._moved and resolution % self.grid_size == 0:
            return new
        ends = finer_cells(self.cell_ends().double(), resolution)
        outside = (ends[:, -1:] - ends[:, :1]) / resolution * torch.arange(1, self.degree + 1, device=ends.device)
        knots = torch.cat([ends[:, :1] - outside.flip(1), ends, ends[:, -1:] + outside], 1)
        new.knots.copy_(knots)
        new._moved = True
        return new


def local_splines(x: Tensor, knots: Tensor, degree: int) -> tuple[Tensor, list[Tensor]]:
    """Return the cell of x, and the p + 1 splines of any knots that are not zero in it, each of the shape of `x`.

    Args:
        x: `(*batch, in)`.
        knots: rising, those outside the grid included, `(in, G + 2 p + 1)`, of the dtype of `x`.
        degree: p.
    """
    cell = _cells(x.detach(), knots[:, degree + 1 : -1 - degree].detach())
    first = cell + 1 + knots.shape[1] * torch.arange(len(knots), device=x.device)
    places = [(first + place).flatten() for place in range(2 * degree)]
    near = [knots.flatten().index_select(0, place).view_as(x) for place in places]
    return cell, _pieces([x - knot for knot in near], torch.ones_like(x), lambda right, degree: near[right] - near[right - degree])


def _cells(x: Tensor, inner: Tensor) -> Tensor:
    """Return how many of the inner knots `(in, G - 1)` are not above x `(*batch, in)`."""
    if inner.shape[1] < _SEARCHED:
        return (x.unsqueeze(-2) >= inner.T).sum(-2)
    steps = inner.shape[1].bit_length()
    knots = F.pad(inner, (0, 2**steps - 1 - inner.shape[1]), value=torch.inf)
    before = knots.shape[1] * torch.arange(len(inner), device=x.device) - 1
    cell = torch.zeros_like(x, dtype=torch.int64)
    for half in (2**step for step in reversed(range(steps))):
        knot = knots.flatten().index_select(0, (before + cell + half).flatten()).view_as(x)
        cell = cell + half * (x >= knot)
    return cell


def finer_cells(ends: Tensor, resolution: int) -> Tensor:
    """Return the ends `(in, resolution + 1)` of finer cells: the widest of those between `ends`, `(in, G + 1)`, is cut again and again.

    Each time it is cut into one part more; its parts are equal, and none is narrower than half of an even cell of the new grid.
    """
    widths = ends.diff(dim=1)
    parts = torch.ones_like(widths)
    for _ in range(resolution - widths.shape[1]):
        parts.scatter_add_(1, (widths / parts).argmax(1, keepdim=True), parts.new_ones(len(parts), 1))
    cell = torch.arange(widths.shape[1], device=ends.device).repeat(len(ends)).repeat_interleave(parts.flatten().long())
    cell = cell.view(len(ends), resolution)
    rank = torch.arange(resolution, device=ends.device) - (parts.cumsum(1) - parts).gather(1, cell)
    return torch.cat([ends.gather(1, cell) + widths.gather(1, cell) * (rank / parts.gather(1, cell)), ends[:, -1:]], 1)


def _pieces(distance: list[Tensor], start: Tensor, gap: Callable[[int, int], Tensor] | None = None) -> list[Tensor]:
    """Return the p + 1 functions that are not zero in the cell of x, each of the shape of `start`.

    Args:
        distance: x less each of the 2 p knots around it.
        start: what the recurrence begins with: one; with knots one apart 1 / p!, the product of all gaps.
        gap: distance of knot `right` from the one `degree` to its left; none where `start` holds them.
    """
    values, p = [start], len(distance) // 2
    for degree in range(1, p + 1):
        raised: list[Tensor] = []
        saved = start  # replaced before it is read
        for right, value in enumerate(values, p):
            share = value if gap is None else value / gap(right, degree)
            raised.append(torch.addcmul(saved, distance[right], share, value=-1) if raised else -distance[right] * share)
            saved = distance[right - degree] * share
        values = [*raised, saved]
    return values


def _even_spline(distance: Tensor, degree: int) -> Tensor:
    r"""Return the spline on knots one apart from the distance to its middle, by one truncated power for each knot on the far side.

    $B(t) = \frac{1}{p!} \sum_{j < h} (-1)^j \binom{p + 1}{j} (h - j - |t|)_+^p$ with $h = (p + 1) / 2$; up to cubics no digit is lost.
    """
    size = distance.abs()
    value = torch.zeros_like(size)
    for index in range((degree + 2) // 2):
        weight = (-1) ** index * math.comb(degree + 1, index) / math.factorial(degree)
        value = value + weight * ((degree + 1) / 2 - index - size).relu() ** degree
    return value


def _quantiles(samples: Tensor, parts: int) -> Tensor:
    """Return what cuts the finite samples `(N, in_features)` of each input into equal parts, `(parts + 1, in_features)`."""
    finite = samples.isfinite()
    ranked = samples.where(finite, torch.inf).sort(0).values
    last = (finite.sum(0) - 1).clamp(min=0)
    place = torch.linspace(0, 1, parts + 1, dtype=samples.dtype, device=samples.device).unsqueeze(1) * last
    return torch.lerp(ranked.gather(0, place.floor().long()), ranked.gather(0, place.ceil().long()), place.frac())
