"""Tuning: validation data alone decide, the seeds of a model share a study, and what was found can be run again."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from torch.utils.data import TensorDataset

from kanzoo import benchmark, cli, experiment, tuning
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.place import Place
from kanzoo.search_space import start, with_values
from kanzoo.task import Data
from kanzoo.tracking import Tracker
from kanzoo_tasks.regression import Regression

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

TRIALS = 4


def cell_of(tiny: str, *overrides: str) -> Cell:
    (cell,) = compose(tiny, ["trainer.batch_size=0", "trainer.max_epochs=20", f"tuner.trials={TRIALS}", *overrides])
    return cell


def place_of(uri: str) -> Place:
    return Place(uri, "own", accelerator="cpu")


def studies(uri: str) -> list[Any]:
    return Tracker(uri)._search("tags.`kanzoo.kind` = 'study'")


class Tuned:
    """Two seeds of one model, tuned and recorded in one store; the seed 1 saw that of 0."""

    def __init__(self, tiny: str, uri: str, folder: Path) -> None:
        self.tiny, self.uri, self.folder = tiny, uri, folder
        self.shares: list[float] = []
        random_states = self._random_states()
        self.rows = [tuning.run(cell_of(tiny, "seed=0"), place_of(uri), self.shares.append)]
        self.rows.append(tuning.run(cell_of(tiny, "seed=1"), place_of(uri)))
        self.random_states = (random_states, self._random_states())
        self.runs = [Tracker(uri).run(row.run_id) for row in self.rows]
        (self.study,) = studies(uri)
        path = Tracker(uri).artifact(self.study.info.run_id, "study.json", folder)
        self.content = json.loads(path.read_text(encoding="utf-8"))

    @staticmethod
    def _random_states() -> tuple[bytes, str, str]:
        return torch.get_rng_state().numpy().tobytes(), str(np.random.get_state()), str(random.getstate())  # noqa: NPY002


@pytest.fixture(scope="module")
def tuned(tiny: str, new_store: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = tmp_path_factory.mktemp("tuned")
    return Tuned(tiny, new_store(folder), folder)


def test_seeds_share_one_study_and_keep_their_own_scores(tuned: Tuned) -> None:
    assert [(row.status, row.seed, row.track) for row in tuned.rows] == [("FINISHED", 0, "trials=4"), ("FINISHED", 1, "trials=4")]
    assert tuned.rows[0].score != tuned.rows[1].score
    for run in tuned.runs:
        assert run.data.tags["kanzoo.study_run"] == tuned.study.info.run_id
        found = {key: value for key, value in run.data.params.items() if key.startswith("tuned.")}
        assert found == {f"tuned.{key}": str(value) for key, value in tuned.content["values"].items()}
        assert run.data.metrics["tuner/seconds"] == pytest.approx(tuned.content["seconds"])
        assert run.data.params["trainer.lr"] == "0.01"  # of the cell, as it was asked for


def test_study_is_recorded_with_all_its_trials(tuned: Tuned) -> None:
    run, trials = tuned.study, tuned.content["trials"]
    assert run.info.status == "FINISHED"
    assert [trial["number"] for trial in trials] == list(range(TRIALS))
    assert trials[0]["values"] == start(cell_of(tuned.tiny))
    values = [trial["value"] for trial in trials]
    assert min(values) == values[tuned.content["trial"]] <= values[0]
    assert tuned.content["values"] == trials[tuned.content["trial"]]["values"]
    assert (run.data.metrics["tuner/trials"], run.data.metrics["tuner/failed"]) == (TRIALS, 0)
    assert run.data.metrics["tuner/best"] == pytest.approx(min(values))
    assert tuned.content["seconds"] == pytest.approx(sum(trial["seconds"] for trial in trials))
    curve = Tracker(tuned.uri).client.get_metric_history(run.info.run_id, "validation/rmse")
    assert [point.value for point in sorted(curve, key=lambda point: point.step)] == values


def test_a_trial_is_the_training_that_its_cell_says(tuned: Tuned) -> None:
    content = tuned.content["trials"][2]
    trial = with_values(cell_of(tuned.tiny), content["values"], tuning.TUNING_SEED)
    row = experiment.run(trial, place_of(tuned.uri))
    curve = Tracker(tuned.uri).client.get_metric_history(row.run_id, "validation/rmse")
    assert max(curve, key=lambda point: point.step).value == content["value"]


def test_found_config_gives_the_score_again(tuned: Tuned) -> None:
    for row, seed in zip(tuned.rows, (0, 1), strict=True):
        path = Tracker(tuned.uri).artifact(row.run_id, "tuned.yaml", tuned.folder)
        (cell,) = compose(str(path))
        assert (cell.seed, cell.track, cell.tuner) == (seed, "default", {})
        again = experiment.run(cell, place_of(tuned.uri))
        assert (again.score, again.num_parameters) == (row.score, row.num_parameters)


def test_recorded_config_is_that_of_the_cell(tuned: Tuned) -> None:
    path = Tracker(tuned.uri).artifact(tuned.rows[1].run_id, "config.yaml", tuned.folder)
    (cell,) = compose(str(path))
    assert cell.config_hash == tuned.rows[1].config_hash == cell_of(tuned.tiny, "seed=1").config_hash


def test_loaded_run_is_the_tuned_network(tuned: Tuned) -> None:
    cell, task = experiment.load_cell(tuned.rows[1].run_id, tuned.uri)
    with torch.no_grad():
        task.test_metrics.update(*task.loss(task.data.test.tensors)[1:])
    assert task.test_metrics.compute()["test/rmse"].item() == pytest.approx(tuned.rows[1].score, rel=1e-6)
    assert cell.basis["degree"] == tuned.content["values"]["basis.degree"]


def test_progress_goes_over_all_trainings_and_global_random_state_stays(tuned: Tuned) -> None:
    assert tuned.shares == sorted(tuned.shares)
    assert (len(tuned.shares), tuned.shares[-1]) == ((TRIALS + 1) * 20, 1)
    assert tuned.random_states[0] == tuned.random_states[1]


def test_another_store_finds_the_same_and_test_data_have_no_say(tuned: Tuned, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one go, since each is a study: with nonsense as test data another store finds the same values."""
    load = Regression.load

    def nonsense(task: Regression, data_dir: Path | None, seed: int) -> Data:
        data = load(task, data_dir, seed)
        return Data(data.train, data.validation, TensorDataset(*(torch.full_like(part, math.nan) for part in data.test.tensors)))

    monkeypatch.setattr(Regression, "load", nonsense)
    found = tuning.tune(cell_of(tuned.tiny, "seed=1"), place_of(uri))
    assert found.values == tuned.content["values"]
    monkeypatch.undo()
    assert tuning.run(cell_of(tuned.tiny, "seed=1"), place_of(uri)).score == tuned.rows[1].score


