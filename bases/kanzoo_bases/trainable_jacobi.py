"""Jacobi polynomials with trainable exponents, after a trainable map of the input: what fKAN and rKAN share."""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo_bases.recurrence import DegreeBasis, jacobi_numbers, three_term

#: A trainable exponent stays above this: at -1 the weight can no longer be integrated.
MIN_EXPONENT = -0.99
#: A trainable power or length stays above this.
MIN_POSITIVE = 0.01


class TrainableJacobi(DegreeBasis):
    r"""Jacobi polynomials $P_1^{(a,b)}(z), \dots, P_D^{(a,b)}(z)$ at $z = \mathrm{place}(x)$ in $[-1, 1]$, with trainable a and b.

    One a and one b for all inputs of the layer; `raw_alpha` and `raw_beta` are free, see `above`.
    """

    def __init__(
        self, in_features: int, *, degree: int, alpha: float, beta: float, smooth: bool, domain: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth, domain=domain)
        self.raw_alpha, self.raw_beta = free(MIN_EXPONENT, alpha), free(MIN_EXPONENT, beta)

    @abstractmethod
    def place(self, x: Tensor) -> Tensor:
        """Map the domain into $[-1, 1]$."""

    def columns(self, x: Tensor) -> list[Tensor]:
        """Return the D polynomials, each of the shape of `x`."""
        a, b, z = above(MIN_EXPONENT, self.raw_alpha), above(MIN_EXPONENT, self.raw_beta), self.place(x)
        numbers = jacobi_numbers(torch.arange(2, self.degree + 1, dtype=a.dtype, device=a.device), a, b)
        steps = [(slope * z + offset, 1.0, past) for slope, offset, past in zip(*(number.unbind() for number in numbers), strict=True)]
        return three_term(torch.ones_like(z), (a + b + 2) / 2 * z + (a - b) / 2, steps)


def free(bound: float, value: float) -> nn.Parameter:
    """Return the free parameter of which `above` makes a value above the bound.

    Example:
        >>> above(-0.99, free(-0.99, 2.5)).detach()
        tensor(2.5000)
    """
    return nn.Parameter(torch.tensor(value - bound + math.log(-math.expm1(bound - value))))


def above(bound: float, raw: Tensor) -> Tensor:
    r"""Return $\mathrm{bound} + \log(1 + e^r)$ of a free parameter r: whatever a step of an optimizer does, it stays above the bound."""
    return bound + F.softplus(raw)
