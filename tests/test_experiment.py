"""One experiment: what its record holds, what becomes of a failure, and that the seed alone decides the result."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import TensorDataset

from kanzoo import construction, experiment, hardware
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.inspect import basis_figures
from kanzoo.leaderboard import render_html, render_markdown
from kanzoo.models import num_parameters
from kanzoo.place import Place
from kanzoo.record import Row
from kanzoo.tracking import Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def cell_of(tiny: str, *overrides: str) -> Cell:
    (cell,) = compose(tiny, overrides)
    return cell


class Finished:
    """A finished run of the tiny experiment, with the calls that recorded it."""

    def __init__(self, tiny: str, uri: str, folder: Path) -> None:
        self.cell, self.place, self.folder = cell_of(tiny, "seed=3"), Place(uri, "experiment"), folder
        self.batches: list[dict[str, Any]] = []
        self.shares: list[float] = []
        log_batch = mlflow.MlflowClient.log_batch

        def spy(client: Any, run_id: str, **content: Any) -> None:
            self.batches.append(content)
            log_batch(client, run_id, **content)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mlflow.MlflowClient, "log_batch", spy)
            patch.setattr(mlflow.MlflowClient, "log_metric", None)
            self.row = experiment.run(self.cell, self.place, self.shares.append)
        self.tracker = Tracker(uri)
        self.run = self.tracker.run(self.row.run_id)

    def file(self, name: str) -> Path:
        return self.folder / "artifacts" / "experiment" / self.row.run_id / "artifacts" / name


@pytest.fixture(scope="module")
def finished(tiny: str, new_store: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    return Finished(tiny, new_store(folder), folder)


def test_row_is_measured_and_comes_back_whole(finished: Finished) -> None:
    row = finished.row
    assert (row.status, row.reason, row.model, row.seed, row.epochs) == ("FINISHED", "", "chebyshev(degree=3)", 3, 3)
    assert (row.score_name, row.direction) == ("rmse", "min")
    assert 0 < row.score < 10
    assert row.train_time_s > 0
    assert row.step_time_ms > 0
    assert row.peak_memory_mb >= 0
    assert row.threads >= 1
    assert len(row.hardware) == 8
    assert row.plugin.startswith("kanzoo ")
    assert finished.tracker.rows() == [row]
    assert finished.tracker.finished() == {finished.cell.config_hash: row}


def test_mlflow_holds_parameters_versions_and_identity(finished: Finished) -> None:
    run, cell = finished.run, finished.cell
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "chebyshev(degree=3) seed=3 on tiny"
    expected = {"seed": "3", "task.name": "regression", "task.num_train": "60", "basis.name": "chebyshev", "basis.degree": "3"}
    expected |= {"model.name": "kan", "model.squash": "tanh", "trainer.lr": "0.01", "trainer.max_epochs": "3", "trainer.optimizer": "adam"}
    assert expected.items() <= run.data.params.items()
    assert run.data.tags["kanzoo.cell"] == cell.config_hash
    for name, version in hardware.versions().items():
        assert run.data.tags[f"kanzoo.version.{name}"] == version
    assert {"python", "torch", "mlflow", "kanzoo", "numpy"} <= hardware.versions().keys()
    assert run.data.tags["kanzoo.hardware"] == finished.row.hardware
    assert run.data.tags["kanzoo.hardware.cpu"] == hardware.cpu_name()


def test_mlflow_holds_costs_and_the_score(finished: Finished) -> None:
    metrics, row = finished.run.data.metrics, finished.row
    for name in ("score", "num_parameters", "train_time_s", "step_time_ms", "peak_memory_mb"):
        assert metrics[name] == pytest.approx(getattr(row, name)), name
    assert metrics["test/rmse"] == row.score
    counts = num_parameters(construction.build(finished.cell).model)
    assert {name: metrics[f"num_parameters/{name}"] for name in counts} == counts
    assert row.num_parameters == sum(counts.values())
    assert row.num_coefficients == counts["coefficients"] == 3 * (1 * 2 + 2 * 1)


def test_curves_have_a_point_an_epoch_and_travel_in_few_batches(finished: Finished) -> None:
    for name in ("train/loss", "validation/rmse", "validation/mae", "validation/r2"):
        history = finished.tracker.client.get_metric_history(finished.row.run_id, name)
        assert sorted(point.step for point in history) == [0, 1, 2], name
    with_metrics = [len(batch["metrics"]) for batch in finished.batches if batch.get("metrics")]
    assert len(with_metrics) == 1
    assert with_metrics[0] >= 4 * 3 + 8
    assert finished.shares == pytest.approx([1 / 3, 2 / 3, 1])


def test_resolved_config_repeats_the_cell(finished: Finished) -> None:
    config = finished.file("config.yaml")
    assert cell_of(str(config)).config_hash == finished.cell.config_hash
    assert cell_of(str(config)).resolved() == finished.cell.resolved()


def test_files_carry_their_sha256(finished: Finished) -> None:
    for name in ("config.yaml", "weights.safetensors"):
        assert finished.run.data.tags[f"kanzoo.sha256.{name}"] == sha256(finished.file(name).read_bytes()).hexdigest()
    weights = load_file(finished.file("weights.safetensors"))
    assert weights.keys() == construction.build(finished.cell).model.state_dict().keys()


def test_loaded_run_predicts_as_the_trained_one_did(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", None)  # safetensors alone: nothing that could run code is read
    monkeypatch.setattr("pickle.load", None)
    monkeypatch.setattr("pickle.loads", None)
    task = experiment.load_run(finished.row.run_id, finished.place.tracking_uri)
    with torch.no_grad():
        task.test_metrics.update(*task.loss(task.data.test.tensors)[1:])
    assert task.test_metrics.compute()["test/rmse"].item() == pytest.approx(finished.row.score, rel=1e-6)
    fresh = construction.build(finished.cell)
    assert not torch.equal(fresh(fresh.data.test.tensors[0]), task(task.data.test.tensors[0]))


@pytest.mark.parametrize(("basis", "num_basis"), [("bspline", 9 + 3), ("gaussian_rbf", 9)])
def test_refined_run_is_recorded_with_its_size_at_the_end_and_loads(tiny: str, uri: str, basis: str, num_basis: int) -> None:
    cell = cell_of(tiny, f"basis.name={basis}", "basis.grid_size=5", "trainer.refine={every: 1, to: [6, 9]}", "trainer.grid_updates=1")
    row = experiment.run(cell, Place(uri, "refined", accelerator="cpu"))
    run, task = Tracker(uri).run(row.run_id), experiment.load_run(row.run_id, uri)
    counts = num_parameters(task.model)
    assert counts["coefficients"] == num_basis * (2 * 1 + 1 * 2)
    assert (row.num_parameters, row.num_coefficients) == (sum(counts.values()), counts["coefficients"])
    assert (run.data.metrics["num_parameters"], run.data.metrics["num_parameters/coefficients"]) == (
        row.num_parameters,
        row.num_coefficients,
    )
    with torch.no_grad():
        task.test_metrics.update(*task.loss(task.data.test.tensors)[1:])
    assert task.test_metrics.compute()["test/rmse"].item() == pytest.approx(row.score, rel=1e-6)


def test_refinement_needs_a_task_of_one_stage() -> None:
    cell = cell_of("continual_peaks", "basis.name=bspline", "trainer.refine={every: 1, to: [400]}")
    with pytest.raises(InvalidInput, match=r"trainer.refine needs a task of one stage, got continual_peaks of \d+"):
        construction.build(cell)


def test_what_training_made_of_a_mixture_is_recorded(tiny: str, uri: str) -> None:
    row = experiment.run(
        cell_of(tiny, "basis.name=mixture", "basis.options={bspline: {grid_size: 3}}"), Place(uri, "mixture", accelerator="cpu")
    )
    metrics = Tracker(uri).run(row.run_id).data.metrics
    task = experiment.load_run(row.run_id, uri)
    for layer, found in basis_figures(task.model).items():
        assert sum(found.values()) == pytest.approx(1)
        assert found != {"bspline": 0.5, "fourier": 0.5}
        assert {name: metrics[f"basis/{layer}/{name}"] for name in found} == pytest.approx(found, rel=1e-6)
    assert len([name for name in metrics if name.startswith("basis/")]) == 2 * len(task.model)


def test_coverage_is_recorded_and_warned_of_where_nothing_is_squashed(tiny: str, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    place = Place(uri, "coverage", accelerator="cpu")
    row = experiment.run(cell_of(tiny, "model.squash=none"), place)
    x = experiment.load_run(row.run_id, uri).data.validation.tensors[0]
    metrics = Tracker(uri).run(row.run_id).data.metrics
    assert metrics["coverage/0"] == pytest.approx((x.abs() <= 1).double().mean().item())
    low = [f"{layer} ({metrics[f'coverage/{layer}']:.0%})" for layer in (0, 1) if metrics[f"coverage/{layer}"] < 0.95]
    assert low
    (warning,) = (record.getMessage() for record in caplog.records if record.name == "kanzoo.fitting")
    assert warning.endswith(": " + ", ".join(low))
    squashed = experiment.run(cell_of(tiny), place)
    assert not [name for name in Tracker(uri).run(squashed.run_id).data.metrics if name.startswith("coverage")]


@pytest.mark.parametrize("name", ["weights.safetensors", "config.yaml"])
def test_changed_byte_is_refused(finished: Finished, name: str) -> None:
    path = finished.file(name)
    good = path.read_bytes()
    try:
        path.write_bytes(good[:-2] + bytes([good[-2] ^ 1]) + good[-1:])
        with pytest.raises(InvalidInput, match=f"{name} of run .* must have the recorded sha256"):
            experiment.load_run(finished.row.run_id, finished.place.tracking_uri)
    finally:
        path.write_bytes(good)


def test_unknown_run_is_refused(finished: Finished) -> None:
    with pytest.raises(InvalidInput, match="unknown run"):
        experiment.load_run("0" * 32, finished.place.tracking_uri)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "RuntimeError: first line <b>of</b> | the reason"),
        ("build", "RuntimeError: cannot be built"),
        ("nan", "FloatingPointError: training loss is nan in epoch 0"),
        ("memory", "out of memory: no room"),
        ("device_memory", "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB"),
        ("allocate", "out of memory: "),
        ("exit", "SystemExit: 3"),
    ],
    ids=["raise", "build", "nan", "memory", "device_memory", "allocate", "exit"],
)
def test_failure_is_recorded_with_its_reason(tiny: str, uri: str, faulty: Path, how: str, reason: str) -> None:
    cell, tracker = cell_of(tiny, "basis.name=faulty", f"basis.how={how}"), Tracker(uri)
    row = experiment.run(cell, Place(uri, "experiment"))
    assert row.status == "FAILED"
    assert row.reason.startswith(reason)
    assert "\n" not in row.reason
    run = tracker.run(row.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["kanzoo.reason"] == row.reason
    assert row.reason in run.data.tags["mlflow.note.content"]
    assert run.data.params["basis.how"] == how
    assert "Traceback" in tracker.artifact(row.run_id, "traceback.txt", faulty).read_text(encoding="utf-8")
    (read,) = tracker.rows()
    assert repr(asdict(read)) == repr(asdict(row))  # NaN is not equal to itself
    assert tracker.finished() == {}
    plain = reason.partition("<")[0].partition("|")[0].strip()
    assert plain in render_markdown([read])
    assert plain in render_html([read])


def test_failure_outside_the_run_is_recorded_like_one_inside(tiny: str, uri: str) -> None:
    cell = cell_of(tiny)
    row = experiment.record_failure(cell, Place(uri, "experiment"), "killed")
    run = Tracker(uri).run(row.run_id)
    assert (run.info.status, row.status, row.reason) == ("FAILED", "FAILED", "killed")
    assert run.data.params["basis.name"] == "chebyshev"
    assert Tracker(uri).artifact(row.run_id, "config.yaml", Path(uri.removeprefix("sqlite:///")).parent).is_file()


def test_score_that_is_not_finite_is_a_failure(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kanzoo_tasks.regression import Regression

    monkeypatch.setattr(Regression, "test_step", lambda self, batch, index: self.test_metrics.update(batch[1], batch[1] + float("inf")))
    row = experiment.run(cell_of(tiny), Place(uri, "experiment"))
    assert (row.status, row.reason) == ("FAILED", "FloatingPointError: test rmse is inf")


def test_interrupted_run_is_marked_and_the_interrupt_goes_on(tiny: str, uri: str, faulty: Path) -> None:
    cell = cell_of(tiny, "basis.name=faulty", "basis.how=interrupt")
    with pytest.raises(KeyboardInterrupt):
        experiment.run(cell, Place(uri, "experiment"))
    (row,) = Tracker(uri).rows()
    assert (row.status, row.reason) == ("KILLED", "interrupted")


def test_seed_alone_decides_the_result(tiny: str, uri: str) -> None:
    def run(seed: int, model: str = "basis.name=bspline") -> Row:
        return experiment.run(cell_of(tiny, model, f"seed={seed}", "trainer.max_epochs=1"), Place(uri, "experiment"))

    torch.manual_seed(1)
    first, other = run(0), run(1)
    torch.manual_seed(2)
    random.seed(2)
    again = [run(1), run(0)]
    assert first.score != other.score
    assert [row.score for row in again] == [other.score, first.score]
    assert run(0, "model.name=baseline").score != run(1, "model.name=baseline").score


@pytest.mark.parametrize("name", ["learnable_activation", "siren", "fourier_features", "power_mlp"])
def test_further_baselines_are_rows_without_a_basis(tiny: str, uri: str, name: str) -> None:
    state = torch.get_rng_state()
    cell = cell_of(tiny, f"model.name={name}", "trainer.max_epochs=1")
    row = experiment.run(cell, Place(uri, "experiment"))
    assert torch.equal(torch.get_rng_state(), state)
    assert (row.status, row.basis) == ("FINISHED", "")
    assert row.model.startswith(f"mlp[{cell.basis.get('name', name)}]")
    again, task = experiment.load_cell(row.run_id, uri)
    assert again.config_hash == cell.config_hash
    assert sum(num_parameters(task.model).values()) == row.num_parameters


def test_functions_of_edges_are_refused_on_nodes(tiny: str) -> None:
    with pytest.raises(InvalidInput, match=r"mlp\[wav_kan\]: basis of a node's activation must not be .* got WavKAN"):
        construction.build(cell_of(tiny, "model.name=learnable_activation", "basis.name=wav_kan"))


@pytest.mark.slow
def test_another_process_gets_the_same_result(tiny: str, finished: Finished, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kanzoo.cli", "run", tiny, "seed=3", "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=os.environ | {"PYTHONHASHSEED": "7"})
    (row,) = Tracker(f"sqlite:///{tmp_path / 'mlflow.db'}").rows()
    assert (row.config_hash, row.score) == (finished.row.config_hash, finished.row.score)


@pytest.mark.parametrize("how", ["not", "raise"])
def test_global_random_state_is_untouched(tiny: str, uri: str, faulty: Path, how: str) -> None:
    def state() -> tuple[bytes, Any, bytes]:
        return torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002

    before = state()
    experiment.run(cell_of(tiny, "basis.name=faulty", f"basis.how={how}"), Place(uri, "experiment"))
    assert state() == before


def test_stages_are_fitted_in_turn_and_reported(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kanzoo.task import Report
    from kanzoo_tasks.regression import Regression

    halves = [slice(0, 40), slice(40, 60)]
    ended: list[int] = []
    monkeypatch.setattr(Regression, "stages", lambda task: [TensorDataset(*task.data.train[half]) for half in halves])
    monkeypatch.setattr(Regression, "end_stage", lambda task, index: ended.append(index))
    monkeypatch.setattr(Regression, "report", lambda task: Report({"rmse": 0.25, "stages": len(ended)}, {"note.txt": "all of it"}))
    shares: list[float] = []
    row = experiment.run(cell_of(tiny), Place(uri, "stages"), shares.append)
    assert (row.status, row.score, row.epochs) == ("FINISHED", 0.25, 6)
    assert ended == [0, 1]
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    tracker = Tracker(uri)
    assert tracker.run(row.run_id).data.metrics["test/stages"] == 2
    curve = tracker.client.get_metric_history(row.run_id, "train/loss")
    assert [point.step for point in curve] == list(range(6))
    assert "kanzoo.sha256.note.txt" in tracker.run(row.run_id).data.tags