def judged(monkeypatch: pytest.MonkeyPatch, judge: Callable[[Cell], float]) -> list[Cell]:
    """Put a formula in the place of training; return the cells that were tried."""
    tried: list[Cell] = []

    def score(cell: Cell, place: Place, progress: Any = None) -> float:
        tried.append(cell)
        return judge(cell)

    monkeypatch.setattr(tuning, "validation_score", score)
    return tried


def test_a_trial_that_fails_does_not_stop_the_study(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = iter([math.nan, ValueError("no luck\nat all"), SystemExit(3)])

    def judge(cell: Cell) -> float:
        fault = next(faults, None)
        if isinstance(fault, BaseException):
            raise fault
        return cell.trainer["lr"] if fault is None else fault

    tried = judged(monkeypatch, judge)
    found = tuning.tune(cell_of(tiny, "tuner.trials=6"), place_of(uri))
    assert {cell.seed for cell in tried} == {tuning.TUNING_SEED}
    assert found.values["trainer.lr"] == min(cell.trainer["lr"] for cell in tried[3:])
    assert found.cell.trainer["lr"] == found.values["trainer.lr"]
    (run,) = studies(uri)
    assert (run.data.metrics["tuner/trials"], run.data.metrics["tuner/failed"]) == (6, 3)
    path = Tracker(uri).artifact(run.info.run_id, "study.json", Path(uri.removeprefix("sqlite:///")).parent)
    trials = json.loads(path.read_text(encoding="utf-8"))["trials"]
    assert [trial["reason"] for trial in trials[:4]] == ["the score is nan", "ValueError: no luck", "SystemExit: 3", ""]
    assert [trial["value"] for trial in trials[:3]] == [None] * 3


def test_a_cell_fails_when_all_trials_do(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, lambda cell: math.inf)
    row = tuning.run(cell_of(tiny), place_of(uri))
    assert (row.status, row.reason) == ("FAILED", "none of 4 trials ended with a score; the first: the score is inf")
    assert [run.info.status for run in studies(uri)] == ["FAILED"]
    assert Tracker(uri).study(cell_of(tiny).model_key) is None  # to be made again


def test_an_interrupt_ends_the_study(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(cell: Cell) -> float:
        raise KeyboardInterrupt

    judged(monkeypatch, judge)
    with pytest.raises(KeyboardInterrupt):
        tuning.run(cell_of(tiny), place_of(uri))
    assert [run.info.status for run in studies(uri)] == ["KILLED"]
    assert Tracker(uri).rows() == []


def test_a_plugin_that_cannot_be_built_is_recorded(tiny: str, uri: str, faulty: Path) -> None:
    row = tuning.run(cell_of(tiny, "basis.name=faulty", "basis.how=build"), place_of(uri))
    assert row.status == "FAILED"
    assert "none of 4 trials ended with a score; the first: " in row.reason


def test_others_wait_for_a_study(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, lambda cell: cell.trainer["lr"])
    tracker, cell, place = Tracker(uri), cell_of(tiny), place_of(uri)
    with tracker.lock(tuning._lock(cell)):
        assert tuning.is_busy(cell, tracker)
        assert not tuning.is_busy(cell_of(tiny, "tuner.trials=0"), tracker)
        assert benchmark._work(cell, place, patient=False) is None
        assert Tracker(uri).rows() == []
    assert not tuning.is_busy(cell, tracker)
    row = benchmark._work(cell, place, patient=False)
    assert row is not None
    assert row.status == "FINISHED"


def test_a_study_whose_process_died_is_made_again(tiny: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, lambda cell: cell.trainer["lr"])
    cell = cell_of(tiny)
    dead = Tracker(uri).start("own", "dead", key=tuning._lock(cell), kind="study", tags={"kanzoo.study": cell.model_key})
    assert benchmark.run_one(cell, place_of(uri)).status == "FINISHED"
    assert {run.info.run_id == dead.run_id: run.info.status for run in studies(uri)} == {True: "KILLED", False: "FINISHED"}


def test_seeds_of_a_tuned_model_are_not_trained_at_once(tiny: str) -> None:
    assert len(benchmark.grouped([cell_of(tiny, f"seed={seed}", "tuner.trials=0") for seed in range(3)])) == 1
    assert len(benchmark.grouped([cell_of(tiny, f"seed={seed}") for seed in range(3)])) == 3


def test_an_experiment_does_not_run_a_cell_whose_values_nobody_found(tiny: str, uri: str) -> None:
    with pytest.raises(ValueError, match="tuning"):
        experiment.run(cell_of(tiny), place_of(uri))
    assert Tracker(uri).rows() == []


@pytest.mark.parametrize(
    ("config", "override", "message"),
    [
        ("continual_digits", "seed=0", "tuner.trials must be 0 for the task continual, whose score average_accuracy is of its report"),
        ("symbolic", "seed=0", "tuner.trials must be 0 for the task symbolic, which solves itself, got 2"),
        ("digits_dense", f"seed={tuning.TUNING_SEED}", "seed must not be that of the trials with tuner.trials=2, got 2147483647"),
        ("digits_dense", "tuner.space=basis", "tuner.space must be one of all, trainer, got 'basis'"),
    ],
)
def test_what_cannot_be_tuned_is_refused(config: str, override: str, message: str, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli._code(["run", config, "tuner.trials=2", override, "--tracking-uri", uri])
    assert (code, message in capsys.readouterr().err) == (2, True)
    assert Tracker(uri)._search("") == []


def bowl(number: int, values: Any) -> float:
    """Smallest at lr = 0.03, and smaller where the squash is layernorm."""
    return float((math.log10(values["trainer.lr"]) - math.log10(0.03)) ** 2 + (values["model.squash"] != "layernorm"))


RANGES = {"trainer.lr": FloatDistribution(1e-4, 1e-1, log=True), "model.squash": CategoricalDistribution(["tanh", "layernorm"])}
FIRST = {"trainer.lr": 3e-4, "model.squash": "tanh"}


@pytest.mark.parametrize("seed", range(5))
def test_search_finds_the_bottom_of_a_bowl_and_begins_with_the_config(seed: int) -> None:
    trials = tuning.search(RANGES, FIRST, bowl, trials=30, seed=seed, direction="min")
    assert trials[0].values == FIRST
    found = tuning.best(trials, "min")
    assert found.value < 0.05
    assert found.values["model.squash"] == "layernorm"
    again = tuning.search(RANGES, FIRST, bowl, trials=30, seed=seed, direction="min")
    assert [trial.values for trial in again] == [trial.values for trial in trials]
    up = tuning.search(RANGES, FIRST, lambda number, values: -bowl(number, values), trials=30, seed=seed, direction="max")
    assert [trial.values for trial in up] == [trial.values for trial in trials]


def test_first_trial_may_lie_outside_of_its_range() -> None:
    ranges = {"trainer.weight_decay": FloatDistribution(1e-6, 1e-1, log=True)}
    seen: list[float] = []

    def judge(number: int, values: Any) -> float:
        seen.append(values["trainer.weight_decay"])
        return seen[-1]

    trials = tuning.search(ranges, {"trainer.weight_decay": 0.0}, judge, trials=3, seed=1, direction="min")
    assert seen[0] == 0
    assert tuning.best(trials, "min").values == {"trainer.weight_decay": 0.0}
    assert all(value == float(f"{value:.3g}") for value in seen)


def test_of_equal_trials_the_config_wins() -> None:
    trials = tuning.search(RANGES, FIRST, lambda number, values: 1.0, trials=5, seed=1, direction="max")
    assert tuning.best(trials, "max").number == 0


def test_check_lets_through_what_can_be_tuned(tiny: str, uri: str) -> None:
    tuning.check(cell_of(tiny), place_of(uri))
    with pytest.raises(InvalidInput, match="which solves itself"):
        tuning.check(compose("symbolic", ["tuner.trials=2"])[0], place_of(uri))
