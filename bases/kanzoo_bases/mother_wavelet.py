"""Mother wavelets and their scaling functions by PyWavelets names."""

import difflib
import functools
import math
import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Table = NDArray[np.float64]
TABLE_LEVEL = 10  # a table has 2^10 points a unit
MEYER_WIDTH = 16  # beyond it Meyer's wavelet is below 4·10⁻⁵


class MotherWavelet(nn.Module):
    r"""A mother wavelet $\psi$, evaluated elementwise and differentiable, with the sign and norm of PyWavelets.

    In closed form: `mexh` $\frac{2}{\sqrt{3}\,\pi^{1/4}} (1 - z^2) e^{-z^2/2}$, `morl` $\cos(5z)\,e^{-z^2/2}$, `gaus1` to `gaus8`, the n-th
    derivative of $e^{-z^2}$ with unit norm, and `shannon`, Shannon's real wavelet $\frac{\sin(\pi z/2)}{\pi z/2} \cos\frac{3 \pi z}{2}$, √2
    times the real part of PyWavelets' complex `shan0.5-0.75`. `meyer` is the wavelet with Meyer's spectrum about its center, $\frac1\pi
    \int b(\omega) \cos(\omega z)\,d\omega$ over $[\frac{2\pi}3, \frac{8\pi}3]$, where b is $\sin(\frac\pi2\,\nu(\frac{3\omega}{2\pi} - 1))$
    below $\frac{4\pi}3$, $\cos(\frac\pi2\,\nu(\frac{3\omega}{4\pi} - 1))$ above, and $\nu(u) = u^4 (35 - 84u + 70u^2 - 20u^3)$: a table of
    [0, 16], mirrored. Other real wavelets (`haar`, `db4`, `sym5`, `coif2`, `bior2.4`, ...) have no closed form: a table is interpolated
    linearly (a jump becomes a ramp of one step), and they are zero outside its support. With PyWavelets' synthesis filters h and g and the
    scaling function $\varphi$ of h, see `ScalingFunction`, $\psi(z) = \sqrt2 \sum_k g_k\,\varphi(2z - k)$. The table is a buffer of the
    default dtype.

    Args:
        name: name of the wavelet in PyWavelets, `meyer` or `shannon`.

    Attributes:
        center: middle of the support, 0 where the support is the line.
        has_scaling: whether the wavelet is made of the functions of a `ScalingFunction`.

    Raises:
        ValueError: no real wavelet has that name.

    Reference:
        Daubechies, Ten Lectures on Wavelets, doi:10.1137/1.9781611970104.

    Example:
        >>> MotherWavelet("gaus1")(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([ 0.6572, -0.0000, -0.6572])
    """

    table: Tensor | None

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.has_scaling = re.fullmatch("mexh|morl|gaus[1-8]|shannon|meyer", name) is None
        table, self.center = None, 0.0
        if self.has_scaling:
            table = _tables(name)[1]
            self.center = (len(table) >> TABLE_LEVEL) / 2
        elif name == "meyer":
            table = torch.from_numpy(_meyer()).to(torch.get_default_dtype())
        self.register_buffer("table", table)

    def forward(self, z: Tensor) -> Tensor:
        r"""Evaluate $\psi$ elementwise, in the shape and dtype of `z`."""
        if self.table is not None:
            return _interpolate(self.table.to(z.dtype), z if self.has_scaling else z.abs())
        if self.name == "mexh":
            envelope = (-z * z / 2).exp()
            return (envelope - z * (z * envelope)) * (2 / math.sqrt(3 * math.sqrt(math.pi)))
        if self.name == "morl":
            return (5 * z).cos() * (-z * z / 2).exp()
        if self.name == "shannon":
            return _sine_over(z * (math.pi / 2)) * (z * (3 * math.pi / 2)).cos()
        return _gaussian_derivative(int(self.name[-1]), z)

    def extra_repr(self) -> str:
        """Describe the wavelet in a printed network."""
        return self.name


class ScalingFunction(nn.Module):
    r"""The scaling function of a tabulated wavelet, $\varphi(z) = \sqrt2 \sum_k h_k\,\varphi(2z - k)$ with $\int \varphi = 1$.

    h is PyWavelets' synthesis filter, less the zeros at its ends, and L its length. Tables are exact at multiples of $2^{-10}$: the
    values at the integers are an eigenvector of this relation, which then gives those halfway, and so on. Where it has no such solution
    (`dmey`, `rbio2.2`, `rbio3.1`, `rbio3.3`), PyWavelets' own table is taken, which is a few steps off.

    Args:
        name: name of the wavelet in PyWavelets.

    Attributes:
        width: width L - 1 of the support [0, L - 1]; 1 for `haar`, whose scaling function is the box.

    Example:
        >>> ScalingFunction("bior2.2")(torch.tensor([0.0, 0.5, 1.0, 1.5]))
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """

    table: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.register_buffer("table", _tables(name)[0])
        self.width = len(self.table) >> TABLE_LEVEL

    def forward(self, z: Tensor) -> Tensor:
        r"""Evaluate $\varphi$ elementwise, in the shape and dtype of `z`."""
        return _interpolate(self.table.to(z.dtype), z)


