"""Dyadic wavelets: scales and shifts of one mother wavelet."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import Basis
from kanzoo.signature import checked
from kanzoo_bases.mother_wavelet import MotherWavelet


class Wavelet(Basis):
    r"""Scales and shifts $\psi_{j,m}(x) = 2^{j/2}\,\psi(2^j s u - m - \tfrac12 + c)$ of one mother wavelet $\psi$.

    Levels j = 0, ..., L - 1 with shifts m = 0, ..., s 2^j - 1, where $u = (x - \mathrm{low}) / (\mathrm{high} - \mathrm{low})$ and c is
    the middle of the support of $\psi$: each level tiles the domain, twice as fine as the one before. With `haar` these are Haar's
    orthogonal functions. Of compact wavelets that are wider, the functions centered outside the domain and the coarse trend are left
    out: more levels then add detail, and the trend is the residual branch's. Parameters inside the non-linearity, as of Wav-KAN, are
    the family `wav_kan`.

    Args:
        in_features: number of inputs.
        wavelet: name in PyWavelets: `mexh`, `morl`, `gaus1` to `gaus8`, `haar`, `db4`, `sym5`, `coif2`, ...; see `MotherWavelet`.
        levels: number of scales L; K = shifts (2^L - 1).
        shifts: number s of shifts on the coarsest level.
        domain: interval that each level tiles.

    Reference:
        Bozorgasl & Chen, Wav-KAN: wavelet Kolmogorov-Arnold networks, arXiv:2405.12832; Daubechies, Ten Lectures on Wavelets.

    Example:
        >>> Wavelet(1, wavelet="haar", levels=2)(torch.tensor([-0.75]))
        tensor([[1.0000, 1.4142, 0.0000]])
    """

    resolution = "levels"
    support = "global"
    reference = "arXiv:2405.12832"
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
        super().__init__(in_features, num_basis=shifts * (2**levels - 1), domain=domain)
        self.mother = MotherWavelet(wavelet)
        self.shifts = shifts
        grid = [(shifts * 2.0**level, self.mother.center - shift - 0.5) for level in range(levels) for shift in range(shifts * 2**level)]
        stretch, offset = torch.tensor(grid).T.unsqueeze(-1)  # exact in every dtype
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
        values: Tensor = self.mother(place * stretch + offset)
        return values * (stretch / self.shifts).sqrt()
