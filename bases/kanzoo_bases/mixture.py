"""A learnt convex combination of other registered bases."""

from typing import Annotated, Any, Literal

import torch
from annotated_types import MinLen
from torch import Tensor, nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.registry import find
from kanzoo.signature import arguments, check_values, checked

#: Points of the domain on which the mean square of a member is taken.
SAMPLES = 256


class Mixture(Basis):
    r"""The functions $w_m\,\phi_{mk}(\ell_m(x))$ of M member bases, with weights $w = \mathrm{softmax}(\alpha)$ that are learnt.

    $\ell_m$ maps [-1, 1] onto the domain of member m by an affine map. K is the sum of the members'. The weights are positive, add up to
    one and begin alike; `weights` gives them, `figures` names them, and a run records them as `basis/LAYER/MEMBER`. Initial coefficients
    are scaled so that the members contribute the same variance.

    Weights of each edge would bring no other functions: an edge's coefficients scale its members already. Grids of members do not follow
    the data.

    Args:
        in_features: number of inputs.
        bases: registry names of the members, all different, of functions without parameters of each edge.
        per: whether all inputs of a layer share the weights, or each has its own: α has the shape `(M,)` or `(M, in_features)`.
        options: arguments of members by their name, `{"bspline": {"grid_size": 8}}`; the others' are their defaults.

    Raises:
        ValueError: a name is twice there or of no `Basis`, or `options` has another, or an argument that its basis refuses.

    Reference:
        Liu, Simonyan & Yang, DARTS: differentiable architecture search, arXiv:1806.09055, on softmax weights of alternatives.

    Example:
        >>> basis = Mixture(3, bases=("chebyshev", "fourier"))
        >>> basis.num_basis, basis.figures()
        (16, {'chebyshev': 0.5, 'fourier': 0.5})
    """

    resolution = None
    support = "global"
    reference = "arXiv:1806.09055"
    family = "learnt"
    formula = "w_m phi_mk(x) of member bases m, w = softmax(a), a learnt"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        bases: Annotated[tuple[str, ...], MinLen(2)] = ("bspline", "fourier"),
        per: Literal["layer", "input"] = "layer",
        options: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        members = _members(tuple(bases), options or {}, in_features)
        super().__init__(in_features, num_basis=sum(member.num_basis for member in members.values()), domain=(-1.0, 1.0))
        self.members = nn.ModuleDict(members)
        self.logits = nn.Parameter(torch.zeros(len(members), *([in_features] if per == "input" else [])))

    @property
    def weights(self) -> Tensor:
        """The weights of the members, `(M,)` or `(M, in_features)`."""
        return self.logits.softmax(0)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        weights = self.weights.to(x.dtype)
        return torch.cat([values * weight for values, weight in zip(self._evaluated(x), weights, strict=True)], -2)

    def figures(self) -> dict[str, float]:
        """The weight of each member by its name, the mean over the inputs."""
        weights = self.weights.detach().double().view(len(self.members), -1).mean(-1)
        return dict(zip(self.members, weights.tolist(), strict=True))

    @torch.no_grad()
    def initial_scale(self) -> Tensor:
        """The members' own scales, each divided by the root mean square over the domain of what it would give, shape `(K,)`."""
        low, high = self.domain
        x = low + (high - low) / SAMPLES * (torch.arange(SAMPLES) + 0.5)
        scales = []
        for member, values in zip(self._members(), self._evaluated(x.unsqueeze(-1).expand(-1, self.in_features)), strict=True):
            scale = member.initial_scale().to(values)
            scales.append(scale / (scale.square() @ values.square().mean((0, 2))).clamp_min(1e-12).sqrt())
        return torch.cat(scales)

    def cell_ends(self) -> Tensor:
        """Return places in rising order between which all members are smooth, `(in_features, P)`."""
        low, high = self.domain
        ends = []
        for member in self._members():
            first, last = member.domain
            ends.append(low + (high - low) / (last - first) * (member.cell_ends() - first))
        return torch.cat(ends, -1).sort(-1).values

    def _evaluated(self, x: Tensor) -> list[Tensor]:
        """Return the functions of each member, `(*batch, K, in_features)`."""
        found = []
        for member in self._members():
            low, high = member.domain
            found.append(member.features((low + high) / 2 + (high - low) / 2 * x))
        return found

    def _members(self) -> list[Basis]:
        return list(self.members.values())  # type: ignore[arg-type]


def _members(names: tuple[str, ...], options: dict[str, dict[str, Any]], in_features: int) -> dict[str, Basis]:
    if len(set(names)) < len(names):
        raise ValueError(f"bases must be different, got {list(names)}")
    if other := sorted(set(options) - set(names)):
        raise ValueError(f"options must be of the bases {', '.join(names)}, got {', '.join(other)}")
    return {name: _member(name, options.get(name, {}), in_features) for name in names}


def _member(name: str, given: dict[str, Any], in_features: int) -> Basis:
    plugin = find("basis", name)
    member = plugin.load()
    if issubclass(member, EdgeBasis):
        raise ValueError(f"bases must have no parameters of each edge, got {name!r}")
    known = arguments(plugin)
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"options.{name} must be of the arguments {', '.join(known)}, got {', '.join(unknown)}")
    check_values(known, given, f"options.{name}.")
    made: Basis = member(in_features, **given)
    return made
