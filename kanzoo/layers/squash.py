"""Maps of inputs into the domain of a basis."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Squash = Literal["tanh", "layernorm", "standardize", "clamp", "none"]


class SquashInto(nn.Module):
    r"""Map inputs into a domain with centre c and half width h.

    * `tanh`: $c + h \tanh((x - c)/h)$: smooth, of slope 1 at the centre, never outside;
    * `layernorm`: $c + h \tanh(\tfrac12\mathrm{LayerNorm}(x))$ over the features: what wide layers want, whose outputs drift as they
      learn until tanh alone saturates (with one feature, which it would erase, it is `tanh`);
    * `standardize`: $\mathrm{LayerNorm}(x)$ over the features, as FastKAN does (with one feature the identity);
    * `clamp`: the nearest point of the domain;
    * `none`: the identity.

    `standardize` and `none` let inputs leave the domain (`is_bounded` is false): what edge functions do there is the layer's `extrapolate`.

    Args:
        kind: which of them.
        domain: the interval.
        num_features: size of the last dimension.

    Example:
        >>> SquashInto("clamp", (-1.0, 1.0), 3)(torch.tensor([-5.0, 0.5, 1.0]))
        tensor([-1.0000,  0.5000,  1.0000])
    """

    def __init__(self, kind: Squash, domain: tuple[float, float], num_features: int) -> None:
        super().__init__()
        if kind not in get_args(Squash):
            raise ValueError(f"squash must be one of {', '.join(get_args(Squash))}, got {kind!r}")
        self.kind = kind
        self.is_bounded = kind not in ("standardize", "none")
        self.low, self.high = domain
        self.center, self.half_width = (self.high + self.low) / 2, (self.high - self.low) / 2
        self.norm = nn.LayerNorm(num_features) if kind in ("layernorm", "standardize") and num_features > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, num_features)` to the same shape; under autocast in float32, which a basis needs: half precision has 3 digits."""
        if x.dtype in (torch.bfloat16, torch.float16) and torch.is_autocast_enabled(x.device.type):
            x = x.float()
        if self.kind == "clamp":
            return x.clamp(self.low, self.high)
        if not self.is_bounded:
            return x if self.norm is None else self.norm(x)
        # tanh(z) = 2 sigmoid(2z) - 1, which torch computes three times as fast.
        twice = (x - self.center) * (2 / self.half_width) if self.norm is None else self.norm(x)
        return self.low + 2 * self.half_width * torch.sigmoid(twice)

    def extra_repr(self) -> str:
        """Describe the map in a printed network."""
        return f"{self.kind}, domain=({self.low}, {self.high})"
