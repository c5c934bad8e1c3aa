"""Continuous piecewise-linear functions on a grid that can follow the data."""

from typing import Annotated

from annotated_types import Ge, Le

from kanzoo.signature import checked
from kanzoo_bases.bspline import BSpline


class PiecewiseLinear(BSpline):
    r"""Hat functions on knots $t_0 < \dots < t_G$ of each input's own, which are the B-splines of degree 1.

    $\phi_k$ is linear between knots, 1 at $t_k$ and 0 at all others, so that an edge function interpolates its coefficients: they are
    its values at the knots. At any x two functions are not zero, whatever the grid. Elements of higher degree, on even cells, are the
    family `finite_element`.

    Args:
        in_features: number of inputs.
        grid_size: number of cells G; K = grid_size + 1.
        domain: ends of the first grid.
        grid_uniformity: weight of evenly spaced against quantile knots in `update_grid`; 1 is even, 0 all quantiles.

    Reference:
        Warin, P1-KAN, an effective Kolmogorov-Arnold network with application to hydraulic valley optimization, arXiv:2410.03801.

    Example:
        >>> import torch
        >>> PiecewiseLinear(1, grid_size=2)(torch.tensor([0.25]))
        tensor([[0.0000, 0.7500, 0.2500]])
    """

    reference = "arXiv:2410.03801"
    family = "spline"
    formula = "hat functions: 1 at knot k, 0 at the others, linear between, on a grid that can follow the data"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        grid_size: Annotated[int, Ge(1)] = 8,
        domain: tuple[float, float] = (-1.0, 1.0),
        grid_uniformity: Annotated[float, Ge(0), Le(1)] = 0.02,
    ) -> None:
        super().__init__(in_features, degree=1, grid_size=grid_size, domain=domain, grid_uniformity=grid_uniformity)
