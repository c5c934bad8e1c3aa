"""Powers of x."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis


class Taylor(DegreeBasis):
    r"""Powers $x, x^2, \dots, x^D$ on $[-1, 1]$: the edge function is a polynomial by its Taylor coefficients at 0.

    $x^n$ is the product of the powers of the halves of n, so that rounding errors do not pile up. High powers are alike: a fit of high
    degree is worse conditioned than with orthogonal polynomials. $x^0$ is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Han et al., KAN4TSF: are KAN and KAN-based models effective for time series forecasting?, arXiv:2408.11306.

    Example:
        >>> import torch
        >>> Taylor(1, degree=3)(torch.tensor([0.5]))
        tensor([[0.5000, 0.2500, 0.1250]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2408.11306"
    family = "polynomial"
    formula = "x^n, n = 1 ... degree"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8, smooth: bool = True) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $x, \dots, x^D$, each of the shape of `x`."""
        columns = [x]
        for degree in range(2, self.degree + 1):
            columns.append(columns[degree // 2 - 1] * columns[(degree + 1) // 2 - 1])
        return columns
