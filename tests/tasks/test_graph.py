import os
from functools import partial
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Generator, Tensor

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.registry import Plugin
from kanzoo.signature import arguments, check_values, class_constant
from kanzoo.task import Optimization, Task
from kanzoo.testing.task import check_task
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_tasks.data.graph_sources import cycle_sources, graph_sources
from kanzoo_tasks.graph import Graph
from kanzoo_tasks.graph_regression import GraphRegression
from kanzoo_tasks.packed_graphs import PackedGraphs

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None
needs_data = pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")
PLUGIN = Plugin("task", "graph", "kanzoo_tasks.graph:Graph", "kanzoo", "0")
CYCLES = Plugin("task", "graph_regression", "kanzoo_tasks.graph_regression:GraphRegression", "kanzoo", "0")
DEFAULTS = {name: argument.default for name, argument in arguments(PLUGIN).items()}


def prepared(task: Task, layers: Layers | None = None, seed: int = 0) -> Task:
    task.prepare(layers or PlainLayers(generator=Generator().manual_seed(0)), data_dir=DATA, seed=seed)
    return task


@pytest.mark.parametrize(
    "given",
    [
        {"dataset": "karate", "network": "gcn"},
        {"dataset": "karate", "network": "gat", "heads": 4},
        {"dataset": "sbm", "network": "sage"},
        {"dataset": "mutag", "network": "gin", "norm": True, "hidden": [8, 8]},
    ],
    ids=str,
)
def test_conformance(given: dict[str, object]) -> None:
    check_task("graph", given)


@pytest.mark.parametrize("cycle", ["triangle", "square"])
def test_conformance_of_cycles(cycle: str) -> None:
    check_task("graph_regression", {"cycle": cycle, "num_train": 40, "num_test": 20, "hidden": [8]})


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cora", "citeseer", "proteins", "nci1"])
def test_conformance_on_files(dataset: str) -> None:
    check_task("graph", {"dataset": dataset, "hidden": [8]}, DATA)


def test_the_schema_is_read_from_the_source() -> None:
    assert class_constant(PLUGIN, "sources") == Graph.sources
    assert class_constant(CYCLES, "sources") == GraphRegression.sources
    for values, message in [({"dataset": "core"}, "one of karate, cora"), ({"dropout": 1.0}, "< 1"), ({"hidden": [0]}, ">= 1")]:
        with pytest.raises(InvalidInput, match=message):
            check_values(arguments(PLUGIN), values, "task.")
        with pytest.raises(ValueError, match=message):
            Graph(**values)  # type: ignore[arg-type]


def test_heads_that_do_not_fit_are_refused() -> None:
    wrong = {"network": "gat", "heads": 3, "hidden": [8]}
    for refuse in (lambda: graph_sources(DEFAULTS | wrong, None), lambda: cycle_sources(wrong, None), lambda: Graph(**wrong)):
        with pytest.raises(InvalidInput, match=r"task\.hidden must be multiples of task\.heads 3, got \[8\]"):
            refuse()
    assert len(graph_sources(DEFAULTS | wrong | {"network": "gcn"}, None)) == 64


def test_sources() -> None:
    digests = [graph_sources(DEFAULTS | {"dataset": dataset}, None) for dataset in ("karate", "mutag", "sbm")]
    assert [len(digest) for digest in digests] == [64, 64, 7]
    assert digests[0] != digests[1]
    assert digests[1] == graph_sources(DEFAULTS | {"dataset": "mutag"}, DATA)
    assert cycle_sources({"network": "gin", "heads": 1, "hidden": []}, None) == "formula"


def test_a_sample_of_nodes_is_a_number() -> None:
    task = prepared(Graph(dataset="karate"))
    batch = task.data.test[:5]
    x, ends = task.inputs(batch)
    assert x.layout is torch.sparse_coo
    assert x.shape == (34, 34)
    assert ends.shape == (2, 156)
    task.eval()
    _, logits, target = task.loss(batch)
    torch.testing.assert_close(logits, task(x, ends)[batch[0]])
    assert torch.equal(target, batch[1])


def test_a_batch_of_graphs_is_looked_up() -> None:
    task = prepared(Graph(dataset="mutag", network="gin", hidden=[8]))
    assert isinstance(task, Graph)
    graphs = task.graphs
    index = torch.tensor([5, 2, 2, 180])
    x, ends, batch = task.inputs((index, index))
    for place, number in enumerate(index.tolist()):
        own = slice(*graphs.first_node[number : number + 2].tolist())
        edges = slice(*graphs.first_edge[number : number + 2].tolist())
        assert torch.equal(x[batch == place], graphs.x[own])
        start = int((batch < place).sum())
        assert torch.equal(ends[:, batch[ends[0]] == place] - start, graphs.edges[:, edges])
    task.eval()
    alone = torch.cat([task(*task.inputs((number[None],))) for number in index])
    torch.testing.assert_close(task(x, ends, batch), alone)


