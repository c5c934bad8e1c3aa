"""What a picture of a network shows: its nodes and kept edges, each with its place, curve and score, without ink."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from kanzoo.inspect.attribution import attribution
from kanzoo.inspect.edge import EdgeFunctions, edge_functions
from kanzoo.inspect.layer import kan_layers, layer_inputs
from kanzoo.inspect.shrink import edge_mask
from kanzoo.inspect.stack import DenseStack, dense_stack

#: Texts of edges by (layer, output, input), as `layer.coeff[output, input]` counts them, from 0.
Labels = Mapping[tuple[int, int, int], str]

#: Edges that one picture can show.
MAX_EDGES = 96

_POINTS, _BINS, _FAINTEST, _LEAST_WIDTH = 101, 32, 0.12, 4
_FLAT = 1e-5  # of the largest rise of an edge function of its layer: nothing to be seen


@dataclass(frozen=True)
class Node:
    """A node: `level` 0 holds the inputs; `x` is its place and `room` what it has to itself, both in widths of an edge's box."""

    level: int
    x: float
    room: float
    name: str


@dataclass(frozen=True)
class Edge:
    """An edge that was not cut, from `nodes[source]` to `nodes[target]` of a `Network`.

    Attributes:
        key: (layer, output, input).
        source: place of its first node in the list of nodes.
        target: place of its last node.
        x: place of its box, see `Node`.
        room: what the box has to itself.
        ends: least and largest value of its input.
        values: the edge function, evenly between the ends.
        unit: the values as they stand in a box of height 1.
        density: shares of the data in equal parts between the ends.
        score: as given.
        opacity: grows with the score, from little to 1.
        label: its text, or nothing.
    """

    key: tuple[int, int, int]
    source: int
    target: int
    x: float
    room: float
    ends: tuple[float, float]
    values: list[float]
    unit: list[float]
    density: list[float]
    score: float
    opacity: float
    label: str


@dataclass(frozen=True)
class Network:
    """A network as a picture shows it: `width` in boxes, `depth` layers of edges, `left_out` edges that are not among them."""

    nodes: list[Node]
    edges: list[Edge]
    width: int
    depth: int
    left_out: int

    @property
    def note(self) -> str:
        """What is to be said of the edges that are not shown; nothing where all are."""
        return f"Only the strongest edges are drawn, {len(self.edges)} of {len(self.edges) + self.left_out}." if self.left_out else ""


def network(
    model: nn.Module,
    x: Tensor,
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    scores: Sequence[Tensor] | None = None,
    labels: Labels | None = None,
    most: int | None = None,
) -> Network:
    """Return what a picture of a stack of dense KAN layers shows; for arguments and errors see `diagram`."""
    stack = dense_stack(model)
    masks = [edge_mask(layer).cpu() for layer in stack.layers]
    count = sum(int(mask.sum()) for mask in masks)
    if most is not None and most < 1:
        raise ValueError(f"most must be >= 1, got {most}")
    if not count or (most is None and count > MAX_EDGES):
        advice = (
            f"; cut edges with kanzoo.inspect.prune, draw the strongest with most=24, or show one layer with gallery, got {count}"
            if count
            else ", got none"
        )
        raise ValueError(f"model must have 1 ... {MAX_EDGES} edges that are not cut to be drawn as a network{advice}")
    levels = _names(stack, names, outputs)
    labels = _check_labels(labels or {}, masks)
    by_name = layer_inputs(model, x)
    layers = {layer: name for name, layer in kan_layers(model).items()}
    curves = [edge_functions(layer, by_name[layers[layer]], num_points=_POINTS) for layer in stack.layers]
    values = _check_scores(attribution(model, x).edges if scores is None else scores, masks)
    largest = max(float(score[mask].max()) for score, mask in zip(values, masks, strict=True) if mask.any())
    drawn = masks if most is None else _strongest(masks, values, most)
    left_out = count - sum(int(mask.sum()) for mask in drawn)
    used = _used(drawn) if left_out else [torch.ones(size, dtype=torch.bool) for size in stack.widths]

    width = max(_LEAST_WIDTH, *(int(part.sum()) for part in used), *(int(mask.sum()) for mask in drawn))
    nodes: list[Node] = []
    at: list[dict[int, int]] = []  # by level, where a node stands in the list
    for level, (row, part) in enumerate(zip(levels, used, strict=True)):
        shown = part.nonzero().flatten().tolist()
        at.append({number: len(nodes) + place for place, number in enumerate(shown)})
        room = width / max(1, len(shown))
        nodes += [Node(level, (place + 0.5) * room, room, row[number]) for place, number in enumerate(shown)]
    edges = []
    for layer, (mask, seen) in enumerate(zip(drawn, curves, strict=True)):
        kept = mask.T.nonzero().tolist()  # by input, then by output: lines below the boxes do not cross
        units, density = _units(seen), seen.density(_BINS)[0]
        for place, (source, target) in enumerate(kept):
            score = float(values[layer][target, source])
            edges.append(
                Edge(
                    key=(layer, target, source),
                    source=at[layer][source],
                    target=at[layer + 1][target],
                    x=(place + 0.5) * width / len(kept),
                    room=width / len(kept),
                    ends=(float(seen.points[0, source]), float(seen.points[-1, source])),
                    values=seen.curves[:, source, target].tolist(),
                    unit=units[:, source, target].tolist(),
                    density=density[:, source].tolist(),
                    score=score,
                    opacity=_FAINTEST + (1 - _FAINTEST) * math.sqrt(score / largest if largest else 0.0),
                    label=labels.get((layer, target, source), ""),
                )
            )
    return Network(nodes, edges, width, len(masks), left_out)


