"""Tunes a model on a task before its seeds are run: one study a model, on validation data alone, recorded and shared by its seeds."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import optuna
import torch
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import TPESampler

from kanzoo import construction, experiment, fitting, workload
from kanzoo.cell import Cell
from kanzoo.errors import InvalidInput
from kanzoo.place import Place, Progress
from kanzoo.record import Row
from kanzoo.search_space import Space, Tuned, space, start, with_values
from kanzoo.task import SolvedTask
from kanzoo.tracking import Recorder, Tracker

optuna.logging.set_verbosity(optuna.logging.WARNING)  # a trial is not news

#: The seed of every trial, 2^31 - 1: initial weights, order and split are those of no seed that is ranked.
TUNING_SEED = 2**31 - 1

#: Told of the number of a trial and its values; returns its score on validation data.
Judge = Callable[[int, Mapping[str, Any]], float]


class StudyFailed(Exception):
    """No trial of a study ended with a score."""


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: from 0, which is the config as it is.
        values: what was tried, by key.
        value: the score on validation data; NaN when it failed.
        reason: why it failed; empty when it did not.
        seconds: what it took.
    """

    number: int
    values: Mapping[str, Any]
    value: float
    reason: str
    seconds: float


def run(cell: Cell, place: Place, progress: Progress | None = None) -> Row:
    """Run a cell that the caller has claimed as `kanzoo.experiment.run` does, with the values that a study found where it asks for one.

    The study is that of `model_key`: the first seed makes it, the others read it. When no trial ended with a score, the cell is FAILED.

    Raises:
        InvalidInput: the cell cannot be built or tuned; nothing is recorded.
        KeyboardInterrupt: the run that was worked on is marked as KILLED.
    """
    if not cell.tuner:
        return experiment.run(cell, place, progress)
    if cell.seed == TUNING_SEED:
        raise InvalidInput(f"seed must not be that of the trials with tuner.trials={cell.tuner['trials']}, got {cell.seed}")
    try:
        tuned = tune(cell, place, progress)
    except StudyFailed as error:
        return experiment.record_failure(cell, place, str(error))
    return experiment.run(cell, place, _part(progress, cell, cell.tuner["trials"]), tuned)


def tune(cell: Cell, place: Place, progress: Progress | None = None) -> Tuned:
    """Return what the study of a cell's model found; it is made unless a finished one is recorded, and waited for while another makes it.

    Raises:
        InvalidInput: the cell cannot be built, or its score is not one of validation data.
        StudyFailed: no trial ended with a score.
    """
    tracker = Tracker(place.tracking_uri)
    with tracker.lock(_lock(cell)):
        run_id = tracker.study(cell.model_key) or _record(cell, place, tracker, progress)
    with TemporaryDirectory() as folder:
        content = json.loads(tracker.artifact(run_id, "study.json", Path(folder)).read_text(encoding="utf-8"))
    return Tuned(with_values(cell, content["values"], cell.seed), content["values"], run_id, content["seconds"])


def is_busy(cell: Cell, tracker: Tracker) -> bool:
    """Return whether another process makes the study that a cell needs."""
    if not cell.tuner:
        return False
    with tracker.claim(_lock(cell)) as free:
        return not free


def check(cell: Cell, place: Place) -> None:
    """Raise InvalidInput where a cell cannot be built, or its score has no value on validation data."""
    try:
        task = construction.build(with_values(cell, {}, TUNING_SEED), place.data_dir)
    except InvalidInput:
        raise
    except (Exception, SystemExit):  # a plug-in's own fault, which every trial will tell
        return
    rule, given = f"tuner.trials must be 0 for the task {cell.task['name']}", f"got {cell.tuner['trials']}"
    if isinstance(task, SolvedTask):
        raise InvalidInput(f"{rule}, which solves itself, {given}")
    if task.score not in task.metrics():
        raise InvalidInput(f"{rule}, whose score {task.score} is of its report and has no value on validation data, {given}")


def validation_score(cell: Cell, place: Place, progress: Progress | None = None) -> float:
    """Train a cell without a record and return its score on validation data at the end; test data are not looked at."""
    task = construction.build(cell, place.data_dir)
    torch.set_num_threads(place.threads or workload.useful_threads(task))
    stages = task.stages()
    workload.compile_as_wanted(cell, task)
    with experiment.isolated(cell.seed):
        fitting.fit(task, stages, cell, place, _NoRecord(), progress)
        trainer = fitting.new_trainer(place, False, [])
        (metrics,) = trainer.validate(task, task.evaluation_loader(task.data.validation), verbose=False)
    return float(metrics[f"validation/{task.score}"])


