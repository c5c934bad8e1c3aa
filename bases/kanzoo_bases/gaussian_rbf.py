"""Gaussian radial basis functions on evenly spaced centers."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.nested import nested
from kanzoo.signature import checked


class GaussianRBF(Basis):
    r"""Gaussians $\phi_i(x) = e^{-((x - c_i) / h)^2}$ at K evenly spaced centers $c_i$, from one end of the domain to the other.

    The width h is the distance of two centers. No function is exactly zero anywhere, but each is below 0.02 two centers away. Narrow
    Gaussians do not span wide ones: a refined family keeps them, see `kanzoo.nested.Nested`.

    Args:
        in_features: number of inputs.
        grid_size: number of centers K.
        domain: first and last center.

    Reference:
        Li, Kolmogorov-Arnold networks are radial basis function networks (FastKAN), arXiv:2405.06721.

    Example:
        >>> import torch
        >>> GaussianRBF(1, grid_size=3, domain=(-1.0, 1.0))(torch.tensor([0.0]))
        tensor([[0.3679, 1.0000, 0.3679]])
    """

    resolution = "grid_size"
    support = "global"
    reference = "arXiv:2405.06721"
    family = "radial"
    formula = "exp(-((x - c_k) / h)^2)"

    @checked
    def __init__(self, in_features: int, *, grid_size: Annotated[int, Ge(2)] = 8, domain: tuple[float, float] = (-2.0, 2.0)) -> None:
        super().__init__(in_features, num_basis=grid_size, domain=domain)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        low, high = self.domain
        position = (x - (low + high) / 2) * ((self.num_basis - 1) / (high - low))  # in units of h, where centers are exact in every dtype
        centers = torch.arange(self.num_basis, dtype=x.dtype, device=x.device).unsqueeze(-1) - (self.num_basis - 1) / 2
        return (position.unsqueeze(-2) - centers).square().neg().exp()

    def refined(self, resolution: int) -> Basis:
        """Return a family of `resolution` functions that begins with the present ones."""
        return nested(self, resolution)
