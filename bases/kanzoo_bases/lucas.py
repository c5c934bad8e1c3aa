"""Lucas polynomials."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, growing_steps, three_term


class Lucas(DegreeBasis):
    r"""Lucas polynomials $L_1, \dots, L_D$ on $[-1, 1]$, each divided by its value at 1, a Lucas number.

    $L_0 = 2$, $L_1 = x$, $L_n = x\,L_{n-1} + L_{n-2}$. No term of the recurrence cancels another on the domain, and none is larger than 1.
    $L_0$ is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Hoggatt & Bicknell, Roots of Fibonacci polynomials, The Fibonacci Quarterly 11 (1973) 271-274.
        In a network: https://github.com/Boris-73-TA/OrthogPolyKANs.

    Example:
        >>> Lucas(1, degree=3)(torch.tensor([2.0])) * torch.tensor([1.0, 3.0, 4.0])  # Pell-Lucas numbers
        tensor([[ 2.,  6., 14.]])
    """

    resolution = "degree"
    support = "global"
    reference = "https://mathworld.wolfram.com/LucasPolynomial.html"
    family = "polynomial"
    formula = "L_n(x) / L_n(1), n = 1 ... degree"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8, smooth: bool = True) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $L_1 / L_1(1), \dots, L_D / L_D(1)$, each of the shape of `x`."""
        return three_term(torch.ones_like(x), x, growing_steps(x, [1] * (self.degree - 1), sizes=(2, 1)))
