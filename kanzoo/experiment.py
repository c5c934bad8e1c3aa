"""One experiment: a resolved cell is built, fitted, tested and recorded."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from safetensors.torch import load, save

from kanzoo import accounting, fitting, hardware, workload
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.construction import Figures, build, build_sized, grown
from kanzoo.errors import InvalidInput
from kanzoo.inspect import basis_figures
from kanzoo.models import num_parameters
from kanzoo.place import Place, Progress
from kanzoo.record import Row
from kanzoo.search_space import Tuned
from kanzoo.task import Task
from kanzoo.tracking import Recorder, Tracker, cell_tags

#: Share of a budget of parameters by which a network may miss it without a warning.
_NEAR = 0.02

_log = logging.getLogger(__name__)


def run(cell: Cell, place: Place, progress: Progress | None = None, tuned: Tuned | None = None) -> Row:
    """Run a cell that the caller has claimed, record it, and return its row; a failure is recorded and returned, not raised.

    A cell with a tuner needs what was found, `tuned`, which is trained in its place; see `kanzoo.tuning.run`.

    Raises:
        InvalidInput: the cell cannot be built; nothing is recorded.
        KeyboardInterrupt: the run is marked as KILLED.
        ValueError: the cell has a tuner, and nothing says what was found.
    """
    if cell.tuner and tuned is None:
        raise ValueError("a cell with a tuner is run by kanzoo.tuning.run")
    trained = tuned.cell if tuned else cell
    try:
        task, figures = build_sized(trained, place.data_dir)
        broken = None
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:  # a plug-in's own fault: recorded
        broken = error

    recorder, row = begin(cell, place)

    def attempt() -> Row:
        if broken is not None:
            raise broken
        if tuned:
            _record_tuned(recorder, tuned)
        return _fit_and_test(trained, place, task, figures, row, recorder, progress)

    return conclude(recorder, row, attempt)


def begin(cell: Cell, place: Place) -> tuple[Recorder, Row]:
    """Start the record of a cell that the caller has claimed; return it with its first row."""
    name = f"{cell.model_label} seed={cell.seed} on {cell.task_label}"
    tracker = Tracker(place.tracking_uri)
    recorder = tracker.start(place.experiment, name, key=cell.config_hash, kind="cell", tags=cell_tags(cell), parent=place.parent)
    row = _first_row(cell, place, recorder.run_id)
    with recorder:
        recorder.row(row)
        recorder.params(_flat(cell.resolved()))
        recorder.artifact("config.yaml", cell.to_yaml())
    return recorder, row


def _record_tuned(recorder: Recorder, tuned: Tuned) -> None:
    recorder.params({f"tuned.{key}": value for key, value in tuned.values.items()})
    recorder.tags({"kanzoo.study_run": tuned.study})
    recorder.log({"tuner/seconds": tuned.seconds})
    recorder.artifact("tuned.yaml", tuned.cell.to_yaml())


def conclude(recorder: Recorder, row: Row, work: Callable[[], Row]) -> Row:
    """End a record with the row that the work returns; a failure of it is recorded and returned, not raised.

    Raises:
        KeyboardInterrupt: the run is marked as KILLED.
    """
    with recorder:
        try:
            row = work()
        except BaseException as error:  # whatever a plug-in or the machine does, the others go on
            if interrupted(error):
                recorder.row(replace(row, status="KILLED", reason="interrupted"))
                raise KeyboardInterrupt from error
            row = replace(row, status="FAILED", reason=reason(error))
            recorder.failure(error)
        recorder.row(row)
        recorder.close(row.status)
    return row


def record_failure(cell: Cell, place: Place, reason: str) -> Row:
    """Record a cell that could not even be built, or whose worker died."""
    dead = Tracker(place.tracking_uri).end_running(cell.config_hash, reason)
    if dead is not None:
        return dead
    recorder, row = begin(cell, place)
    row = replace(row, status="FAILED", reason=reason)
    recorder.row(row)
    recorder.close("FAILED")
    return row


def load_run(run_id: str, tracking_uri: str, data_dir: Path | None = None) -> Task:
    """Rebuild the trained task of a recorded run: its config, then its weights, each only with the recorded sha256.

    Raises:
        InvalidInput: there is no such run, or a file of it was changed.
    """
    return load_cell(run_id, tracking_uri, data_dir)[1]


def load_cell(run_id: str, tracking_uri: str, data_dir: Path | None = None) -> tuple[Cell, Task]:
    """Return the cell of a recorded run, of a tuned one that with the found values, with its trained task; see `load_run`."""
    import tempfile

    tracker = Tracker(tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        config = tracker.artifact(run_id, "config.yaml", Path(folder))
        weights = tracker.artifact(run_id, "weights.safetensors", Path(folder)).read_bytes()
        (cell,) = compose(str(config), data_dir=data_dir)
        if cell.tuner:
            (cell,) = compose(str(tracker.artifact(run_id, "tuned.yaml", Path(folder))), data_dir=data_dir)
    task = build(cell, data_dir)
    grown(cell, task.model)  # the families alone: the weights are the recorded ones
    task.model.load_state_dict(load(weights))
    return cell, task


def _fit_and_test(cell: Cell, place: Place, task: Task, figures: Figures, row: Row, recorder: Recorder, progress: Progress | None) -> Row:
    torch.set_num_threads(place.threads or workload.useful_threads(task))
    row = describe(task, place, figures, row, recorder)
    stages = task.stages()
    workload.compile_as_wanted(cell, task)
    memory = hardware.PeakMemory()
    with isolated(cell.seed):
        memory.start()
        clock = fitting.fit(task, stages, cell, place, recorder, progress)
        effort = Effort(clock.train_time, clock.step_time_ms, memory.stop(), clock.epochs)
        return measure(task, place, row, recorder, effort)


@dataclass(frozen=True)
class Effort:
    """What fitting a network took; its share of all where several were trained together. See `Row`."""

    train_time_s: float
    step_time_ms: float
    peak_memory_mb: float
    epochs: int
    seeds_together: int = 1


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Seed the global random state, from which dropout and the like draw, for one run, and set it back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), fitting.quiet(), fitting.no_gpu_asked_for_once():
        torch.manual_seed(seed)
        yield


def device(place: Place) -> str:
    """Return the device that a place means: `cuda` or `cpu`."""
    return "cuda" if place.accelerator in ("gpu", "cuda") or (place.accelerator == "auto" and torch.cuda.is_available()) else "cpu"


def describe(task: Task, place: Place, figures: Figures, row: Row, recorder: Recorder) -> Row:
    """Record versions, machine and size of the network, with the figures that `build_sized` gave, before it is fitted; return the row."""
    facts = hardware.describe(torch.cuda.get_device_name() if device(place) == "cuda" else "cpu", torch.get_num_threads())
    recorder.tags({f"kanzoo.version.{name}": value for name, value in hardware.versions().items()})
    recorder.tags({f"kanzoo.hardware.{name}": value for name, value in facts.items()} | {"kanzoo.hardware": hardware.fingerprint(facts)})
    row = replace(row, hardware=hardware.fingerprint(facts), threads=torch.get_num_threads())
    recorder.log(figures)
    if abs(deviation := figures.get("model/parameters_deviation", 0.0)) > _NEAR:
        _log.warning("%s, %s: the size nearest to the budget of parameters is %+.1f %% off", row.task, row.model, 100 * deviation)
    return _count(task, row, recorder)


def _count(task: Task, row: Row, recorder: Recorder) -> Row:
    """Record the size of a network where the row does not know it, and return the row with it."""
    counts = num_parameters(task.model)
    total = sum(counts.values())
    if total != row.num_parameters:
        recorder.log({"num_parameters": total} | {f"num_parameters/{role}": count for role, count in counts.items()})
    return replace(row, num_parameters=total, num_coefficients=counts.get("coefficients", 0))


def measure(task: Task, place: Place, row: Row, recorder: Recorder, effort: Effort) -> Row:
    """Test a fitted task, record its figures, files and weights, and return its finished row.

    Raises:
        FloatingPointError: the score is NaN or infinite.
    """
    row = _count(task, row, recorder)  # refined, a network has more than it began with
    metrics = fitting.test(task, place) | fitting.covered(task)
    report = task.report()
    metrics |= {f"test/{name}": value for name, value in report.metrics.items()}
    for layer, figures in basis_figures(task.model).items():
        metrics |= {f"basis/{layer or 'network'}/{name}": value for name, value in figures.items()}
    for name, content in report.files.items():
        recorder.artifact(name, content)
    row = replace(row, score=metrics[f"test/{task.score}"], **asdict(effort))
    recorder.log(metrics | {name: getattr(row, name) for name in ("score", "train_time_s", "step_time_ms", "peak_memory_mb")})
    if not math.isfinite(row.score):
        raise FloatingPointError(f"test {task.score} is {row.score}")
    weights = {name: value.detach().cpu().contiguous() for name, value in task.model.state_dict().items()}
    if weights:
        recorder.artifact("weights.safetensors", save(weights))
    cost = accounting.measure(task, device(place))
    recorder.log(cost.figures())
    return replace(row, status="FINISHED", **asdict(cost))


def _first_row(cell: Cell, place: Place, run_id: str) -> Row:
    nan = float("nan")
    return Row(
        run_id=run_id,
        experiment=place.experiment,
        task=cell.task_label,
        task_key=cell.task_key,
        model=cell.model_label,
        model_key=cell.model_key,
        basis=cell.kan_basis,
        plugin=cell.plugin,
        seed=cell.seed,
        status="RUNNING",
        reason="",
        score_name=cell.score,
        direction=cell.direction,
        score=nan,
        num_parameters=0,
        num_coefficients=0,
        train_time_s=nan,
        step_time_ms=nan,
        peak_memory_mb=nan,
        epochs=0,
        hardware="",
        cpu=hardware.cpu_name(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        kanzoo=hardware.versions()["kanzoo"],
        config_hash=cell.config_hash,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=cell.command,
        track=cell.track,
    )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def interrupted(error: BaseException) -> bool:
    """Return whether a person or the system stopped the run: Lightning makes `SystemExit(1)` of Ctrl+C, and one of its own of SIGTERM."""
    return isinstance(error, KeyboardInterrupt | SIGTERMException) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    )


def reason(error: BaseException) -> str:
    """Return an error as one short line."""
    text = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return f"out of memory: {text}"[:500]
    return f"{type(error).__name__}: {text}"[:500]
