"""Shapes of networks as trees of sums and products, and the networks that have them."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.inspect.formula.mult import Affine, Multiply
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer, identity, numeric_layer
from kanzoo.layers.expansion import Residual
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.squash import Squash

_BENT = 0.1  # first edges are nearly straight: of many ways to bend, those that data asks for remain


@dataclass(frozen=True)
class Node:
    """A node: the sum or the product of functions of one child each.

    Attributes:
        kind: `sum` or `product`.
        children: numbers of inputs, or nodes.
    """

    kind: Literal["sum", "product"]
    children: tuple["int | Node", ...]

    @property
    def height(self) -> int:
        """Layers below and at this node."""
        return 1 + max(child.height if isinstance(child, Node) else 0 for child in self.children)

    def __str__(self) -> str:
        """Write f(...) for each edge."""
        sign = " + " if self.kind == "sum" else " * "
        return sign.join(f"f(x{child + 1})" if isinstance(child, int) else f"f({child})" for child in self.children)


def edges_of(node: Node) -> int:
    """Count the edge functions of a shape."""
    return len(node.children) + sum(edges_of(child) for child in node.children if isinstance(child, Node))


def inputs_of(node: Node) -> set[int]:
    """Return the inputs that a shape uses."""
    return {index for child in node.children for index in (inputs_of(child) if isinstance(child, Node) else {child})}


def build(
    root: Node,
    in_features: int,
    basis: BasisFactory,
    units: Affine,
    *,
    squash: Squash = "tanh",
    residual: Residual = "identity",
    generator: Generator | None = None,
) -> list[nn.Module]:
    """Return a stack of layers, `SymbolicLayer` and `Multiply`, in the shape of a tree, its edges numerical and at random.

    A value that a higher node needs is passed on by fixed identities, so that the network is made of layers.
    """
    stack: list[nn.Module] = []
    for number, level in enumerate(levels(root, in_features)):
        stack.append(_layer(level, basis, units if number == 0 else None, squash, residual, generator))
        if level.is_product:
            stack.append(Multiply(level.groups))
    return stack


@dataclass(frozen=True)
class Level:
    """One layer of a tree: how many inputs and outputs, which edges, and which outputs are multiplied.

    Attributes:
        fan_in: inputs.
        fan_out: outputs.
        edges: output, input, and the node and position of the child whose edge it is; None for a value that is passed on.
        groups: outputs that form each product; of one alone, no product.
    """

    fan_in: int
    fan_out: int
    edges: tuple[tuple[int, int, tuple[Node, int] | None], ...]
    groups: tuple[tuple[int, ...], ...]

    @property
    def is_product(self) -> bool:
        """Whether any outputs are multiplied."""
        return any(len(group) > 1 for group in self.groups)


def levels(root: Node, in_features: int) -> list[Level]:
    """Lay a tree out in layers: an edge stands as low as it can, and its value is passed on to its node."""
    found: list[Level] = []
    below: list[object] = list(range(in_features))  # an input, a node, or the factor (node, position) that waits for its node
    for height in range(1, root.height + 1):
        incoming: dict[object, list[tuple[object, tuple[Node, int] | None]]] = {}
        for node in _nodes(root):
            for position, child in enumerate(node.children):
                start: object = child if isinstance(child, int) else _Key(child)
                applied = 1 if isinstance(child, int) else child.height + 1
                waiting = (_Key(node), position)
                target: object = _Key(node) if node.height == height else waiting
                if applied == height:
                    incoming.setdefault(target, []).append((start, (node, position)))
                elif applied < height <= node.height:
                    incoming.setdefault(target, []).append((waiting, None))
        edges: list[tuple[int, int, tuple[Node, int] | None]] = []
        groups: list[tuple[int, ...]] = []
        slots = 0
        for target, sources in incoming.items():
            is_product = isinstance(target, _Key) and target.node.kind == "product"
            group = tuple(range(slots, slots + (len(sources) if is_product else 1)))
            edges += [(group[index if is_product else 0], below.index(start), place) for index, (start, place) in enumerate(sources)]
            groups.append(group)
            slots += len(group)
        found.append(Level(len(below), slots, tuple(edges), tuple(groups)))
        below = list(incoming)
    return found


@dataclass(frozen=True, eq=False)
class _Key:
    """A node by identity: two equal subtrees are two nodes."""

    node: Node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.node is self.node

    def __hash__(self) -> int:
        return id(self.node)


def _nodes(root: Node) -> list[Node]:
    found = [root]
    for child in root.children:
        if isinstance(child, Node):
            found += _nodes(child)
    return found


def _layer(
    level: Level, basis: BasisFactory, units: Affine | None, squash: Squash, residual: Residual, generator: Generator | None
) -> SymbolicLayer:
    layer = KANLinear(level.fan_in, level.fan_out, basis, squash=squash, residual=residual, generator=generator)
    mask = torch.zeros(level.fan_out, level.fan_in, dtype=torch.bool)
    for output, start, place in level.edges:
        mask[output, start] = place is not None
    layer.mask_edges(mask)
    with torch.no_grad():
        layer.weight.mul_(_BENT)
        if layer.residual_weight is not None:
            size = 0.25 + 0.25 * torch.rand(layer.residual_weight.shape, generator=generator)
            layer.residual_weight.copy_(torch.where(torch.rand(size.shape, generator=generator) > 0.5, size, -size))
        assert layer.bias is not None
        for group in level.groups:
            if len(group) > 1:
                layer.bias[list(group)] = 1.0  # a product of numbers near 1 learns; near 0 it does not
    made = numeric_layer(layer, units)
    numeric = made.numeric if bool(mask.any()) else None
    passed, free = passed_on(level)
    bias: Tensor = made.bias.detach() * free
    return SymbolicLayer(
        level.fan_in, level.fan_out, passed, bias=bias, free_bias=free, numeric=numeric, units=None if numeric is None else units
    )


def passed_on(level: Level) -> tuple[list[Edge], Tensor]:
    """Return the identities of a level, and which outputs have a bias: those that an edge function ends in."""
    free = torch.zeros(level.fan_out, dtype=torch.bool)
    free[[output for output, _, place in level.edges if place is not None]] = True
    return [identity(output, start) for output, start, place in level.edges if place is None], free
