"""The course of a training: its clock, and what happens to bases and learning rate on the way, by epochs or by time."""

import time
from dataclasses import replace

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import LBFGS, Optimizer
from torch.utils.data import TensorDataset

from kanzoo.cell import Cell
from kanzoo.inspect import refine
from kanzoo.models import update_grid
from kanzoo.place import Progress
from kanzoo.task import Batch, Optimization, Task

#: Samples that a grid update looks at.
_GRID_SAMPLES = 1024


class Clock(Callback):
    """Times training without validation, and single steps; reports progress.

    Attributes:
        train_time: seconds of training that are over.
        epochs: epochs that are over, also one that a budget of time cut short.
        steps: seconds of each step.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress
        self.train_time, self.epochs = 0.0, 0
        self.steps: list[float] = []
        self._began: float | None = None
        self._validation_began = 0.0

    @property
    def step_time_ms(self) -> float:
        """Median milliseconds a step; the first one, which warms up, only when it is alone."""
        steps = sorted(self.steps[1:] or self.steps)
        return 1e3 * steps[len(steps) // 2] if steps else float("nan")

    @property
    def used(self) -> float:
        """Seconds of training until now, without the first step, which warms up."""
        running = 0.0 if self._began is None else time.perf_counter() - self._began
        return self.train_time + running - (self.steps[0] if self.steps else 0.0)

    def tell(self, share: float) -> None:
        """Report progress."""
        if self.progress is not None:
            self.progress(share)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count training."""
        self._began = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count it."""
        assert self._began is not None
        self.train_time += time.perf_counter() - self._began
        self._began = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count validation."""
        self._validation_began = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take it off."""
        self.train_time -= time.perf_counter() - self._validation_began


def resolutions(cell: Cell) -> dict[int, int]:
    """Return the epochs of a cell's training before which its bases are refined, each with the new resolution."""
    chosen = cell.trainer["refine"] or {"every": 1, "to": []}
    due = {chosen["every"] * count: value for count, value in enumerate(chosen["to"], 1)}
    return {epoch: value for epoch, value in due.items() if epoch < cell.trainer["max_epochs"]}


def course_of(cell: Cell, stage: TensorDataset, clock: Clock, index: int, stages: int) -> "Course":
    """Return the course of stage `index` of so many: by time where the cell has a budget of it, else by epochs."""
    return (Course if cell.trainer["max_seconds"] is None else TimedCourse)(cell, stage, clock, index, stages)


class Course:
    """A stage of so many epochs.

    Bases are refined as `refine` says, and adaptive grids follow the data, `grid_updates` times in the first half of the stage. The
    schedule of the learning rate is the task's own.

    Attributes:
        max_epochs: epochs of the stage; None when they are not what ends it.
        validate_every: epochs between two validations.
    """

    max_epochs: int | None

    def __init__(self, cell: Cell, stage: TensorDataset, clock: Clock, index: int, stages: int) -> None:
        self.clock, self.index, self.stages = clock, index, stages
        self.max_epochs = epochs = cell.trainer["max_epochs"]
        self.validate_every = min(cell.trainer["validate_every"], epochs)
        count = cell.trainer["grid_updates"]
        self._epochs = {round(index * epochs / (2 * count)) for index in range(count)}
        self._resolutions = resolutions(cell)
        self._samples = stage[:_GRID_SAMPLES]

    @property
    def validations(self) -> int | None:
        """Validations of the stage, with one more where epochs are left after the last; None when epochs are not what ends it."""
        return None if self.max_epochs is None else -(-self.max_epochs // self.validate_every)

    def optimization(self, usual: Optimization) -> Optimization:
        """Return how the stage is fitted."""
        return usual

    def before_epoch(self, epoch: int, task: Task, optimizer: Optimizer) -> None:
        """Refine and update the grids when it is due before this epoch."""
        if epoch not in self._resolutions and epoch not in self._epochs:
            return
        inputs = self._inputs(task)
        if epoch in self._resolutions:
            self._refine(task, self._resolutions[epoch], inputs, optimizer)
        if epoch in self._epochs:
            update_grid(task.model, *inputs)

    def before_step(self, task: Task, optimizer: Optimizer) -> None:
        """Do what is due before this step: nothing."""

    def after_step(self, trainer: Trainer) -> None:
        """Do what is due after this step: nothing."""

    def after_epoch(self) -> None:
        """Count the epoch and report progress."""
        assert self.max_epochs is not None
        self.clock.epochs += 1
        self.clock.tell(self.clock.epochs / (self.max_epochs * self.stages))

    def _inputs(self, task: Task) -> Batch:
        return task.inputs(tuple(tensor.to(task.device) for tensor in self._samples))

    @staticmethod
    def _refine(task: Task, resolution: int, inputs: Batch, optimizer: Optimizer) -> None:
        if isinstance(optimizer, LBFGS):
            refine(task.model, resolution, *inputs)
            options = optimizer.defaults | {"lr": optimizer.param_groups[0]["lr"]}
            # Made again in place, since Lightning and the schedule hold it: its history is of other coefficients.
            optimizer.__init__(task.model.parameters(), **options)  # type: ignore[misc]
        else:
            refine(task.model, resolution, *inputs, optimizer=optimizer)
        task.compile_again()


class TimedCourse(Course):
    r"""A stage of so many seconds of training, $S$ over the number of stages; it ends with the step that uses them up.

    With the share $s$ of the time that is used, the learning rate of a step is $\mathrm{lr} \cdot \mathrm{lr\_decay}^{E s}$ where `E` is
    `max_epochs`, and the grids follow the data before the first step with $s \ge i / (2 n)$, for each $i$ below `grid_updates` $n$ (once
    where several are due at once). After the last step there is a validation, whatever the epoch.
    """

    def __init__(self, cell: Cell, stage: TensorDataset, clock: Clock, index: int, stages: int) -> None:
        super().__init__(cell, stage, clock, index, stages)
        self._decay = cell.trainer["lr_decay"] ** cell.trainer["max_epochs"]
        self._began, self._seconds = clock.used, float(cell.trainer["max_seconds"]) / stages
        count = cell.trainer["grid_updates"]
        self._due = [number / (2 * count) for number in range(count)]
        self.max_epochs, self.validate_every = None, cell.trainer["validate_every"]

    @property
    def share(self) -> float:
        """The share of the stage's time that is used; above 1 when the last step took more."""
        return (self.clock.used - self._began) / self._seconds

    def optimization(self, usual: Optimization) -> Optimization:
        """Return how the stage is fitted: the learning rate is set before each step, not by a schedule."""
        return replace(usual, lr_decay=1.0)

    def before_epoch(self, epoch: int, task: Task, optimizer: Optimizer) -> None:
        """Do what is due before this epoch: nothing."""

    def before_step(self, task: Task, optimizer: Optimizer) -> None:
        """Update the grids when it is due, and set the learning rate."""
        share = min(1.0, self.share)
        if self._due and share >= self._due[0]:
            self._due = [due for due in self._due if due > share]
            update_grid(task.model, *self._inputs(task))
        if self._decay != 1:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * self._decay**share

    def after_step(self, trainer: Trainer) -> None:
        """Report progress, and end the stage when its time is used."""
        share = self.share
        self.clock.tell((self.index + min(1.0, share)) / self.stages)
        if share >= 1:
            trainer.should_stop = True
            trainer.check_val_every_n_epoch = 1  # Lightning then validates, also within an epoch

    def after_epoch(self) -> None:
        """Count the epoch, which may be cut short."""
        self.clock.epochs += 1
