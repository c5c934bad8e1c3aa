"""A network as a diagram: nodes in layers, and on each edge its function."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from kanzoo.inspect.plot.network import Edge, Labels, Network, network
from kanzoo.inspect.plot.style import INK, QUIET, RULE, STYLE, shortened, text_width

# Inches.
_MARGIN, _LEVEL, _NAMES = 0.25, 1.9, 0.5
_SLOT, _WIDEST_SLOT, _BOX, _WIDEST = 0.76, 1.8, 0.62, 17.0
# Points.
_NAME_SIZE, _LABEL_SIZE = 12.0, 8.5


def diagram(
    model: nn.Module,
    x: Tensor,
    *,
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    scores: Sequence[Tensor] | None = None,
    labels: Labels | None = None,
    most: int | None = None,
) -> Figure:
    r"""Draw a stack of dense KAN layers: inputs below, outputs above, and each edge function in a box of its own between its nodes.

    A box spans the range of the edge's input over the data and the range of its values: compare the shape of curves, not their height.
    An edge's opacity is $0.12 + 0.88 \sqrt{s / \max s}$ with its score s, the largest over the network. Edges that were cut are not
    drawn, nor are inputs that a `Select` leaves out. Texts are shortened where there is no room for them.

    Args:
        model: `KAN` or an `nn.Sequential` of `KANLinear`, which may begin with `Select`.
        x: the data, `(N, in)`.
        names: of all columns of x; x1, x2, ... when None.
        outputs: names of the outputs; y, or y1, y2, ..., when None.
        scores: of the edges of each layer, `(out, in)`, none negative; those of `attribution` when None.
        labels: a text for each edge that shall have one, by (layer, output, input), counted from 0.
        most: how many edges of a layer to draw at most, those with the highest scores that lead to others that are drawn, without the
            nodes that have none; all when None.

    Returns:
        The figure; each curve is a line whose gid is `edge-LAYER-OUTPUT-INPUT`.

    Raises:
        ValueError: the model is no such stack, has more than 96 edges (`MAX_EDGES`) that are not cut, without `most`, or none, or has
            the squash `layernorm`; names, scores or labels do not fit it; `most` is below 1; x is empty or not finite.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756, whose pictures look alike.

    Example:
        >>> import torch
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> figure = diagram(KAN([2, 5, 1], basis=Chebyshev), torch.rand(100, 2), labels={(0, 3, 1): "x²"})
        >>> sum((line.get_gid() or "").startswith("edge-") for line in figure.axes[0].lines)
        15
    """
    shown = network(model, x, names, outputs, scores, labels, most)
    slot = _slot(shown)
    with matplotlib.rc_context(STYLE):
        width, height = 2 * _MARGIN + shown.width * slot, 2 * _NAMES + shown.depth * _LEVEL
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(-_MARGIN, width - _MARGIN), ylim=(-_NAMES, height - _NAMES))  # in inches
        axes.set_axis_off()
        for edge in shown.edges:
            _draw_edge(axes, shown, edge, slot)
        for node in shown.nodes:
            axes.plot(node.x * slot, node.level * _LEVEL, "o", color=INK, markersize=6, zorder=4)
            if node.level in (0, shown.depth):
                above = 1 if node.level else -1
                axes.text(
                    node.x * slot,
                    node.level * _LEVEL + 0.13 * above,
                    shortened(node.name, node.room * slot - 0.08, _NAME_SIZE),
                    size=_NAME_SIZE,
                    ha="center",
                    va="bottom" if node.level else "top",
                    parse_math=False,
                )
        if shown.note:
            axes.text(0, -_NAMES + 0.04, shown.note, size=_LABEL_SIZE, color=QUIET, ha="left", va="bottom")
    return figure


def _slot(shown: Network) -> float:
    """Return the width of a slot in inches: wide enough for the texts, unless the picture were too wide then."""
    needs = [(text_width(edge.label, _LABEL_SIZE) + 0.14) / edge.room for edge in shown.edges if edge.label]
    needs += [(text_width(node.name, _NAME_SIZE) + 0.1) / node.room for node in shown.nodes if node.level in (0, shown.depth)]
    return min(max(_SLOT, *needs), _WIDEST_SLOT, _WIDEST / shown.width)


def _draw_edge(axes: Axes, shown: Network, edge: Edge, slot: float) -> None:
    box = min(_BOX, 0.84 * slot)
    center, middle = edge.x * slot, (edge.key[0] + 0.5) * _LEVEL
    left, bottom, top = center - box / 2, middle - box / 2, middle + box / 2
    for node, end in ((shown.nodes[edge.source], bottom), (shown.nodes[edge.target], top)):
        axes.plot([node.x * slot, center], [node.level * _LEVEL, end], color=INK, alpha=edge.opacity, linewidth=1.1, zorder=1)
    axes.add_patch(Rectangle((left, bottom), box, box, facecolor="white", edgecolor="none", zorder=2))
    axes.add_patch(Rectangle((left, bottom), box, box, facecolor="none", edgecolor=RULE, alpha=edge.opacity, linewidth=0.8, zorder=2))
    inner, last = 0.84 * box, len(edge.unit) - 1
    axes.plot(
        [center + inner * (place / last - 0.5) for place in range(len(edge.unit))],
        [middle + inner * (value - 0.5) for value in edge.unit],
        color=INK,
        alpha=edge.opacity,
        linewidth=1.6,
        solid_capstyle="round",
        zorder=3,
        gid="edge-{}-{}-{}".format(*edge.key),
    )
    if edge.label:
        axes.text(
            center,
            top + 0.05,
            shortened(edge.label, edge.room * slot - 0.08, _LABEL_SIZE),
            size=_LABEL_SIZE,
            color=QUIET,
            ha="center",
            va="bottom",
            parse_math=False,
            zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 3.2},
        )
