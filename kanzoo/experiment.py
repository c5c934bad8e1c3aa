"""One experiment: a resolved cell is built, fitted, tested and recorded."""

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from safetensors.torch import load, save
from torch import Generator
from torch.utils.data import TensorDataset

from kanzoo import hardware
from kanzoo.basis import BasisFactory
from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.models import num_parameters, update_grid
from kanzoo.place import Place, Progress
from kanzoo.record import Row
from kanzoo.registry import find
from kanzoo.task import Optimization, Task
from kanzoo.tracking import Recorder, Tracker, cell_tags

#: Multiplications of a step from which a second thread pays: a two-core machine lost time below it.
_PARALLEL_WORK = 50_000_000
_DEFAULT_THREADS = torch.get_num_threads()

#: Multiplications of a training from which compilation pays: about a minute's, of which it saves a third and costs twenty seconds.
_LONG_WORK = 1_000_000_000_000

#: Samples that a grid update looks at.
_GRID_SAMPLES = 1024


def build(cell: Cell, data_dir: Path | None = None) -> Task:
    """Build the task of a cell with its data and network; the seed decides all of it, and no global random state is touched.

    Raises:
        InvalidInput: an argument or the data are refused.
    """
    generator = Generator().manual_seed(cell.seed)
    task_class = find("task", cell.task["name"]).load()
    try:
        task: Task = task_class(**{key: value for key, value in cell.task.items() if key != "name"})
        layers = _layers(cell, generator)
    except InvalidInput:
        raise
    except ValueError as error:  # a constructor's own rule
        raise InvalidInput(f"{cell.task_label}, {cell.model_label}: {error}") from error
    names = Optimization.__dataclass_fields__
    task.optimization = Optimization(**{key: value for key, value in cell.trainer.items() if key in names})
    task.prepare(layers, data_dir=data_dir, seed=cell.seed)
    return task


def _layers(cell: Cell, generator: Generator) -> Layers:
    if not cell.basis:
        return PlainLayers(width=cell.model["width"], generator=generator)
    basis_class = find("basis", cell.basis["name"]).load()
    basis: BasisFactory = partial(basis_class, **{key: value for key, value in cell.basis.items() if key != "name"})
    basis(*([1] * _sizes(basis_class)))  # refuses arguments that only its code can judge, before any data are read
    options = {key: value for key, value in cell.model.items() if key != "name"}
    return KANLayers(basis, **options, generator=generator)


def _sizes(basis_class: type) -> int:
    from kanzoo.basis import EdgeBasis

    return 2 if issubclass(basis_class, EdgeBasis) else 1


def run(cell: Cell, place: Place, progress: Progress | None = None) -> Row:
    """Run a cell that the caller has claimed, record it, and return its row; a failure is recorded and returned, not raised.

    Raises:
        InvalidInput: the cell cannot be built; nothing is recorded.
        KeyboardInterrupt: the run is marked as KILLED.
    """
    tracker = Tracker(place.tracking_uri)
    try:
        task = build(cell, place.data_dir)
        broken = None
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:  # a plug-in's own fault: recorded
        broken = error
    recorder = _start(tracker, cell, place)
    row = _first_row(cell, place, recorder.run_id)
    with recorder:
        recorder.row(row)
        recorder.params(_flat(cell.resolved()))
        recorder.artifact("config.yaml", cell.to_yaml())
        try:
            if broken is not None:
                raise broken
            row = _fit_and_test(cell, place, task, row, recorder, progress)
        except BaseException as error:  # whatever a plug-in or the machine does, the others go on
            if _interrupted(error):
                recorder.row(replace(row, status="KILLED", reason="interrupted"))
                raise KeyboardInterrupt from error
            row = replace(row, status="FAILED", reason=_reason(error))
            recorder.failure(error)
        recorder.row(row)
        recorder.close(row.status)
    return row


def _start(tracker: Tracker, cell: Cell, place: Place) -> Recorder:
    name = f"{cell.model_label} seed={cell.seed} on {cell.task_label}"
    return tracker.start(place.experiment, name, key=cell.config_hash, kind="cell", tags=cell_tags(cell), parent=place.parent)


