"""What the tasks on graphs rest on: checked before torch is imported, and named by a digest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import planetoid, synthetic_graph, tu
from kanzoo_tasks.data.graph import Graphs, check, fold, label_some
from kanzoo_tasks.data.parts import Parts

Name = Literal["karate", "cora", "citeseer", "sbm", "mutag", "proteins", "nci1"]

#: Data sets whose samples are nodes of one graph; those of the others are graphs.
OF_NODES = ("karate", "cora", "citeseer", "sbm")


def graph_sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the digest of the data of a `Graph`.

    Args:
        arguments: all arguments of the task.
        data_dir: where data sets lie, or None.

    Raises:
        InvalidInput: a file is missing or damaged, or the network is impossible.
    """
    check_heads(arguments["network"], arguments["hidden"], arguments["heads"])
    dataset = arguments["dataset"]
    if dataset in ("cora", "citeseer"):
        return planetoid.identity(dataset, data_dir)
    return "formula" if dataset == "sbm" else read(dataset, data_dir, 0)[0].digest()


def cycle_sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the word `formula`, the digest of the data of a `GraphRegression`.

    Raises:
        InvalidInput: the network is impossible.
    """
    check_heads(arguments["network"], arguments["hidden"], arguments["heads"])
    return "formula"


def check_heads(network: str, hidden: Sequence[int], heads: int) -> None:
    """Raise InvalidInput when a hidden layer of `gat` cannot be shared by its heads."""
    if network == "gat" and any(width % heads for width in hidden):
        raise InvalidInput(f"task.hidden must be multiples of task.heads {heads}, got {list(hidden)}")


def read(dataset: Name, data_dir: Path | None, seed: int) -> tuple[Graphs, Parts]:
    """Return the graphs of a data set and its parts: the numbers of nodes, or of graphs, with their classes.

    Cora and CiteSeer have their public split. Of the karate club 2 members of each side are for training and 4 for validation; of the
    block model 10 and 15 of each class. Sets of graphs are split as in `kanzoo_tasks.data.graph.fold`.

    Raises:
        InvalidInput: a file is missing or damaged, or its graphs cannot be learnt.
    """
    if dataset == "cora" or dataset == "citeseer":
        graphs, parts = planetoid.read(dataset, data_dir)
        return check(graphs, dataset), parts
    if dataset == "karate" or dataset == "sbm":
        graphs = check(synthetic_graph.karate() if dataset == "karate" else synthetic_graph.block_model(seed), dataset)
        return graphs, label_some(graphs, *((2, 4) if dataset == "karate" else (10, 15)), seed=seed)
    graphs = check(tu.read(dataset, data_dir), dataset)
    return graphs, fold(graphs, seed)
