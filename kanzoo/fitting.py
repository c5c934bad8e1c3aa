"""How a prepared task is fitted: by Lightning, stage by stage, with many steps in one of its epochs where a stage is one batch."""

import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Generator
from torch.optim import Optimizer
from torch.utils.data import TensorDataset

from kanzoo.cell import Cell
from kanzoo.course import Clock, Course, course_of
from kanzoo.inspect import coverage, kan_layers
from kanzoo.inspect.layer import squash_of
from kanzoo.layers.squash import SquashInto
from kanzoo.place import Place, Progress
from kanzoo.task import Batch, SolvedTask, Task
from kanzoo.tracking import Recorder

#: Validation samples that coverage looks at, and the share in the domain below which a layer is warned of.
_COVERAGE_SAMPLES, _COVERED = 1024, 0.95

_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"

_log = logging.getLogger(__name__)

#: What a plug-in of a task writes; whoever overrides more of `Task` wants Lightning's own loop around it.
_CONTRACT = {
    *("score", "direction", "version", "sources", "official_split", "loss", "metrics"),
    *("load", "build_model", "stages", "end_stage", "report", "inputs", "variables", "prepare"),
}


def fit(
    task: Task, stages: Sequence[TensorDataset], cell: Cell, place: Place, recorder: Recorder, progress: Progress | None = None
) -> Clock:
    """Fit a task on its stages in turn, with its validation after every `validate_every` epochs.

    With `trainer.max_seconds` its share of the time ends a stage, whatever the epochs: see `kanzoo.course.TimedCourse`. The last epoch
    may then be cut short.

    Where every stage is one batch and the task leaves Lightning's hooks alone, the epochs between two validations are one epoch of
    Lightning's: its bookkeeping of 1 to 4 ms an epoch costs more than a step of a small network. The steps are the same to the bit.
    A `SolvedTask` solves itself instead.

    Args:
        task: prepared.
        stages: those of the task.
        cell: tells optimiser and epochs.
        place: tells the device.
        recorder: gets the curves.
        progress: told of every epoch.

    Raises:
        FloatingPointError: a training loss is NaN or infinite.
    """
    if isinstance(task, SolvedTask):
        return _solve(task, cell.seed)
    clock = Clock(progress)
    generator = Generator().manual_seed(cell.seed)
    many_steps = takes_many_steps(task, stages)
    optimization = task.optimization
    for index, stage in enumerate(stages):
        curves, course = _Curves(recorder, first_epoch=clock.epochs), course_of(cell, stage, clock, index, len(stages))
        if many_steps:
            task.steps = _Steps(task, curves, course)
            trainer = new_trainer(place, curves, [clock], max_epochs=course.validations or -1, check_val_every_n_epoch=1)
        else:
            hooks, every = [clock, _EveryEpoch(course)], course.validate_every
            trainer = new_trainer(place, curves, hooks, max_epochs=course.max_epochs or -1, check_val_every_n_epoch=every)
        task.automatic_optimization = not many_steps
        task.optimization = course.optimization(optimization)
        try:
            trainer.fit(task, task.train_loader(stage, generator), task.evaluation_loader(task.data.validation))
        finally:
            task.steps, task.automatic_optimization, task.optimization = None, True, optimization
        task.end_stage(index)
    return clock


def _solve(task: SolvedTask, seed: int) -> Clock:
    """Let a task solve itself; the clock has counted its time, and no step."""
    clock = Clock()
    began = time.perf_counter()
    task.solve(Generator().manual_seed(seed))
    clock.train_time = time.perf_counter() - began
    return clock


def test(task: Task, place: Place) -> dict[str, float]:
    """Return a task's metrics on its test data, by names that begin with `test/`."""
    trainer = new_trainer(place, False, [])
    return {name: float(value) for name, value in trainer.test(task, task.evaluation_loader(task.data.test), verbose=False)[0].items()}


def covered(task: Task) -> dict[str, float]:
    """Return the share of validation inputs in the domain of each layer whose inputs are not squashed; warn where it is small."""
    squashes = [module for module in task.model.modules() if isinstance(module, SquashInto)]
    if all(module.is_bounded for module in squashes):
        return {}
    batch = tuple(tensor.to(task.device) for tensor in task.data.validation[:_COVERAGE_SAMPLES])
    try:
        layers, found = kan_layers(task.model), coverage(task.model, *task.inputs(batch))
    except ValueError as error:  # a layer that these samples do not reach is no reason to lose a trained network
        _log.warning("coverage is not measured: %s", error)
        return {}
    shares = {name or "network": share for name, share in found.items() if not squash_of(layers[name]).is_bounded}
    low = ", ".join(f"{name} ({share:.0%})" for name, share in shares.items() if share < _COVERED)
    if low:
        _log.warning("less than %.0f%% of the inputs lie in the domain of layers without a squash: %s", 100 * _COVERED, low)
    return {f"coverage/{name}": share for name, share in shares.items()}


