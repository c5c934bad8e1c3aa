"""Bumps made of two ReLUs, on intervals whose ends are trained."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from kanzoo.basis import Basis
from kanzoo.nested import nested
from kanzoo.signature import checked


class ReLUKAN(Basis):
    r"""Bumps $\phi_i(x) = [\mathrm{ReLU}(e_i - x)\,\mathrm{ReLU}(x - s_i)]^2 \cdot 16 / (e_i - s_i)^4$ on intervals $[s_i, e_i]$.

    With the middle $m_i$ and half the width $r_i$ of the interval this is $\mathrm{ReLU}(1 - ((x - m_i) / r_i)^2)^2$, the form that is
    computed. The intervals start as those of B-splines: each reaches over `overlap` + 1 of G even cells. Each input learns its own,
    in units that do not depend on the grid: $m_i$ is moved by `shift` cells and $r_i$ is multiplied by $e^{\mathrm{stretch}}$, so that
    $e_i > s_i$ always. Both parameters have the shape `(K, in_features)`.

    Bumps of one width do not sum to a constant: while the ends do not move, the error falls with the grid to a floor (order 0).

    Args:
        in_features: number of inputs.
        grid_size: number of cells G; K = grid_size + overlap.
        overlap: number of neighbours on one side that a bump reaches into.
        domain: ends of the grid.

    Reference:
        Qiu, Zhu, Gong, Chen & Ning, ReLU-KAN: new Kolmogorov-Arnold networks that only need matrix addition, dot multiplication, and
        ReLU, arXiv:2406.02075.

    Example:
        >>> ReLUKAN(1, grid_size=2, overlap=1)(torch.tensor([0.5])).detach()
        tensor([[0.0000, 0.5625, 0.5625]])
    """

    resolution = "grid_size"
    support = "local"
    reference = "arXiv:2406.02075"
    family = "spline"
    formula = "(relu(e_k - x) relu(x - s_k))^2 16 / (e_k - s_k)^4, with trained ends s_k < e_k"
    order = 0

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        grid_size: Annotated[int, Ge(1)] = 5,
        overlap: Annotated[int, Ge(1)] = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(in_features, num_basis=grid_size + overlap, domain=domain)
        self.grid_size, self.overlap = grid_size, overlap
        self.shift = nn.Parameter(torch.zeros(self.num_basis, in_features))
        self.stretch = nn.Parameter(torch.zeros(self.num_basis, in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        low, high = self.domain
        place = (x - (low + high) / 2) * (self.grid_size / (high - low))  # in cells, from the middle of the domain
        middle, half = (part.to(x.dtype) for part in self._intervals())
        return (1 - ((place.unsqueeze(-2) - middle) * half.reciprocal()).square()).relu().square()

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return where each function begins, $s_i$, and where it ends, $e_i$, both `(K, in_features)`."""
        low, high = self.domain
        cell = (high - low) / self.grid_size
        middle, half = self._intervals()
        return (low + high) / 2 + cell * (middle - half), (low + high) / 2 + cell * (middle + half)

    def _intervals(self) -> tuple[Tensor, Tensor]:
        """Return middles and half the widths, in cells from the middle of the domain."""
        first = torch.arange(self.num_basis, device=self.shift.device).unsqueeze(-1) - (self.num_basis - 1) / 2
        return first + self.shift, (self.overlap + 1) / 2 * self.stretch.exp()

    def refined(self, resolution: int) -> Basis:
        """Return a family that begins with the present functions, which those of a finer grid do not span, see `kanzoo.nested.Nested`."""
        return nested(self, resolution)
