"""Gaussian radial basis functions: on evenly spaced centers, and on several grids at once, which is what refinement makes of them."""

from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.signature import checked


class GaussianRBF(Basis):
    r"""Gaussians $\phi_i(x) = e^{-((x - c_i) / h)^2}$ at K evenly spaced centers $c_i$, from one end of the domain to the other.

    The width h is the distance of two centers. No function is exactly zero anywhere, but each is below 0.02 two centers away. Narrow
    Gaussians do not span wide ones: a refined family is a `MultiscaleRBF`, which keeps them.

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
    coarser: tuple[int, ...] = ()

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

    def refined(self, resolution: int) -> "GaussianRBF":
        """Return a family of `resolution` functions that begins with the present ones, see `MultiscaleRBF`."""
        if resolution == self.num_basis:
            return self.remade()
        coarser = (*self.coarser, self.num_basis)
        return MultiscaleRBF(self.in_features, coarser=coarser, grid_size=resolution, domain=self.domain)


class MultiscaleRBF(GaussianRBF):
    r"""Gaussians on grids of rising size, each of the width of its grid: all of the first, and what each other adds to those before.

    A grid of K centers adds $K - P$ functions to the P before it: its own Gaussians but for the P whose centers are nearest to those of an
    even grid of P. So the family begins with the coarser ones, and has K functions in all. K Gaussians as wide as the coarsest would span
    those too, but hardly differ from each other then.

    Args:
        in_features: number of inputs.
        coarser: numbers of centers of the grids before the last, rising.
        grid_size: number of centers of the last grid, K.
        domain: first and last center of each grid.

    Raises:
        ValueError: the numbers of centers do not rise from 2 or more.

    Reference:
        Floater and Iske, Multistep scattered data interpolation using compactly supported radial basis functions,
        doi:10.1016/0377-0427(96)00035-0.

    Example:
        >>> import torch
        >>> MultiscaleRBF(1, coarser=(3,), grid_size=5, domain=(-1.0, 1.0))(torch.tensor([0.5]))
        tensor([[0.1054, 0.7788, 0.7788, 0.0183, 1.0000]])
    """

    places: Tensor

    def __init__(
        self, in_features: int, *, coarser: tuple[int, ...] = (), grid_size: int = 8, domain: tuple[float, float] = (-2.0, 2.0)
    ) -> None:
        grids = (*coarser, grid_size)
        if grids[0] < 2 or any(fine <= coarse for coarse, fine in pairwise(grids)):
            raise ValueError(f"coarser and grid_size must rise from 2 or more, got {tuple(coarser)} and {grid_size}")
        super().__init__(in_features, grid_size=grid_size, domain=domain)
        self.coarser, self._grids = tuple(coarser), grids
        added = [list(range(grids[0])), *(_added(*pair) for pair in pairwise(grids))]
        self._sizes = [len(numbers) for numbers in added]
        # In units of h, from the middle: halves of integers are exact.
        places = [number - (grid - 1) / 2 for grid, numbers in zip(grids, added, strict=True) for number in numbers]
        self.register_buffer("places", torch.tensor(places).unsqueeze(-1), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        low, high = self.domain
        middle = (x - (low + high) / 2).unsqueeze(-2)
        parts = zip(self._grids, torch.split(self.places.to(x.dtype), self._sizes), strict=True)
        return torch.cat([(middle * ((grid - 1) / (high - low)) - places).square().neg().exp() for grid, places in parts], -2)


def _added(coarse: int, fine: int) -> list[int]:
    """Return which centers of a fine grid are nearest to none of a coarse one's, both from end to end: `fine - coarse` numbers."""
    near = {(2 * number * (fine - 1) + coarse - 1) // (2 * (coarse - 1)) for number in range(coarse)}
    return [number for number in range(fine) if number not in near]
