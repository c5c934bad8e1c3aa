"""Hermite functions: Hermite polynomials times a Gaussian, orthonormal on the line."""

import math
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, three_term


class Hermite(DegreeBasis):
    r"""Hermite functions $\psi_0, \dots, \psi_D$, $\psi_n(x) = \frac{H_n(x)\,e^{-x^2/2}}{\sqrt{2^n n! \sqrt\pi}}$.

    $\psi_0 = \pi^{-1/4} e^{-x^2/2}$, $\psi_1 = \sqrt2\,x\,\psi_0$, $\psi_n = \sqrt{2/n}\,x\,\psi_{n-1} - \sqrt{(n - 1)/n}\,\psi_{n-2}$.
    Orthonormal over the line, none larger than 0.76, whatever its degree, while polynomials alone would grow by orders of magnitude.
    $\psi_n$ oscillates for $|x| < \sqrt{2n + 1}$ and vanishes outside. No constant is among them, so that $\psi_0$ stays.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D + 1.
        domain: interval that inputs are squashed into; of degree 8 all that is not small lies in the default.
        smooth: damp the initial coefficients of degree n > 1 by $1 / n^2$; without it a network starts as noise.

    Reference:
        NIST Digital Library of Mathematical Functions, §18.9(i) and Table 18.3.1. In a network, as polynomials:
        https://github.com/Boris-73-TA/OrthogPolyKANs.

    Example:
        >>> import torch
        >>> Hermite(1, degree=2)(torch.tensor([0.0]))
        tensor([[ 0.7511,  0.0000, -0.5311]])
    """

    resolution = "degree"
    support = "global"
    reference = "https://dlmf.nist.gov/18.9"
    family = "polynomial"
    formula = "H_n(x) exp(-x^2 / 2) / sqrt(2^n n! sqrt(pi)), n = 0 ... degree"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        domain: tuple[float, float] = (-4.0, 4.0),
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth, lowest=0, domain=domain)

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $\psi_0, \dots, \psi_D$, each of the shape of `x`."""
        lowest = (x.square() / -2).exp() * math.pi**-0.25
        steps = [(x, math.sqrt(2 / n), math.sqrt((n - 1) / n)) for n in range(2, self.degree + 1)]
        return [lowest, *three_term(lowest, math.sqrt(2) * x * lowest, steps)]
