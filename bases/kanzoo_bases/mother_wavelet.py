"""Mother wavelets by their PyWavelets names."""

import difflib
import math
import re

import torch
from torch import Tensor, nn

TABLE_LEVEL = 10  # a table has 2^10 points a unit


class MotherWavelet(nn.Module):
    r"""A mother wavelet $\psi$, evaluated elementwise and differentiable, with the sign and norm of PyWavelets.

    In closed form: `mexh` $\frac{2}{\sqrt{3}\,\pi^{1/4}} (1 - z^2) e^{-z^2/2}$, `morl` $\cos(5z)\,e^{-z^2/2}$ and `gaus1` to `gaus8`, the
    n-th derivative of $e^{-z^2}$ with unit norm. Other real wavelets (`haar`, `db4`, `sym5`, `coif2`, `bior2.4`, ...) have no closed form:
    the table of PyWavelets' cascade algorithm is interpolated linearly, and they are zero outside its support. Of a biorthogonal pair
    it is the one for synthesis. The table is a buffer of the default dtype.

    Args:
        name: name of the wavelet in PyWavelets.

    Attributes:
        center: middle of the support, 0 for the closed forms, whose support is the line.

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
        table = None if re.fullmatch("mexh|morl|gaus[1-8]", name) else _tabulate(name)
        self.center = 0.0 if table is None else round(len(table) / (1 << TABLE_LEVEL)) / 2
        self.register_buffer("table", table)

    def forward(self, z: Tensor) -> Tensor:
        r"""Evaluate $\psi$ elementwise, in the shape and dtype of `z`."""
        if self.table is not None:
            return _interpolate(self.table.to(z.dtype), z)
        if self.name == "mexh":
            envelope = (-z * z / 2).exp()
            return (envelope - z * (z * envelope)) * (2 / math.sqrt(3 * math.sqrt(math.pi)))
        if self.name == "morl":
            return (5 * z).cos() * (-z * z / 2).exp()
        return _gaussian_derivative(int(self.name[-1]), z)

    def extra_repr(self) -> str:
        """Describe the wavelet in a printed network."""
        return self.name


def _gaussian_derivative(order: int, z: Tensor) -> Tensor:
    """Return the derivative of exp(-z²) with unit norm, by the recurrence of Hermite functions, which cannot overflow."""
    before, current = 0 * z, (-z * z).exp()
    for n in range(order):
        before, current = current, 2 * z * current - 2 * n * before
    norm = math.sqrt(math.sqrt(math.pi / 2) * math.prod(range(1, 2 * order, 2)))
    sign = -1 if order % 4 in (1, 2) else 1  # PyWavelets' choice
    return current * (sign / norm)


def _interpolate(table: Tensor, z: Tensor) -> Tensor:
    place = z * (1 << TABLE_LEVEL)
    index = place.detach().floor().long().clamp(0, len(table) - 2)
    value = table[index] + (place - index) * (table[index + 1] - table[index])
    return value.masked_fill((place < 0) | (place > len(table) - 1), 0)


def _tabulate(name: str) -> Tensor:
    import pywt  # a table is all that is wanted of it

    discrete = pywt.wavelist(kind="discrete")
    if name not in discrete:
        names = ["mexh", "morl", *(f"gaus{order}" for order in range(1, 9)), *discrete]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or ["mexh", "haar", "db4"]
        raise ValueError(f"wavelet must be the PyWavelets name of a real wavelet, such as {', '.join(near)}, got {name!r}")
    synthesis = pywt.Wavelet(name).wavefun(level=TABLE_LEVEL)[-2]
    return torch.from_numpy(synthesis).to(torch.get_default_dtype())
