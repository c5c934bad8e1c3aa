"""A budget of time ends a training, and learning rate and grids take their course over it. The clock is moved by the steps alone."""

from types import SimpleNamespace
from typing import Any

import pytest
from torch.utils.data import TensorDataset

from kanzoo import benchmark, construction, course, experiment, fitting, together
from kanzoo.config import compose
from kanzoo.place import Place
from kanzoo.task import Task
from kanzoo.tracking import Tracker
from kanzoo_tasks.regression import Regression

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

#: One batch is all 60 samples, or a third of them: many steps in one of Lightning's epochs, or each its own.
PATHS = pytest.mark.parametrize("size", [0, 20], ids=["whole", "batches"])


class Run:
    """A training in which the first step takes 5 seconds, each other one 1 and a validation 100."""

    run_id = "none"

    def __init__(self, tiny: str, *overrides: str) -> None:
        self.now, self.rates, self.grids = 0.0, list[float](), list[float]()
        self.points: list[tuple[str, int]] = []
        self.shares: list[float] = []
        (cell,) = compose(tiny, ["basis.name=bspline", "trainer.validate_every=50", *overrides])
        self.task = construction.build(cell)
        loss = Regression.loss

        def spy(task: Task, batch: Any) -> Any:
            self.now += 100.0 if not task.training else 1.0 if self.rates else 5.0
            if task.training:
                self.rates.append(task.trainer.optimizers[0].param_groups[0]["lr"])
            return loss(task, batch)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch, experiment.isolated(cell.seed):
            clock = SimpleNamespace(perf_counter=lambda: self.now)
            patch.setattr(course, "time", clock)
            patch.setattr(fitting, "time", clock)
            patch.setattr(course, "update_grid", lambda *arguments: self.grids.append(self.now))
            patch.setattr(Regression, "loss", spy)
            place = Place("", "", accelerator="cpu")
            self.clock = fitting.fit(self.task, self.task.stages(), cell, place, self, self.shares.append)  # type: ignore[arg-type]

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        self.points += [(name, step) for name in metrics]

    def steps(self, name: str) -> list[int]:
        return [step for found, step in self.points if found == name]


@PATHS
def test_training_takes_its_time_without_the_first_step_and_validation(tiny: str, size: int) -> None:
    run = Run(tiny, f"trainer.batch_size={size}", "trainer.max_seconds=10", "trainer.max_epochs=2")
    assert run.clock.steps == [5.0] + [1.0] * 10
    assert run.clock.train_time == 15.0
    assert run.clock.used == 10.0
    assert run.clock.epochs == (11 if size == 0 else 4)  # the fourth has two steps of three
    assert run.shares == pytest.approx([step / 10 for step in range(11)])
    assert run.steps("train/loss") == list(range(run.clock.epochs))


@PATHS
def test_the_last_network_is_validated(tiny: str, size: int) -> None:
    run = Run(tiny, f"trainer.batch_size={size}", "trainer.max_seconds=10", "trainer.validate_every=3")
    assert run.steps("validation/rmse") == ([2, 5, 8, 10] if size == 0 else [2, 3])


@PATHS
def test_a_validation_is_not_repeated_at_the_end(tiny: str, size: int) -> None:
    run = Run(tiny, f"trainer.batch_size={size}", "trainer.max_seconds=8", "trainer.validate_every=3")
    assert run.steps("validation/rmse") == ([2, 5, 8] if size == 0 else [2])


@PATHS
def test_the_learning_rate_follows_the_share_of_the_time(tiny: str, size: int) -> None:
    more = ("trainer.max_seconds=10", "trainer.max_epochs=7", "trainer.lr=0.01", "trainer.lr_decay=0.8")
    run = Run(tiny, f"trainer.batch_size={size}", *more)
    assert run.rates == pytest.approx([0.01] + [0.01 * 0.8 ** (7 * step / 10) for step in range(10)])
    assert run.task.optimization.lr_decay == 0.8


@PATHS
def test_grids_follow_the_data_in_the_first_half_of_the_time(tiny: str, size: int) -> None:
    run = Run(tiny, f"trainer.batch_size={size}", "trainer.max_seconds=12", "trainer.grid_updates=3")
    assert run.grids == [0.0, 5.0 + 2, 5.0 + 4]


def test_grid_updates_that_are_due_at_once_are_one(tiny: str) -> None:
    run = Run(tiny, "trainer.batch_size=0", "trainer.max_seconds=2", "trainer.grid_updates=8")
    assert run.grids == [0.0, 6.0]


@PATHS
def test_each_stage_gets_its_share(tiny: str, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    halves = [slice(0, 30), slice(30, 60)]
    monkeypatch.setattr(Regression, "stages", lambda task: [TensorDataset(*task.data.train[half]) for half in halves])
    more = ("trainer.max_seconds=10", "trainer.max_epochs=4", "trainer.lr=0.01", "trainer.lr_decay=0.8")
    run = Run(tiny, f"trainer.batch_size={size}", *more)
    assert run.clock.steps == [5.0] + [1.0] * 10
    assert run.rates == pytest.approx([0.01] + [0.01 * 0.8 ** (4 * step / 5) for step in [*range(5), *range(5)]])
    assert run.shares == pytest.approx([step / 10 for step in range(11)])
    assert run.steps("train/loss") == list(range(run.clock.epochs))
    assert len(run.steps("validation/rmse")) == 2


@PATHS
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_one_step_is_always_taken(tiny: str, uri: str, optimizer: str, size: int) -> None:
    (cell,) = compose(tiny, [f"trainer.batch_size={size}", f"trainer.optimizer={optimizer}", "trainer.max_seconds=1e-9"])
    row = experiment.run(cell, Place(uri, "experiment"))
    assert (row.status, row.epochs, row.track) == ("FINISHED", 1, "seconds=1e-09")
    assert len(Tracker(uri).client.get_metric_history(row.run_id, "validation/rmse")) == 1


def test_both_budgets_hold_at_once(tiny: str, uri: str) -> None:
    more = ("trainer.optimizer=lbfgs", "trainer.batch_size=0", "trainer.max_seconds=0.2", "model.parameters=100")
    (cell,) = compose(tiny, more)
    row = experiment.run(cell, Place(uri, "experiment"))
    assert (row.status, row.track, row.num_parameters) == ("FINISHED", "parameters=100, seconds=0.2", 100)
    assert row.train_time_s >= 0.2
    assert row.epochs >= 1


def test_seeds_with_a_budget_of_time_are_not_trained_at_once(tiny: str, uri: str) -> None:
    for more, together_ in (((), True), (("trainer.max_seconds=1",), False)):
        cells = compose(tiny, ["trainer.batch_size=0", "seed=0,1", *more])
        assert [len(group) for group in benchmark.grouped(cells)] == ([2] if together_ else [1, 1])
    assert together.run(cells, Place(uri, "together")) == [None, None]
    assert Tracker(uri).rows() == []
