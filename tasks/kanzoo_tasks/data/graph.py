"""Graphs as packed arrays, and the checks that all of them pass."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data.parts import Part, Parts

Array = NDArray[Any]


@dataclass(frozen=True)
class Graphs:
    """One graph or many, one behind the other: graph g has the nodes `first_node[g]` to `first_node[g + 1]`, and edges likewise.

    Attributes:
        x: features of the nodes `(nodes, features)`, float32.
        edges: `(2, edges)`, from row 0 to row 1, both ways where undirected; nodes are counted from 0 in each graph.
        first_node: `(graphs + 1,)`.
        first_edge: `(graphs + 1,)`.
        y: a class or number of each node of the one graph, or of each graph.
    """

    x: Array
    edges: Array
    first_node: Array
    first_edge: Array
    y: Array

    def __len__(self) -> int:
        """Return the number of graphs."""
        return len(self.first_node) - 1

    def digest(self) -> str:
        """Return the sha256 of all arrays."""
        whole = hashlib.sha256()
        for array in (self.x, self.edges, self.first_node, self.first_edge, self.y):
            whole.update(f"{array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()

    def part(self, index: Array) -> Part:
        """Return samples, which are numbers of nodes or of graphs, with their targets."""
        return Part(np.asarray(index, dtype=np.int64), self.y[index])


def one_graph(x: Array, edges: Array, y: Array) -> Graphs:
    """Return a single graph with a target for each node."""
    return Graphs(x.astype(np.float32), edges.astype(np.int64), np.array([0, len(x)]), np.array([0, edges.shape[1]]), y)


def pack(tags: list[list[int]], edges: list[Array], y: Array) -> Graphs:
    """Return graphs whose nodes have tags, which become one-hot features in the order of their numbers.

    Args:
        tags: a tag of each node, graph by graph.
        edges: `(2, edges)` of each graph.
        y: a target of each graph.
    """
    kinds, place = np.unique(np.concatenate([np.asarray(own, dtype=np.int64) for own in tags]), return_inverse=True)
    return pack_features(np.eye(len(kinds), dtype=np.float32)[place], [len(own) for own in tags], edges, y)


def pack_features(x: Array, sizes: list[int], edges: list[Array], y: Array) -> Graphs:
    """Return graphs from the features of all nodes, the number of nodes and the edges of each graph, and targets."""
    first_node = np.concatenate([[0], np.cumsum(sizes)])
    first_edge = np.concatenate([[0], np.cumsum([own.shape[1] for own in edges])])
    return Graphs(x.astype(np.float32), np.concatenate(edges, axis=1).astype(np.int64), first_node, first_edge, y)


def check(graphs: Graphs, name: str) -> Graphs:
    """Return the graphs when a network can be fitted to them; nodes and whole graphs without edges are fine.

    Raises:
        InvalidInput: there is no graph, or one without nodes; an edge ends at no node of its graph; a feature or target is not finite;
            there is one class, or all targets are equal.
    """
    sizes = np.diff(graphs.first_node)
    if not len(sizes) or sizes.min() < 1:
        what = "no graph" if not len(sizes) else f"none in graph {int(sizes.argmin())}"
        raise InvalidInput(f"task.dataset {name!r} must have graphs of one node or more, got {what}")
    limit = np.repeat(sizes, np.diff(graphs.first_edge))
    wrong = np.flatnonzero(((graphs.edges < 0) | (graphs.edges >= limit)).any(axis=0))
    if len(wrong):
        graph = int(np.searchsorted(graphs.first_edge, wrong[0], side="right")) - 1
        ends = graphs.edges[:, wrong[0]].tolist()
        raise InvalidInput(f"task.dataset {name!r} must have edges between its nodes 0 to {sizes[graph] - 1} in graph {graph}, got {ends}")
    for what, values in (("features", graphs.x), ("targets", graphs.y)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            value = values[tuple(bad[0])]
            raise InvalidInput(f"task.dataset {name!r} must have finite {what}, got {value} in row {bad[0][0]}")
    if len(graphs.y) == 0 or (graphs.y == graphs.y[0]).all():
        kind = "classes" if graphs.y.dtype.kind == "i" else "target values"
        raise InvalidInput(f"task.dataset {name!r} must have two {kind} or more, got {graphs.y[:1].tolist()} alone")
    return graphs


def label_some(graphs: Graphs, train: int, validation: int, seed: int) -> Parts:
    """Return so many nodes of each class, drawn by the seed, for training and for validation, and the others for test."""
    generator = np.random.default_rng(seed)
    rows = [generator.permutation(np.flatnonzero(graphs.y == label)) for label in np.unique(graphs.y)]
    cuts = [np.split(own, [train, train + validation]) for own in rows]
    return Parts(*(graphs.part(np.concatenate(own)) for own in zip(*cuts, strict=True)))


def fold(graphs: Graphs, seed: int, folds: int = 10) -> Parts:
    """Return a stratified fold: seed s has fold s % 10 of partition s // 10, so that seeds 0 to 9 are one full cross-validation.

    The next fold, a ninth of the rest, is for validation.
    """
    generator = np.random.default_rng(seed // folds)
    rows = np.concatenate([generator.permutation(np.flatnonzero(graphs.y == label)) for label in np.unique(graphs.y)])
    number = np.arange(len(rows)) % folds
    test, validation = number == seed % folds, number == (seed + 1) % folds
    return Parts(*(graphs.part(np.sort(rows[chosen])) for chosen in (~test & ~validation, validation, test)))