def _gaussian_derivative(order: int, z: Tensor) -> Tensor:
    """Return the derivative of exp(-z²) with unit norm, by the recurrence of Hermite functions, which cannot overflow."""
    before, current = 0 * z, (-z * z).exp()
    for n in range(order):
        before, current = current, 2 * z * current - 2 * n * before
    norm = math.sqrt(math.sqrt(math.pi / 2) * math.prod(range(1, 2 * order, 2)))
    sign = -1 if order % 4 in (1, 2) else 1  # PyWavelets' choice
    return current * (sign / norm)


def _sine_over(z: Tensor) -> Tensor:
    """Return sin(z) / z; about zero its series, since the derivatives of the quotient cancel there."""
    small = z.abs() < 0.5
    square, safe = z * z, z.masked_fill(small, 1)
    series = torch.ones_like(z)
    for n in (10, 8, 6, 4, 2):
        series = 1 - square / (n * (n + 1)) * series
    return torch.where(small, series, safe.sin() / safe)


@functools.cache
def _meyer() -> Table:
    """Return the right half of Meyer's wavelet, by Gauss-Legendre quadrature on the two parts of its spectrum."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    z = np.arange((MEYER_WIDTH << TABLE_LEVEL) + 1) / (1 << TABLE_LEVEL)
    values = np.zeros_like(z)
    for low, wave in ((2 * np.pi / 3, np.sin), (4 * np.pi / 3, np.cos)):
        u = (nodes + 1) / 2  # both parts are as long as their lower end
        spectrum = wave(np.pi / 2 * u**4 * (35 - 84 * u + 70 * u**2 - 20 * u**3))
        values += np.cos(np.outer(z, low * (1 + u))) @ (weights * spectrum) * (low / 2 / np.pi)
    return values


def _interpolate(table: Tensor, z: Tensor) -> Tensor:
    place = z * (1 << TABLE_LEVEL)
    index = place.detach().floor().long().clamp(0, len(table) - 2)
    value = table[index] + (place - index) * (table[index + 1] - table[index])
    return value.masked_fill((place < 0) | (place > len(table) - 1), 0)


def _tables(name: str) -> tuple[Tensor, Tensor]:
    """Return the scaling function from the start of its support, and the wavelet where PyWavelets has it."""
    import pywt  # its filters are all that is wanted of it

    discrete = pywt.wavelist(kind="discrete")
    if name not in discrete:
        names = ["mexh", "morl", "meyer", "shannon", *(f"gaus{order}" for order in range(1, 9)), *discrete]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or ["mexh", "haar", "db4"]
        raise ValueError(f"wavelet must be the PyWavelets name of a real wavelet, such as {', '.join(near)}, got {name!r}")
    wavelet, unit = pywt.Wavelet(name), 1 << TABLE_LEVEL
    full = np.array(wavelet.rec_lo)
    first, last = np.flatnonzero(full)[[0, -1]]
    low, width = full[first : last + 1], last - first
    # The last integer is left out: a continuous function is zero there, and the box is taken to be continuous from the right.
    relation = [[math.sqrt(2) * low[2 * i - j] if 0 <= 2 * i - j <= width else 0.0 for j in range(width)] for i in range(width)]
    eigenvalues, vectors = np.linalg.eig(np.array(relation))
    large = abs(eigenvalues) > 0.99
    if large.sum() == 1 and abs(eigenvalues[large] - 1) < 1e-9:
        integers = vectors[:, large].real
        phi = np.append(integers / integers.sum(), 0)
        for level in range(TABLE_LEVEL):
            coarse, phi = phi, _refine(low, phi, 1 << level)
        psi = np.pad(_refine(np.array(wavelet.rec_hi), coarse, unit // 2), [(first * unit // 2, (len(full) - 1 - last) * unit // 2)])
    else:
        *_, phi, psi, _ = wavelet.wavefun(level=TABLE_LEVEL)
        phi = phi[first * unit : last * unit + 1]
    dtype = torch.get_default_dtype()
    return torch.from_numpy(phi).to(dtype), torch.from_numpy(psi).to(dtype)


def _refine(taps: Table, values: Table, unit: int) -> Table:
    """Return √2 Σ taps_k f(2x - k) on a grid of 2 `unit` points a unit, for values of f on one of `unit`."""
    finer = np.zeros((len(taps) - 1) * unit + len(values))
    for k, tap in enumerate(taps):
        finer[k * unit :][: len(values)] += math.sqrt(2) * tap * values
    return finer
