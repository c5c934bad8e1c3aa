"""Bernstein polynomials."""

import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import ColumnBasis
from kanzoo.signature import checked


class Bernstein(ColumnBasis):
    r"""Bernstein polynomials $b_0, \dots, b_D$ on $[-1, 1]$, $b_k = \binom Dk t^k (1 - t)^{D-k}$ with $t = (1 + x) / 2$.

    Hills with their tops at t = k / D, never negative, of sum one: B-splines of one cell. The constant is their sum and no single one of
    them, so that all stay, as those of a B-spline do. A product of powers cancels no digit.

    Args:
        in_features: number of inputs.
        degree: degree D of all of them; K = D + 1.

    Reference:
        Farouki, The Bernstein polynomial basis: a centennial retrospective, doi:10.1016/j.cagd.2012.03.001.

    Example:
        >>> Bernstein(1, degree=2)(torch.tensor([0.0]))
        tensor([[0.2500, 0.5000, 0.2500]])
    """

    resolution = "degree"
    support = "global"
    reference = "doi:10.1016/j.cagd.2012.03.001"
    family = "polynomial"
    formula = "C(degree, k) t^k (1 - t)^(degree - k), t = (1 + x) / 2"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8) -> None:
        super().__init__(in_features, num_basis=degree + 1, domain=(-1.0, 1.0))
        self.degree = degree

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $b_0, \dots, b_D$, each of the shape of `x`."""
        t, rest = (1 + x) / 2, (1 - x) / 2
        rising, falling = [torch.ones_like(x)], [torch.ones_like(x)]
        for _ in range(self.degree):
            rising.append(rising[-1] * t)
            falling.append(falling[-1] * rest)
        return [math.comb(self.degree, k) * up * down for k, (up, down) in enumerate(zip(rising, reversed(falling), strict=True))]
