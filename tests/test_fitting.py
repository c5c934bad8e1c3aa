"""Many steps in one epoch of Lightning's are the same steps, to the bit, with the same record."""

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.utils.data import TensorDataset

from kanzoo import construction, course, experiment, fitting, workload
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.inspect import kan_layers, refine
from kanzoo.place import Place
from kanzoo.task import Task
from kanzoo.tracking import Tracker
from kanzoo_tasks.regression import Regression

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

REFINE = "trainer.refine={every: 2, to: [5, 8, 12]}"
WHOLE = ("trainer.batch_size=0", "basis.name=bspline", "trainer.max_epochs=7", "trainer.validate_every=3")


class Record:
    """Keeps what a recorder would send."""

    run_id = "none"

    def __init__(self) -> None:
        self.points: list[tuple[str, float, int]] = []

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        self.points += [(name, float(value), step) for name, value in metrics.items()]

    def steps(self, name: str) -> list[int]:
        return [step for found, _, step in self.points if found == name]


def fitted(tiny: str, *overrides: str, progress: Callable[[float], None] | None = None) -> tuple[Task, Record, fitting.Clock]:
    (cell,) = compose(tiny, [*WHOLE, *overrides])
    task, record = construction.build(cell), Record()
    with experiment.isolated(cell.seed):
        clock = fitting.fit(task, task.stages(), cell, Place("", "", accelerator="cpu"), record, progress)  # type: ignore[arg-type]
    return task, record, clock


