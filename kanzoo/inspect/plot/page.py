"""A network as a self-contained web page: its diagram, and each edge function in large when it is pointed at."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from kanzoo.inspect.plot.network import Edge, Labels, Network, network
from kanzoo.inspect.plot.style import padded, shortened, text_width

# Pixels of the diagram; of a point of text there are 4/3.
_WIDTH, _LEAST_SLOT, _WIDEST_SLOT, _BOX, _LEVEL, _MARGIN = 1000.0, 38.0, 130.0, 62.0, 160.0, 40.0
# Pixels of a curve in large: the outer size, and the inner rectangle.
_LARGE = {"width": 560, "height": 220, "left": 58, "right": 548, "top": 10, "bottom": 194}
_DENSITY = 0.2  # of the height


def page(
    model: nn.Module,
    x: Tensor,
    *,
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    scores: Sequence[Tensor] | None = None,
    labels: Labels | None = None,
    most: int | None = None,
    title: str = "Kolmogorov-Arnold network",
) -> str:
    """Render the diagram of a stack of dense KAN layers as one HTML page, which tells of each edge when it is hovered or focussed.

    It asks for nothing outside itself, works from `file://` and in a sandboxed frame, follows the light or dark of the system, and lists
    all curves where there is no JavaScript. Its content security policy allows the one script in it, by hash. The same network and data
    give the same page.

    Args:
        model: see `diagram`, also for the other arguments.
        x: the data, `(N, in)`.
        names: of all columns of x.
        outputs: names of the outputs.
        scores: of the edges of each layer, `(out, in)`.
        labels: formulas by (layer, output, input).
        most: edges of a layer to draw at most.
        title: heading of the page.

    Raises:
        ValueError: as `diagram`.

    Example:
        >>> import torch
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> html = page(KAN([2, 1], basis=Chebyshev), torch.rand(100, 2), names=["a", "<b>"])
        >>> "&lt;b&gt;" in html, "<b>" in html
        (True, False)
    """
    shown = network(model, x, names, outputs, scores, labels, most)
    slot = _slot(shown)
    # Not PackageLoader: it wants a folder of its own for one template.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["csp_hash"] = _csp_hash
    text = environment.get_template("page.html.j2").render(
        title=title,
        note=shown.note,
        rows=len(x),
        network=_diagram(shown, slot),
        edges=[_edge(shown, edge, slot) for edge in shown.edges],
        large=_LARGE,
    )
    return text.encode("utf-8", errors="replace").decode("utf-8") + "\n"


def _csp_hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _slot(shown: Network) -> float:
    """Return the width of a slot in pixels: wide enough for the texts, unless the picture were too wide then."""
    needs = [_pixels(edge.label, 11) / edge.room for edge in shown.edges if edge.label]
    needs += [_pixels(node.name, 15) / node.room for node in shown.nodes if node.level in (0, shown.depth)]
    return max(min(max(78.0, *needs), _WIDEST_SLOT, _WIDTH / shown.width), _LEAST_SLOT)


def _pixels(text: str, size: float) -> float:
    """Return the width of a text of so many pixels, and some room."""
    return 72 * text_width(text, size) + 12


def _diagram(shown: Network, slot: float) -> dict[str, Any]:
    nodes = [
        {
            "x": _round(_MARGIN + node.x * slot),
            "y": _MARGIN + (shown.depth - node.level) * _LEVEL,
            "name": node.name,
            "short": shortened(node.name, (node.room * slot - 6) / 72, 15),
            "side": {0: 1, shown.depth: -1}.get(node.level, 0),
        }
        for node in shown.nodes
    ]
    return {"width": _round(2 * _MARGIN + shown.width * slot), "height": 2 * _MARGIN + shown.depth * _LEVEL, "nodes": nodes}


def _edge(shown: Network, edge: Edge, slot: float) -> dict[str, Any]:
    box = min(_BOX, 0.86 * slot)
    x, y = _MARGIN + edge.x * slot, _MARGIN + (shown.depth - edge.key[0] - 0.5) * _LEVEL
    source, target = shown.nodes[edge.source], shown.nodes[edge.target]
    last, inner = len(edge.unit) - 1, 0.84 * box
    curve = [(x + inner * (place / last - 0.5), y - inner * (value - 0.5)) for place, value in enumerate(edge.unit)]
    short = shortened(edge.label, (edge.room * slot - 14) / 72, 11)
    lines = [
        [(_MARGIN + node.x * slot, _MARGIN + (shown.depth - node.level) * _LEVEL), (x, y + side * box / 2)]
        for node, side in ((source, 1), (target, -1))
    ]
    return {
        "key": "-".join(map(str, edge.key)),
        "place": "layer {}, output {}, input {}".format(*edge.key),
        "name": f"{source.name} → {target.name}",
        "score": f"{edge.score:.3g}",
        "opacity": round(edge.opacity, 4),
        "label": edge.label,
        "short": short,
        "wide": _round(_pixels(short, 11)),
        "box": [_round(x - box / 2), _round(y - box / 2), _round(box)],
        "at": [_round(x), _round(y - box / 2 - 6)],
        "curve": _path(curve),
        "lines": "".join(map(_path, lines)),
        "large": _large(edge),
    }


def _large(edge: Edge) -> dict[str, Any]:
    """Return a curve in large, with ticks, above the density of the data."""
    left, right, top, bottom = (_LARGE[side] for side in ("left", "right", "top", "bottom"))
    floor = bottom - _DENSITY * (bottom - top)
    (x_low, x_high), (y_low, y_high) = padded(*edge.ends, 0.02), padded(min(edge.values), max(edge.values), 0.06)

    def across(value: float) -> float:
        return left + (right - left) * (value - x_low) / (x_high - x_low)

    def up(value: float) -> float:
        return floor - (floor - top) * (value - y_low) / (y_high - y_low)

    start, step = edge.ends[0], (edge.ends[1] - edge.ends[0]) / (len(edge.values) - 1)
    most, part = max(edge.density), (edge.ends[1] - edge.ends[0]) / len(edge.density)
    steps = []
    for place, share in enumerate(edge.density):
        height = bottom - 0.8 * (bottom - floor) * share / most
        steps += [(across(start + place * part), height), (across(start + (place + 1) * part), height)]
    return {
        "curve": _path([(across(start + place * step), up(value)) for place, value in enumerate(edge.values)]),
        "density": _path([(across(start), bottom), *steps, (across(edge.ends[1]), bottom)]),
        "across": [(_round(across(value)), text) for value, text in _ticks(x_low, x_high)],
        "up": [(_round(up(value)), text) for value, text in _ticks(y_low, y_high)],
        "zero": _round(up(0)) if y_low < 0 < y_high else None,
    }


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    found = (float(value) for value in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    clean = (0.0 if abs(value) < 1e-9 * (high - low) else value for value in found if low <= value <= high)
    return [(value, f"{value:.6g}".replace("-", "−")) for value in clean]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _round(value: float) -> float:
    return round(value, 2)
