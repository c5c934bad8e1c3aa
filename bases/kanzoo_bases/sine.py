"""SineKAN: sines whose frequencies are learnt, with fixed phases."""

import math
from typing import Annotated, Literal, Self

import torch
from annotated_types import Ge
from torch import Tensor, nn

from kanzoo.basis import Basis
from kanzoo.signature import checked

#: A, B and C of the paper's fit A g^-B + C, by which phases grow from one grid size g to the next.
PHASE_GROWTH = (0.9724108095811765, 0.9884401790754128, 0.999449553483052)


class Sine(Basis):
    r"""Sines $\sin(\omega_k x + \varphi_{ki})$ with K learnt frequencies $\omega_k$, shared by the inputs, and fixed phases.

    The phases of input i of d are $\varphi_{ki} = \big(\frac{k}{K + 1} + \pi\frac{i}{d - 1}\big) \prod_{g=1}^{K-1} r(g)$ with
    $r(g) = 0.9724\,g^{-0.9884} + 0.9994$, the paper's fit that keeps layers of every K alike. `frequency` has the shape `(K,)`, the buffer
    `phase` `(K, in_features)`. The layer's coefficients are the amplitudes, damped by 1 / k at first.

    Args:
        in_features: number of inputs.
        grid_size: number of frequencies K.
        start: first frequencies, `fractions` k / (K + 1), or `whole` numbers k, as the paper has them in the first layer of a network.
        domain: interval that inputs are squashed into. With `start="whole"` it must not be much wider than π, half a period of the slowest
            sine: over a whole period one phase for each frequency cannot make all functions.

    Reference:
        Reinhardt, Dinesh & Gleyzer, SineKAN: Kolmogorov-Arnold networks using sinusoidal activation functions, arXiv:2407.04149.

    Example:
        >>> basis = Sine(1, grid_size=1, domain=(-1.0, 1.0))
        >>> bool(torch.allclose(basis(torch.tensor([0.4])), torch.tensor([[0.4 / 2 + 1 / 2]]).sin()))
        True
    """

    resolution = "grid_size"
    support = "global"
    reference = "arXiv:2407.04149"
    family = "periodic"
    formula = "sin(w_k x + p_ki), k = 1 ... grid_size, w learnt, p fixed for each input"
    phase: Tensor

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        grid_size: Annotated[int, Ge(1)] = 8,
        start: Literal["fractions", "whole"] = "fractions",
        domain: tuple[float, float] = (-3.141592653589793, 3.141592653589793),
    ) -> None:
        super().__init__(in_features, num_basis=grid_size, domain=domain)
        k = torch.arange(1, grid_size + 1, dtype=torch.float64)
        part = k / (grid_size + 1)
        a, b, c = PHASE_GROWTH
        growth = math.prod(a * g**-b + c for g in range(1, grid_size))
        phase = growth * (part.unsqueeze(-1) + torch.linspace(0, math.pi, in_features, dtype=torch.float64))
        phase -= 2 * math.pi * (phase / (2 * math.pi)).round()  # the same sines, with small numbers that float32 holds well
        self.frequency = nn.Parameter((part if start == "fractions" else k).to(torch.get_default_dtype()))
        self.register_buffer("phase", phase.to(torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        return torch.addcmul(self.phase.to(x.dtype), x.unsqueeze(-2), self.frequency.to(x.dtype).unsqueeze(-1)).sin()

    def initial_scale(self) -> Tensor:
        """Damp function k by 1 / k, shape `(K,)`."""
        return 1 / torch.arange(1.0, self.num_basis + 1)

    @torch.no_grad()
    def refined(self, resolution: int) -> Self:
        """Return the family with more sines: those of this one first, then the last ones of a new one."""
        new = self.remade(grid_size=resolution).to(self.frequency)
        new.frequency[: self.num_basis] = self.frequency
        new.phase[: self.num_basis] = self.phase
        return new
