"""Fractional Jacobi functions (fKAN): Jacobi polynomials of a trainable power of the input."""

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.trainable_jacobi import MIN_POSITIVE, TrainableJacobi, above, free

#: t at the left end: at zero the derivative of a power below one is infinite.
MIN_PLACE = 1e-3


class FractionalJacobi(TrainableJacobi):
    r"""Jacobi polynomials $P_n^{(a,b)}(2 t^\gamma - 1)$, n = 1 ... D, with trainable $\gamma$, a and b, for x in $[-1, 1]$.

    $t = \varepsilon + (1 - \varepsilon)(1 + x)/2$ with $\varepsilon = 10^{-3}$, so that all derivatives are finite at the left end. With
    the squash `tanh` (1 + x) / 2 is the sigmoid of the paper. A layer has one $\gamma > 0.01$, one a and one b > -0.99, as the paper's
    blocks do, by a softplus of the free parameters `raw_gamma`, `raw_alpha`, `raw_beta`; the paper's $\gamma$ is a sigmoid, below 1. $P_0$
    is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        gamma: initial power.
        alpha: initial exponent a of the weight at the right end.
        beta: initial exponent b of the weight at the left end.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Aghaei, fKAN: fractional Kolmogorov-Arnold networks with trainable Jacobi basis functions, arXiv:2406.07456.

    Example:
        >>> import torch
        >>> FractionalJacobi(1, degree=2, gamma=0.5, alpha=0.0, beta=0.0)(torch.tensor([1.0])).detach()
        tensor([[1., 1.]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2406.07456"
    family = "polynomial"
    formula = "P_n^(alpha, beta)(2 t^gamma - 1), n = 1 ... degree, t = (1 + x) / 2, with trainable gamma, alpha and beta"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        gamma: Annotated[float, Gt(0.01)] = 1.0,
        alpha: Annotated[float, Gt(-0.99)] = 1.0,
        beta: Annotated[float, Gt(-0.99)] = 1.0,
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, alpha=alpha, beta=beta, smooth=smooth)
        self.raw_gamma = free(MIN_POSITIVE, gamma)

    def place(self, x: Tensor) -> Tensor:
        r"""Map x to $2 t^\gamma - 1$."""
        t = MIN_PLACE + (1 + x) * ((1 - MIN_PLACE) / 2)
        return 2 * t ** above(MIN_POSITIVE, self.raw_gamma) - 1
