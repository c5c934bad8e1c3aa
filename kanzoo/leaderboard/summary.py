"""Rows -> summaries: one configuration of a model on one task, over its seeds."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from kanzoo.errors import InvalidInput
from kanzoo.leaderboard.statistics import mean_interval
from kanzoo.leaderboard.track import track_order
from kanzoo.record import Row

Direction = Literal["min", "max"]

_PROGRESS = {"FINISHED": 2, "FAILED": 1, "KILLED": 1, "RUNNING": 0}


class Board(NamedTuple):
    """What scores are ranked within: a task by the rules of one track."""

    task_key: str
    track: str


@dataclass(frozen=True)
class Summary:
    """One configuration of a model on one task by the rules of one track, over its seeds.

    Attributes:
        task: label of the task.
        task_key: hash of all that makes scores comparable.
        track: the rules that it was run by.
        model: label of the model.
        model_key: hash of the configuration without the seed.
        basis: registry name of the basis; empty for a baseline.
        score_name: the ranked metric.
        direction: which scores are better.
        mean: mean score over the finished seeds; NaN when there is none.
        low: lower end of the 95 % Student-t interval of the mean; NaN for fewer than two seeds.
        high: its upper end.
        best: best score of a seed; NaN when there is none.
        worst: worst score of a seed.
        n: finished seeds with a finite score.
        failed: the other seeds: failed, killed, or with a score that is not finite.
        reasons: why they failed, each reason once.
        seeds: the finished seeds.
        scores: their scores.
        failed_seeds: the failed ones.
        run_ids: runs of the finished seeds, then of the failed ones.
        num_parameters: mean trainable parameters; NaN when unknown.
        num_coefficients: mean coefficients of basis functions.
        operations: mean arithmetic operations of one sample; NaN when unknown.
        train_time_s: mean seconds in the training loop, over the runs on `hardware` alone.
        step_time_ms: mean of the runs' median milliseconds of a step, over the same runs.
        latency_ms: mean of the runs' median milliseconds of one sample, over the same runs.
        peak_memory_mb: mean growth of resident memory in MB, over the same runs.
        hardware: the machine most of the finished runs used, with the number of seeds that were trained at once; empty when none finished.
        timed: how many of the n runs used it: times and memory are means over these.
        command: the line that runs the first seed again.
    """

    task: str
    task_key: str
    track: str
    model: str
    model_key: str
    basis: str
    score_name: str
    direction: Direction
    mean: float
    low: float
    high: float
    best: float
    worst: float
    n: int
    failed: int
    reasons: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    failed_seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    num_parameters: float
    num_coefficients: float
    operations: float
    train_time_s: float
    step_time_ms: float
    latency_ms: float
    peak_memory_mb: float
    hardware: str
    timed: int
    command: str

    @property
    def board(self) -> Board:
        """What it is ranked within."""
        return Board(self.task_key, self.track)

    @property
    def half(self) -> float:
        """Half the width of the interval: the number after ±."""
        return (self.high - self.low) / 2


def latest(rows: Iterable[Row]) -> list[Row]:
    """Return one row a cell: a finished run beats a failed one, which beats a running one; then the newest date wins."""
    chosen: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (_PROGRESS[row.status], _time(row.date), row.run_id, row_order(row))):
        chosen[row.config_hash] = row
    return sorted(chosen.values(), key=row_order)


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """Summarise each model on each task and track over its seeds; runs that have not ended are left out.

    Runs with different `model_key` are never averaged, even where they share a label.

    Raises:
        InvalidInput: rows with one task_key disagree on the score or its direction.
    """
    scores: dict[str, tuple[str, str]] = {}
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in latest(rows):
        if row.status == "RUNNING":
            continue
        score = scores.setdefault(row.task_key, (row.score_name, row.direction))
        if score != (row.score_name, row.direction):
            raise InvalidInput(
                f"rows of task {row.task!r} with task_key {row.task_key!r} must share score_name and direction, "
                f"got {score} and {(row.score_name, row.direction)}"
            )
        groups[row.task_key, row.track, row.model_key].append(row)
    return [_summary(group) for group in groups.values()]


def row_order(row: Row) -> tuple[Any, ...]:
    """Return the key that sorts rows: total, so that no order of the rows shows in what is written."""
    return (row.task, row.task_key, track_order(row.track), row.model, row.seed, row.date, row.run_id, repr(astuple(row)))


def _time(date: str) -> datetime:
    try:
        time = datetime.fromisoformat(date)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _succeeded(row: Row) -> bool:
    return row.status == "FINISHED" and math.isfinite(row.score)


def _timed_on(row: Row) -> str:
    """Return what times compare on: the machine, and how many seeds shared a step."""
    return row.hardware if row.seeds_together == 1 else f"{row.hardware}, {row.seeds_together} seeds at once"


def _summary(rows: Sequence[Row]) -> Summary:
    done = [row for row in rows if _succeeded(row)]
    failed = [row for row in rows if not _succeeded(row)]
    scores = [row.score for row in done]
    low, high = mean_interval(scores)
    machines = Counter(_timed_on(row) for row in done)
    hardware = min(machines, key=lambda name: (-machines[name], name), default="")
    timed = [row for row in done if _timed_on(row) == hardware]
    sized = done or [row for row in failed if row.num_parameters > 0]
    first, better = (done or failed)[0], min if rows[0].direction == "min" else max
    reasons = [row.reason or (f"score is {row.score}" if row.status == "FINISHED" else row.status.lower()) for row in failed]
    return Summary(
        task=rows[0].task,
        task_key=rows[0].task_key,
        track=rows[0].track,
        model=rows[0].model,
        model_key=rows[0].model_key,
        basis=first.basis,
        score_name=rows[0].score_name,
        direction=rows[0].direction,
        mean=_mean(scores),
        low=low,
        high=high,
        best=better(scores, default=math.nan),
        worst=(max if better is min else min)(scores, default=math.nan),
        n=len(done),
        failed=len(failed),
        reasons=tuple(dict.fromkeys(reasons)),
        seeds=tuple(row.seed for row in done),
        scores=tuple(scores),
        failed_seeds=tuple(row.seed for row in failed),
        run_ids=tuple(row.run_id for row in [*done, *failed]),
        num_parameters=_mean([row.num_parameters for row in sized]),
        num_coefficients=_mean([row.num_coefficients for row in sized]),
        operations=_mean([row.operations for row in sized if row.operations > 0]),
        train_time_s=_mean([row.train_time_s for row in timed]),
        step_time_ms=_mean([row.step_time_ms for row in timed]),
        latency_ms=_mean([row.latency_ms for row in timed]),
        peak_memory_mb=_mean([row.peak_memory_mb for row in timed]),
        hardware=hardware,
        timed=len(timed),
        command=first.command,
    )


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(statistics.mean(known)) if known else math.nan
