"""Sinc functions of several step sizes."""

import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.nested import nested
from kanzoo.signature import checked


class Sinc(Basis):
    r"""Sinc functions $S_{j,k}(x) = \mathrm{sinc}((x - m) / h_j - k)$ about the middle m of the domain.

    Here $\mathrm{sinc}(z) = \sin(\pi z) / (\pi z)$. Each of the step sizes $h_j = h / j$, j = 1, ..., J, has G functions, whose centers
    lie $h_j$ apart and about m; those of the widest step h reach from one end of the domain to the other. A function is 1 at its own
    center and 0 at all others of its step, so that with one step an edge function interpolates its coefficients. No step is the best
    one for all functions: therefore several.

    With n the center nearest to $u = (x - m) / h_j$ the others are $S_{j,k} = (-1)^{k - n} \sin(\pi (u - n)) / (\pi (u - k))$: one sine a
    step and no small denominator; the nearest is a power series, which keeps all derivatives exact at the centers.

    Args:
        in_features: number of inputs.
        grid_size: number of centers G of each step.
        steps: number of step sizes J; K = grid_size · steps.
        domain: first and last center of the widest step.

    Reference:
        Yu, Qiu, Yang & Oseledets, Sinc Kolmogorov-Arnold network and its applications on physics-informed neural networks,
        arXiv:2410.04096.

    Example:
        >>> Sinc(1, grid_size=3, steps=1)(torch.tensor([0.5]))
        tensor([[-0.2122,  0.6366,  0.6366]])
    """

    resolution = "grid_size"
    support = "global"
    reference = "arXiv:2410.04096"
    family = "wavelet"
    formula = "sin(pi z) / (pi z), z = (x - m) / h_j - k, h_j = h / j"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        grid_size: Annotated[int, Ge(2)] = 5,
        steps: Annotated[int, Ge(1)] = 2,
        domain: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(in_features, num_basis=grid_size * steps, domain=domain)
        self.grid_size, self.steps = grid_size, steps

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major, the widest step first: `(*batch, K, in_features)`."""
        low, high = self.domain
        step = torch.arange(1, self.steps + 1, dtype=x.dtype, device=x.device).unsqueeze(-1)
        place = ((x - (low + high) / 2) * ((self.grid_size - 1) / (high - low))).unsqueeze(-2) * step  # in steps from the middle
        offset = (self.grid_size - 1) / 2
        index = torch.arange(self.grid_size, dtype=x.dtype, device=x.device).unsqueeze(-1)
        nearest = (place.detach() + offset).round()
        rest = math.pi * (place - (nearest - offset))  # at most pi / 2
        is_nearest = index == nearest.unsqueeze(-2)
        distance = (place.unsqueeze(-2) - (index - offset)).masked_fill(is_nearest, 1.0)
        others = (_sign(nearest) * rest.sin()).unsqueeze(-2) / (distance * (math.pi * _sign(index)))
        return _sinc(rest).unsqueeze(-2).where(is_nearest, others).flatten(-3, -2)

    def refined(self, resolution: int) -> Basis:
        """Return a family that begins with the present functions, which those of a finer grid do not span, see `kanzoo.nested.Nested`."""
        return nested(self, resolution)


def _sign(power: Tensor) -> Tensor:
    """Return -1 to an integer power."""
    return 1 - 2 * (power % 2)


def _sinc(angle: Tensor) -> Tensor:
    r"""Return $\sin(z) / z$ for z of at most $\pi / 2$, by its series, exact in its dtype."""
    square, terms = angle.square(), 11 if angle.dtype == torch.float64 else 7
    value = torch.full_like(angle, (-1) ** (terms - 1) / math.factorial(2 * terms - 1))
    for term in reversed(range(terms - 1)):
        value = value * square + (-1) ** term / math.factorial(2 * term + 1)
    return value
