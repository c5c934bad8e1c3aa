"""Pruning of stacks of dense KAN layers: edges, nodes or inputs are cut by score, and what is idle then is removed."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from kanzoo.inspect.attribution import Metric, attribution, edge_magnitudes
from kanzoo.inspect.layer import edge_values, in_chunks, layer_inputs, squash_of
from kanzoo.inspect.shrink import add_to_bias, edge_mask, shrink
from kanzoo.inspect.stack import dense_stack

_Model = TypeVar("_Model", bound=nn.Sequential)
Parts = Literal["edges", "nodes", "inputs"]


@dataclass(frozen=True)
class Pruning:
    """What pruning did.

    Attributes:
        edges: number of edges before and after.
        parameters: number of parameters before and after.
        widths: inputs that are used, nodes of each hidden layer and outputs, before and after.
        inputs: columns of the input that are still used.
    """

    edges: tuple[int, int]
    parameters: tuple[int, int]
    widths: tuple[tuple[int, ...], tuple[int, ...]]
    inputs: list[int]


@torch.no_grad()
def prune(
    model: _Model,
    x: Tensor,
    *,
    parts: Parts = "edges",
    threshold: float | None = None,
    sparsity: float | None = None,
    score: Callable[[_Model], float] | None = None,
    max_loss: float = 0.0,
    direction: Literal["min", "max"] = "max",
    by: Literal["attribution"] | Metric | Sequence[Tensor] = "attribution",
    keep_means: bool = True,
) -> tuple[_Model, Pruning]:
    r"""Return a smaller copy of a stack of dense KAN layers, and a report; say by one of `threshold`, `sparsity` and `score` how small.

    Edges are cut, those of the least score first, and with `keep_means` their means over the data are added to the biases. A hidden node
    is cut with all its edges, an input with those that start from it. Where no path from an input to an output would be left, the path
    whose least score is largest stays. Then `shrink` removes what is idle, which changes the output by rounding alone.

    Args:
        model: `KAN` or an `nn.Sequential` of `KANLinear`, pruned before or not.
        x: the data, `(N, in)`.
        parts: what is cut: edges, hidden nodes or inputs.
        threshold: cut what scores less.
        sparsity: cut this share of the parts that there are.
        score: a number of a network; as many parts are cut as a bisection finds before it is worse than the model's by `max_loss`.
        max_loss: see `score`.
        direction: `max` when a higher score is better, else `min`.
        by: scores of edges: `attribution` (see `kanzoo.inspect.attribution`), `std` or `mean_abs` of what an edge gives (see
            `edge_magnitudes`), or your own of each layer, `(out, in)`. A node or input scores by attribution the sum over its edges, and
            otherwise as its largest edge; a node as the lesser of its largest incoming and outgoing one.
        keep_means: whether the means of cut edges go to the biases: without them the result equals the masked network.

    Raises:
        ValueError: an argument is not allowed; the model is no such stack; nodes, or inputs, are to be cut before a `layernorm`.

    Example:
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net, x = KAN([4, 8, 1], basis=Chebyshev), torch.randn(100, 4)
        >>> small, report = prune(net, x, sparsity=0.5)
        >>> report.edges[0], report.edges[1] <= 20, small(x).shape
        (40, True, torch.Size([100, 1]))
    """
    _check(parts, threshold, sparsity, score, max_loss, direction)
    order = _order(model, x, parts, by)
    means = _means(model, x) if keep_means else None

    def without(count: int) -> _Model:
        return shrink(_cut(model, order.masks(count), means))

    if threshold is not None:
        result = without(int((order.values < threshold).sum()))
    elif sparsity is not None:
        result = without(min(round(sparsity * order.num_parts), len(order.values)))
    else:
        assert score is not None
        result = _bisect(without, len(order.values), score, score(model), max_loss, 1 if direction == "max" else -1)
    before, after = dense_stack(model), dense_stack(result)
    used = torch.arange(after.in_features) if after.select is None else after.select.index
    edges = tuple(sum(int(edge_mask(layer).sum()) for layer in stack.layers) for stack in (before, after))
    parameters = tuple(sum(parameter.numel() for parameter in net.parameters()) for net in (model, result))
    return result, Pruning((edges[0], edges[1]), (parameters[0], parameters[1]), (before.widths, after.widths), used.tolist())


@dataclass(frozen=True)
class _Order:
    """In which order parts are cut.

    Attributes:
        values: scores of the parts that may be cut, rising.
        num_parts: number of parts, with those that must stay.
        present: edges that were not cut before, of each layer.
        ranks: of each layer, `(out, in)`: an edge goes when more parts than this are cut.
        scores: of the edges.
    """

    values: Tensor
    num_parts: int
    present: list[Tensor]
    ranks: list[Tensor]
    scores: list[Tensor]

    def masks(self, count: int) -> list[Tensor]:
        """Return the edges that stay when so many parts are cut, a path from an input to an output at least."""
        masks = [present & (rank >= count) for present, rank in zip(self.present, self.ranks, strict=True)]
        reached = torch.ones_like(masks[0][0])
        for mask in masks:
            reached = (mask & reached).any(1)
        if not reached.any():
            for mask, (end, start) in zip(masks, _widest_path(self.scores, self.present), strict=True):
                mask[end, start] = True
        return masks


def _order(model: nn.Sequential, x: Tensor, parts: Parts, by: Literal["attribution"] | Metric | Sequence[Tensor]) -> _Order:
    stack = dense_stack(model)
    scores, nodes = _scores(model, x, by)
    present = [edge_mask(layer) for layer in stack.layers]
    if parts == "edges":
        values = [score[mask] for score, mask in zip(scores, present, strict=True)]
        ordered, ranks = _rank(values)
        places = [torch.full_like(mask, 0, dtype=torch.long).masked_scatter(mask, rank) for mask, rank in zip(present, ranks, strict=True)]
        return _Order(ordered, len(ordered), present, places, scores)
    levels = range(1, len(stack.layers)) if parts == "nodes" else range(1)
    for level in levels:
        if squash_of(stack.layers[level]).norm is not None:
            kind = squash_of(stack.layers[level]).kind
            raise ValueError(f"parts must be 'edges' before a layer with the squash {kind!r}, which needs all its inputs, got {parts!r}")
    if not levels:
        raise ValueError("parts must be 'edges' or 'inputs' of a network without hidden nodes, got 'nodes'")
    values = [nodes[level].clone() for level in levels]
    for value in values:
        value[value.argmax()] = torch.inf  # the best of each level stays
    ordered, ranks = _rank(values)
    far = [torch.full((width,), len(ordered), device=ordered.device) for width in stack.widths]
    for level, rank in zip(levels, ranks, strict=True):
        far[level] = rank
    places = [torch.minimum(end.unsqueeze(1), start) for start, end in pairwise(far)]
    return _Order(ordered[ordered.isfinite()], len(ordered), present, places, scores)


def _rank(values: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return all values in rising order, and the place of each in it; of equals the first comes first."""
    flat = torch.cat(values)
    ordered, index = flat.sort(stable=True)
    rank = torch.empty_like(index).index_copy_(0, index, torch.arange(len(flat), device=flat.device))
    return ordered, list(torch.split(rank, [len(value) for value in values]))


