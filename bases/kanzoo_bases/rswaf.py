"""Reflectional switch activation functions on evenly spaced centers."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from kanzoo.basis import Basis
from kanzoo.nested import nested
from kanzoo.signature import checked


class RSWAF(Basis):
    r"""Bells $\phi_i(x) = 1 - \tanh^2((x - c_i) / h)$ at K evenly spaced centers $c_i$, from one end of the domain to the other.

    They are computed as $4\,\sigma(2z)\,(1 - \sigma(2z))$, which is the same and faster, and differentiated as this formula:
    $\phi_i' = -2 \tanh(z)\,(1 - \tanh^2(z)) / h$ with $z = (x - c_i) / h$.

    Args:
        in_features: number of inputs.
        grid_size: number of centers K.
        width: h, as a multiple of the distance of two centers.
        trainable_width: whether each input learns its own h, by the logarithm of what it is multiplied with, `log_width` `(in_features,)`.
        domain: first and last center.

    Reference:
        Delis, FasterKAN, github.com/AthanasiosDelis/faster-kan.

    Example:
        >>> RSWAF(1, grid_size=3, domain=(-1.0, 1.0))(torch.tensor([0.0]))
        tensor([[0.4200, 1.0000, 0.4200]])
    """

    resolution = "grid_size"
    support = "global"
    reference = "github.com/AthanasiosDelis/faster-kan"
    family = "radial"
    formula = "1 - tanh((x - c_k) / h)^2"

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        grid_size: Annotated[int, Ge(2)] = 8,
        width: Annotated[float, Gt(0)] = 1.0,
        trainable_width: bool = False,
        domain: tuple[float, float] = (-2.0, 2.0),
    ) -> None:
        super().__init__(in_features, num_basis=grid_size, domain=domain)
        self.width = width
        self.log_width = nn.Parameter(torch.zeros(in_features)) if trainable_width else None

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        low, high = self.domain
        position = (x - (low + high) / 2) * ((self.num_basis - 1) / (high - low))  # in distances of centers, which are exact so
        centers = torch.arange(self.num_basis, dtype=x.dtype, device=x.device).unsqueeze(-1) - (self.num_basis - 1) / 2
        twice = (position.unsqueeze(-2) - centers) * (2 / self.width)
        if self.log_width is not None:
            twice = twice * self.log_width.to(x.dtype).neg().exp()
        switched = twice.sigmoid()
        return 4 * switched * (1 - switched)

    def refined(self, resolution: int) -> Basis:
        """Return a family that begins with the present functions, which those of a finer grid do not span, see `kanzoo.nested.Nested`."""
        return nested(self, resolution)
