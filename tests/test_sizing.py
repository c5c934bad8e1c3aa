"""The width solved for a budget is the best of all widths, and the network is the one of that width."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanzoo import cli, construction, experiment, sizing
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.models import DenseNet, num_parameters
from kanzoo.place import Place
from kanzoo.task import Task
from kanzoo.tracking import Tracker
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_tasks.regression import Regression

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

#: Widths of these have exact halves at common factors: 0.375 times 4 and 12.
HIDDEN = [[5], [4, 12], [3, 7], [16, 16]]


def mlp_size(inputs: int, hidden: list[int], layers: Layers) -> int:
    widths = [inputs, *map(layers.scaled, hidden), 1]
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))


def size_of(task: Task) -> int:
    return sum(num_parameters(task.model).values())


@given(st.sampled_from(HIDDEN), st.integers(1, 9), st.integers(0, 600))
def test_no_factor_comes_nearer(hidden: list[int], inputs: int, more: int) -> None:
    def count(layers: Layers) -> int:
        return mlp_size(inputs, hidden, layers)

    smallest = mlp_size(inputs, [1] * len(hidden), PlainLayers())
    budget = smallest + more
    size = sizing.solve(count, PlainLayers(), budget)
    largest = 2 * size.width + 1
    halves = [(step + 0.5) / width for width in hidden for step in range(int(largest * width))]
    counts = np.array([count(PlainLayers(width=factor + shift)) for factor in halves for shift in (-1e-9, 0.0, 1e-9)])
    assert abs(size.parameters - budget) == abs(counts - budget).min()
    assert size.parameters == counts[abs(counts - budget) == abs(counts - budget).min()].min()
    assert size.parameters == count(PlainLayers(width=size.width))
    assert size.deviation == (size.parameters - budget) / budget


def test_each_width_is_counted_once() -> None:
    seen: list[tuple[int, ...]] = []

    def count(layers: Layers) -> int:
        seen.append((layers.scaled(8), layers.scaled(20)))
        return mlp_size(3, [8, 20], layers)

    sizing.solve(count, PlainLayers(), 5000)
    tried = seen[1:]  # the first tells which widths are asked for
    assert len(tried) == len(set(tried))
    assert len(tried) < 20


def test_the_factor_is_a_short_number() -> None:
    size = sizing.solve(lambda layers: mlp_size(2, [5], layers), PlainLayers(), 4 * 17 + 1)
    assert (size.width, size.parameters, size.deviation) == (3.4, 69, 0.0)


def test_what_stops_growing_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"model\.parameters must be <= 18, where .* no longer grows with its width, got 60"):
        sizing.solve(lambda layers: 3 * min(6, layers.scaled(2)), PlainLayers(), 60)


def test_networks_that_are_tried_leave_generators_alone() -> None:
    task, generator = Regression(formula="x1 * x2", hidden=[4]), torch.Generator().manual_seed(5)
    before = torch.get_rng_state()
    size = sizing.prepare(task, KANLayers(Chebyshev, generator=generator), 300, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    other = DenseNet(KANLayers(Chebyshev, width=size.width, generator=torch.Generator().manual_seed(5)), [2, 4, 1])
    assert all(torch.equal(one, two) for one, two in zip(task.model.parameters(), other.parameters(), strict=True))
    assert "build_model" not in vars(task)


@pytest.mark.parametrize(
    ("config", "budget", "overrides"),
    [
        ("tiny", 400, ("basis.name=bspline",)),
        ("tiny", 400, ("model.name=baseline",)),
        ("digits_conv", 6000, ("basis.name=chebyshev",)),
        ("digits_conv", 6000, ("model.name=baseline", "model.norm=layer")),
        ("karate", 2000, ("basis.name=chebyshev", "task.network=gat", "task.heads=2")),
        ("cycles", 3000, ("basis.name=chebyshev", "task.num_train=20", "task.num_test=10")),
        ("continual_digits", 9000, ("basis.name=chebyshev",)),
        ("continual_peaks", 100, ("model.name=baseline",)),
    ],
    ids=str,
)
def test_the_network_is_that_of_the_width(tiny: str, config: str, budget: int, overrides: tuple[str, ...]) -> None:
    source = tiny if config == "tiny" else config
    (cell,) = compose(source, [*overrides, f"model.parameters={budget}", "seed=3"])
    task, figures = construction.build_sized(cell)
    (plain,) = compose(source, [*overrides, f"model.width={figures['model/width']}", "seed=3"])
    other = construction.build(plain)
    one, two = task.model.state_dict(), other.model.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert figures["model/parameters_deviation"] == (size_of(task) - budget) / budget
    for factor in (figures["model/width"] + shift for shift in (-0.5, -0.1, 0.1, 0.5)):
        (near,) = compose(source, [*overrides, f"model.width={max(0.01, factor)}", "seed=3"])
        assert abs(size_of(construction.build(near)) - budget) >= abs(size_of(task) - budget)


def test_a_refined_network_has_the_budget_at_the_end(tiny: str, uri: str) -> None:
    more = ("basis.name=bspline", "trainer.refine={every: 1, to: [5, 8, 12]}", "model.parameters=500")
    (cell,) = compose(tiny, more)
    row = experiment.run(cell, Place(uri, "experiment"))
    assert (row.status, row.track) == ("FINISHED", "parameters=500")
    assert row.num_parameters == pytest.approx(500, rel=0.05)
    metrics = Tracker(uri).run(row.run_id).data.metrics
    assert metrics["model/parameters_deviation"] == pytest.approx(row.num_parameters / 500 - 1)
    loaded = experiment.load_run(row.run_id, uri)
    assert size_of(loaded) == row.num_parameters


def test_a_budget_that_is_missed_is_recorded_and_told(tiny: str, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    (cell,) = compose(tiny, ["model.parameters=14"])  # 9 a hidden unit, and the bias of the output: 10, 19, 28
    row = experiment.run(cell, Place(uri, "experiment"))
    metrics = Tracker(uri).run(row.run_id).data.metrics
    assert (metrics["model/width"], metrics["num_parameters"], row.num_parameters) == (0.4, 10, 10)
    assert metrics["model/parameters_deviation"] == pytest.approx(-4 / 14)
    assert "the size nearest to the budget of parameters is -28.6 % off" in caplog.text


@pytest.mark.parametrize(
    ("source", "overrides", "message"),
    [
        ("tiny", ("model.parameters=3",), "model.parameters must be >= 10, the size at hidden widths of 1, got 3"),
        (
            "tiny",
            ("model.parameters=90", "task.hidden=[]"),
            "model.parameters must be left out where no hidden width can be scaled, got 90",
        ),
        ("symbolic", ("model.parameters=90",), "model.parameters must not be set for the task symbolic, which solves itself, got 90"),
        ("symbolic", ("trainer.max_seconds=3",), "trainer.max_seconds must not be set for the task symbolic, which solves itself, got 3"),
    ],
)
def test_a_wrong_budget_is_refused_and_nothing_recorded(
    tiny: str,
    tmp_path: Path,
    new_store: Callable[[Path], str],
    capsys: pytest.CaptureFixture[str],
    source: str,
    overrides: tuple[str, ...],
    message: str,
) -> None:
    uri = new_store(tmp_path)
    code = cli._code(["run", tiny if source == "tiny" else source, *overrides, "--tracking-uri", uri])
    assert code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert Tracker(uri).rows() == []


def test_sizes_of_many_networks_are_those_of_each_built_alone():
    """Data are loaded once a task; KANs, baselines and budgets in turn."""
    overrides = ["basis.name=bspline,chebyshev", "seed=0,1"]
    cells = [
        *compose("digits_dense", overrides),
        *compose("digits_dense", ["model.name=baseline", "model.parameters=3000"]),
        *compose("diabetes", [*overrides, "model.parameters=900"]),
    ]
    found = construction.parameters(cells)
    assert found == {cell.model_key: size_of(construction.build(cell)) for cell in cells if cell.seed == 0}
