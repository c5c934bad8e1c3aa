"""Chebyshev polynomials of the first kind."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import ColumnBasis
from kanzoo.signature import checked


class Chebyshev(ColumnBasis):
    r"""Chebyshev polynomials $T_1, \dots, T_D$ on $[-1, 1]$.

    $T_0 = 1$, $T_1(x) = x$, $T_{n+1}(x) = 2x\,T_n(x) - T_{n-1}(x)$. The recurrence has no pole at the ends, where
    $\cos(n \arccos x)$ has one in its derivative. $T_0$ is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.

    Reference:
        SS et al., Chebyshev polynomial-based Kolmogorov-Arnold networks, arXiv:2405.07200.

    Example:
        >>> import torch
        >>> Chebyshev(1, degree=3)(torch.tensor([0.5]))
        tensor([[ 0.5000, -0.5000, -1.0000]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2405.07200"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 8) -> None:
        super().__init__(in_features, num_basis=degree, domain=(-1.0, 1.0))

    def columns(self, x: Tensor) -> list[Tensor]:
        """Return $T_1, \\dots, T_D$, each of the shape of `x`."""
        columns = [x]
        if self.num_basis > 1:
            columns.append(2 * x * x - 1)
        while len(columns) < self.num_basis:
            columns.append(2 * x * columns[-1] - columns[-2])
        return columns