def takes_many_steps(task: Task, stages: Sequence[TensorDataset]) -> bool:
    """Return whether every stage is one batch, and the task leaves the steps to kanzoo."""
    return not overridden(task) and all(task.is_full_batch(stage) for stage in stages)


def overridden(task: Task) -> list[str]:
    """Return what a task's class overrides of `Task` and Lightning beyond the contract of a plug-in."""
    classes = type(task).__mro__
    names = {name for one in classes[: classes.index(Task)] for name in vars(one) if not name.startswith("_")}
    return sorted(name for name in names - _CONTRACT if hasattr(Task, name))


def new_trainer(place: Place, curves: Logger | bool, callbacks: list[Callback], **options: Any) -> Trainer:
    """Return a Trainer that keeps to itself: no files, no bars, no advice."""
    return Trainer(
        accelerator=place.accelerator,
        devices=1,
        logger=curves,
        callbacks=callbacks,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


@contextmanager
def no_gpu_asked_for_once() -> Iterator[None]:
    """Where there is no GPU, let torch remember so.

    An optimiser asks before each step, and Lightning sets PYTORCH_NVML_BASED_CUDA_CHECK when it is imported, by which
    `torch.cuda.is_available` looks for the driver's library each time.
    """
    before = os.environ.get(_NVML)
    if before is None or torch.cuda.is_available():
        yield
        return
    os.environ[_NVML] = "0"
    try:
        yield
    finally:
        os.environ[_NVML] = before


@contextmanager
def quiet() -> Iterator[None]:
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


class _EveryEpoch(Callback):
    """Lets the course of a stage see Lightning's own epochs and steps."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self._began = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        self.course.before_epoch(trainer.current_epoch, pl_module, trainer.optimizers[0])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, Task)
        self.course.before_step(pl_module, trainer.optimizers[0])
        self._began = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.course.clock.steps.append(time.perf_counter() - self._began)
        self.course.after_step(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.course.after_epoch()


class _Steps:
    """Takes the steps on a full batch up to the next validation; see `kanzoo.task.Steps`.

    Attributes:
        epoch: epochs of the stage that are done.
    """

    def __init__(self, task: Task, curves: "_Curves", course: Course) -> None:
        self.task, self.curves, self.course, self.epoch = task, curves, course, 0

    def __call__(self, batch: Batch) -> None:
        task, course, trainer = self.task, self.course, self.task.trainer
        optimizer, schedule = task.optimizers(use_pl_optimizer=False), task.lr_schedulers()
        assert isinstance(optimizer, Optimizer)
        loss = torch.zeros(())

        def closure() -> Any:
            nonlocal loss
            loss = task.backpropagate(batch)
            return loss

        end = self.epoch + course.validate_every
        if course.max_epochs is not None and end > course.max_epochs:
            end = course.max_epochs
            trainer.limit_val_batches = 0  # the rest after the last validation
        while self.epoch < end and not trainer.should_stop:
            if trainer.received_sigterm:
                raise SIGTERMException
            course.before_epoch(self.epoch, task, optimizer)
            course.before_step(task, optimizer)
            began = time.perf_counter()
            optimizer.step(closure)
            value = loss.item()
            course.clock.steps.append(time.perf_counter() - began)
            if not math.isfinite(value):
                raise FloatingPointError(f"training loss is {value} in epoch {self.epoch}")
            self.curves.loss(value, self.epoch)
            if schedule is not None:
                schedule.step()  # type: ignore[union-attr]
            self.epoch += 1
            course.after_epoch()
            course.after_step(trainer)
        self.curves.done = self.epoch


class _Curves(Logger):
    """Hands Lightning's metrics to the recorder, one step an epoch; the epochs of all stages are counted through.

    Attributes:
        done: epochs of the stage that are over, where many are one of Lightning's; else None, and Lightning counts them.
    """

    def __init__(self, recorder: Recorder, first_epoch: int) -> None:
        super().__init__()
        self.recorder, self.first_epoch = recorder, first_epoch
        self.done: int | None = None

    @property
    def name(self) -> str:
        return "kanzoo"

    @property
    def version(self) -> str:
        return self.recorder.run_id

    def loss(self, value: float, epoch: int) -> None:
        """Record the training loss of one epoch of the stage."""
        self.recorder.log({"train/loss": value}, self.first_epoch + epoch)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", step or 0)) if self.done is None else self.done - 1
        self.recorder.log({name: value for name, value in metrics.items() if name != "epoch"}, self.first_epoch + epoch)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass
