"""Molecules and proteins of the TU collection: MUTAG inside the package grakel, PROTEINS and NCI1 as text files."""

from pathlib import Path
from typing import Literal

import numpy as np

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data.graph import Array, Graphs, pack
from kanzoo_tasks.data.table import bundled_file

Name = Literal["mutag", "proteins", "nci1"]


def read(dataset: Name, data_dir: Path | None) -> Graphs:
    """Return the graphs with their tags as one-hot features, and classes 0, 1, ... in the order of their labels.

    MUTAG always comes from grakel, so that folds are the same everywhere: other copies have the same graphs in another order.

    Raises:
        InvalidInput: a file is missing or damaged.

    Reference:
        Morris et al., TUDataset, arXiv:2007.08663.
    """
    if dataset == "mutag":
        return read_folder("MUTAG", *(bundled_file("grakel", f"tests/data/MUTAG/MUTAG_{part}.txt") for part in FOLDER_PARTS))
    name = f"{dataset.upper()}.txt"
    hint = (
        f"Set KANZOO_DATA to a folder that holds TUDataset/{name} "
        f"(github.com/muhanzhang/pytorch_DGCNN, data/{dataset.upper()}/{name}), or take task.dataset=mutag, which is inside grakel."
    )
    if data_dir is None:
        raise InvalidInput(f"task.dataset {dataset!r} must find TUDataset/{name} in the folder of data, got no folder", hint)
    path = data_dir / "TUDataset" / name
    if not path.is_file():
        raise InvalidInput(f"task.dataset {dataset!r} must find the file {path}, got none", hint)
    return read_text(path)


def read_text(path: Path) -> Graphs:
    """Read a text file: the number of graphs; of each a line `n label`, then n lines `tag degree neighbour neighbour ...`.

    Raises:
        InvalidInput: a line is not like that, or some are missing.
    """
    rows = _rows(path)
    if not rows or len(rows[0]) != 1:
        raise _wrong(path, 1, "the number of graphs")
    tags, edges, labels, line = [], [], [], 1
    for _ in range(rows[0][0]):
        if line >= len(rows) or len(rows[line]) != 2:
            raise _wrong(path, line + 1, "the number of nodes and the label of a graph")
        size, label = rows[line]
        nodes = rows[line + 1 : line + 1 + size]
        for place, node in enumerate(nodes):
            if len(node) < 2 or node[1] != len(node) - 2:
                raise _wrong(path, line + 2 + place, "a tag, a degree and so many neighbours")
        if len(nodes) < size:
            raise _wrong(path, len(rows) + 1, "a tag, a degree and so many neighbours")
        pairs = [(other, place) for place, node in enumerate(nodes) for other in node[2:]]
        tags.append([node[0] for node in nodes])
        edges.append(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)
        labels.append(label)
        line += 1 + size
    if line != len(rows):
        raise _wrong(path, line + 1, f"the end after {rows[0][0]} graphs")
    return pack(tags, edges, _classes(labels))


FOLDER_PARTS = ("A", "graph_indicator", "node_labels", "graph_labels")


def read_folder(name: str, pairs: Path, graph_of_node: Path, node_labels: Path, graph_labels: Path) -> Graphs:
    """Read the four files of the collection: edges `from, to`, graph of each node, tag of each node, label of each graph; from 1 on.

    Raises:
        InvalidInput: the files do not belong together.
    """
    edges = np.array(_rows(pairs, ","), dtype=np.int64).reshape(-1, 2).T - 1
    graph, tag, label = (np.array(_rows(path), dtype=np.int64).reshape(-1) for path in (graph_of_node, node_labels, graph_labels))
    graph = graph - 1
    sorted_ = len(graph) > 0 and (np.diff(graph) >= 0).all() and graph[0] >= 0 and graph[-1] == len(label) - 1
    if len(tag) != len(graph) or not sorted_:
        raise InvalidInput(f"{graph_of_node} must number {len(tag)} nodes by {len(label)} graphs in order, got {len(graph)} lines")
    if edges.size and not (edges.min() >= 0 and edges.max() < len(graph) and (graph[edges[0]] == graph[edges[1]]).all()):
        raise InvalidInput(f"{pairs} must join nodes of one graph, numbered from 1 to {len(graph)}, got others in {name}")
    first = np.searchsorted(graph, np.arange(len(label) + 1))
    edges = edges[:, np.argsort(graph[edges[0]], kind="stable")]
    owner = graph[edges[0]]
    cuts = np.searchsorted(owner, np.arange(1, len(label)))
    return pack([part.tolist() for part in np.split(tag, first[1:-1])], np.split(edges - first[owner], cuts, axis=1), _classes(label))


def _classes(labels: list[int] | Array) -> Array:
    found: Array = np.unique(np.asarray(labels, dtype=np.int64), return_inverse=True)[1]
    return found.astype(np.int64)


def _rows(path: Path, separator: str | None = None) -> list[list[int]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} must be text, got bytes that are not UTF-8") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append([int(word) for word in line.split(separator)])
        except ValueError:
            raise _wrong(path, number, "whole numbers", line) from None
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _wrong(path: Path, line: int, rule: str, text: str = "") -> InvalidInput:
    got = repr(text[:40]) if text else "something else"
    return InvalidInput(f"{path} must have {rule} in line {line}, got {got}", "The file is damaged or cut off: fetch it anew.")
