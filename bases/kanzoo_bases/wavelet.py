"""Dyadic wavelets: scales and shifts of one mother wavelet, and of its scaling function where it has one."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.signature import checked
from kanzoo_bases.mother_wavelet import MotherWavelet, ScalingFunction


class Wavelet(Basis):
    r"""Scales and shifts $\psi_{j,m}(x) = 2^{j/2}\,\psi(2^j s u - m - \tfrac12 + c)$ of one mother wavelet $\psi$.

    Levels j = 0, ..., J - 1 with shifts m = 0, ..., s 2^j - 1, where $u = (x - \mathrm{low}) / (\mathrm{high} - \mathrm{low})$ and c is
    the middle of the support of $\psi$: each level has the functions centered in the domain, twice as fine as the one before. `mexh`,
    `morl`, `gausN`, `shannon` and `meyer` have no more than these.

    Wavelets of filters come with the scaling functions $\varphi(s u - m)$, m = -(L - 2), ..., s - 1, first: all of them that reach into
    the domain, L being the length of their filter, see `ScalingFunction`. The family then spans the multiresolution space of level J,
    restricted to the domain, so its error falls as that of the wavelet on the line: for `dbN` as $2^{-NJ}$. The scaling functions of
    `haar` (L = 2) are constants on the s cells, whose sum a layer's bias replaces: the last is left out, and with s = 1 none stays.
    Of long filters little more than tails reach in, which float64 cannot tell apart: keep L at 10 or below.

    Parameters inside the non-linearity, as of Wav-KAN, are the family `wav_kan`.

    Args:
        in_features: number of inputs.
        wavelet: name in PyWavelets: `mexh`, `morl`, `gaus1` to `gaus8`, `haar`, `db4`, `sym5`, `coif2`, ..., or `meyer`, `shannon`; see
            `MotherWavelet`.
        levels: number of scales J; K = s (2^J - 1) without a filter, s 2^J + L - 2 with one, s 2^J - 1 for `haar`.
        shifts: number s of shifts on the coarsest level.
        domain: interval that each level tiles.

    Reference:
        Bozorgasl & Chen, Wav-KAN: wavelet Kolmogorov-Arnold networks, arXiv:2405.12832; Cohen, Daubechies & Vial, Wavelets on the
        interval and fast wavelet transforms, doi:10.1006/acha.1993.1005, on Meyer's restriction, which this is.

    Example:
        >>> Wavelet(1, wavelet="haar", levels=2)(torch.tensor([-0.75]))
        tensor([[1.0000, 1.4142, 0.0000]])
    """

    resolution = "levels"
    support = "global"
    reference = "arXiv:2405.12832"
    family = "wavelet"
    formula = "2^(j/2) psi(2^j s u - m), scales j = 0 ... levels - 1 and shifts m"
    stretch: Tensor
    offset: Tensor

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        wavelet: str = "mexh",
        levels: Annotated[int, Ge(1)] = 3,
        shifts: Annotated[int, Ge(1)] = 1,
        domain: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        mother = MotherWavelet(wavelet)
        scaling = ScalingFunction(wavelet) if mother.has_scaling else None
        # Of the box, whose width is 1, the last shift is left out.
        coarse = [] if scaling is None else [(float(shifts), -m) for m in range(1 - scaling.width, shifts - (scaling.width == 1))]
        detail = [(shifts * 2.0**level, mother.center - m - 0.5) for level in range(levels) for m in range(shifts * 2**level)]
        super().__init__(in_features, num_basis=len(coarse) + len(detail), domain=domain)
        self.mother = mother
        self.scaling = scaling if coarse else None
        self.shifts = shifts
        self.num_scaling = len(coarse)
        stretch, offset = torch.tensor(coarse + detail).T.unsqueeze(-1)  # exact in every dtype
        self.register_buffer("stretch", stretch.clone())
        self.register_buffer("offset", offset.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        low, high = self.domain
        stretch, offset = self.stretch.to(x.dtype), self.offset.to(x.dtype)
        place = ((x - low) / (high - low)).unsqueeze(-2)
        z = place * stretch + offset
        values: Tensor = self.mother(z[..., self.num_scaling :, :])
        if self.scaling is not None:
            values = torch.cat([self.scaling(z[..., : self.num_scaling, :]), values], -2)
        return values * (stretch / self.shifts).sqrt()
