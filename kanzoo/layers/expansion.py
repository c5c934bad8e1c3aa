"""What every layer does before it contracts: squash the inputs, evaluate the basis; and how its coefficients begin and are re-fitted."""

from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import AdaptiveBasis, Basis, BasisFactory, EdgeBasis, LocalBasis, is_edge_factory
from kanzoo.initial import initial_std
from kanzoo.kernels.context import prepare_forward_mode
from kanzoo.layers.extrapolation import Extrapolate, check_extrapolate, extrapolated
from kanzoo.layers.squash import Squash, SquashInto

Residual = Literal["silu", "identity", "none"]

#: Share of the initial output variance that the coefficients give when a residual branch gives the rest.
COEFFICIENT_SHARE = 0.5

#: Weight of a point of the domain beside a sample when coefficients are re-fitted.
_OFF_SAMPLE_WEIGHT = 1e-2

#: Points of the domain on which the mean square of a basis is taken.
_SAMPLES = 256


def residual_branch(kind: Residual, x: Tensor) -> Tensor:
    """Return what the residual branch multiplies by its weight: silu(x) or x."""
    return F.silu(x) if kind == "silu" else x


def check_residual(kind: Residual) -> Residual:
    """Return the kind; ValueError when it is unknown."""
    if kind not in ("silu", "identity", "none"):
        raise ValueError(f"residual must be one of silu, identity, none, got {kind!r}")
    return kind


