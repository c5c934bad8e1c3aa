"""Bessel polynomials."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, growing_steps, three_term


class Bessel(DegreeBasis):
    r"""Bessel polynomials $y_1, \dots, y_D$ on $[-1, 1]$, each divided by its value at 1, where it is largest.

    $y_0 = 1$, $y_1 = 1 + x$, $y_n = (2n - 1)\,x\,y_{n-1} + y_{n-2}$: $y_8(1)$ is five millions. High degrees are alike, as powers of x
    are. $y_0$ is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Krall & Frink, A new class of orthogonal polynomials: the Bessel polynomials, doi:10.1090/S0002-9947-1949-0028473-1.
        In a network: https://github.com/Boris-73-TA/OrthogPolyKANs.

    Example:
        >>> Bessel(1, degree=2)(torch.tensor([0.5])) * torch.tensor([2.0, 7.0])  # 1 + x and 1 + 3 x + 3 x²
        tensor([[1.5000, 3.2500]])
    """

    resolution = "degree"
    support = "global"
    reference = "doi:10.1090/S0002-9947-1949-0028473-1"
    family = "polynomial"
    formula = "y_n(x) / y_n(1), n = 1 ... degree"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8, smooth: bool = True) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $y_1 / y_1(1), \dots, y_D / y_D(1)$, each of the shape of `x`."""
        return three_term(torch.ones_like(x), (1 + x) / 2, growing_steps(x, range(3, 2 * self.degree, 2), sizes=(1, 2)))
