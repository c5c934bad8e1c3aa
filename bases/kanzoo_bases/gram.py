"""Gram polynomials: orthogonal on evenly spaced points."""

import itertools
import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, three_term


class Gram(DegreeBasis):
    r"""Gram (discrete Chebyshev) polynomials $G_1, \dots, G_D$ on $[-1, 1]$, orthonormal on m evenly spaced points.

    $\frac1m \sum_j G_k(x_j)\,G_n(x_j) = \delta_{kn}$ with $x_j = -1 + (2j - 1)/m$. $G_0 = 1$ and $G_n = s_n\,x\,G_{n-1} -
    \frac{s_n}{s_{n-1}} G_{n-2}$ with $s_n = \frac{2m}{n}\sqrt{\frac{n^2 - 1/4}{m^2 - n^2}}$. With more and more points they become
    Legendre's times $\sqrt{2n + 1}$; of a degree above $2.5\sqrt m$ they oscillate wildly between the last points. $G_0$ is left to the
    layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D, below m.
        num_points: number of points m.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Barnard, Dahlquist, Pearce, Reichel & Richards, Gram polynomials and the Kummer function, J. Approx. Theory 94 (1998) 128-143,
        doi:10.1006/jath.1998.3181. In a network: Drokin, Kolmogorov-Arnold convolutions, arXiv:2407.01092;
        https://github.com/Khochawongwat/GRAMKAN.

    Example:
        >>> Gram(1, degree=2, num_points=3)(torch.tensor([[-2 / 3], [0.0], [2 / 3]]))[:, 0]
        tensor([[-1.2247,  0.7071],
                [ 0.0000, -1.4142],
                [ 1.2247,  0.7071]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2407.01092"
    family = "polynomial"
    formula = "G_n(x), n = 1 ... degree, orthonormal on m evenly spaced points"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        num_points: Annotated[int, Ge(2)] = 101,
        smooth: bool = True,
    ) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)
        if degree >= num_points:
            raise ValueError(f"degree must be < num_points = {num_points}, got {degree}")
        self.num_points = num_points

    def columns(self, x: Tensor) -> list[Tensor]:
        r"""Return $G_1, \dots, G_D$, each of the shape of `x`."""
        m = self.num_points
        slopes = [2 * m / n * math.sqrt((n * n - 1 / 4) / (m * m - n * n)) for n in range(1, self.degree + 1)]
        steps = [(x, slope, slope / before) for before, slope in itertools.pairwise(slopes)]
        return three_term(torch.ones_like(x), slopes[0] * x, steps)
