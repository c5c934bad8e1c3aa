"""Seeds that are trained at once get what each would get alone: weights, scores, curves, records and failures."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector
from torch.utils.data import TensorDataset

from kanzoo import benchmark, experiment, together
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.place import Place
from kanzoo.record import Row
from kanzoo.task import Data
from kanzoo.tracking import Tracker
from kanzoo_tasks.regression import Regression

pytestmark = [
    # MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    # torch.func's own, in torch 2.14
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
]

WHOLE = ("trainer.batch_size=0", "trainer.max_epochs=7", "trainer.validate_every=3")


def cells_of(config: str, *overrides: str, seeds: str = "0,1,2") -> list[Cell]:
    return compose(config, [*WHOLE, f"seed={seeds}", *overrides])


def both(cells: Sequence[Cell], uri: str) -> tuple[list[Row], list[Row]]:
    """Run cells together and each alone, in two MLflow experiments."""
    rows = together.run(cells, Place(uri, "together", accelerator="cpu"))
    assert None not in rows
    return [row for row in rows if row is not None], [experiment.run(cell, Place(uri, "alone", accelerator="cpu")) for cell in cells]


def weights(row: Row, uri: str) -> Tensor:
    return parameters_to_vector(experiment.load_run(row.run_id, uri).model.parameters()).detach()


def assert_same(mine: Row, other: Row, uri: str) -> None:
    assert mine.status == other.status == "FINISHED"
    assert mine.score == pytest.approx(other.score, rel=1e-5)
    one, two = weights(mine, uri), weights(other, uri)
    assert (one - two).norm() <= 1e-5 * two.norm()


def test_each_has_the_record_of_a_run_of_its_own(tiny: str, uri: str) -> None:
    cells = cells_of(tiny)
    rows, alone = both(cells, uri)
    assert len({row.score for row in rows}) == 3
    tracker = Tracker(uri)
    for cell, row, other in zip(cells, rows, alone, strict=True):
        assert_same(row, other, uri)
        assert (row.seeds_together, other.seeds_together) == (3, 1)
        equal = ("config_hash", "seed", "epochs", "num_parameters", "num_coefficients", "model", "hardware", "threads", "command")
        assert [getattr(row, name) for name in equal] == [getattr(other, name) for name in equal]
        assert row.config_hash == cell.config_hash
        assert 0 < row.step_time_ms < 1e3 * row.train_time_s
        run, expected = tracker.run(row.run_id), tracker.run(other.run_id)
        assert run.data.params == expected.data.params
        assert run.data.metrics.keys() == expected.data.metrics.keys()
        assert run.data.tags.keys() == expected.data.tags.keys()
        files = [{file.path for file in tracker.client.list_artifacts(one.run_id)} for one in (row, other)]
        assert files[0] == files[1] == {"config.yaml", "weights.safetensors"}
        for name in ("train/loss", "validation/rmse", "validation/r2"):
            curve, other_curve = (
                sorted((point.step, point.value) for point in tracker.client.get_metric_history(one.run_id, name)) for one in (row, other)
            )
            assert [step for step, _ in curve] == [step for step, _ in other_curve]
            assert [value for _, value in curve] == pytest.approx([value for _, value in other_curve], rel=1e-5)
    assert len({row.train_time_s for row in rows}) == 1
    assert tracker.finished().keys() == {cell.config_hash for cell in cells}
    assert tracker.rows("together") == sorted(rows, key=lambda row: (row.date, row.run_id))


def test_a_budget_of_parameters_holds_for_each(tiny: str, uri: str) -> None:
    rows, alone = both(cells_of(tiny, "model.parameters=60", seeds="0,1"), uri)
    for row, other in zip(rows, alone, strict=True):
        assert_same(row, other, uri)
        assert (row.track, row.seeds_together, row.operations) == ("parameters=60", 2, other.operations)
        mine, expected = (Tracker(uri).run(one.run_id).data.metrics for one in (row, other))
        assert mine["model/width"] == expected["model/width"] == 3.5
        assert mine["model/parameters_deviation"] == expected["model/parameters_deviation"] == pytest.approx(4 / 60)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize(
    "model",
    [
        *("basis.name=bspline", "basis.name=gaussian_rbf", "basis.name=chebyshev", "basis.name=wav_kan", "model.name=baseline"),
        *("model.name=learnable_activation", "model.name=siren", "model.name=fourier_features", "model.name=power_mlp"),
    ],
)
def test_two_hundred_steps_on_a_feynman_formula(uri: str, model: str, optimizer: str) -> None:
    more = ("trainer.max_epochs=200", "trainer.lr=0.01", "trainer.lr_decay=0.995", "trainer.weight_decay=1e-4", "task.num_train=200")
    cells = cells_of("feynman", model, f"trainer.optimizer={optimizer}", "trainer.validate_every=90", *more)
    for row, other in zip(*both(cells, uri), strict=True):
        assert row.epochs == 200
        assert_same(row, other, uri)


@pytest.mark.slow
def test_a_compiled_stack_is_compiled_once(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    compile_ = together.compilation.compile
    monkeypatch.setattr(together.compilation, "compile", lambda model: made.append(model) or compile_(model))
    cells = cells_of(tiny, "trainer.compile=true")
    rows = together.run(cells, Place(uri, "together", accelerator="cpu"))
    assert len(made) == 1
    for row, cell in zip(rows, cells, strict=True):
        assert row is not None
        (plain,) = compose(tiny, [*WHOLE, f"seed={cell.seed}"])
        assert_same(row, experiment.run(plain, Place(uri, "alone", accelerator="cpu")), uri)


def with_one_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give seed 1 targets around 6 and the loss a logarithm that is NaN as soon as predictions come to 3 in the mean."""
    load, loss = Regression.load, Regression.loss

    def shifted(task: Regression, data_dir: Path | None, seed: int) -> Data:
        data = load(task, data_dir, seed)
        x, y = data.train.tensors
        return Data(TensorDataset(x, y + 6 * (seed == 1)), data.validation, data.test)

    def fragile(task: Regression, batch: Any) -> Any:
        value, prediction, target = loss(task, batch)
        return value + 0 * torch.log(3 - (prediction - task.target_mean).mean() / task.target_std.mean()), prediction, target

    monkeypatch.setattr(Regression, "load", shifted)
    monkeypatch.setattr(Regression, "loss", fragile)


