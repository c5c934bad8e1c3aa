"""Jacobi polynomials."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from kanzoo.basis import ColumnBasis
from kanzoo.signature import checked


class Jacobi(ColumnBasis):
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
        super().__init__(in_features, num_basis=degree, domain=(-1.0, 1.0))
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $P_1, \dots, P_D$, each of the shape of `x`."""
        a, b = self.alpha, self.beta
        columns = [(a + b + 2) / 2 * x + (a - b) / 2]
        before = torch.ones_like(x)
        for n in range(2, self.num_basis + 1):
            s = 2 * n + a + b
            lead = 2 * n * (n + a + b) * (s - 2)
            slope, offset, past = (s - 1) * s * (s - 2) / lead, (s - 1) * (a * a - b * b) / lead, 2 * (n + a - 1) * (n + b - 1) * s / lead
            columns.append(torch.addcmul(-past * before, slope * x + offset, columns[-1]))
            before = columns[-2]
        return columns

    def initial_scale(self) -> Tensor:
        """Damp degree n by 1 / n² when smooth, shape `(K,)`."""
        return torch.arange(1.0, self.num_basis + 1).pow(-2 if self.smooth else 0)
