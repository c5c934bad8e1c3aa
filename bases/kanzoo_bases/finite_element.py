"""Lagrange finite elements of any low degree on even cells."""

import math
from typing import Annotated

import torch
from annotated_types import Ge, Le
from numpy.polynomial import Legendre
from torch import Tensor

from kanzoo.basis import Basis, LocalBasis
from kanzoo.nested import nested
from kanzoo.signature import checked


class FiniteElement(LocalBasis):
    r"""Continuous functions, polynomials of degree p on each of G even cells, that are 1 at one node and 0 at all others.

    A cell with coordinate $\xi \in [-1, 1]$ has the nodes $\xi_0, \dots, \xi_p$ of Gauss and Lobatto: both ends, and the roots of $P_p'$.
    In it $\phi_{pc + m}(x) = \prod_{j \ne m} (\xi - \xi_j) / (\xi_m - \xi_j)$, c being the number of the cell; neighbours share the node
    between them. An edge function interpolates its coefficients, which are its values at the nodes. The functions sum to one. The
    right end belongs to the last cell; outside the domain the end pieces continue as polynomials.

    Args:
        in_features: number of inputs.
        degree: degree p of the pieces, 1 for hat functions; K = degree · grid_size + 1, order = degree + 1.
        grid_size: number of cells G.
        domain: ends of the grid.

    Reference:
        Karniadakis & Sherwin, Spectral/hp element methods for computational fluid dynamics, doi:10.1093/acprof:oso/9780198528692.001.0001.

    Example:
        >>> FiniteElement(1, degree=2, grid_size=2)(torch.tensor([0.25]))
        tensor([[ 0.0000,  0.0000,  0.3750,  0.7500, -0.1250]])
    """

    resolution = "grid_size"
    support = "local"
    reference = "doi:10.1093/acprof:oso/9780198528692.001.0001"
    family = "spline"
    formula = "Lagrange polynomials of degree p on the Gauss-Lobatto nodes of each cell"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1), Le(5)] = 2,
        grid_size: Annotated[int, Ge(1)] = 4,
        domain: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(in_features, num_basis=degree * grid_size + 1, domain=domain)
        self.degree, self.grid_size = degree, grid_size
        self.order, self.num_local = degree + 1, degree + 1
        self._nodes = [-1.0, *sorted(float(root) for root in Legendre.basis(degree).deriv().roots()), 1.0]

    def local(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the first node of the cell of x, and the p + 1 functions that are not zero in it, each of the shape of `x`."""
        low, high = self.domain
        place = (x - (low + high) / 2) * (self.grid_size / (high - low))  # in cells, from the middle, where rounding is least
        shifted = place if self.grid_size % 2 == 0 else place + 0.5
        cell = (shifted.detach().floor().long() + self.grid_size // 2).clamp(0, self.grid_size - 1)
        inside = 2 * (place - (cell - (self.grid_size - 1) / 2))  # -1 to 1
        distance = [inside - node for node in self._nodes]
        # Those of half precision are computed in float32, as cells are counted.
        return self.degree * cell, [self._lagrange(distance, node).to(x.dtype) for node in range(self.degree + 1)]

    def _lagrange(self, distance: list[Tensor], node: int) -> Tensor:
        others = [other for other in range(self.degree + 1) if other != node]
        scale = math.prod(self._nodes[node] - self._nodes[other] for other in others)
        value = distance[others[0]] / scale
        for other in others[1:]:
            value = value * distance[other]
        return value

    def cell_ends(self) -> Tensor:
        """Return the ends of the cells, `(in_features, grid_size + 1)`."""
        return torch.linspace(*self.domain, self.grid_size + 1).repeat(self.in_features, 1)

    def refined(self, resolution: int) -> Basis:
        """Return the family on parts of the present cells; where they are not whole parts, one that begins with the present functions."""
        return super().refined(resolution) if resolution % self.grid_size == 0 else nested(self, resolution)
