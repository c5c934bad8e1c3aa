"""FCN-KAN: a small fully connected network on each edge."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import EdgeBasis
from kanzoo.signature import checked


class FCN(EdgeBasis):
    r"""A network of one hidden layer on each edge, $\psi_{oi}(x) = \sum_h v_{oih}\,\mathrm{silu}\big(u_{oih} \cdot e(x) + c_{oih}\big)$.

    It sees $e(x) = (x, \sin x, \cos x, \sin 2x, \cos 2x, \sin 4x, \dots)$ with n frequencies $2^0, \dots, 2^{n-1}$. `inner` u has the shape
    `(out_features, in_features, hidden, 1 + 2n)`, `offset` c and `outer` v `(out_features, in_features, hidden)`; a constant is left to the
    layer's bias. At first each unit is a smooth ramp with its bend at a place of its own, evenly spread over the domain, every second one
    falling; the sines and cosines come in as they are learnt. Memory grows with batch · out · in · hidden.

    The other functions of the reference, tables of values with linear interpolation, are B-splines of degree 1, whose coefficients are the
    values at the knots: `BSpline(degree=1, grid_size=63)` for a table of 64.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        hidden: units H; the reference has 32.
        frequencies: number n of frequencies; the reference has 3.
        domain: interval that inputs are squashed into.

    Reference:
        Zhang, FCN-KAN: Kolmogorov-Arnold networks with fully connected activations, https://github.com/Zhangyanbo/FCN-KAN.

    Example:
        >>> FCN(3, 2)(torch.zeros(5, 3)).shape
        torch.Size([5, 2, 3])
    """

    reference = "https://github.com/Zhangyanbo/FCN-KAN"
    family = "learnt"
    formula = "sum_h v_h silu(u_h x + c_h), with v, u and c of each edge"

    @checked
    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: Annotated[int, Ge(1)] = 8,
        frequencies: Annotated[int, Ge(0)] = 0,
        domain: tuple[float, float] = (-2.0, 2.0),
    ) -> None:
        super().__init__(in_features, out_features, domain)
        low, high = self.domain
        bend = low + (high - low) / hidden * (torch.arange(hidden) + 0.5)
        slope = 4 / (high - low) * (1 - 2.0 * (torch.arange(hidden) % 2))  # the ramp bends over a part of the domain
        edges = (out_features, in_features)
        inner = torch.zeros(*edges, hidden, 1 + 2 * frequencies)
        inner[..., 0] = slope
        self.inner = nn.Parameter(inner)
        self.offset = nn.Parameter((-slope * bend).repeat(*edges, 1))
        self.outer = nn.Parameter(torch.full((*edges, hidden), 1 / hidden))
        self.frequencies = frequencies

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all edges: `(*batch, in_features)` to `(*batch, out_features, in_features)`."""
        # Unit after unit: with all of them in one tensor, large layers take two to three times as long on a CPU.
        slopes, offsets, outer = (values.to(x.dtype).movedim(2, 0).contiguous() for values in (self.inner, self.offset, self.outer))
        seen = [values.unsqueeze(-2) for values in self._encoded(x)]
        total = torch.zeros_like(seen[0])
        for slope, unit, weight in zip(slopes, offsets, outer, strict=True):
            for values, rise in zip(seen, slope.unbind(-1), strict=True):
                unit = torch.addcmul(unit, values, rise)
            total = torch.addcmul(total, F.silu(unit), weight)
        return total

    def _encoded(self, x: Tensor) -> list[Tensor]:
        """Return e(x), 1 + 2n tensors of the shape of x."""
        return [x, *(wave for n in range(self.frequencies) for wave in ((2**n * x).sin(), (2**n * x).cos()))]