class Expansion(nn.Module):
    """Squash inputs into the domain and evaluate a basis there, basis-major.

    Args:
        num_features: number of inputs (channels of an image).
        basis: a `Basis` class or a partial of one.
        squash: the map into the domain.
        extrapolate: what the edge functions do outside it, where the squash lets inputs through: see `extrapolated`.
    """

    def __init__(self, num_features: int, basis: BasisFactory, squash: Squash, extrapolate: Extrapolate = "linear") -> None:
        super().__init__()
        made = basis(num_features)
        if not isinstance(made, Basis):
            raise TypeError(f"basis must make a Basis from in_features, got {type(made).__name__}")
        self.basis = made
        self.squash = SquashInto(squash, made.domain, num_features)
        self.extrapolate = check_extrapolate(extrapolate)
        if not self.squash.is_bounded:
            prepare_forward_mode()

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, features)` to `(*batch, K, features)`."""
        return self._features(self.squash(x))

    def _features(self, place: Tensor) -> Tensor:
        if self.squash.is_bounded:
            return self.basis.features(place)
        if self.extrapolate == "basis":
            return self.basis.everywhere(place)
        values, _ = extrapolated(self.extrapolate, self.basis.features, place, *self.basis.interval())
        return values

    def local(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map `(*batch, features)` to the first index, `(*batch, features)`, and the values, `(*batch, S, features)`, of a local basis."""
        basis = self.basis
        assert isinstance(basis, LocalBasis)

        def values_and_first(x: Tensor) -> tuple[Tensor, Tensor]:
            first, values = basis.local(x)
            return torch.stack(values, -2), first

        place = self.squash(x)
        if self.squash.is_bounded:
            values, first = values_and_first(place)
        else:
            values, first = extrapolated(self.extrapolate, values_and_first, place, *basis.interval())
        return first, values

    @property
    def is_local(self) -> bool:
        """Whether `local` tells all: a local basis, which is not asked as it is outside its domain."""
        return isinstance(self.basis, LocalBasis) and (self.squash.is_bounded or self.extrapolate != "basis")

    @torch.no_grad()
    def coefficient_std(self, fan_in: float, fan_out: int, variance: float, init: str | None) -> Tensor:
        """Return the standard deviation of the initial coefficients, shape `(K,)`: the family's own scale, times one number.

        With a formula `init` that is the number, see `initial_std`. Without one, `fan_in` edges add up to the given output variance: for
        independent zero-mean coefficients it is fan_in · Σ_k std_k² E[φ_k²], the mean taken over the domain.
        """
        scale = self.basis.initial_scale()
        if init is not None:
            return scale * initial_std(init, fan_in, fan_out, self.basis.num_basis)
        power = _mean_square(self.basis, self.basis.domain)
        return scale * (variance / (fan_in * (scale.square() * power).sum()).clamp_min(1e-12)).sqrt()

    @torch.no_grad()
    def update_grid(self, x: Tensor, coeff: Tensor) -> Tensor:
        """Let the grid follow samples and return the coefficients that keep the edge functions on them.

        Where the new functions cannot equal the old ones everywhere, the samples count; points spread over the domain count little,
        but keep the functions as they were where there are no samples. Samples that are not finite are left out.

        Args:
            x: inputs `(N, features)`.
            coeff: `(rows, features, K)`; every row is one set of edge functions of all features.

        Raises:
            TypeError: the basis has no grid to move.
        """
        if not isinstance(self.basis, AdaptiveBasis):
            raise TypeError(f"{type(self.basis).__name__} has no grid that follows data")
        inside = self.squash(x)
        finite = inside.isfinite().all(1)
        inside = inside if bool(finite.all()) else inside[finite]
        spread = torch.linspace(*self.basis.domain, 4 * self.basis.num_basis).to(inside)[:, None].expand(-1, inside.shape[-1])
        points = torch.cat([inside, spread])
        weight = torch.cat([inside.new_ones(len(inside)), inside.new_full((len(spread),), _OFF_SAMPLE_WEIGHT)])[:, None, None]
        old = self._features(points).transpose(-1, -2)
        self.basis.update_grid(inside)
        return refit(weight * old, weight * self._features(points).transpose(-1, -2), coeff)


def refit(old: Tensor, new: Tensor, coeff: Tensor) -> Tensor:
    r"""Return coefficients in a new basis whose edge functions are nearest to the old ones on samples, in least squares.

    For each feature i it minimises $\sum_n |\sum_k c'_k\,\phi'_k(x_{ni}) - \sum_k c_k\,\phi_k(x_{ni})|^2$ by singular values in
    float64 (LAPACK gelsd). Where samples leave c' open (fewer samples than functions, repeated samples, constant features) it is the
    solution nearest to c, or the smallest where K' differs from K: a grid that does not move keeps its function off the samples too.

    Args:
        old: old basis on the samples, `(N, features, K)`.
        new: new basis on the samples, `(N, features, K')`.
        coeff: `(rows, features, K)`.

    Returns:
        `(rows, features, K')`, of the dtype and device of `coeff`.
    """
    a = new.detach().double().cpu().transpose(0, 1)  # (features, N, K')
    target = old.detach().double().cpu().transpose(0, 1) @ coeff.detach().double().cpu().permute(1, 2, 0)  # (features, N, rows)
    start = coeff.detach().double().cpu().permute(1, 2, 0)  # (features, K, rows)
    start = start if a.shape[-1] == start.shape[1] else start.new_zeros(len(a), a.shape[-1], len(coeff))
    step: Tensor = torch.linalg.lstsq(a, target - a @ start, rcond=1e-10, driver="gelsd").solution  # (features, K', rows)
    return (start + step).permute(2, 0, 1).to(coeff)


@torch.no_grad()
def residual_std(kind: Residual, domain: tuple[float, float], fan_in: float, variance: float) -> float:
    """Return the standard deviation of residual weights that gives the output variance for inputs uniform on the domain."""
    power = residual_branch(kind, _midpoints(domain, _SAMPLES, "cpu")).square().mean()  # a number even where torch.device is "meta"
    return float((variance / (fan_in * power)).sqrt())


def draw_residual(
    kind: Residual,
    domain: tuple[float, float],
    shape: tuple[int, ...],
    fan_in: float,
    variance: float,
    init: str | None,
    generator: Generator | None,
) -> Tensor:
    """Draw residual weights: normal ones that give the output variance, or with a formula `init` uniform ones as of `nn.Linear`."""
    if init is None:
        return torch.randn(shape, generator=generator) * residual_std(kind, domain, fan_in, variance)
    return torch.empty(shape).uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)


@torch.no_grad()
def edge_mean_square(basis: EdgeBasis) -> Tensor:
    """Return E[ψ²] of each edge over the domain, shape `(out, in)`."""
    grid = _midpoints(basis.domain, 65)
    return torch.stack([basis(point.expand(basis.in_features)).square() for point in grid]).mean(0)


def _midpoints(domain: tuple[float, float], count: int, device: str | None = None) -> Tensor:
    """Return the middles of equal cells: unlike points that include the ends, they take the mean of a function that peaks there."""
    low, high = domain
    return low + (high - low) / count * (torch.arange(count, device=device) + 0.5)


def _mean_square(basis: Basis, domain: tuple[float, float]) -> Tensor:
    """Return E[φ_k²] over the domain, averaged over the features, shape `(K,)`."""
    grid = _midpoints(domain, _SAMPLES)
    total = torch.zeros(basis.num_basis)
    for piece in torch.split(grid, 16):  # a wide layer need not hold all samples at once
        total += basis.features(piece[:, None].expand(-1, basis.in_features)).square().mean(-1).sum(0)
    return total / _SAMPLES


__all__ = ["Expansion", "Residual", "check_residual", "draw_residual", "edge_mean_square", "is_edge_factory", "refit", "residual_branch"]
