"""Runs the candidates as ordinary cells within a time, and the two finalists on more seeds."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kanzoo import benchmark, construction
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.place import Place
from kanzoo.recommend.columns import Target
from kanzoo.recommend.halving import Candidate, Choice, Cost, History, finalists, halve, lengths
from kanzoo.record import Row
from kanzoo.registry import find, plugins
from kanzoo.tracking import Tracker

#: Seeds that candidates are chosen on.
CHOICE_SEEDS = 2

#: Rows up to which a step takes them all.
FULL_BATCH = 5_000

#: Share of the time that the finalists' seeds may take.
_FINAL_SHARE = 0.4

#: Hidden widths are 8 times these. An MLP has few numbers at a width, and gets the larger ones too.
WIDTHS = (1.0, 2.0, 0.5)
MLP_WIDTHS = (1.0, 4.0, 16.0, 2.0, 8.0, 0.5)

#: One of each family.
_BASES = ("chebyshev", "bspline", "gaussian_rbf", "rational", "fourier", "piecewise_linear", "sine", "wav_kan")

_LARGE = ("trainer.optimizer=adamw", "trainer.lr=5e-3", "trainer.batch_size=256")


def chosen_bases(text: str) -> list[str]:
    """Return the bases that a comma-separated text names: all for `*`, one of each family for nothing.

    Raises:
        InvalidInput: one is unknown, or named twice.
    """
    if not text:
        return [name for name in _BASES if name in plugins("basis")]
    names = list(plugins("basis")) if text == "*" else [name.strip() for name in text.split(",")]
    for index, name in enumerate(names):
        find("basis", name)
        if name in names[:index]:
            raise InvalidInput(f"--bases must name each basis once, got {name!r} twice")
    return names


@dataclass(frozen=True)
class Problem:
    """A table and what is to be predicted.

    Attributes:
        file: the CSV file.
        column: the target's name.
        target: what it holds.
        data_dir: where data sets lie, or None.
    """

    file: Path
    column: str
    target: Target
    data_dir: Path | None = None

    @property
    def epochs(self) -> int:
        """The longest training: LBFGS on all rows takes few epochs, Adam on all rows many, and in batches few again."""
        if self.target.rows > FULL_BATCH:
            return 27
        return 36 if self.target.kind == "regression" else 270

    def cells(self, choice: Choice, seeds: int) -> list[Cell]:
        """Return the cells of a choice, one a seed.

        Raises:
            InvalidInput: the table or a name is refused.
        """
        candidate, epochs = choice
        model = f"basis.name={candidate.basis}" if candidate.basis else "model.name=baseline"
        overrides = [
            *(f"name={_quoted(self.file.stem)}", "task.dataset=csv", f"task.file={_quoted(str(self.file))}"),
            *(f"task.target={_quoted(self.column)}", "task.hidden=[8]", model, f"model.width={candidate.width:g}"),
            *(_LARGE if self.target.rows > FULL_BATCH else ()),
            *(f"trainer.max_epochs={epochs}", f"trainer.validate_every={epochs}", f"seed={','.join(map(str, range(seeds)))}"),
        ]
        return compose(self.target.kind, overrides, data_dir=self.data_dir)


def _quoted(text: str) -> str:
    """Return text as YAML that stays text; commas in it are no sweep."""
    return "'" + text.replace("'", "''") + "'"


@dataclass
class Pace:
    """What cells took so far, from which it is told what others will take."""

    seconds: dict[Candidate, float] = field(default_factory=dict)  # an epoch
    overheads: list[float] = field(default_factory=list)  # a cell, beside its epochs; the first warms up

    def note(self, rows: Mapping[Candidate, Sequence[Row]], wall: float | None) -> None:
        """Take in the rows of candidates that took so many seconds together; None where workers ran them side by side."""
        done = [(one, row) for one, group in rows.items() for row in group if row.epochs and math.isfinite(row.train_time_s)]
        self.seconds |= {one: row.train_time_s / row.epochs for one, row in done}
        if wall is not None:
            self.overheads.append(max(0.0, wall - sum(row.train_time_s for _, row in done)) / max(1, sum(map(len, rows.values()))))

    def expected(self, choice: Choice, seeds: int) -> float:
        """Return the seconds that the cells of a choice will take one after the other; those of a like candidate where it was not tried."""
        kind = bool(choice.candidate.basis)
        known = [value for one, value in self.seconds.items() if bool(one.basis) is kind] or list(self.seconds.values()) or [0.0]
        rate = self.seconds.get(choice.candidate, statistics.median(known))
        return seeds * (statistics.median(self.overheads[1:] or self.overheads or [0.0]) + rate * choice.epochs)


@dataclass
class Result:
    """What the search found.

    Attributes:
        history: how it went.
        rows: those of the finalists' seeds.
        test_share: rows of the test part over rows of the training part.
    """

    history: History
    rows: dict[Choice, list[Row]]
    test_share: float


@dataclass
class Search:
    """Looks for the best KAN and the best MLP on a table.

    Args:
        problem: the table.
        place: where runs are recorded.
        seconds: to be kept to; the first KAN and MLP of every round, and the finalists' seeds, are run in any case.
        seeds: of the finalists.
        jobs: cells at a time.
        tell: told what goes on.
    """

    problem: Problem
    place: Place
    seconds: float
    seeds: int = 5
    jobs: int = 1
    tell: Callable[[str], None] = lambda text: None
    pace: Pace = field(default_factory=Pace)

    def run(self, candidates: Sequence[Candidate]) -> Result:
        """Try the candidates, the most important first, and run the two finalists on all seeds."""
        self._end = time.monotonic() + self.seconds
        self._tracker = Tracker(self.place.tracking_uri)
        began = time.monotonic()

        self._start_up = time.monotonic() - began if self.jobs > 1 else 0.0
        steps = lengths(self.problem.epochs)
        self._longest, self._rungs_left = steps[-1], len(steps)
        pilots = [next(one for one in candidates if bool(one.basis) is kind) for kind in (True, False)]
        for one in pilots:
            self._run([Choice(one, steps[0])], CHOICE_SEEDS, here=True)
        self._longest = max(steps[0], self._affordable(pilots, steps[-1]))
        steps = lengths(self._longest, steps[0])
        self._rungs_left = len(steps)
        history = halve([*pilots, *(one for one in candidates if one not in pilots)], steps, self._score)
        chosen = finalists(history)
        for choice in chosen:
            self.tell(f"final: {choice.candidate.name}, {choice.epochs} epochs, {self.seeds} seeds")
        data = construction.build(self.problem.cells(Choice(pilots[1], 1), 1)[0], self.problem.data_dir).data
        return Result(history, self._run(chosen, self.seeds), len(data.test) / len(data.train))

    def _affordable(self, pilots: Sequence[Candidate], most: int) -> int:
        """Return the epochs, `most` at most, for which the final takes no more than its share of the time."""
        allowed = _FINAL_SHARE * (self._end - time.monotonic())
        return next((length for length in range(most, 1, -1) if self._final(pilots, length) <= allowed), 1)

    def _final(self, pilots: Sequence[Candidate], epochs: int) -> float:
        return sum(self.pace.expected(Choice(one, epochs), self.seeds) for one in pilots) / self.jobs + self._start_up

    def _score(self, candidates: Sequence[Candidate], epochs: int) -> dict[Candidate, Cost]:
        """Try as many candidates as this round's share of the time suffices for: the first two in any case."""
        now = time.monotonic()
        until = now + (self._end - now - self._final(candidates[:2], self._longest)) / self._rungs_left
        self._rungs_left -= 1
        left, costs = [Choice(one, epochs) for one in candidates], dict[Candidate, Cost]()
        while left:
            size = max(self._fitting(left, until - time.monotonic()), 2 - len(costs))
            if size <= 0:
                break
            chunk, left = left[:size], left[size:]
            costs |= {choice.candidate: self._cost(rows) for choice, rows in self._run(chunk, CHOICE_SEEDS).items()}
        best = min(costs, key=lambda one: costs[one])
        note = f", {len(left)} left out for lack of time" if left else ""
        self.tell(f"{epochs} epochs: {len(costs)} candidates tried{note}; best on the validation rows {best.name}")
        return costs

    def _fitting(self, choices: Sequence[Choice], seconds: float) -> int:
        """Return how many of the first choices fit into the time; one by one where cells are run one by one."""
        total = self._start_up
        for count, choice in enumerate(choices):
            total += self.pace.expected(choice, CHOICE_SEEDS) / self.jobs
            if total > seconds:
                return count
            if self.jobs == 1:
                return 1
        return len(choices)

    def _run(self, choices: Sequence[Choice], seeds: int, *, here: bool = False) -> dict[Choice, list[Row]]:
        """Run the cells of choices, those that are not finished, in this process or by workers; return their rows."""
        cells = {choice: self.problem.cells(choice, seeds) for choice in choices}
        began = time.monotonic()
        wanted = [cell for group in cells.values() for cell in group]
        here = here or self.jobs == 1
        if here:
            ran = [_run_here(cell, self.place) for cell in wanted]
        else:
            outcome = benchmark.launch(self.place.experiment, wanted, self.place, jobs=min(self.jobs, len(wanted)))
            ran = [*outcome.skipped, *outcome.rows]
        found = {row.config_hash: row for row in ran}
        rows = {choice: [found[cell.config_hash] for cell in group] for choice, group in cells.items()}
        self.pace.note({choice.candidate: group for choice, group in rows.items()}, time.monotonic() - began if here else None)
        return rows

    def _cost(self, rows: Sequence[Row]) -> Cost:
        """Return the mean validation score of a candidate's seeds as a cost."""
        sign = 1 if rows[0].direction == "min" else -1
        values = [metric(self._tracker, row, f"validation/{row.score_name}") for row in rows]
        mean = sign * statistics.mean(values)
        return Cost(mean if math.isfinite(mean) else math.inf, rows[0].num_parameters)


def metric(tracker: Tracker, row: Row, name: str) -> float:
    """Return the last value of a metric of a finished run; NaN where it has none."""
    return float(tracker.run(row.run_id).data.metrics.get(name, math.nan)) if row.status == "FINISHED" else math.nan


def _run_here(cell: Cell, place: Place) -> Row:
    """Run a cell in this process; one that cannot be built is recorded as failed, as a benchmark does it."""
    from kanzoo import experiment

    try:
        return benchmark.run_one(cell, place)
    except InvalidInput as error:
        with Tracker(place.tracking_uri).claim(cell.config_hash) as free:
            if not free:  # another process works on it
                raise
            return experiment.record_failure(cell, place, f"{error.message}. {error.hint}".strip())