def search(
    ranges: Space,
    first: Mapping[str, Any],
    judge: Judge,
    *,
    trials: int,
    seed: int,
    direction: Literal["min", "max"],
    listener: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Try values one after the other, by a tree-structured Parzen estimator over all keys at once.

    The first trial has the values `first`. A third of the trials, 3 to 10, are drawn at random before the estimator takes over. Numbers are
    tried with three digits. A trial that raises, or whose score is not finite, has the worst value there is.

    Args:
        ranges: by key.
        first: values by key, of the first trial; they may lie outside of their range, at whose nearest end the estimator sees them.
        judge: returns the score of a trial.
        trials: how many.
        seed: of the sampler.
        direction: of the score.
        listener: told of every trial.

    Raises:
        KeyboardInterrupt: a trial was interrupted.

    Reference:
        Bergstra et al., Algorithms for hyper-parameter optimization, NeurIPS 2011; Akiba et al., Optuna, arXiv:1907.10902.

    Example:
        >>> ranges = {"trainer.lr": FloatDistribution(1e-3, 1e-1, log=True)}
        >>> found = search(ranges, {"trainer.lr": 1e-2}, lambda number, values: values["trainer.lr"], trials=3, seed=1, direction="min")
        >>> found[0].values, best(found, "min").value <= 1e-2
        ({'trainer.lr': 0.01}, True)
    """
    sampler = TPESampler(n_startup_trials=min(10, max(3, trials // 3)), multivariate=True, seed=seed)
    study = optuna.create_study(direction="minimize" if direction == "min" else "maximize", sampler=sampler)
    study.enqueue_trial({key: _inside(ranges[key], value) for key, value in first.items()})
    worst = math.inf if direction == "min" else -math.inf
    done: list[Trial] = []
    for number in range(trials):
        asked = study.ask(ranges)
        values = first if number == 0 else {key: _rounded(value) for key, value in asked.params.items()}
        began = time.perf_counter()
        value, reason = _judged(judge, number, values)
        done.append(Trial(number, values, value, reason, time.perf_counter() - began))
        study.tell(asked, worst if reason else value)
        listener(done[-1])
    return done


def best(trials: list[Trial], direction: Literal["min", "max"]) -> Trial:
    """Return the best trial, of equal ones the first.

    Raises:
        StudyFailed: none has a score.
    """
    sign = 1 if direction == "min" else -1
    scored = [(sign * trial.value, trial.number) for trial in trials if not trial.reason]
    if not scored:
        raise StudyFailed(f"none of {len(trials)} trials ended with a score; the first: {trials[0].reason}"[:500])
    return trials[min(scored)[1]]


def _judged(judge: Judge, number: int, values: Mapping[str, Any]) -> tuple[float, str]:
    try:
        value = judge(number, values)
    except BaseException as error:  # whatever a plug-in or the machine does, the other trials go on
        if experiment.interrupted(error):
            raise KeyboardInterrupt from error
        return math.nan, experiment.reason(error)
    return (value, "") if math.isfinite(value) else (math.nan, f"the score is {value}")


def _record(cell: Cell, place: Place, tracker: Tracker, progress: Progress | None) -> str:
    """Make the study of a cell's model, whose lock the caller holds, and return the id of its run."""
    check(cell, place)
    recorder = tracker.start(
        place.experiment,
        f"tuning {cell.model_label} on {cell.task_label}",
        key=_lock(cell),
        kind="study",
        tags={"kanzoo.study": cell.model_key, "kanzoo.task": cell.task_label, "kanzoo.model": cell.model_label},
        parent=place.parent,
    )
    name = f"validation/{cell.score}"
    with recorder:
        recorder.artifact("config.yaml", cell.to_yaml())
        trials = search(
            space(cell),
            start(cell),
            lambda number, values: validation_score(with_values(cell, values, TUNING_SEED), place, _part(progress, cell, number)),
            trials=cell.tuner["trials"],
            seed=int(cell.model_key, 16) % 2**32,
            direction=cell.direction,
            listener=lambda trial: None if trial.reason else recorder.log({name: trial.value}, trial.number),
        )
        seconds = sum(trial.seconds for trial in trials)
        failed = sum(bool(trial.reason) for trial in trials)
        recorder.log({"tuner/trials": len(trials), "tuner/failed": failed, "tuner/seconds": seconds})
        try:
            found = best(trials, cell.direction)
        except StudyFailed as error:
            recorder.tags({"kanzoo.reason": str(error)})
            raise
        recorder.params({"trial": found.number, **found.values})
        recorder.log({"tuner/best": found.value})
        tried = [asdict(trial) | {"value": None if trial.reason else trial.value} for trial in trials]
        content = {"values": found.values, "trial": found.number, "seconds": seconds, "trials": tried}
        recorder.artifact("study.json", json.dumps(content, indent=1))
        recorder.close("FINISHED")
    return recorder.run_id


class _NoRecord(Recorder):
    """Keeps nothing: the curves of a trial are of no interest."""

    def __init__(self) -> None:
        super().__init__(None, "trial")

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        pass


def _lock(cell: Cell) -> str:
    return f"study-{cell.model_key}"


def _part(progress: Progress | None, cell: Cell, number: int) -> Progress | None:
    """Return the progress of one of a cell's trainings: its trials, and the last one."""
    return None if progress is None else lambda share: progress((number + share) / (cell.tuner["trials"] + 1))


def _inside(distribution: BaseDistribution, value: Any) -> Any:
    return min(max(value, distribution.low), distribution.high) if isinstance(distribution, FloatDistribution) else value


def _rounded(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value