def lightning_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the task write its own training step, so that Lightning takes each step."""
    monkeypatch.setattr(Regression, "training_step", lambda task, batch, index: task.loss(batch)[0], raising=False)


def bare_loop(tiny: str, optimizer: str, finer: dict[int, int] | None = None) -> Task:
    """Fit by the loop of a textbook, and refine before epochs."""
    (cell,) = compose(tiny, [*WHOLE, f"trainer.optimizer={optimizer}"])
    task = construction.build(cell)
    made = task.optimization.make(task.model.parameters())

    def closure() -> Tensor:
        made.zero_grad()
        loss = task.loss(task.data.train.tensors)[0]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for epoch in range(7):
        if finer and epoch in finer:
            refine(task.model, finer[epoch], task.data.train.tensors[0], optimizer=None if optimizer == "lbfgs" else made)
            made = task.optimization.make(task.model.parameters()) if optimizer == "lbfgs" else made
        made.step(closure)  # type: ignore[arg-type]
    return task


def assert_same_weights(one: Task, other: Task) -> None:
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "lbfgs"])
def test_steps_are_those_of_a_bare_loop(tiny: str, optimizer: str) -> None:
    task, _, clock = fitted(tiny, f"trainer.optimizer={optimizer}")
    assert_same_weights(task, bare_loop(tiny, optimizer))
    assert (clock.epochs, len(clock.steps)) == (7, 7)
    assert 0 < sum(clock.steps) < clock.train_time


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "lbfgs"])
@pytest.mark.parametrize(
    "more", [(), ("trainer.lr_decay=0.8", "trainer.weight_decay=0.1"), ("trainer.grid_updates=2",), (REFINE,)], ids=str
)
def test_weights_and_curves_are_those_of_a_step_an_epoch(
    tiny: str, monkeypatch: pytest.MonkeyPatch, optimizer: str, more: tuple[str, ...]
) -> None:
    shares: list[float] = []
    task, record, clock = fitted(tiny, f"trainer.optimizer={optimizer}", *more, progress=shares.append)
    lightning_alone(monkeypatch)
    other, expected, other_clock = fitted(tiny, f"trainer.optimizer={optimizer}", *more)
    assert_same_weights(task, other)
    assert sorted(record.points) == sorted(expected.points)
    assert record.steps("train/loss") == list(range(7))
    assert record.steps("validation/rmse") == [2, 5]
    assert clock.epochs == other_clock.epochs == 7
    assert shares == pytest.approx([epoch / 7 for epoch in range(1, 8)])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "lbfgs"])
def test_refinement_is_that_of_a_bare_loop(tiny: str, optimizer: str) -> None:
    task, record, _ = fitted(tiny, f"trainer.optimizer={optimizer}", REFINE)
    assert_same_weights(task, bare_loop(tiny, optimizer, {2: 8, 4: 12}))
    assert [layer.expansion.basis.grid_size for layer in kan_layers(task.model).values()] == [12, 12]  # type: ignore[union-attr]
    assert record.steps("train/loss") == list(range(7))


def test_refinement_in_batches_raises_the_resolution_and_not_the_loss(tiny: str) -> None:
    task, record, _ = fitted(tiny, "trainer.batch_size=20", "trainer.max_epochs=9", "trainer.refine={every: 4, to: [10, 20]}")
    assert [layer.expansion.basis.grid_size for layer in kan_layers(task.model).values()] == [20, 20]  # type: ignore[union-attr]
    losses = [value for name, value, _ in record.points if name == "train/loss"]
    assert losses[4] < losses[3]
    assert losses[8] < losses[7]


def test_refinements_after_the_end_are_left_out(tiny: str) -> None:
    (cell,) = compose(tiny, [*WHOLE, "trainer.refine={every: 3, to: [6, 7, 8]}"])
    assert course.resolutions(cell) == {3: 6, 6: 7}


@pytest.mark.slow
def test_refined_networks_are_compiled_again(tiny: str) -> None:
    (cell,) = compose(tiny, [*WHOLE, REFINE])
    plain, _, _ = fitted(tiny, REFINE)
    for at_once in (True, False):
        task = construction.build(cell)
        task.compile_model(at_once=at_once)
        with experiment.isolated(cell.seed):
            fitting.fit(task, task.stages(), cell, Place("", "", accelerator="cpu"), Record())  # type: ignore[arg-type]
        for name, value in plain.model.state_dict().items():
            torch.testing.assert_close(task.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("every", "validations", "hooks"), [(1, list(range(7)), 7), (7, [6], 1), (50, [6], 1), (4, [3], 2)])
def test_validation_comes_as_often_as_it_did_and_lightning_seldom(
    tiny: str, monkeypatch: pytest.MonkeyPatch, every: int, validations: list[int], hooks: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(fitting.Clock, "on_train_batch_end", lambda *arguments: calls.append(1))
    _, record, _ = fitted(tiny, f"trainer.validate_every={every}")
    assert record.steps("validation/rmse") == validations
    assert len(calls) == hooks


def test_fifty_epochs_are_one_of_lightning(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(fitting.Clock, "on_train_epoch_end", lambda *arguments: calls.append(1))
    _, record, clock = fitted(tiny, "trainer.max_epochs=50", "trainer.validate_every=50")
    assert (len(calls), clock.epochs, len(record.steps("train/loss"))) == (1, 50, 50)


def test_stages_are_counted_through(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = [slice(0, 40), slice(40, 60)]
    monkeypatch.setattr(Regression, "stages", lambda task: [TensorDataset(*task.data.train[half]) for half in halves])
    task, record, clock = fitted(tiny)
    lightning_alone(monkeypatch)
    other, expected, _ = fitted(tiny)
    assert_same_weights(task, other)
    assert sorted(record.points) == sorted(expected.points)
    assert record.steps("validation/rmse") == [2, 5, 9, 12]
    assert clock.epochs == 14


def test_batches_that_are_parts_of_the_data_are_left_to_lightning(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []
    monkeypatch.setattr(fitting, "_Steps", lambda *arguments: steps.append(arguments))
    _, record, clock = fitted(tiny, "trainer.batch_size=20")
    assert steps == []
    assert (clock.epochs, len(clock.steps)) == (7, 21)
    assert record.steps("train/loss") == list(range(7))


@pytest.mark.parametrize("name", ["training_step", "on_train_epoch_start", "configure_optimizers", "train_loader", "forward"])
def test_a_task_with_hooks_of_its_own_is_left_to_lightning(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert fitting.overridden(Regression()) == []
    monkeypatch.setattr(Regression, name, lambda task, *arguments: None, raising=False)
    assert fitting.overridden(Regression()) == [name]


def test_a_loss_sees_its_own_epoch(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    loss = Regression.loss

    def spy(task: Regression, batch: Any) -> Any:
        if task.training:
            seen.append(task.current_epoch)
        return loss(task, batch)

    monkeypatch.setattr(Regression, "loss", spy)
    fitted(tiny)
    assert seen == list(range(7))


def test_a_loss_that_is_not_finite_is_told_with_its_epoch(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, calls = Regression.loss, []

    def failing(task: Regression, batch: Any) -> Any:
        value, *rest = loss(task, batch)
        calls.append(task.training)
        return value * (math.nan if sum(calls) > 4 else 1), *rest

    monkeypatch.setattr(Regression, "loss", failing)
    (cell,) = compose(tiny, WHOLE)
    row = experiment.run(cell, Place(uri, "experiment"))
    assert (row.status, row.reason) == ("FAILED", "FloatingPointError: training loss is nan in epoch 4")
    curve = Tracker(uri).client.get_metric_history(row.run_id, "train/loss")
    assert sorted(point.step for point in curve) == [0, 1, 2, 3]


def cell_with_fault(tiny: str, how: str) -> Cell:
    (cell,) = compose(tiny, [*WHOLE[:1], "task.num_train=20", "basis.name=faulty", f"basis.how={how}"])
    return cell


@pytest.mark.parametrize(("how", "reason"), [("raise", "RuntimeError: first line"), ("nan", "FloatingPointError: training loss is nan in")])
def test_a_fault_in_many_steps_is_recorded(tiny: str, uri: str, faulty: Path, how: str, reason: str) -> None:
    row = experiment.run(cell_with_fault(tiny, how), Place(uri, "experiment"))
    assert row.status == "FAILED"
    assert row.reason.startswith(reason)


def test_an_interrupt_ends_many_steps(tiny: str, uri: str, faulty: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        experiment.run(cell_with_fault(tiny, "interrupt"), Place(uri, "experiment"))
    (row,) = Tracker(uri).rows()
    assert (row.status, row.reason) == ("KILLED", "interrupted")


def test_a_request_to_end_is_heard_between_two_steps(tiny: str, uri: str) -> None:
    shares: list[float] = []

    def progress(share: float) -> None:
        shares.append(share)
        os.kill(os.getpid(), signal.SIGTERM)

    (cell,) = compose(tiny, WHOLE)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(cell, Place(uri, "experiment"), progress)
    assert len(shares) == 1
    (row,) = Tracker(uri).rows()
    assert row.status == "KILLED"


def test_a_trainer_alone_fits_a_task(tiny: str, tmp_path: Path) -> None:
    (cell,) = compose(tiny, WHOLE)
    task = construction.build(cell)
    with fitting.quiet():
        trainer = Trainer(
            max_epochs=7,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            default_root_dir=tmp_path,
        )
        trainer.fit(task, task.train_loader(task.data.train, torch.Generator()), task.evaluation_loader(task.data.validation))
    assert_same_weights(task, bare_loop(tiny, "adam"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("basis", ["bspline", "gaussian_rbf"])
def test_gradients_compiled_as_one_graph_train_as_the_tape_does(tiny: str, basis: str) -> None:
    tasks = []
    for wanted in ("true", "false"):
        (cell,) = compose(tiny, [*WHOLE, f"basis.name={basis}", "trainer.max_epochs=30", f"trainer.compile={wanted}"])
        task, record = construction.build(cell), Record()
        workload.compile_as_wanted(cell, task)
        with experiment.isolated(cell.seed):
            fitting.fit(task, task.stages(), cell, Place("", "", accelerator="cpu"), record)  # type: ignore[arg-type]
        assert len(record.steps("train/loss")) == 30
        tasks.append(task)
    assert tasks[0]._gradients is not None
    assert not tasks[0]._gradients._failed
    assert tasks[1]._gradients is None
    for name, value in tasks[0].model.state_dict().items():
        torch.testing.assert_close(value, tasks[1].model.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_a_loss_that_is_wrong_says_so_with_gradients_too(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(task: Task, batch: Any) -> Any:
        raise RuntimeError("shapes do not match")

    (cell,) = compose(tiny, [*WHOLE])
    task = construction.build(cell)
    task.compile_model(at_once=True)
    monkeypatch.setattr(Regression, "loss", wrong)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    with pytest.warns(UserWarning, match="could not be compiled"), pytest.raises(RuntimeError, match="shapes do not match"):
        task.backpropagate(task.data.train.tensors)


def test_a_gpu_is_asked_for_cheaply_in_a_run_and_the_setting_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    for there, inside in ((False, "0"), (True, "1")):
        monkeypatch.setenv(name, "1")
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        with fitting.no_gpu_asked_for_once():
            assert os.environ[name] == inside
        assert os.environ[name] == "1"
