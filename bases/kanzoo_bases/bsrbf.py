"""B-splines and Gaussians added up, as in BSRBF-KAN."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.nested import nested
from kanzoo.signature import checked
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.gaussian_rbf import GaussianRBF


class BSRBF(Basis):
    r"""A B-spline and a Gaussian on each coefficient, $\phi_k(x) = B_{k,p}(x) + e^{-((x - c_k) / h)^2}$, k = 0, ..., G + p - 1.

    The splines of degree p are on G even cells of the domain, see `BSpline`; the G + p centers $c_k$ are evenly spaced from one end of the
    domain to the other, h apart, see `GaussianRBF`. Where a spline and its Gaussian lie is not the same place.

    Args:
        in_features: number of inputs.
        degree: degree p of the splines; K = grid_size + degree.
        grid_size: number of cells G of the splines.
        domain: ends of the cells, and first and last center.

    Reference:
        Ta, BSRBF-KAN: A combination of B-splines and radial basis functions in Kolmogorov-Arnold networks, arXiv:2406.11173.

    Example:
        >>> import torch
        >>> BSRBF(1, degree=1, grid_size=1, domain=(0.0, 1.0))(torch.tensor([0.25]))
        tensor([[1.6894, 0.8198]])
    """

    resolution = "grid_size"
    support = "global"
    reference = "arXiv:2406.11173"
    family = "radial"
    formula = "B_k,p(x) + exp(-((x - c_k) / h)^2)"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 3,
        grid_size: Annotated[int, Ge(1)] = 5,
        domain: tuple[float, float] = (-1.5, 1.5),
    ) -> None:
        super().__init__(in_features, num_basis=grid_size + degree, domain=domain)
        self.spline = BSpline(in_features, degree=degree, grid_size=grid_size, domain=domain)
        self.radial = GaussianRBF(in_features, grid_size=grid_size + degree, domain=domain)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        return self.spline.features(x) + self.radial.features(x)

    def everywhere(self, x: Tensor) -> Tensor:
        """Evaluate basis-major on the whole line, where the splines vanish beyond their knots: `(*batch, K, in_features)`."""
        return self.spline.everywhere(x) + self.radial.everywhere(x)

    def cell_ends(self) -> Tensor:
        """Return the ends of the cells of the splines, `(in_features, grid_size + 1)`."""
        return self.spline.cell_ends()

    def refined(self, resolution: int) -> Basis:
        """Return a family that begins with the present functions, which those of a finer grid do not span, see `kanzoo.nested.Nested`."""
        return nested(self, resolution)
