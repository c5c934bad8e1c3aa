"""The Fourier basis: cosines and sines of whole frequencies."""

import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from kanzoo.basis import ColumnBasis
from kanzoo.signature import checked


class Fourier(ColumnBasis):
    r"""Cosines and sines $\cos x, \sin x, \cos 2x, \sin 2x, \dots, \cos Dx, \sin Dx$ on $[-\pi, \pi]$.

    One cosine and one sine are evaluated; the others follow by $\cos(m + n)x = \cos mx \cos nx - \sin mx \sin nx$ and
    $\sin(m + n)x = \sin mx \cos nx + \cos mx \sin nx$ with halves m and n, so that rounding errors do not pile up. The constant is
    left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest frequency D; K = 2 D.
        smooth: damp the initial coefficients of frequency k by $1 / k^2$; without it a wide layer starts as noise.

    Reference:
        Xu et al., FourierKAN-GCF, arXiv:2406.01034; smooth initialisation from https://github.com/GistNoesis/FourierKAN.

    Example:
        >>> import torch
        >>> Fourier(1, degree=2)(torch.tensor([torch.pi / 2])).round(decimals=4) + 0.0
        tensor([[ 0.,  1., -1.,  0.]])
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2406.01034"
    family = "periodic"
    formula = "cos(n x), sin(n x), n = 1 ... degree"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 4, smooth: bool = True) -> None:
        super().__init__(in_features, num_basis=2 * degree, domain=(-math.pi, math.pi))
        self.degree, self.smooth = degree, smooth

    def columns(self, x: Tensor) -> list[Tensor]:
        """Return the cosine and sine of each frequency in turn, each of the shape of `x`."""
        cosines, sines = [x.cos()], [x.sin()]
        for frequency in range(2, self.degree + 1):
            m, n = frequency // 2 - 1, (frequency + 1) // 2 - 1
            cosines.append(cosines[m] * cosines[n] - sines[m] * sines[n])
            sines.append(sines[m] * cosines[n] + cosines[m] * sines[n])
        return [column for pair in zip(cosines, sines, strict=True) for column in pair]

    def initial_scale(self) -> Tensor:
        """Damp frequency k by 1 / k² when smooth, shape `(K,)`."""
        frequencies = torch.arange(1, self.degree + 1).repeat_interleave(2).to(torch.get_default_dtype())
        return frequencies**-2 if self.smooth else torch.ones_like(frequencies)
