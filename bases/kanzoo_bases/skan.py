"""SKAN: a function with a single parameter on each edge."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import EdgeBasis
from kanzoo.signature import checked


class SKAN(EdgeBasis):
    r"""A function with one trainable number k on each edge, $\psi_{oi}(x) = f(x; k_{oi})$.

    f is, by `kind`: `softplus` $\log(1 + e^{kx}) - \log 2$, the shifted softplus of LSS-SKAN; `swish` $x / (1 + e^{-kx})$; `sin`
    $\sin kx$; `arctan` $\arctan kx$. `rate` has the shape `(out_features, in_features)` and begins at k = 1. The paper's edges have no
    other parameter; here the layer multiplies each by its weight, as it does for every `EdgeBasis`, so an edge has two. Functions whose k
    stands outside, as in $k \sin x$, are this weight times a fixed function.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        kind: which function.
        domain: interval that inputs are squashed into.

    Reference:
        Chen & Zhang, LSS-SKAN: efficient Kolmogorov-Arnold networks based on single-parameterized function, arXiv:2410.14951.

    Example:
        >>> SKAN(1, 2, kind="swish")(torch.tensor([0.0])).tolist()
        [[0.0], [0.0]]
    """

    reference = "arXiv:2410.14951"
    family = "learnt"
    formula = "log(1 + exp(k x)) - log 2, or another f(x; k), with k of each edge"

    @checked
    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kind: Literal["softplus", "swish", "sin", "arctan"] = "softplus",
        domain: tuple[float, float] = (-2.0, 2.0),
    ) -> None:
        super().__init__(in_features, out_features, domain)
        self.kind = kind
        self.rate = nn.Parameter(torch.ones(out_features, in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all edges: `(*batch, in_features)` to `(*batch, out_features, in_features)`."""
        x = x.unsqueeze(-2)
        z = self.rate.to(x.dtype) * x
        match self.kind:
            case "softplus":
                return F.softplus(z) - math.log(2)
            case "swish":
                return x * z.sigmoid()
            case "sin":
                return z.sin()
        return z.atan()
