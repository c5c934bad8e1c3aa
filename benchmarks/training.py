"""Time whole training steps and write rows: `python -m benchmarks.training --rounds 9`.

A step here has everything: gradients set to zero, loss, backward pass, optimiser. It is timed as a bare loop and through the code by
which `kanzoo run` fits (`kanzoo.fitting.fit`, with an MLflow store): the epochs after the first few, with what they send to the store.
All times are CPU seconds of one pinned thread, medians over rounds of all contestants in turn; ratios are paired by round.
"""

import argparse
import csv
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.clock import Timing, interleaved, settle
from kanzoo import compilation, construction, experiment, fitting, hardware, workload
from kanzoo.config import compose
from kanzoo.ensemble import Ensemble
from kanzoo.place import Place
from kanzoo.task import Task
from kanzoo.tracking import Recorder, Tracker

ROWS = Path(__file__).parent / "results" / "training.csv"
BASES = ("bspline", "gaussian_rbf")
MEMBERS = (1, 8, 64)


@dataclass(frozen=True)
class TrainingRow:
    """One figure.

    Attributes:
        name: what was measured.
        value: the median.
        unit: of the value; `x` for a ratio.
        hardware: short fingerprint.
        cpu: processor.
        torch: version.
    """

    name: str
    value: float
    unit: str
    hardware: str
    cpu: str
    torch: str


