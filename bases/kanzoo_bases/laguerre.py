"""Laguerre functions: Laguerre polynomials times a decay, orthonormal on the half line."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis


class Laguerre(DegreeBasis):
    r"""Laguerre functions $l_0(t), \dots, l_D(t)$, $l_n(t) = L_n(t)\,e^{-t/2}$, with t from 0 to `length` as x goes from -1 to 1.

    $t = \frac{\mathrm{length}}{2}(1 + x)$, $l_0 = e^{-t/2}$, $n\,d_n = (n - 1)\,d_{n-1} - t\,l_{n-1}$, $l_n = l_{n-1} + d_n$: the
    three-term recurrence by differences, which loses no digit at the left end, where the functions are steepest. Orthonormal over the
    half line, and $|l_n| \le 1 = l_n(0)$, while polynomials alone would grow by orders of magnitude. No constant is among them, so that
    $l_0$ stays.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D + 1.
        length: t at the right end; $l_n$ oscillates for t < 4n + 2.
        smooth: damp the initial coefficients of degree n > 1 by $1 / n^2$; without it a network starts as noise.

    Reference:
        Huang & Yu, Improved Laguerre spectral methods with less round-off errors and better stability, arXiv:2212.13255. In a network, as
        polynomials: https://github.com/Boris-73-TA/OrthogPolyKANs.

    Example:
        >>> Laguerre(1, degree=2, length=4.0)(torch.tensor([[-1.0], [0.0]]))[:, 0]
        tensor([[ 1.0000,  1.0000,  1.0000],
                [ 0.3679, -0.3679, -0.3679]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2212.13255"
    family = "polynomial"
    formula = "L_n(t) exp(-t / 2), n = 0 ... degree, t = (1 + x) length / 2"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        length: Annotated[float, Gt(0)] = 16.0,
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth, lowest=0)
        self.length = length

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $l_0, \dots, l_D$, each of the shape of `x`."""
        t = (1 + x) * (self.length / 2)
        columns, rise = [(t / -2).exp()], torch.zeros_like(t)
        for n in range(1, self.degree + 1):
            rise = torch.addcmul(rise * ((n - 1) / n), t, columns[-1], value=-1 / n)
            columns.append(columns[-1] + rise)
        return columns
