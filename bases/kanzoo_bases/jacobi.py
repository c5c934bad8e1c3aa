"""Jacobi polynomials."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, jacobi_numbers, three_term


class Jacobi(DegreeBasis):
    r"""Jacobi polynomials $P_1^{(a,b)}, \dots, P_D^{(a,b)}$ on $[-1, 1]$, orthogonal for the weight $(1 - x)^a (1 + x)^b$.

    $P_0 = 1$, $P_1 = \frac{a - b}{2} + \frac{a + b + 2}{2} x$, and for n > 1, with $s = 2n + a + b$,
    $2n(n + a + b)(s - 2) P_n = (s - 1)(s(s - 2)x + a^2 - b^2) P_{n-1} - 2(n + a - 1)(n + b - 1)s P_{n-2}$. Not normalised:
    $P_n(1) = \binom{n + a}{n}$. $P_0$ is left to the layer's bias. Legendre's polynomials are a = b = 0, Gegenbauer's a = b.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        alpha: exponent a of the weight at the right end.
        beta: exponent b of the weight at the left end.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Aghaei, fKAN: fractional Kolmogorov-Arnold networks with trainable Jacobi basis functions, arXiv:2406.07456.

    Example:
        >>> Jacobi(1, degree=3, alpha=0.0, beta=0.0)(torch.tensor([0.5]))
        tensor([[ 0.5000, -0.1250, -0.4375]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2406.07456"
    family = "polynomial"
    formula = "P_n^(alpha, beta)(x), n = 1 ... degree"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        alpha: Annotated[float, Gt(-1)] = 1.0,
        beta: Annotated[float, Gt(-1)] = 1.0,
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)
        self.alpha, self.beta = alpha, beta

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $P_1, \dots, P_D$, each of the shape of `x`."""
        a, b = self.alpha, self.beta
        numbers = [jacobi_numbers(float(n), a, b) for n in range(2, self.degree + 1)]
        steps = [(x + offset / slope if offset else x, slope, past) for slope, offset, past in numbers]
        return three_term(torch.ones_like(x), (a + b + 2) / 2 * x + (a - b) / 2, steps)
