"""Legendre polynomials."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, three_term


class Legendre(DegreeBasis):
    r"""Legendre polynomials $P_1, \dots, P_D$ on $[-1, 1]$, orthogonal for the weight one.

    $P_0 = 1$, $P_1 = x$, $n P_n = (2n - 1)\,x\,P_{n-1} - (n - 1) P_{n-2}$. None is larger than 1 on the domain. $P_0$ is left to the
    layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        NIST Digital Library of Mathematical Functions, §18.9(i). In a network: https://github.com/1ssb/torchkan.

    Example:
        >>> Legendre(1, degree=3)(torch.tensor([0.5]))
        tensor([[ 0.5000, -0.1250, -0.4375]])
    """

    resolution = "degree"
    support = "global"
    reference = "https://dlmf.nist.gov/18.9"
    family = "polynomial"
    formula = "P_n(x), n = 1 ... degree"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8, smooth: bool = True) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $P_1, \dots, P_D$, each of the shape of `x`."""
        return three_term(torch.ones_like(x), x, [(x, (2 * n - 1) / n, (n - 1) / n) for n in range(2, self.degree + 1)])
