r"""Which functions a sampled curve may be: all edges against all candidates at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
import torch
from torch import Tensor

from kanzoo.inspect.formula.library import LIBRARY, LINE, Candidate, check_library

_STARTS = 3  # grid points from which the local search goes on
_FIRST_STEPS = 6  # of the local search from each of them
_STEPS = 40  # from the best one
_LEAST = 0.8  # r² on the grid, below which there is no local search
_LEAST_OF_WAVES = 0.4  # on a grid of many frequencies, none of which is near
_HOPELESS = 0.05  # 1 - r² after the first steps, above which the search ends
_GRID_POINTS = 32  # of a curve, on which the grid is searched


@dataclass(frozen=True)
class Fit:
    r"""One candidate on one curve, $c\,f(a x + b) + d$.

    Attributes:
        candidate: f.
        a: scale of the argument.
        b: shift of the argument.
        c: scale of the value.
        d: shift of the value.
        r2: coefficient of determination, weighted as the samples are.
        complexity: of f, and one more for a shift.
        free: which of a and b are open to a later refit.
    """

    candidate: Candidate
    a: float
    b: float
    c: float
    d: float
    r2: float
    complexity: int
    free: tuple[bool, bool]

    def expression(self, x: sp.Expr) -> sp.Expr:
        """Return it in sympy."""
        return self.c * self.candidate.symbol(self.a * x + self.b) + self.d


def fit_curves(points: Tensor, values: Tensor, library: Sequence[Candidate] = LIBRARY, *, weights: Tensor | None = None) -> list[list[Fit]]:
    r"""Fit every candidate to every curve.

    For each candidate a grid of (a, b), with c and d in closed form, gives starting points; Levenberg-Marquardt in float64 goes on
    from the best three. Inputs are brought to [-1, 1] first, so that units do not matter.

    Args:
        points: where the curves were sampled, `(P, E)`.
        values: `(P, E)`.
        library: the candidates.
        weights: weight of each sample, `(P, E)`; samples at quantiles of the data need none.

    Returns:
        For each curve its fits, best r² first; candidates that are not defined on its points are left out.

    Raises:
        ValueError: shapes differ, there are fewer than 5 points, or numbers are not finite.

    Example:
        >>> x = torch.linspace(1, 5, 100).unsqueeze(1)
        >>> best = fit_curves(x, 3 * torch.log(x) + 1)[0][0]
        >>> best.candidate.name, round(best.c, 6), round(best.d, 6)
        ('log', 3.0, 1.0)
    """
    check_library(tuple(library))
    if points.shape != values.shape or points.ndim != 2 or len(points) < 5 or (weights is not None and weights.shape != points.shape):
        raise ValueError(f"points and values must have one shape (P, E) with P >= 5, got {tuple(points.shape)} and {tuple(values.shape)}")
    x, y = points.detach().double(), values.detach().double()
    w = torch.ones_like(x) if weights is None else weights.detach().double()
    if not (x.isfinite().all() and y.isfinite().all() and (w >= 0).all() and (w.sum(0) > 0).all()):
        raise ValueError("points, values and weights must hold finite numbers, and weights must be >= 0 with a positive sum")
    w = w / w.sum(0)
    level = (w * y).sum(0)
    size = (w * (y - level).square()).sum(0).sqrt().clamp_min(1e-300)
    center = (x.amax(0) + x.amin(0)) / 2
    scale = ((x.amax(0) - x.amin(0)) / 2).clamp_min(1e-300)
    reach = x.abs().amax(0).clamp_min(1e-300)
    flat = size <= 1e-12 * level.abs() + 1e-250  # constants: a line of slope 0 is exact, and nothing else is looked for
    target = torch.where(flat, 0.0, (y - level) / size)
    found: list[list[Fit]] = [[] for _ in range(x.shape[1])]
    zero = torch.zeros_like(center)
    for candidate in library:
        variants = [(candidate.start, center, scale, candidate.free, candidate.complexity + int(candidate.at_origin))]
        if candidate.at_origin:
            grid = torch.unique(candidate.start[:, :1], dim=0)
            origin = torch.cat([grid, torch.zeros_like(grid)], 1)
            variants.append((origin, zero, reach, (candidate.free[0], False), candidate.complexity))
        for grid, middle, unit, free, complexity in variants:
            best, r2 = _fit((x - middle) / unit, target, w, candidate, grid, free)
            a = best[:, 0] / unit
            b = best[:, 1] - a * middle
            if not free[0]:  # back to a = ±1, where powers and logarithms are plain
                a, b, best = _unscaled(candidate, a, b, best, unit)
            c, d = best[:, 2] * size, best[:, 3] * size + level
            for edge in range(x.shape[1]):
                if flat[edge]:
                    if candidate.name == LINE.name:
                        found[edge].append(Fit(candidate, 1.0, 0.0, 0.0, float(level[edge]), 1.0, complexity, free))
                elif bool(r2[edge].isfinite()):
                    numbers = (float(a[edge]), float(b[edge]), float(c[edge]), float(d[edge]))
                    found[edge].append(Fit(candidate, *numbers, float(r2[edge]), complexity, free))
    return [sorted(fits, key=lambda fit: -fit.r2) for fits in found]


def pareto(fits: Sequence[Fit]) -> list[Fit]:
    """Return the fits that no simpler one equals in r², simplest first."""
    front: list[Fit] = []
    for fit in sorted(fits, key=lambda fit: (fit.complexity, -fit.r2)):
        if not front or fit.r2 > front[-1].r2:
            front.append(fit)
    return front


def _unscaled(candidate: Candidate, a: Tensor, b: Tensor, best: Tensor, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Turn f((±x + b)/s) of a homogeneous f, or of log, into c f(±x + b) + d."""
    if candidate.name == "x":
        return (
            torch.ones_like(a),
            torch.zeros_like(b),
            torch.stack([best[:, 0], best[:, 1], best[:, 2] * a, best[:, 3] + best[:, 2] * b], 1),
        )
    if candidate.name == "log":
        return a * unit, b * unit, torch.stack([best[:, 0], best[:, 1], best[:, 2], best[:, 3] - best[:, 2] * unit.log()], 1)
    factor = candidate.function(1 / unit)  # f(z / s) = f(z) f(1 / s)
    return a * unit, b * unit, torch.stack([best[:, 0], best[:, 1], best[:, 2] * factor, best[:, 3]], 1)