def main() -> None:
    """Measure all and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=ROWS)
    options = parser.parse_args()
    settle()
    warnings.filterwarnings("ignore")
    facts = hardware.describe("cpu", 1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        place = Place(f"sqlite:///{folder}/mlflow.db", "training", accelerator="cpu", threads=1)
        for basis in BASES:
            found += list(adam(basis, place, options.rounds))
        for basis in BASES:
            found += list(lbfgs(basis, place, options.rounds))
    for basis in BASES:
        found += list(members(basis, options.rounds))
    rows = [TrainingRow(*figure, hardware.fingerprint(facts), hardware.cpu_name(), torch.__version__) for figure in found]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(TrainingRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


Figure = tuple[str, float, str]


def adam(basis: str, place: Place, rounds: int) -> Iterator[Figure]:
    """Yield the microseconds of an Adam step on [2, 5, 1] and 1,000 points, bare and through kanzoo, and their ratios."""
    contestants: dict[str, Callable[[], object]] = {}
    through: dict[str, Callable[[], float]] = {}
    for manner in ("eager", "compiled"):
        options = ("trainer.optimizer=adam", "trainer.lr=0.01", f"trainer.compile={str(manner == 'compiled').lower()}")
        contestants[manner] = bare_step(prepared(basis, *options))
        through[manner] = partial(step_through_kanzoo, basis, place, options, few=10, many=410)
    yield from _compared(f"adam [2,5,1] {basis}", _in_turn(contestants, through, rounds), 1e6, "us")


def lbfgs(basis: str, place: Place, rounds: int) -> Iterator[Figure]:
    """Yield the milliseconds of an LBFGS step of 20 iterations with a compiled closure, bare and through kanzoo, and steps a second."""
    options = ("trainer.optimizer=lbfgs", "trainer.lr=1", "trainer.compile=true")
    bare = {"compiled": bare_run(partial(prepared, basis, *options), steps=20)}
    through = {"compiled": partial(step_through_kanzoo, basis, place, options, few=1, many=21)}
    timings = _in_turn(bare, through, rounds)
    yield from _compared(f"lbfgs [2,5,1] {basis}", timings, 1e3, "ms")
    for name, timing in timings.items():
        yield _told(f"lbfgs [2,5,1] {basis} {name}", 1 / timing.median, "steps/s")


def members(basis: str, rounds: int) -> Iterator[Figure]:
    """Yield the steps of members a second of stacked [2, 5, 1] networks on 100 points each, compiled, relative to one network."""
    options = ("trainer.optimizer=adam", "trainer.lr=0.01", "trainer.compile=true", "task.num_train=100")
    works: dict[str, Callable[[], object]] = {"one network": bare_step(prepared(basis, *options))}
    for count in MEMBERS:
        works[f"{count} stacked"] = stacked_step([prepared(basis, *options, f"seed={seed}") for seed in range(count)])
    timings = interleaved(works, rounds, least=0.1)
    one = timings["one network"]
    yield _told(f"members {basis} one network", 1 / one.median, "member-steps/s")
    for count in MEMBERS:
        timing = timings[f"{count} stacked"]
        yield _told(f"members {basis} {count} stacked", count / timing.median, "member-steps/s")
        yield _told(f"members {basis} {count} stacked / one network", count * one.ratio(timing), "x")


def prepared(basis: str, *options: str) -> Task:
    """Return the task of the config `regression`, its network compiled where the options say so."""
    (cell,) = compose("regression", [f"basis.name={basis}", *options])
    task = construction.build(cell)
    workload.compile_as_wanted(cell, task)
    return task


def bare_step(task: Task) -> Callable[[], object]:
    """Return one step of the shortest loop that there is."""
    optimizer = task.optimization.make(task.model.parameters())
    batch = task.data.train.tensors

    def closure() -> Tensor:
        return task.backpropagate(batch)

    if task.optimization.optimizer == "lbfgs":
        return lambda: optimizer.step(closure)  # type: ignore[arg-type]

    def step() -> None:
        closure()
        optimizer.step()

    return step


def bare_run(make: Callable[[], Task], steps: int) -> Callable[[], float]:
    """Return the CPU seconds of a step, the mean of the first steps of a fresh network: line searches grow longer later."""
    ready = make()
    start = {name: value.clone() for name, value in ready.model.state_dict().items()}

    def run() -> float:
        ready.model.load_state_dict(start)
        step = bare_step(ready)
        step()
        began = time.thread_time()
        for _ in range(steps):
            step()
        return (time.thread_time() - began) / steps

    return run


def step_through_kanzoo(basis: str, place: Place, options: tuple[str, ...], few: int, many: int) -> float:
    """Return the CPU seconds of one epoch as `kanzoo run` trains it: the mean of those after the first `few`, with what they record."""
    (cell,) = compose("regression", [f"basis.name={basis}", *options, f"trainer.max_epochs={many}", f"trainer.validate_every={many}"])
    task = construction.build(cell)
    workload.compile_as_wanted(cell, task)
    recorder = _recorder(place)
    marks = []

    def mark(share: float) -> None:
        if round(share * many) in (few, many):
            recorder.flush()
            marks.append(time.thread_time())

    with experiment.isolated(cell.seed):
        fitting.fit(task, task.stages(), cell, place, recorder, mark)
    began, ended = marks
    return (ended - began) / (many - few)


def stacked_step(tasks: list[Task]) -> Callable[[], object]:
    """Return one Adam step of several networks at once, each on its own data."""
    ensemble = Ensemble([task.model for task in tasks])
    network = compilation.compile(_Apart(ensemble))
    optimizer = tasks[0].optimization.make(ensemble.parameters())
    x, y = (torch.stack(tensors) for tensors in zip(*(task.data.train.tensors for task in tasks), strict=True))

    def step() -> None:
        optimizer.zero_grad()
        (network(x) - y).square().mean((-2, -1)).sum().backward()
        optimizer.step()

    return step


class _Apart(nn.Module):
    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, x: Tensor) -> Tensor:
        return self.ensemble(x, shared=False)  # type: ignore[no-any-return]


def _recorder(place: Place) -> Recorder:
    return Tracker(place.tracking_uri).start(place.experiment, "training", key="training", kind="cell", tags={})


def _in_turn(bare: Mapping[str, Callable[[], object]], through: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timing]:
    """Time bare steps, or take the seconds that they return, and steps through kanzoo, in turn."""
    seconds: dict[str, list[float]] = {f"{manner} {how}": [] for manner in bare for how in ("bare", "through kanzoo")}
    for manner, work in bare.items():  # warm up
        work()
        through[manner]()
    for _ in range(rounds):
        for manner, work in bare.items():
            seconds[f"{manner} bare"].append(_seconds(work))
            seconds[f"{manner} through kanzoo"].append(through[manner]())
    return {name: Timing(values) for name, values in seconds.items()}


def _seconds(work: Callable[[], object], least: float = 0.3) -> float:
    """Return the CPU seconds of a call: those that it returns, or else the mean of so many calls as take `least` seconds."""
    began, calls = time.thread_time(), 0
    while time.thread_time() - began < least:
        result = work()
        calls += 1
        if isinstance(result, float):
            return result
    return (time.thread_time() - began) / calls


def _compared(name: str, timings: dict[str, Timing], factor: float, unit: str) -> Iterator[Figure]:
    for what, timing in timings.items():
        yield _told(f"{name} {what}", factor * timing.median, unit)
    for manner in sorted({what.split()[0] for what in timings}):
        yield _told(f"{name} {manner} through kanzoo / bare", timings[f"{manner} through kanzoo"].ratio(timings[f"{manner} bare"]), "x")


def _told(name: str, value: float, unit: str) -> Figure:
    print(f"{name:60} {value:12.4g} {unit}", flush=True)
    return name, value, unit


if __name__ == "__main__":
    main()