def test_graphs_without_edges_are_looked_up() -> None:
    import numpy as np

    from kanzoo_tasks.data.graph import pack

    none = np.zeros((2, 0), dtype=int)
    graphs = PackedGraphs(pack([[0], [1, 1], [0]], [none, np.array([[0, 1], [1, 0]]), none], np.array([0, 1, 0])))
    x, ends, batch = graphs.pick(torch.tensor([0, 1, 2]))
    assert batch.tolist() == [0, 1, 1, 2]
    assert ends.tolist() == [[1, 2], [2, 1]]
    assert x.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert graphs.pick(torch.tensor([2]))[1].shape == (2, 0)
    assert not graphs.state_dict()


def test_cycles_are_standardised_and_told_in_cycles() -> None:
    task = prepared(GraphRegression(num_train=100, num_test=20))
    assert [len(part) for part in (task.data.train, task.data.validation, task.data.test)] == [100, 20, 20]
    y = task.data.train.tensors[1]
    torch.testing.assert_close((y.mean(), y.std()), (torch.tensor(0.0), torch.tensor(1.0)), atol=1e-5, rtol=1e-5)
    target = task.loss(task.data.test.tensors)[2]
    torch.testing.assert_close(target, target.round(), atol=1e-3, rtol=0)
    other = prepared(GraphRegression(num_train=50, num_test=20))
    assert torch.equal(other.loss(other.data.test.tensors)[2].round(), target.round())  # of the same test graphs


def test_the_public_split_is_the_same_for_every_seed() -> None:
    assert Graph(dataset="cora").official_split
    assert not Graph(dataset="mutag").official_split


def fitted(task: Task, epochs: int, folder: Path, **options: object) -> dict[str, Tensor]:
    task.optimization = Optimization(**options)  # type: ignore[arg-type]
    trainer = Trainer(
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=folder,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator().manual_seed(0)
        trainer.fit(task, task.train_loader(task.data.train, generator), task.evaluation_loader(task.data.validation))
        trainer.test(task, task.evaluation_loader(task.data.test), verbose=False)
    return trainer.callback_metrics


LIGHTNING = [
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),  # Lightning 2.6.6, torch 2.14
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # Lightning: the data are tensors in memory
    pytest.mark.filterwarnings("ignore:.*number of training batches.*smaller than the logging interval"),  # one full batch
]


def with_marks(function):  # type: ignore[no-untyped-def]
    for mark in [pytest.mark.slow, *LIGHTNING]:
        function = mark(function)
    return function


@with_marks
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("network", ["gcn", "gat", "sage", "gin"])
def test_training_finds_classes(plain: bool, network: str, tmp_path: Path) -> None:
    generator = Generator().manual_seed(0)
    layers = PlainLayers(generator=generator) if plain else KANLayers(partial(Chebyshev, degree=3), generator=generator)
    task = prepared(Graph(dataset="sbm", network=network, norm=network == "gin"), layers)  # type: ignore[arg-type]
    found = fitted(task, 60, tmp_path, lr=1e-2, weight_decay=5e-4, batch_size=0)
    assert float(found["test/accuracy"]) > 0.6  # chance is 0.25


@with_marks
@pytest.mark.parametrize("plain", [True, False])
def test_training_counts_cycles(plain: bool, tmp_path: Path) -> None:
    generator = Generator().manual_seed(0)
    layers = PlainLayers(generator=generator) if plain else KANLayers(partial(Chebyshev, degree=3), generator=generator)
    task = prepared(GraphRegression(num_train=200, num_test=50), layers)
    found = fitted(task, 20, tmp_path, lr=1e-2, batch_size=40)
    assert float(found["test/r2"]) > 0.8


@with_marks
@needs_data
def test_cora_reaches_the_published_figure(tmp_path: Path) -> None:
    """Kipf and Welling report 81.5 %."""
    task = prepared(Graph(dataset="cora", network="gcn", hidden=[16]))
    found = fitted(task, 200, tmp_path, lr=1e-2, weight_decay=5e-4, batch_size=0)
    assert float(found["test/accuracy"]) > 0.79
