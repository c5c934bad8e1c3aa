"""The maximal-overlap discrete wavelet transform: a differentiable front end for signals, whose length stays."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: How far inner products of the taps with their even shifts may be from one and zero.
TOLERANCE = 1e-6


class MODWT(nn.Module):
    r"""Split signals into `levels` bands of details and a smooth rest, all as long as the signal, which is taken to be periodic.

    With the low-pass taps $g_0, \dots, g_{L-1}$ of an orthogonal wavelet, $h_l = (-1)^{l+1} g_{L-1-l}$ and $V_0 = x$, level j is

    $$W_{j,t} = \tfrac{1}{\sqrt2} \sum_l h_l\,V_{j-1,\,t - 2^{j-1} l \bmod N}, \qquad
    V_{j,t} = \tfrac{1}{\sqrt2} \sum_l g_l\,V_{j-1,\,t - 2^{j-1} l \bmod N}.$$

    A shifted signal gives shifted bands, their energies add up to that of the signal, and `inverse` gives it back. Any length N will do,
    one that is no power of two and one shorter than a filter too. Nothing is learnt.

    Args:
        taps: low-pass decomposition filter: PyWavelets' `Wavelet("db4").dec_lo`.
        levels: number of bands of details J.

    Raises:
        ValueError: the taps are not orthonormal to their even shifts, or not of even length; `levels` is below 1.

    Reference:
        Percival & Walden, Wavelet Methods for Time Series Analysis, doi:10.1017/CBO9780511841040, chapter 5.

    Example:
        >>> import pywt
        >>> modwt = MODWT(pywt.Wavelet("db4").dec_lo, levels=3)
        >>> x = torch.randn(8, 2, 100)
        >>> bands = modwt(x)
        >>> bands.shape, bool(torch.allclose(modwt.inverse(bands), x, atol=1e-5))
        (torch.Size([8, 2, 4, 100]), True)
    """

    filters: Tensor

    def __init__(self, taps: Sequence[float], levels: int) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"levels must be >= 1, got {levels}")
        low = torch.tensor(taps, dtype=torch.float64)
        _check_orthonormal(low)
        high = low.flip(0)
        high[::2] *= -1
        self.levels = levels
        self.register_buffer("filters", (torch.stack([high, low]) / math.sqrt(2)).to(torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, time)` to `(*batch, levels + 1, time)`: details from fine to coarse, then the smooth rest."""
        kernel = self.filters.to(x.dtype).flip(-1).unsqueeze(1)
        smooth, bands = x.reshape(-1, 1, x.shape[-1]), []
        for level in range(self.levels):
            step = 2**level
            detail, smooth = torch.split(F.conv1d(self._wrapped(smooth, -step), kernel, dilation=step), 1, 1)
            bands.append(detail)
        return torch.cat([*bands, smooth], 1).view(*x.shape[:-1], self.levels + 1, x.shape[-1])

    def inverse(self, bands: Tensor) -> Tensor:
        """Map `(*batch, levels + 1, time)` to the signals `(*batch, time)`.

        Raises:
            ValueError: there is another number of bands.
        """
        if bands.ndim < 2 or bands.shape[-2] != self.levels + 1:
            raise ValueError(f"bands must have the shape (*batch, {self.levels + 1}, time), got {tuple(bands.shape)}")
        kernel = self.filters.to(bands.dtype).unsqueeze(0)
        *details, smooth = torch.split(bands.reshape(-1, *bands.shape[-2:]), 1, 1)
        for level in reversed(range(self.levels)):
            step = 2**level
            smooth = F.conv1d(self._wrapped(torch.cat([details[level], smooth], 1), step), kernel, dilation=step)
        return smooth.view(*bands.shape[:-2], bands.shape[-1])

    def extra_repr(self) -> str:
        """Describe the transform in a printed network."""
        return f"taps={self.filters.shape[-1]}, levels={self.levels}"

    def _wrapped(self, x: Tensor, step: int) -> Tensor:
        """Go on with periodic signals as far as a filter of this step reaches: after their end, or before their start if it is negative."""
        reach = (self.filters.shape[-1] - 1) * step
        index = torch.arange(min(reach, 0), x.shape[-1] + max(reach, 0), device=x.device)
        return x[..., index % x.shape[-1]]


def _check_orthonormal(taps: Tensor) -> None:
    if taps.ndim != 1 or len(taps) < 2 or len(taps) % 2:
        raise ValueError(f"taps must be an even number of numbers, got the shape {tuple(taps.shape)}")
    products = [float(taps[shift:] @ taps[: len(taps) - shift]) - (shift == 0) for shift in range(0, len(taps), 2)]
    worst = max(map(abs, products))
    if not worst <= TOLERANCE:
        raise ValueError(f"taps must be orthonormal to their even shifts, got inner products that are {worst:.2g} off")