def _strongest(masks: list[Tensor], scores: list[Tensor], most: int) -> list[Tensor]:
    """Return masks of the edges of each layer with the highest scores, of those only that lead to others that are drawn."""
    result: list[Tensor] = []
    for mask, score in zip(reversed(masks), reversed(scores), strict=True):
        leads_on = mask if not result else mask & result[0].any(0).unsqueeze(1)
        ranked = score.masked_fill(~leads_on, -1.0).flatten().argsort(descending=True, stable=True)
        best = torch.zeros(mask.numel(), dtype=torch.bool).index_fill(0, ranked[:most], True)
        result.insert(0, best.view_as(mask) & leads_on)
    return result


def _used(masks: list[Tensor]) -> list[Tensor]:
    """Return which nodes of each level have an edge; of the outputs all are kept."""
    hidden = [before.any(1) | after.any(0) for before, after in pairwise(masks)]
    return [masks[0].any(0), *hidden, torch.ones(len(masks[-1]), dtype=torch.bool)]


def _units(seen: EdgeFunctions) -> Tensor:
    """Return the curves between 0 and 1; what is flat lies in the middle."""
    low, high = seen.curves.amin(0), seen.curves.amax(0)
    rise = high - low
    flat = rise <= _FLAT * rise.max()
    return ((seen.curves - low) / rise.where(~flat, 1)).where(~flat, 0.5)


def _names(stack: DenseStack, names: Sequence[str] | None, outputs: Sequence[str] | None) -> list[list[str]]:
    """Return the names of all nodes by level; inputs that are not looked at are left out."""
    last = stack.widths[-1]
    names = [f"x{column + 1}" for column in range(stack.in_features)] if names is None else list(names)
    outputs = (["y"] if last == 1 else [f"y{place + 1}" for place in range(last)]) if outputs is None else list(outputs)
    for argument, given, size in (("names", names, stack.in_features), ("outputs", outputs, last)):
        if len(given) != size:
            raise ValueError(f"{argument} must be {size} texts, got {len(given)}")
    used = range(stack.in_features) if stack.select is None else stack.select.index.tolist()
    hidden = [[f"h{level}.{place + 1}" for place in range(size)] for level, size in enumerate(stack.widths[1:-1], 1)]
    return [[_line(names[column]) for column in used], *hidden, [_line(name) for name in outputs]]


def _line(text: str) -> str:
    """Return a text as one line that can be encoded."""
    return " ".join(text.encode("utf-8", errors="replace").decode("utf-8").split())


def _check_labels(labels: Labels, masks: list[Tensor]) -> Labels:
    kept = {(layer, target, source) for layer, mask in enumerate(masks) for target, source in mask.nonzero().tolist()}
    for key in labels:
        if key not in kept:
            raise ValueError(f"labels must be of edges (layer, output, input) that are not cut, got {key}")
    return {key: _line(text) for key, text in labels.items()}


def _check_scores(scores: Sequence[Tensor], masks: list[Tensor]) -> list[Tensor]:
    shapes, wanted = [tuple(score.shape) for score in scores], [tuple(mask.shape) for mask in masks]
    if shapes != wanted:
        raise ValueError(f"scores must have the shapes {wanted}, got {shapes}")
    values = [score.detach().cpu().double() for score in scores]
    if not all(bool(((score >= 0) & score.isfinite()).all()) for score in values):
        raise ValueError(
            f"scores must be finite and >= 0, got {min(float(score.nan_to_num(-torch.inf).min()) for score in values)} among them"
        )
    return values
