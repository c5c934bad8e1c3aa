"""B-splines whose knots are trained, one knot vector an input."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from kanzoo.basis import LocalBasis
from kanzoo.signature import checked
from kanzoo_bases.bspline import MIN_SPACING, finer_cells, local_splines


class FreeKnotBSpline(LocalBasis):
    r"""B-splines of degree p over G cells, see `BSpline`, on knots that learn by gradients.

    The cell c of an input has the width $(\mathrm{high} - \mathrm{low})\,(\epsilon / G + (1 - \epsilon)\,\mathrm{softmax}(a)_c)$ with its
    trained numbers a = `spacing`, `(in_features, grid_size)`, zero at first, and $\epsilon = 0.01$. So knots rise, no cell gets narrower
    than a hundredth of an even one, and the ends of the domain stay where they are; the p knots on either side of it stay even.

    Args:
        in_features: number of inputs.
        degree: degree p of the pieces; K = grid_size + degree, order = degree + 1.
        grid_size: number of cells G.
        domain: ends of the grid.

    Reference:
        Zheng et al., Free-knots Kolmogorov-Arnold network: on the analysis of spline knots and advancing stability, arXiv:2501.09283.

    Example:
        >>> basis = FreeKnotBSpline(1, degree=1, grid_size=2)
        >>> basis.spacing.data = torch.tensor([[0.0, 1.0]])
        >>> basis.cell_ends()
        tensor([[-1.0000, -0.4575,  1.0000]], dtype=torch.float64)
    """

    resolution = "grid_size"
    support = "local"
    reference = "arXiv:2501.09283"
    family = "spline"
    formula = "B_k,p(x), by Cox-de Boor on trained knots"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 3,
        grid_size: Annotated[int, Ge(2)] = 5,
        domain: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(in_features, num_basis=grid_size + degree, domain=domain)
        self.degree, self.grid_size = degree, grid_size
        self.order, self.num_local = degree + 1, degree + 1
        self.spacing = nn.Parameter(torch.zeros(in_features, grid_size))

    def knots(self) -> Tensor:
        """Return the present knots, `(in_features, grid_size + 2 * degree + 1)`, in float64."""
        low, high = self.domain
        share = MIN_SPACING / self.grid_size + (1 - MIN_SPACING) * self.spacing.double().softmax(1)
        inner = low + (high - low) * share[:, :-1].cumsum(1)
        outside = (high - low) / self.grid_size * torch.arange(self.degree + 1, dtype=inner.dtype, device=inner.device)
        below, above = ((low - outside.flip(0)).expand(len(inner), -1), (high + outside).expand(len(inner), -1))
        return torch.cat([below, inner, above], 1)

    def local(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the cell of x, and the p + 1 functions that are not zero in it, each of the shape of `x`."""
        return local_splines(x, self.knots().to(x.dtype), self.degree)

    def cell_ends(self) -> Tensor:
        """Return the ends of the cells, `(in_features, grid_size + 1)`."""
        return self.knots()[:, self.degree : self.degree + self.grid_size + 1].detach()

    @torch.no_grad()
    def refined(self, resolution: int) -> "FreeKnotBSpline":
        """Return splines on `resolution` cells, whose knots contain the present ones: the widest cells are cut."""
        low, high = self.domain
        new = self.remade(grid_size=resolution).to(self.spacing.device, self.spacing.dtype)
        share = finer_cells(self.cell_ends(), resolution).diff(dim=1) / (high - low)
        new.spacing.copy_((share * resolution - MIN_SPACING).clamp_min(torch.finfo(share.dtype).eps).log())
        return new