def _fit(x: Tensor, y: Tensor, w: Tensor, candidate: Candidate, grid: Tensor, free: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    """Return a, b, c, d `(E, 4)` and r² `(E,)`, NaN where the candidate is not defined."""
    rows = torch.linspace(0, len(x) - 1, min(len(x), _GRID_POINTS), dtype=torch.float64).round().long()
    z = grid[:, 0, None, None] * x[rows] + grid[:, 1, None, None]  # (G, P, E)
    r2, c, d = _closed_form(candidate.function(z), y[rows], w[rows] / w[rows].sum(0).clamp_min(1e-300))
    best, order = r2.nan_to_num(-1.0).topk(min(_STARTS, len(grid)), dim=0)  # (S, E)
    p, error = _start(grid, c, d, order[0]), 1 - best[0].where(best[0] >= 0, torch.nan)
    open_ = torch.tensor([*free, True, True])
    near = (best[0] > (_LEAST if len(grid) < 300 else _LEAST_OF_WAVES)).nonzero().squeeze(1)
    if not len(near):
        return p, 1 - error
    x, y, w = x[:, near], y[:, near], w[:, near]
    first = torch.cat([_start(grid, c, d, row)[near] for row in order])
    wide = [part.repeat(1, len(order)) for part in (x, y, w)]
    first, first_error = _descend(first, wide[0], wide[1], wide[2], candidate, open_, _FIRST_STEPS)
    chosen = first_error.view(len(order), -1).nan_to_num(torch.inf).argmin(0) * len(near) + torch.arange(len(near))
    q, q_error = first[chosen], first_error[chosen]
    going = (q_error < _HOPELESS).nonzero().squeeze(1)
    if len(going):
        q[going], q_error[going] = _descend(q[going], x[:, going], y[:, going], w[:, going], candidate, open_, _STEPS)
    p[near], error[near] = q, q_error
    return p, 1 - error


def _start(grid: Tensor, c: Tensor, d: Tensor, row: Tensor) -> Tensor:
    """Return a, b, c, d `(E, 4)` of one grid point an edge."""
    edges = torch.arange(len(row))
    return torch.stack([grid[row, 0], grid[row, 1], c[row, edges], d[row, edges]], -1).nan_to_num()


def _closed_form(f: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return r², c and d of the best c f + d, over the points' dimension, which is the last but one."""
    f = f.where(f.isfinite(), torch.nan)
    mean_f, mean_y = (w * f).sum(-2), (w * y).sum(-2)
    spread = (w * (f - mean_f.unsqueeze(-2)).square()).sum(-2)
    shared = (w * (f - mean_f.unsqueeze(-2)) * (y - mean_y.unsqueeze(-2))).sum(-2)
    total = (w * (y - mean_y.unsqueeze(-2)).square()).sum(-2).clamp_min(1e-300)
    c = shared / spread.clamp_min(1e-30)
    return (c * shared / total).where(spread > 1e-24, torch.nan), c, mean_y - c * mean_f


def _descend(p: Tensor, x: Tensor, y: Tensor, w: Tensor, candidate: Candidate, free: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Levenberg-Marquardt on all columns at once: parameters `(E, 4)` and their weighted mean squared error `(E,)`."""
    damping = torch.full_like(p[:, 0], 1e-2)
    error = _error(p, x, y, w, candidate)
    eye = torch.eye(4, dtype=p.dtype)
    for _ in range(steps):
        z = (p[:, 0] * x + p[:, 1]).requires_grad_()
        with torch.enable_grad():
            f = candidate.function(z)
            slope = torch.autograd.grad(f.sum(), z)[0]
        f, z = f.detach(), z.detach()
        columns = torch.stack([p[:, 2] * slope * x, p[:, 2] * slope, f, torch.ones_like(f)], -1) * free  # (P, E, 4)
        residual = y - p[:, 2] * f - p[:, 3]
        columns, residual = columns.nan_to_num(0, 0, 0), residual.nan_to_num(0, 0, 0)
        gram = torch.einsum("pe,pei,pej->eij", w, columns, columns)
        side = torch.einsum("pe,pei,pe->ei", w, columns, residual)
        size = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-12)
        system = gram + (damping[:, None] * size)[:, :, None] * eye + 1e-300 * eye
        step, _ = torch.linalg.solve_ex(system, side.unsqueeze(-1))
        trial = p + step.squeeze(-1).nan_to_num(0, 0, 0)
        trial_error = _error(trial, x, y, w, candidate)
        better = trial_error < error
        p = torch.where(better[:, None], trial, p)
        converged = (error - trial_error).where(better, error.new_zeros(())) <= 1e-6 * error
        error = torch.where(better, trial_error, error)
        damping = torch.where(better, damping / 5, damping * 6).clamp(1e-14, 1e10)
        if bool((converged & (better | (damping > 1e8))).all()):
            break
    return p, error


def _error(p: Tensor, x: Tensor, y: Tensor, w: Tensor, candidate: Candidate) -> Tensor:
    f = candidate.function(p[:, 0] * x + p[:, 1])
    error: Tensor = (w * (y - p[:, 2] * f - p[:, 3]).square()).sum(0)
    return error
