"""Wav-KAN: a wavelet with a shift and a scale of its own on each edge."""

import math

import torch
from torch import Tensor, nn

from kanzoo.basis import EdgeBasis
from kanzoo.signature import checked
from kanzoo_bases.mother_wavelet import MotherWavelet

#: Least scale: a line search may send the free parameter so far down that a division by zero would follow.
MIN_SCALE = 1e-3


class WavKAN(EdgeBasis):
    r"""A wavelet on each edge, $\psi_{oi}(x) = \psi\big((x - t_{oi}) / s_{oi} + c\big)$, with trainable shift t and scale s.

    c is the middle of the support of the mother wavelet $\psi$, so that t is the middle of the edge's wavelet. The scale is
    $s = \max(\log(1 + e^r), 10^{-3})$ of a free parameter r, so it cannot reach zero. At first t = 0 and s = 1. `shift` and `raw_scale`
    have the shape `(out_features, in_features)`. For many fixed scales and shifts an edge see `Wavelet`.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        wavelet: name in PyWavelets: `mexh`, `morl`, `gaus1` to `gaus8`, `haar`, `db4`, `sym5`, `coif2`, ..., or `meyer`, `shannon`; see
            `MotherWavelet`. Those of the paper are `mexh`, `morl`, `gaus1` (its DoG), `meyer` and `shannon`.
        domain: interval that inputs are squashed into.

    Reference:
        Bozorgasl & Chen, Wav-KAN: wavelet Kolmogorov-Arnold networks, arXiv:2405.12832.

    Example:
        >>> WavKAN(1, 2)(torch.tensor([[0.0], [1.0]])).shape
        torch.Size([2, 2, 1])
    """

    reference = "arXiv:2405.12832"
    family = "wavelet"
    formula = "psi((x - t) / s), with t and s of each edge"

    @checked
    def __init__(self, in_features: int, out_features: int, *, wavelet: str = "mexh", domain: tuple[float, float] = (-2.0, 2.0)) -> None:
        super().__init__(in_features, out_features, domain)
        self.mother = MotherWavelet(wavelet)
        self.shift = nn.Parameter(torch.zeros(out_features, in_features))
        self.raw_scale = nn.Parameter(torch.full((out_features, in_features), math.log(math.expm1(1.0))))

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all edges: `(*batch, in_features)` to `(*batch, out_features, in_features)`."""
        scale = nn.functional.softplus(self.raw_scale).clamp_min(MIN_SCALE)
        values: Tensor = self.mother((x.unsqueeze(-2) - self.shift) / scale + self.mother.center)
        return values
