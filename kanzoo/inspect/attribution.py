"""How much each edge, node and input of a network counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from kanzoo.inspect.layer import KANLayer, edge_values, in_chunks, kan_layers, layer_inputs, shaped_edges
from kanzoo.inspect.stack import dense_stack

Metric = Literal["std", "mean_abs"]


@dataclass(frozen=True)
class Attribution:
    """Scores of a stack of dense layers, from its outputs back to its inputs.

    Attributes:
        edges: of each layer, `(out, in)`.
        nodes: of the inputs of the first layer, of each hidden layer, and of the outputs, one vector each.
    """

    edges: list[Tensor]
    nodes: list[Tensor]

    @property
    def inputs(self) -> Tensor:
        """Scores of the network's inputs, `(in,)`."""
        return self.nodes[0]


@torch.no_grad()
def edge_magnitudes(model: nn.Module, *inputs: Any, metric: Metric = "std") -> dict[str, Tensor]:
    """Return how much each edge of each KAN layer gives over the data, by the layer's name.

    Args:
        model: any network that holds KAN layers.
        inputs: what it is called with.
        metric: standard deviation of what an edge gives (a constant is worth nothing), or mean absolute value.

    Returns:
        `(out, in)` of a dense layer, `(out, in/groups, *kernel_size)` of a convolution, over all pixels.

    Raises:
        ValueError: `metric` is unknown.

    Example:
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> {name: tuple(scores.shape) for name, scores in edge_magnitudes(KAN([2, 5, 1], basis=Chebyshev), torch.randn(9, 2)).items()}
        {'0': (5, 2), '1': (1, 5)}
    """
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, got {metric!r}")
    layers = kan_layers(model)
    return {name: shaped_edges(layers[name], magnitude(layers[name], x, metric).T) for name, x in layer_inputs(model, *inputs).items()}


@torch.no_grad()
def attribution(model: nn.Module, x: Tensor, *, outputs: Tensor | None = None) -> Attribution:
    r"""Return the scores of edges and nodes of a stack of dense KAN layers, propagated from the outputs back.

    With $E^l_{oi}$ the standard deviation over the data of what an edge gives and $N^l_o$ that of the node it leads to, of the layer's
    output, $B^l_{oi} = A^{l+1}_o\,E^l_{oi} / N^l_o$ is the score of the edge and $A^l_i = \sum_o B^l_{oi}$ that of the node it starts
    from. A node that does not vary gives its edges no score, unless they cancel each other: then N counts as the rounding error
    of their sum.

    Args:
        model: `KAN` or an `nn.Sequential` of `KANLinear`.
        x: the data, `(N, in)`.
        outputs: scores of the outputs, `(out,)`; ones when None.

    Raises:
        ValueError: the model is no stack of dense KAN layers; `outputs` has another shape.

    Reference:
        Liu et al., KAN 2.0: Kolmogorov-Arnold networks meet science, arXiv:2408.10205.

    Example:
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> scores = attribution(KAN([2, 5, 1], basis=Chebyshev), torch.randn(100, 2))
        >>> [tuple(nodes.shape) for nodes in scores.nodes], tuple(scores.edges[0].shape)
        ([(2,), (5,), (1,)], (5, 2))
    """
    stack = dense_stack(model)
    last = stack.layers[-1].weight
    score = last.new_ones(stack.widths[-1]) if outputs is None else outputs.to(last)
    if score.shape != (stack.widths[-1],):
        raise ValueError(f"outputs must have the shape {(stack.widths[-1],)}, got {tuple(score.shape)}")
    names = {layer: name for name, layer in kan_layers(model).items()}
    seen = layer_inputs(model, x)
    nodes = [score]
    edges: list[Tensor] = []
    for layer in reversed(stack.layers):
        rows = seen[names[layer]]
        edge = magnitude(layer, rows, "std").T
        node = _spread(torch.cat([edge_values(layer, part).sum(1) for part in in_chunks(layer, rows)]))
        # Rounding of a sum of edges that cancel: no smaller number means anything.
        node = node.maximum(torch.finfo(node.dtype).eps * edge.sum(1))
        share = edge / node.where(node > 0, 1).unsqueeze(1)
        edges.insert(0, nodes[0].unsqueeze(1) * share)
        nodes.insert(0, edges[0].sum(0))
    nodes[0] = stack.all_inputs(nodes[0])
    return Attribution(edges, nodes)


@torch.no_grad()
def magnitude(layer: KANLayer, x: Tensor, metric: Metric = "std") -> Tensor:
    """Return how much each edge of a layer gives over inputs `(N, in)`: `(in, E)`; see `edge_magnitudes`."""

    def mean(values: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.stack([values(edge_values(layer, part)).sum(0) for part in in_chunks(layer, x)]).sum(0) / len(x)

    if metric == "mean_abs":
        return mean(torch.abs)
    center = mean(lambda values: values)
    return mean(lambda values: (values - center).square()).sqrt()


def _spread(values: Tensor) -> Tensor:
    return (values - values.mean(0)).square().mean(0).sqrt()
