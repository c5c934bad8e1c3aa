"""A family at several resolutions at once: what refinement makes of functions that finer ones of their kind do not span."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from kanzoo.basis import Basis

#: Points a function on which functions are told apart.
_POINTS = 8


class Nested(Basis):
    r"""All functions of the coarsest resolution of a family, and of each finer one as many as it has more.

    So the family at its finest has as many functions as that resolution alone would have, and begins with the coarser ones: nothing that
    they made is lost. Of a finer resolution those functions are taken that differ most from what is there already: one after the other
    the one of which, relative to its size, most is left beside the span of those before (pivoted Gram-Schmidt on the domain).

    Args:
        in_features: number of inputs.
        family: a class, or a partial of one, without its resolution.
        argument: name of its resolution.
        coarser: resolutions before the finest, rising.
        finest: the finest one.

    Raises:
        ValueError: the resolutions do not rise.

    Reference:
        Golub & Van Loan, Matrix computations, 5.4.2 (QR with column pivoting).

    Example:
        >>> from kanzoo_bases.rswaf import RSWAF
        >>> basis, x = RSWAF(1, grid_size=3), torch.tensor([0.5])
        >>> finer = nested(basis, 5)
        >>> finer.num_basis, bool((finer(x)[:, :3] == basis(x)).all())
        (5, True)
    """

    resolution = "finest"
    chosen: Tensor

    def __init__(self, in_features: int, *, family: Callable[..., Basis], argument: str, coarser: tuple[int, ...], finest: int) -> None:
        grids = (*coarser, finest)
        if any(fine <= coarse for coarse, fine in pairwise(grids)):
            raise ValueError(f"coarser and finest must rise, got {tuple(coarser)} and {finest}")
        levels = [family(in_features, **{argument: grid}) for grid in grids]
        super().__init__(in_features, levels[-1].num_basis, levels[-1].domain)
        self.family_of, self.argument, self.coarser = family, argument, tuple(coarser)
        self.levels = nn.ModuleList(levels)
        self.support: Literal["local", "global"] = "global"  # type: ignore[misc]
        self.reference, self.family, self.formula = levels[0].reference, levels[0].family, levels[0].formula  # type: ignore[misc]
        self.order = levels[-1].order
        alone = [family(1, **{argument: grid}) for grid in grids]
        self.register_buffer("chosen", _chosen(alone), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        return torch.cat([level.features(x) for level in self._levels()], -2).index_select(-2, self.chosen)

    def everywhere(self, x: Tensor) -> Tensor:
        """Evaluate basis-major on the whole line: `(*batch, K, in_features)`."""
        return torch.cat([level.everywhere(x) for level in self._levels()], -2).index_select(-2, self.chosen)

    def cell_ends(self) -> Tensor:
        """Return places in rising order between which all functions are smooth, `(in_features, P)`."""
        ends = torch.cat([level.cell_ends() for level in self._levels()], -1).sort(-1).values
        return ends[:, torch.cat([ends.new_ones(1, dtype=torch.bool), (ends.diff(dim=1) > 0).any(0)])]  # levels share some

    def refined(self, resolution: int) -> Basis:
        """Return the family with a finer resolution beside the present ones, whose parameters it shares."""
        return nested(self, resolution)

    def _levels(self) -> list[Basis]:
        return list(self.levels)  # type: ignore[arg-type]


def nested(basis: Basis, resolution: int) -> Basis:
    """Return a family that begins with the functions of another and has as many as the other would have at a higher resolution.

    What is trained inside the other is shared, not copied; what is frozen there is frozen at the new resolution too.

    Raises:
        ValueError: the resolution is lower.
    """
    if resolution == basis.constructed_with()[str(basis.resolution)]:
        return basis
    if isinstance(basis, Nested):
        family, argument, levels = basis.family_of, basis.argument, basis._levels()
        coarser = (*basis.coarser, int(basis.constructed_with()["finest"]))
    else:
        arguments = basis.constructed_with()
        argument, levels = str(basis.resolution), [basis]
        coarser = (int(arguments.pop(argument)),)
        arguments.pop("in_features")
        family = partial(type(basis), **arguments)
    new = Nested(basis.in_features, family=family, argument=argument, coarser=coarser, finest=resolution)
    for index, level in enumerate(levels):
        new.levels[index] = level
    frozen = [name for name, parameter in levels[0].named_parameters() if not parameter.requires_grad]
    for name, parameter in new._levels()[-1].named_parameters():
        parameter.requires_grad_(name not in frozen)
    return new


def _chosen(levels: list[Basis]) -> Tensor:
    """Return which functions of all levels, one after the other, the nested family has."""
    low, high = levels[0].domain
    count = _POINTS * levels[-1].num_basis
    angle = (torch.arange(count, dtype=torch.float64) + 0.5) * (torch.pi / count)
    x = ((low + high) / 2 - (high - low) / 2 * angle.cos()).unsqueeze(-1)
    with torch.no_grad():
        values = [level.to(torch.float64)(x)[:, 0] for level in levels]
    kept, before, span = list(range(levels[0].num_basis)), levels[0].num_basis, torch.linalg.qr(values[0]).Q
    for level in values[1:]:
        size = torch.linalg.vector_norm(level, dim=0)
        rest = level / size
        rest = rest - span @ (span.T @ rest)
        picked: list[int] = []
        for _ in range(level.shape[1] - len(kept)):
            left = torch.linalg.vector_norm(rest, dim=0)
            left[picked] = -1
            best = int(left.argmax())
            picked.append(best)
            direction = rest[:, best] - span @ (span.T @ rest[:, best])  # a second time, against rounding
            direction = (direction / torch.linalg.vector_norm(direction)).unsqueeze(1)
            span = torch.cat([span, direction], 1)
            rest = rest - direction @ (direction.T @ rest)
        kept += [before + number for number in sorted(picked)]
        before += level.shape[1]
    return torch.tensor(kept)
