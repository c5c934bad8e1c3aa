"""Chebyshev polynomials of the first kind."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis


class Chebyshev(DegreeBasis):
    r"""Chebyshev polynomials $T_1, \dots, T_D$ on $[-1, 1]$.

    $T_0 = 1$, $T_1(x) = x$, $T_{m+n}(x) = 2\,T_m(x)\,T_n(x) - T_{|m-n|}(x)$ with m and n halves of the sum: of
    logarithmic depth, at least as exact as the three-term recurrence, and without the pole that the derivative of
    $\cos(n \arccos x)$ has at the ends. $T_0$ is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        SS et al., Chebyshev polynomial-based Kolmogorov-Arnold networks, arXiv:2405.07200.

    Example:
        >>> Chebyshev(1, degree=3)(torch.tensor([0.5]))
        tensor([[ 0.5000, -0.5000, -1.0000]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2405.07200"
    family = "polynomial"
    formula = "T_n(x), n = 1 ... degree"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8, smooth: bool = True) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $T_1, \dots, T_D$, each of the shape of `x`."""
        columns = [x]
        below = (-torch.ones_like(x), -x)  # -T_0 and -T_1
        for degree in range(2, self.num_basis + 1):
            twice = 2 * columns[degree // 2 - 1]
            columns.append(torch.addcmul(below[degree % 2], twice, columns[(degree + 1) // 2 - 1]))
        return columns