def _scores(model: nn.Sequential, x: Tensor, by: Literal["attribution"] | Metric | Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return scores of edges by layer, and of nodes by level, the inputs of the first layer first."""
    stack = dense_stack(model)
    if by == "attribution":
        found = attribution(model, x)
        used = found.inputs if stack.select is None else found.inputs[stack.select.index]
        return found.edges, [used, *found.nodes[1:]]
    scores = list(edge_magnitudes(model, x, metric=by).values()) if isinstance(by, str) else list(by)
    shapes = [(layer.out_features, layer.in_features) for layer in stack.layers]
    if [tuple(score.shape) for score in scores] != shapes or not all(score.isfinite().all() for score in scores):
        raise ValueError(f"by must be finite scores of the shapes {shapes}, got {[tuple(score.shape) for score in scores]}")
    starts, ends = [score.amax(0) for score in scores], [score.amax(1) for score in scores]
    return scores, [starts[0], *(end.minimum(start) for end, start in zip(ends[:-1], starts[1:], strict=True)), ends[-1]]


def _widest_path(scores: list[Tensor], present: list[Tensor]) -> list[tuple[int, int]]:
    """Return the edges `(o, i)` of the path from an input to an output whose least score is largest."""
    best, choices = torch.full_like(scores[0][0], torch.inf), []
    for score, mask in zip(scores, present, strict=True):
        best, choice = score.minimum(best).masked_fill(~mask, -torch.inf).max(1)
        choices.append(choice)
    node = int(best.argmax())
    path: list[tuple[int, int]] = []
    for choice in reversed(choices):
        path.insert(0, (node, int(choice[node])))
        node = path[0][1]
    return path


def _means(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Return the mean of what each edge gives, `(out, in)` by layer."""
    layers = dense_stack(model).layers
    found = zip(layers, layer_inputs(model, x).values(), strict=True)
    return [torch.stack([edge_values(layer, part).sum(0) for part in in_chunks(layer, rows)]).sum(0).T / len(rows) for layer, rows in found]


def _cut(model: _Model, masks: list[Tensor], means: list[Tensor] | None) -> _Model:
    result = copy.deepcopy(model)
    for place, (layer, mask) in enumerate(zip(dense_stack(result).layers, masks, strict=True)):
        if means is not None:
            add_to_bias(layer, means[place].masked_fill(mask, 0).sum(1))
        layer.mask_edges(mask)
    return result


def _bisect(
    without: Callable[[int], _Model], most: int, score: Callable[[_Model], float], start: float, max_loss: float, sign: int
) -> _Model:
    """Return the network with the most parts cut, of those tried, whose score is not worse than at the start by more than `max_loss`."""

    def serves(model: _Model) -> bool:
        return sign * (start - score(model)) <= max_loss

    best, good, bad = without(0), 0, most + 1
    trial = most
    while bad - good > 1:
        candidate = without(trial)
        if serves(candidate):
            best, good = candidate, trial
        else:
            bad = trial
        trial = (good + bad) // 2
    return best


def _check(
    parts: str, threshold: float | None, sparsity: float | None, score: Callable[..., float] | None, max_loss: float, direction: str
) -> None:
    if parts not in get_args(Parts):
        raise ValueError(f"parts must be one of {', '.join(get_args(Parts))}, got {parts!r}")
    given = [name for name, value in (("threshold", threshold), ("sparsity", sparsity), ("score", score)) if value is not None]
    if len(given) != 1:
        raise ValueError(f"one of threshold, sparsity and score must be given, got {' and '.join(given) or 'none'}")
    if threshold is not None and not threshold >= 0:
        raise ValueError(f"threshold must be >= 0, got {threshold}")
    if sparsity is not None and not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be >= 0 and < 1, which would leave nothing, got {sparsity}")
    if not max_loss >= 0:
        raise ValueError(f"max_loss must be >= 0, got {max_loss}")
    if direction not in ("min", "max"):
        raise ValueError(f"direction must be min or max, got {direction!r}")