@pytest.mark.parametrize("basis", ["bspline", "chebyshev"])
def test_one_that_breaks_fails_alone(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch, basis: str) -> None:
    with_one_that_breaks(monkeypatch)
    cells = cells_of(tiny, f"basis.name={basis}", "trainer.lr=0.1", "trainer.max_epochs=60")
    rows, alone = both(cells, uri)
    assert [row.status for row in rows] == [row.status for row in alone] == ["FINISHED", "FAILED", "FINISHED"]
    assert rows[1].reason == alone[1].reason
    assert rows[1].reason.startswith("FloatingPointError: training loss is nan in epoch ")
    assert rows[1].reason != "FloatingPointError: training loss is nan in epoch 0"
    for index in (0, 2):
        assert_same(rows[index], alone[index], uri)
    tracker = Tracker(uri)
    curves = [tracker.client.get_metric_history(row.run_id, "train/loss") for row in (rows[1], alone[1])]
    assert [point.step for point in curves[0]] == [point.step for point in curves[1]]
    assert tracker.run(rows[1].run_id).info.status == "FAILED"
    assert "FloatingPointError" in tracker.artifact(rows[1].run_id, "traceback.txt", tmp_folder(uri)).read_text(encoding="utf-8")


def tmp_folder(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///")).parent


def test_it_ends_when_all_have_broken(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_one_that_breaks(monkeypatch)
    load = Regression.load
    monkeypatch.setattr(Regression, "load", lambda task, data_dir, seed: load(task, data_dir, 1))
    rows = together.run(cells_of(tiny, "trainer.lr=0.3", "trainer.max_epochs=10000"), Place(uri, "together"))
    assert [row.status for row in rows if row is not None] == ["FAILED"] * 3


def _own_step(task: Regression, batch: Any, index: int) -> Tensor:
    return task.loss(batch)[0]


def _asks_the_network(task: Regression, batch: Any) -> Any:
    prediction = task(batch[0])
    return prediction.square().mean() + sum(p.square().sum() for p in task.model.parameters()), prediction, batch[1]


def _draws(task: Regression, batch: Any) -> Any:
    prediction = task(batch[0])
    return (prediction * torch.rand(1)).square().mean(), prediction, batch[1]


def _has_a_choice(task: Regression, batch: Any) -> Any:
    prediction = task(batch[0])
    return prediction.mean() if prediction.mean() > 0 else -prediction.mean(), prediction, batch[1]


def _differs_by_seed(task: Regression, batch: Any) -> Any:
    prediction = task(batch[0])
    return prediction.square().mean() * task.data.train.tensors[0][0, 0].item(), prediction, batch[1]


def _counts(task: Regression, batch: Any) -> Any:
    prediction = task(batch[0])
    if torch._C._functorch.peek_interpreter_stack() is None:
        task.target_mean += 1
    return prediction.square().mean(), prediction, batch[1]


def _forgets_the_gradient(task: Regression, batch: Any) -> Any:
    prediction = task(batch[0])
    stacked = torch._C._functorch.peek_interpreter_stack() is not None
    return (prediction * prediction.detach() if stacked else prediction.square()).mean(), prediction, batch[1]


@pytest.mark.parametrize(
    ("name", "method", "reason"),
    [
        ("training_step", _own_step, "the task overrides training_step"),
        ("loss", _asks_the_network, "has no attribute 'model'"),
        ("loss", _draws, ""),
        ("loss", _has_a_choice, "data-dependent control flow"),
        ("loss", _differs_by_seed, "alone and"),
        ("loss", _counts, "its buffers change in training"),
        ("loss", _forgets_the_gradient, "the gradient of "),
        ("stages", lambda task: [task.data.train] * 2, "it has several stages"),
        ("inputs", lambda task, batch: (batch[0], batch[0]), "several inputs"),
    ],
)
def test_what_cannot_be_stacked_is_left_to_run_alone(
    tiny: str,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    method: Callable[..., Any],
    reason: str,
) -> None:
    monkeypatch.setattr(Regression, name, method, raising=False)
    cells = cells_of(tiny, "trainer.batch_seeds=true")
    with caplog.at_level(logging.INFO, "kanzoo.together"):
        assert together.run(cells, Place(uri, "together")) == [None] * 3
    (said,) = caplog.records
    assert said.levelname == "WARNING"
    assert "each seed is trained alone" in said.getMessage()
    assert reason in said.getMessage()
    assert Tracker(uri).rows() == []


def test_a_refined_network_is_left_to_train_alone(tiny: str, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    cells = cells_of(tiny, "trainer.batch_seeds=true", "basis.name=bspline", "trainer.refine={every: 1, to: [9]}")
    assert together.run(cells, Place(uri, "together")) == [None] * 3
    assert "its bases are refined on the way" in caplog.text


def test_auto_leaves_large_steps_alone_and_says_so_quietly(tiny: str, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "kanzoo.together"):
        assert together.run(cells_of(tiny, "task.num_train=100000", "task.hidden=[64]"), Place(uri, "together")) == [None] * 3
    assert [(said.levelname, "a step alone is large" in said.getMessage()) for said in caplog.records] == [("INFO", True)]


@pytest.mark.parametrize(("error", "reason"), [(RuntimeError("no"), "to be run again alone: RuntimeError: no"), (KeyboardInterrupt(), "")])
def test_a_break_in_training_ends_the_runs(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch, error: BaseException, reason: str) -> None:
    def broken(group: together._Group, recorders: object, epoch: int) -> None:
        raise error

    monkeypatch.setattr(together._Group, "_validate", broken)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            together.run(cells_of(tiny), Place(uri, "together"))
        reason = "interrupted"
    else:
        assert together.run(cells_of(tiny), Place(uri, "together")) == [None] * 3
    rows = Tracker(uri).rows()
    assert [row.status for row in rows] == ["KILLED"] * 3
    assert all(row.reason.endswith(reason) for row in rows)


def test_global_random_state_is_untouched(tiny: str, uri: str) -> None:
    before = torch.get_rng_state()
    together.run(cells_of(tiny), Place(uri, "together"))
    assert torch.equal(torch.get_rng_state(), before)


def test_cells_are_grouped_by_all_but_the_seed(tiny: str) -> None:
    def sizes(*overrides: str, seeds: str = "0,1,2") -> list[int]:
        return [len(group) for group in benchmark.grouped(cells_of(tiny, *overrides, seeds=seeds))]

    assert sizes() == [3]
    assert sizes("trainer.optimizer=adamw") == [3]
    assert sizes("basis.degree=3,4") == [3, 3]
    assert sizes(seeds=",".join(map(str, range(40)))) == [32, 8]
    alone = ("trainer.optimizer=lbfgs", "trainer.grid_updates=1", "trainer.batch_size=20", "trainer.batch_seeds=false")
    for override in alone:
        assert sizes(override) == [1, 1, 1], override
    assert sizes("trainer.batch_size=100", "trainer.batch_seeds=true") == [3]
    assert [cell.seed for group in benchmark.grouped(cells_of(tiny)) for cell in group] == [0, 1, 2]


def test_a_worker_leaves_to_others_what_they_hold(tiny: str, uri: str) -> None:
    cells, place = cells_of(tiny, seeds="0,1,2,3"), Place(uri, "together")
    done = experiment.run(cells[3], place)
    with Tracker(uri).claim(cells[0].config_hash) as free:
        assert free
        rows = benchmark._work_together(cells, place)
    assert rows[0] is None
    assert [row and (row.status, row.seeds_together) for row in rows[1:]] == [("FINISHED", 2), ("FINISHED", 2), ("FINISHED", 1)]
    assert rows[3] == done
