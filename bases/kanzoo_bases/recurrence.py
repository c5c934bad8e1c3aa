"""What families ordered by degree share: three-term recurrences, and initial coefficients that are damped with the degree."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from kanzoo.basis import ColumnBasis

#: `(t, s, q)` of one step $p_n = s\,t\,p_{n-1} - q\,p_{n-2}$: t is x, or a line in x.
Step = tuple[Tensor, float, float | Tensor]

_Number = TypeVar("_Number", float, Tensor)


class DegreeBasis(ColumnBasis):
    """Functions of the degrees `lowest` ... `degree`; the initial coefficients of degree n > 1 are damped by 1 / n² when smooth."""

    def __init__(self, in_features: int, *, degree: int, smooth: bool, lowest: int = 1, domain: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__(in_features, num_basis=degree - lowest + 1, domain=domain)
        self.degree, self.lowest, self.smooth = degree, lowest, smooth

    def initial_scale(self) -> Tensor:
        """Damp degree n > 1 by 1 / n² when smooth, shape `(K,)`."""
        return torch.arange(float(self.lowest), self.degree + 1).clamp_min(1).pow(-2 if self.smooth else 0)


def three_term(before: Tensor, first: Tensor, steps: Sequence[Step]) -> list[Tensor]:
    r"""Return $p_1, p_2, \dots$ of a three-term recurrence, from $p_0$ and $p_1$ and one step for each of the others.

    Example:
        >>> x = torch.tensor(0.5)  # of Chebyshev's polynomials
        >>> three_term(torch.ones(()), x, [(x, 2.0, 1.0)] * 2)
        [tensor(0.5000), tensor(-0.5000), tensor(-1.)]
    """
    columns = [first]
    for place, slope, past in steps:
        columns.append(torch.addcmul(before * -past, place, columns[-1], value=slope))
        before = columns[-2]
    return columns


def growing_steps(x: Tensor, slopes: Iterable[int], sizes: tuple[int, int] = (1, 1)) -> list[Step]:
    r"""Return the steps of $p_n(x) / p_n(1)$ for $p_n = c_n\,x\,p_{n-1} + p_{n-2}$ with integers $c_n > 0$.

    No coefficient of such a polynomial is negative, so that it is largest on $[-1, 1]$ at 1.

    Args:
        x: points.
        slopes: $c_2, c_3, \dots$.
        sizes: $p_0(1)$ and $p_1(1)$.
    """
    (before, last), steps = sizes, list[Step]()
    for slope in slopes:
        size = slope * last + before
        steps.append((x, slope * last / size, -before / size))
        before, last = last, size
    return steps


def jacobi_numbers(n: _Number, alpha: _Number, beta: _Number) -> tuple[_Number, _Number, _Number]:
    r"""Return s, o and q of Jacobi's $P_n = (s\,x + o)\,P_{n-1} - q\,P_{n-2}$, n > 1: three numbers, or three tensors."""
    total = 2 * n + alpha + beta
    lead = 2 * n * (n + alpha + beta)
    slope = (total - 1) * total / lead
    offset = (total - 1) * (alpha - beta) * (alpha + beta) / (lead * (total - 2))
    past = 2 * (n + alpha - 1) * (n + beta - 1) * total / (lead * (total - 2))
    return slope, offset, past