def record_failure(cell: Cell, place: Place, reason: str) -> Row:
    """Record a cell that could not even be built, or whose worker died."""
    tracker = Tracker(place.tracking_uri)
    dead = tracker.fail_running(cell.config_hash, reason)
    if dead is not None:
        return dead
    recorder = _start(tracker, cell, place)
    row = replace(_first_row(cell, place, recorder.run_id), status="FAILED", reason=reason)
    recorder.row(row)
    recorder.params(_flat(cell.resolved()))
    recorder.artifact("config.yaml", cell.to_yaml())
    recorder.close("FAILED")
    return row


def load_run(run_id: str, tracking_uri: str, data_dir: Path | None = None) -> Task:
    """Rebuild the trained task of a recorded run: its config, then its weights, each only with the recorded sha256.

    Raises:
        InvalidInput: there is no such run, or a file of it was changed.
    """
    import tempfile

    tracker = Tracker(tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        config = tracker.artifact(run_id, "config.yaml", Path(folder))
        weights = tracker.artifact(run_id, "weights.safetensors", Path(folder)).read_bytes()
        (cell,) = compose(str(config), data_dir=data_dir)
    task = build(cell, data_dir)
    task.model.load_state_dict(load(weights))
    return task


def useful_threads(task: Task) -> int:
    """Return how many threads a task's steps are worth: one for small networks, where waiting for each other costs more than the work."""
    return _DEFAULT_THREADS if _work(task) > _PARALLEL_WORK else 1


def _work(task: Task) -> int:
    """Return about how many multiplications the forward pass of one step takes."""
    stage = task.data.train
    x = task.inputs(stage[: task.optimization.batch_size or len(stage)])[0]
    if x.layout is not torch.strided:
        return int(x._nnz() / x.shape[1] * sum(num_parameters(task.model).values()))
    places = x[0, 0].numel() if x.ndim == 4 else 1  # a convolution uses its weights once a pixel
    return int(len(x) * places * sum(num_parameters(task.model).values()))


def _wants_compilation(cell: Cell, task: Task) -> bool:
    if cell.trainer["compile"] != "auto":
        return bool(cell.trainer["compile"])
    size = task.optimization.batch_size
    steps = sum(-(-len(stage) // size) if size else 1 for stage in task.stages()) * cell.trainer["max_epochs"]
    return bool(steps * _work(task) > _LONG_WORK)


def _fit_and_test(cell: Cell, place: Place, task: Task, row: Row, recorder: Recorder, progress: Progress | None) -> Row:
    torch.set_num_threads(place.threads or useful_threads(task))
    device = "cuda" if place.accelerator in ("gpu", "cuda") or (place.accelerator == "auto" and torch.cuda.is_available()) else "cpu"
    facts = hardware.describe(torch.cuda.get_device_name() if device == "cuda" else "cpu", torch.get_num_threads())
    counts = num_parameters(task.model)
    recorder.tags({f"kanzoo.version.{name}": value for name, value in hardware.versions().items()})
    recorder.tags({f"kanzoo.hardware.{name}": value for name, value in facts.items()} | {"kanzoo.hardware": hardware.fingerprint(facts)})
    recorder.log({"num_parameters": sum(counts.values())} | {f"num_parameters/{role}": count for role, count in counts.items()})
    stages = task.stages()
    if _wants_compilation(cell, task):
        task.compile_model()
    clock, memory = _Clock(progress, cell.trainer["max_epochs"] * len(stages)), hardware.PeakMemory()
    generator = Generator().manual_seed(cell.seed)
    # Dropout and the like draw from the global state: seeded for the run, and set back after it.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), _quiet():
        torch.manual_seed(cell.seed)
        memory.start()
        for index, stage in enumerate(stages):
            curves = _Curves(recorder, first_epoch=index * cell.trainer["max_epochs"])
            trainer = _trainer(cell, place, curves, [clock, _GridUpdates(cell.trainer, stage)])
            trainer.fit(task, task.train_loader(stage, generator), task.evaluation_loader(task.data.validation))
            task.end_stage(index)
        peak = memory.stop()
        metrics = {
            name: float(value) for name, value in trainer.test(task, task.evaluation_loader(task.data.test), verbose=False)[0].items()
        }
        report = task.report()
    metrics |= {f"test/{name}": value for name, value in report.metrics.items()}
    for name, content in report.files.items():
        recorder.artifact(name, content)
    score = metrics[f"test/{task.score}"]
    row = replace(row, score=score, train_time_s=clock.train_time, step_time_ms=clock.step_time_ms, peak_memory_mb=peak)
    recorder.log(metrics | {name: getattr(row, name) for name in ("score", "train_time_s", "step_time_ms", "peak_memory_mb")})
    if not math.isfinite(score):
        raise FloatingPointError(f"test {task.score} is {score}")
    recorder.artifact(
        "weights.safetensors", save({name: value.detach().cpu().contiguous() for name, value in task.model.state_dict().items()})
    )
    return replace(
        row,
        status="FINISHED",
        num_parameters=sum(counts.values()),
        num_coefficients=counts.get("coefficients", 0),
        epochs=clock.epochs,
        hardware=hardware.fingerprint(facts),
        threads=torch.get_num_threads(),
    )


def _trainer(cell: Cell, place: Place, curves: Logger, callbacks: list[Callback]) -> Trainer:
    return Trainer(
        accelerator=place.accelerator,
        devices=1,
        max_epochs=cell.trainer["max_epochs"],
        check_val_every_n_epoch=min(cell.trainer["validate_every"], cell.trainer["max_epochs"]),
        logger=curves,
        callbacks=callbacks,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _first_row(cell: Cell, place: Place, run_id: str) -> Row:
    nan = float("nan")
    return Row(
        run_id=run_id,
        experiment=place.experiment,
        task=cell.task_label,
        task_key=cell.task_key,
        model=cell.model_label,
        model_key=cell.model_key,
        basis=cell.basis.get("name", ""),
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
    )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _interrupted(error: BaseException) -> bool:
    """Return whether a person or the system stopped the run: Lightning makes `SystemExit(1)` of Ctrl+C, and one of its own of SIGTERM."""
    return isinstance(error, KeyboardInterrupt | SIGTERMException) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    )


def _reason(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return f"out of memory: {text}"[:500]
    return f"{type(error).__name__}: {text}"[:500]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's banners and advice on loaders out of the terminal."""
    log = logging.getLogger("pytorch_lightning")
    before = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*smaller than the logging interval.*")
        # torch 2.14 deprecates what Lightning 2.6 still calls: https://github.com/Lightning-AI/pytorch-lightning/issues/21326
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        try:
            yield
        finally:
            log.setLevel(before)


class _Curves(Logger):
    """Hands Lightning's metrics to the recorder, one step an epoch; the epochs of all stages are counted through."""

    def __init__(self, recorder: Recorder, first_epoch: int) -> None:
        super().__init__()
        self.recorder, self.first_epoch = recorder, first_epoch

    @property
    def name(self) -> str:
        return "kanzoo"

    @property
    def version(self) -> str:
        return self.recorder.run_id

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = self.first_epoch + int(metrics.get("epoch", step or 0))
        # Test metrics are recorded once, without an epoch, when the run is done.
        self.recorder.log({name: value for name, value in metrics.items() if name != "epoch" and not name.startswith("test/")}, epoch)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


class _Clock(Callback):
    """Times training without validation, and single steps; reports progress."""

    def __init__(self, progress: Progress | None, max_epochs: int) -> None:
        self.progress, self.max_epochs = progress, max_epochs
        self.train_time, self.epochs = 0.0, 0
        self._steps: list[float] = []
        self._began = self._step_began = self._validation_began = 0.0

    @property
    def step_time_ms(self) -> float:
        """Median milliseconds a step; the first one, which warms up, only when it is alone."""
        steps = sorted(self._steps[1:] or self._steps)
        return 1e3 * steps[len(steps) // 2] if steps else float("nan")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.train_time += time.perf_counter() - self._began

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_began = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.train_time -= time.perf_counter() - self._validation_began

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._step_began = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._steps.append(time.perf_counter() - self._step_began)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs += 1
        if self.progress is not None:
            self.progress(self.epochs / self.max_epochs)


class _GridUpdates(Callback):
    """Lets adaptive grids follow the data, `grid_updates` times in the first half of a stage."""

    def __init__(self, trainer: dict[str, Any], stage: TensorDataset) -> None:
        count, epochs = trainer["grid_updates"], trainer["max_epochs"]
        self._epochs = {round(index * epochs / (2 * count)) for index in range(count)}
        self._samples = stage[:_GRID_SAMPLES]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch in self._epochs:
            assert isinstance(pl_module, Task)
            update_grid(pl_module.model, *pl_module.inputs(tuple(tensor.to(pl_module.device) for tensor in self._samples)))
