"""Rational Jacobi functions (rKAN): Jacobi polynomials of a map of the real line."""

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.trainable_jacobi import MIN_POSITIVE, TrainableJacobi, above, free


class RationalJacobi(TrainableJacobi):
    r"""Jacobi polynomials $P_n^{(a,b)}\big(x / \sqrt{x^2 + L^2}\big)$, n = 1 ... D, with trainable L, a and b.

    The map takes the real line into $[-1, 1]$, so that no input is too large for a polynomial. A layer has one L > 0.01, one a and one
    b > -0.99, by a softplus of the free parameters `raw_length`, `raw_alpha`, `raw_beta`. $P_0$ is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        length: initial L: half of $[-1, 1]$ is where |x| < 0.58 L.
        alpha: initial exponent a of the weight at the right end.
        beta: initial exponent b of the weight at the left end.
        domain: interval that inputs are squashed into.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Aghaei, rKAN: rational Kolmogorov-Arnold networks, arXiv:2406.14495.

    Example:
        >>> import torch
        >>> RationalJacobi(1, degree=2, length=4.0, alpha=0.0, beta=0.0)(torch.tensor([3.0])).detach()
        tensor([[0.6000, 0.0400]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2406.14495"
    family = "rational"
    formula = "P_n^(alpha, beta)(x / sqrt(x^2 + L^2)), n = 1 ... degree, with trainable L, alpha and beta"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        length: Annotated[float, Gt(0.01)] = 2.0,
        alpha: Annotated[float, Gt(-0.99)] = 1.0,
        beta: Annotated[float, Gt(-0.99)] = 1.0,
        domain: tuple[float, float] = (-4.0, 4.0),
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, alpha=alpha, beta=beta, smooth=smooth, domain=domain)
        self.raw_length = free(MIN_POSITIVE, length)

    def place(self, x: Tensor) -> Tensor:
        r"""Map x to $x / \sqrt{x^2 + L^2}$."""
        return x * (x.square() + above(MIN_POSITIVE, self.raw_length).square()).rsqrt()
