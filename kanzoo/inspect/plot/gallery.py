"""The edge functions of a layer that count most, side by side."""

import math

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from torch import Tensor

from kanzoo.inspect.attribution import magnitude
from kanzoo.inspect.edge import data_rows, edge_functions
from kanzoo.inspect.layer import KANLayer
from kanzoo.inspect.plot.style import INK, STYLE, WASH, padded
from kanzoo.inspect.shrink import edge_mask
from kanzoo.layers import KANLinear

_BINS, _FLOOR = 32, 0.24  # the density stands in the lowest part of a panel


def gallery(layer: KANLayer, x: Tensor, *, most: int = 64) -> Figure:
    """Draw the edge functions of a layer with the highest scores, the highest first, each over the data's range of its input.

    An edge's score is the standard deviation of what it gives over the data, as `edge_magnitudes` has it. The shape at the bottom of a
    panel is the density of the data, and the title tells input → output and score, counted from 0; of a convolution the channels and
    the place in the kernel, (row, column) of an image. Edges that were cut are left out.

    Args:
        layer: `KANLinear`, also one of a network on graphs, or a convolution without an `EdgeBasis` (else one of its `patches`).
        x: what the layer sees, see `layer_inputs`.
        most: how many edges to draw at most.

    Raises:
        ValueError: `most` is below 1; every edge was cut; the squash is `layernorm`; x is empty or not finite.

    Example:
        >>> from kanzoo.layers import KANLinear
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> figure = gallery(KANLinear(3, 7, basis=Chebyshev), torch.rand(100, 3), most=6)
        >>> len(figure.axes)
        6
    """
    if most < 1:
        raise ValueError(f"most must be >= 1, got {most}")
    seen = edge_functions(layer, x)
    scores = seen.shaped(magnitude(layer, data_rows(layer, x)).cpu())
    flat = seen.shaped(torch.arange(scores.numel()).view(seen.curves.shape[1:])).flatten()  # where each stands in `curves`
    kept = edge_mask(layer).cpu().flatten() if isinstance(layer, KANLinear) else torch.ones(scores.numel(), dtype=torch.bool)
    order = [place for place in scores.flatten().argsort(descending=True, stable=True).tolist() if kept[place]][:most]
    if not order:
        raise ValueError("layer must have an edge that is not cut, got none")
    shares, ends = seen.density(_BINS)
    columns = math.ceil(math.sqrt(len(order)))
    rows = math.ceil(len(order) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(2.6, 1.7 * columns), max(2.2, 1.5 * rows)), layout="constrained")
        for panel, place in enumerate(order):
            source, edge = divmod(int(flat[place]), seen.curves.shape[2])
            index = [int(part) for part in torch.unravel_index(torch.tensor(place), scores.shape)]
            kernel = f" ({', '.join(map(str, index[2:]))})" if index[2:] else ""
            axes = figure.add_subplot(rows, columns, panel + 1)
            _draw(axes, seen.points[:, source].tolist(), seen.curves[:, source, edge].tolist())
            _shade(axes, shares[:, source].tolist(), ends[:, source].tolist())
            axes.set_title(f"{source} → {index[0]}{kernel}   {float(scores.flatten()[place]):.3g}", size=8, color=INK, pad=4)
    return figure


def _draw(axes: Axes, points: list[float], values: list[float]) -> None:
    # An input that has one value gives a dot.
    axes.plot(points, values, color=INK, linewidth=1.4, marker="" if points[0] < points[-1] else "o", markersize=4, gid="edge")
    low, high = padded(min(values), max(values), 0.06)
    axes.set_xlim(*padded(points[0], points[-1], 0.02))
    axes.set_ylim(low - _FLOOR / (1 - _FLOOR) * (high - low), high)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(StrMethodFormatter("{x:.4g}"))
    axes.tick_params(labelsize=7, length=2, pad=2)


def _shade(axes: Axes, shares: list[float], ends: list[float]) -> None:
    top = max(shares)
    heights = [0.8 * _FLOOR * share / top for share in shares]
    axes.stairs(heights, ends, fill=True, color=WASH, transform=axes.get_xaxis_transform(), gid="density", zorder=0)
