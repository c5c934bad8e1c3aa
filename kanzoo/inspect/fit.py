"""Where a basis is replaced: the points on which the old and the new edge functions are compared, and how far they are apart."""

import math

import torch
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.inspect.layer import KANLayer, num_inputs

#: Weight of a point of the domain beside a sample, as in a grid update.
OFF_SAMPLE_WEIGHT = 1e-2

#: Most samples that a fit looks at.
MOST_ROWS = 8192

_NUMBERS = 1 << 25  # of a matrix of samples by functions


def max_rows(layer: KANLayer, num_basis: int) -> int:
    """Return how many samples a fit of `num_basis` functions looks at: 8,192, fewer for wide layers, never fewer than four a function."""
    return max(4 * num_basis, min(MOST_ROWS, _NUMBERS // (num_inputs(layer) * num_basis)))


def nodes(basis: Basis, num_basis: int) -> Tensor:
    """Return points on which `num_basis` functions of a basis are told apart, `(P, in)`, float64.

    Between each two of its `cell_ends` they lie as the extrema of Chebyshev polynomials do, four a function in all and six at least:
    dense at the ends, where polynomials need them. Four a function lie so on the whole domain.
    """
    ends = basis.cell_ends().detach().double().cpu()
    inside = extrema(max(6, math.ceil(4 * num_basis / (ends.shape[1] - 1))))
    pieces = ends[:, :-1, None] + ends.diff(dim=1).unsqueeze(-1) * inside
    low, high = basis.domain
    whole = (low + (high - low) * extrema(4 * num_basis)).expand(len(ends), -1)
    return torch.cat([pieces.flatten(1), whole], 1).T


def extrema(count: int) -> Tensor:
    """Return the extrema of a Chebyshev polynomial, brought to [0, 1], float64."""
    return (1 - torch.linspace(0, torch.pi, count, dtype=torch.float64).cos()) / 2


def finite_rows(x: Tensor) -> Tensor:
    """Return the rows that are finite, in float64 on the CPU."""
    return x[x.isfinite().all(1)].cpu().double()
