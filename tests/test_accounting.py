"""What a sample costs is the hand count, comes with every row, and measuring it changes nothing."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kanzoo import accounting, construction, experiment
from kanzoo.config import compose
from kanzoo.models import num_parameters
from kanzoo.operations import TRANSCENDENTAL, operations
from kanzoo.place import Place
from kanzoo.task import Task
from kanzoo.tracking import Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def built(config: str, *overrides: str) -> Task:
    (cell,) = compose(config, overrides)
    return construction.build(cell)


def test_the_row_of_a_run_has_the_hand_count_of_its_mlp(tiny: str, uri: str) -> None:
    (cell,) = compose(tiny, ["model.name=baseline", "task.hidden=[7, 3]"])
    row = experiment.run(cell, Place(uri, "experiment"))
    products, silus = 1 * 7 + 7 * 3 + 3 * 1, 7 + 3
    assert row.operations == 2 * products + silus * (TRANSCENDENTAL + 2)
    assert 0 < row.latency_ms < 1e3
    metrics = Tracker(uri).run(row.run_id).data.metrics
    assert (metrics["operations"], metrics["latency_ms"]) == (row.operations, pytest.approx(row.latency_ms))
    assert Tracker(uri).rows() == [row]


def test_the_page_tells_what_is_measured() -> None:
    """Operations and sizes do not depend on what is learnt."""
    page = (Path(__file__).parents[1] / "docs" / "accounting.md").read_text(encoding="utf-8")
    rows = [[value.strip() for value in line.split("|")[1:-1]] for line in page.partition("`model/width`")[2].splitlines()]
    rows = [row for row in rows if len(row) == 7 and row[0] in ("bspline", "chebyshev", "mlp")]
    assert len(rows) == 3
    for model, parameters, deviation, width, coefficients, cost, _ in rows:
        (cell,) = compose("feynman", ["model.parameters=500", "model.name=baseline" if model == "mlp" else f"basis.name={model}"])
        task, figures = construction.build_sized(cell)
        counts = num_parameters(task.model)
        assert (int(parameters), int(coefficients)) == (sum(counts.values()), counts.get("coefficients", 0))
        assert float(deviation) == pytest.approx(figures["model/parameters_deviation"], abs=5e-4)
        assert float(width) == figures["model/width"]
        assert int(cost) == accounting.measure(task).operations


def test_graphs_count_by_the_graph_and_nodes_by_the_whole_one() -> None:
    nodes = built("karate", "model.name=baseline")
    assert accounting.measure(nodes).operations == operations(nodes.model.eval(), *nodes.inputs(nodes.data.test[:1]))
    graphs = built("cycles", "model.name=baseline", "task.num_train=20", "task.num_test=50")
    shared = operations(graphs.model.eval(), *graphs.inputs(graphs.data.test[:32])) / 32
    assert accounting.measure(graphs).operations == round(shared)


class Restless(nn.Module):
    """A network that draws, counts its calls and keeps what it saw, also in evaluation mode."""

    calls: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.add_(0.1)
        return self.model(x) * torch.rand(())  # type: ignore[no-any-return]


def test_nothing_changes(tiny: str) -> None:
    task = built(tiny, "model.norm=batch")
    task.model = Restless(task.model)
    task.model.model[0].eval()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    modes = [module.training for module in task.modules()]
    random = torch.get_rng_state()
    cost = accounting.measure(task)
    assert cost.operations > 0
    assert cost.latency_ms > 0
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in task.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


def test_a_network_that_cannot_be_measured_keeps_its_score(
    tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(accounting, "operations", fail)
    monkeypatch.setattr(accounting.statistics, "median", fail)
    (cell,) = compose(tiny)
    row = experiment.run(cell, Place(uri, "experiment"))
    assert (row.status, row.operations) == ("FINISHED", 0)
    assert math.isnan(row.latency_ms)
    assert math.isfinite(row.score)
    assert "operations are not measured: RuntimeError: not today" in caplog.text
    assert "the latency is not measured: RuntimeError: not today" in caplog.text
    assert not {"operations", "latency_ms"} & Tracker(uri).run(row.run_id).data.metrics.keys()


def test_the_eager_network_is_measured(tiny: str) -> None:
    task = built(tiny)

    def compiled(x: Tensor) -> Tensor:
        raise AssertionError

    task._network = [compiled]
    assert accounting.measure(task).operations > 0


def test_the_latency_is_the_median_after_the_warm_up(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of 9, 7, 5, 2, 1, 3, ... ms by a clock that only they move."""
    task, now, took = built(tiny), [0.0], [9.0, 7.0, 5.0, 2.0, 1.0, 3.0] + [2.0] * 100

    class Slow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            now[0] += took.pop(0) / 1e3
            return x

    task.model = Slow()
    monkeypatch.setattr(accounting.copy, "deepcopy", lambda model: model)
    monkeypatch.setattr(accounting.time, "perf_counter", lambda: now[0])
    assert accounting._latency_ms(task, "cpu") == pytest.approx(2.0)
    assert 0.05 <= now[0] < 0.053
