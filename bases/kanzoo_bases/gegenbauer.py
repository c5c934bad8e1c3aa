"""Gegenbauer polynomials."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, three_term


class Gegenbauer(DegreeBasis):
    r"""Gegenbauer (ultraspherical) polynomials $C_1^{(a)}, \dots, C_D^{(a)}$ on $[-1, 1]$, orthogonal for $(1 - x^2)^{a - 1/2}$.

    $C_0 = 1$, $C_1 = 2ax$, $n C_n = 2(n + a - 1)\,x\,C_{n-1} - (n + 2a - 2) C_{n-2}$. Not normalised: $C_n(1) = \binom{n + 2a - 1}{n}$.
    $C_0$ is left to the layer's bias. Legendre's polynomials are a = 1/2, Chebyshev's of the second kind a = 1.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        alpha: exponent a of the weight, plus one half.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        NIST Digital Library of Mathematical Functions, §18.9(i). In a network: https://github.com/Boris-73-TA/OrthogPolyKANs.

    Example:
        >>> Gegenbauer(1, degree=3)(torch.tensor([0.5]))
        tensor([[ 1.,  0., -1.]])
    """

    resolution = "degree"
    support = "global"
    reference = "https://dlmf.nist.gov/18.9"
    family = "polynomial"
    formula = "C_n^(alpha)(x), n = 1 ... degree"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        alpha: Annotated[float, Gt(0)] = 1.0,
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)
        self.alpha = alpha

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $C_1, \dots, C_D$, each of the shape of `x`."""
        a = self.alpha
        steps = [(x, 2 * (n + a - 1) / n, (n + 2 * a - 2) / n) for n in range(2, self.degree + 1)]
        return three_term(torch.ones_like(x), 2 * a * x, steps)
