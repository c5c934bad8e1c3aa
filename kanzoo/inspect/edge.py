"""The edge functions of a layer, sampled where its inputs are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kanzoo.derivative import derivatives
from kanzoo.inspect.layer import (
    KANLayer,
    basis_of,
    edge_values,
    flat_edges,
    rows_of,
    shaped_edges,
    squash_of,
)
from kanzoo.layers import KANLinear
from kanzoo.layers.convolution import KANConvolution
from kanzoo.layers.expansion import residual_branch


@dataclass(frozen=True)
class EdgeFunctions:
    """Every edge function of a layer at points of its inputs, residual branch included.

    E is the number of edges at one input: the outputs of a dense layer; of a convolution the (output channel of the group, place
    in the kernel) in this order, `shaped` gives them their shape back.

    Attributes:
        points: `(P, in)`, in rising order, from the least to the largest value that each input takes; the same P times if it has one.
        curves: values `(P, in, E)`.
        slopes: first derivatives `(P, in, E)`.
        quantiles: of the data of each input, `(Q, in)`, evenly spaced in rank from the least to the largest.
        domain: of the basis; inputs beyond it are squashed.
        layer: whose edges they are.
    """

    points: Tensor
    curves: Tensor
    slopes: Tensor
    quantiles: Tensor
    domain: tuple[float, float]
    layer: KANLayer

    def shaped(self, values: Tensor) -> Tensor:
        """Bring `(in, E)`, one number an edge, into the layer's shape: `(out, in)` or `(out, in/groups, *kernel_size)`."""
        return shaped_edges(self.layer, values.T)

    def density(self, bins: int = 32) -> tuple[Tensor, Tensor]:
        """Return the shares of the data in equal parts of each input's range, `(bins, in)`, and the ends of the parts, `(bins + 1, in)`.

        The data between two quantiles count as spread evenly.
        """
        low, high = self.quantiles[0], self.quantiles[-1]
        ends = low + (high - low) * torch.linspace(0, 1, bins + 1).to(low).unsqueeze(1)
        ranked = self.quantiles.T.contiguous()
        right = torch.searchsorted(ranked, ends.T.contiguous(), right=True).clamp(1, len(self.quantiles) - 1)
        below, above = ranked.gather(1, right - 1), ranked.gather(1, right)
        part = ((ends.T - below) / (above - below)).clamp(0, 1).where(above > below, 1)
        rank = (right - 1 + part) / (len(self.quantiles) - 1)
        rank[:, 0] = 0
        return rank.diff(dim=1).T, ends


def edge_functions(layer: KANLayer, x: Tensor, *, num_points: int = 200, num_quantiles: int = 65) -> EdgeFunctions:
    """Sample every edge function of a layer evenly over the range of each of its inputs.

    Args:
        layer: `KANLinear`, also one of a network on graphs, or a convolution without an `EdgeBasis` (else one of its `patches`).
        x: what the layer sees, see `layer_inputs`: `(*batch, in)` or `(batch, in, *size)`.
        num_points: P.
        num_quantiles: Q.

    Raises:
        ValueError: the squash is `layernorm`, so that an edge function is not one of its input alone; a number is below 2; `x` is
            empty or not finite.

    Example:
        >>> from functools import partial
        >>> from kanzoo.layers import KANLinear
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> layer = KANLinear(3, 2, basis=partial(Chebyshev, degree=4))
        >>> edge_functions(layer, torch.randn(100, 3), num_points=50).curves.shape
        torch.Size([50, 3, 2])
    """
    if min(num_points, num_quantiles) < 2:
        raise ValueError(f"num_points and num_quantiles must be >= 2, got {num_points} and {num_quantiles}")
    require_elementwise(layer)
    data = data_rows(layer, x)
    step = torch.linspace(0, 1, num_quantiles, dtype=torch.float64) * (len(data) - 1)
    ranked = data.sort(0).values
    part = step.frac().to(data).unsqueeze(1)
    quantiles = ranked[step.floor().long()].lerp(ranked[step.ceil().long()], part)
    points = ranked[0].lerp(ranked[-1], torch.linspace(0, 1, num_points).to(data).unsqueeze(1))
    with torch.no_grad():
        curves = edge_values(layer, points)
    return EdgeFunctions(points, curves, _slopes(layer, points), quantiles, basis_of(layer).domain, layer)


def require_elementwise(layer: KANLayer) -> None:
    """Raise ValueError when the squash of a layer mixes its inputs."""
    if squash_of(layer).norm is not None:
        raise ValueError(f"layer must have a squash that is elementwise, got {squash_of(layer).kind!r}")


def data_rows(layer: KANLayer, x: Tensor, max_rows: int | None = None) -> Tensor:
    """Return the rows of x, at least one and all finite; ValueError otherwise."""
    if isinstance(layer, KANConvolution) and x.ndim not in (2, 2 + layer.dimensions):
        kind = ("signals (batch, in_channels, length)", "images (batch, in_channels, height, width)", "volumes (batch, in_channels, *size)")
        raise ValueError(f"x must be {kind[layer.dimensions - 1]} or pixels (N, in_channels), got shape {tuple(x.shape)}")
    rows = x.detach() if isinstance(layer, KANConvolution) and x.ndim == 2 else rows_of(layer, x.detach(), max_rows)
    if not len(rows) or not rows.isfinite().all():
        raise ValueError(
            f"x must be one or more rows of finite numbers, got {len(rows)} rows and {int((~rows.isfinite()).sum())} such numbers"
        )
    return rows


@torch.enable_grad()
def _slopes(layer: KANLayer, points: Tensor) -> Tensor:
    """Return the derivatives of the edge functions, `(P, in, E)`."""
    expansion = layer.expansion
    if expansion is None:
        return derivatives(lambda x: edge_values(layer, x), points).detach()
    slopes = derivatives(lambda x: expansion(x).transpose(-1, -2), points)  # K backward passes instead of E
    table = torch.einsum("pik,eik->pie", slopes, flat_edges(layer, layer.coeff))
    if layer.residual_weight is not None:
        bend = derivatives(lambda x: residual_branch(layer.residual, x).unsqueeze(-1), points)
        table = table + bend * flat_edges(layer, layer.residual_weight).T
    mask = layer.edge_mask if isinstance(layer, KANLinear) else None
    return (table if mask is None else table * mask.T).detach()
