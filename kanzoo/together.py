"""Several seeds of one experiment trained at once, each with the result of a run of its own."""

import copy
import logging
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from kanzoo import compilation, construction, experiment, hardware, workload
from kanzoo.cell import Cell
from kanzoo.ensemble import Ensemble
from kanzoo.fitting import overridden
from kanzoo.place import Place
from kanzoo.record import Row
from kanzoo.task import Batch, SolvedTask, Task
from kanzoo.tracking import Recorder

#: Multiplications of a network's step up to which `batch_seeds: auto` stacks networks: above, a step alone keeps a processor busy.
_SMALL_WORK = 5_000_000

_log = logging.getLogger(__name__)


def run(cells: Sequence[Cell], place: Place) -> list[Row | None]:
    """Run cells that differ in the seed alone, which the caller has claimed; record each, and return their rows.

    The networks are stacked and fitted by one Adam, which works on each number by itself: every network takes the steps that it would
    take alone. A network whose loss is not finite fails alone. A row is None where the cell must be run alone: the experiment has
    dropout, its loss does not map over networks, or the training broke down; the reason is logged.

    Raises:
        KeyboardInterrupt: the runs are marked as KILLED.
    """
    with experiment.isolated(cells[0].seed):
        try:
            group = _Group(cells, place)
        except Exception as error:  # whatever it is: alone, a cell says by itself what is wrong with it
            level = logging.WARNING if cells[0].trainer["batch_seeds"] is True else logging.INFO
            _log.log(level, "%s, %s: each seed is trained alone: %s", cells[0].task_label, cells[0].model_label, experiment.reason(error))
            return [None] * len(cells)
        return group.run()


class _Group:
    """Cells that are trained at once; the constructor raises when they cannot be.

    Attributes:
        effort: of each, once they are fitted.
        failures: by index, of those whose loss was not finite.
    """

    def __init__(self, cells: Sequence[Cell], place: Place) -> None:
        self.cells, self.place, self.trainer = cells, place, cells[0].trainer
        first, figures = construction.build_sized(cells[0], place.data_dir)
        self._check(first)
        self.tasks, self.figures = [first], [figures]
        for cell in cells[1:]:
            task, figures = construction.build_sized(cell, place.data_dir)
            self.tasks.append(task)
            self.figures.append(figures)
        torch.set_num_threads(place.threads or workload.useful_threads(first, len(cells)))
        for task in self.tasks:
            task.to(experiment.device(place))
        self.ensemble = Ensemble([task.model for task in self.tasks])
        self.network: nn.Module = _Apart(self.ensemble)
        if workload.wants_compilation(cells[0], first, len(cells)):
            self.network = compilation.compile(self.network)
        stages = [self._on_device(task, task.stages()[0].tensors) for task in self.tasks]
        self.loss = _StackedLoss(self.tasks)
        self.batch = tuple(torch.stack(tensors) for tensors in zip(*stages, strict=True))
        self.x = torch.stack([task.inputs(batch)[0] for task, batch in zip(self.tasks, stages, strict=True)])
        self.failures: dict[int, FloatingPointError] = {}
        self.train_time, self._steps = 0.0, list[float]()
        self._compare(stages)

    def _check(self, task: Task) -> None:
        """Raise ValueError with what speaks against this kind of task."""
        stages = task.stages()
        inputs = task.inputs(stages[0].tensors)
        rules = {
            "the task solves itself": isinstance(task, SolvedTask),
            "it has several stages": len(stages) > 1,
            "it is trained for so many seconds": self.trainer["max_seconds"] is not None,
            "its bases are refined on the way": self.trainer["refine"] is not None,
            "a batch is a part of the data": not task.is_full_batch(stages[0]),
            f"the task overrides {', '.join(overridden(task))}": overridden(task),
            "its network has several inputs, or a sparse one": len(inputs) > 1 or inputs[0].layout is not torch.strided,
            "its network is not of float32": any(parameter.dtype != torch.float32 for parameter in task.model.parameters()),
            "a step alone is large": self.trainer["batch_seeds"] == "auto" and workload.work(task) > _SMALL_WORK,
        }
        for reason, holds in rules.items():
            if holds:
                raise ValueError(reason)

    def _compare(self, stages: Sequence[Batch]) -> None:
        """Raise ValueError unless losses and gradients are those of each network alone."""
        before = torch.get_rng_state()
        buffers = [{name: buffer.clone() for name, buffer in task.named_buffers()} for task in self.tasks]
        began = time.perf_counter()
        together = self._losses()
        together.sum().backward()  # type: ignore[no-untyped-call]
        self.train_time += time.perf_counter() - began  # the first call compiles
        for index, (task, batch) in enumerate(zip(self.tasks, stages, strict=True)):
            alone = task.loss(batch)[0]
            alone.backward()  # type: ignore[no-untyped-call]
            if not torch.equal(torch.get_rng_state(), before):
                raise ValueError("it draws random numbers in training")
            if any(not torch.equal(buffer, buffers[index][name]) for name, buffer in task.named_buffers()):
                raise ValueError("its buffers change in training")
            if not torch.allclose(together[index], alone, rtol=1e-5, atol=0):
                raise ValueError(f"the loss of seed {self.cells[index].seed} is {alone} alone and {together[index]} with the others")
            for name, parameter in task.model.named_parameters():
                gradient = self.ensemble.stacked[name.replace(".", "/")].grad
                own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                mine = torch.zeros_like(parameter) if gradient is None else gradient[index]
                if not (own - mine).norm() <= 1e-4 * own.norm() + 1e-7:
                    raise ValueError(f"the gradient of {name} of seed {self.cells[index].seed} is another one with the others")
            task.zero_grad()

    def run(self) -> list[Row | None]:
        """Record, fit, test."""
        records = [experiment.begin(cell, self.place) for cell in self.cells]
        memory = hardware.PeakMemory()
        try:
            rows = [
                experiment.describe(task, self.place, figures, row, recorder)
                for task, figures, (recorder, row) in zip(self.tasks, self.figures, records, strict=True)
            ]
            memory.start()
            self._fit([recorder for recorder, _ in records])
            peak = memory.stop()
        except BaseException as error:
            stopped = experiment.interrupted(error)
            reason = "interrupted" if stopped else f"trained with other seeds, to be run again alone: {experiment.reason(error)}"
            for recorder, row in records:
                recorder.row(replace(row, status="KILLED", reason=reason))
                recorder.close("KILLED")
            if stopped:
                raise KeyboardInterrupt from error
            _log.warning("%s, %s: each seed is trained alone: %s", self.cells[0].task_label, self.cells[0].model_label, reason)
            return [None] * len(self.cells)
        count = len(self.cells)
        step = statistics.median_high(self._steps[1:] or self._steps)
        effort = experiment.Effort(self.train_time / count, 1e3 * step / count, peak / count, len(self._steps), count)

        def attempt(index: int, recorder: Recorder) -> Row:
            if index in self.failures:
                raise self.failures[index]
            self.tasks[index].end_stage(0)
            return experiment.measure(self.tasks[index], self.place, rows[index], recorder, effort)

        return [experiment.conclude(recorder, row, partial(attempt, index, recorder)) for index, (recorder, row) in enumerate(records)]

    def _fit(self, recorders: Sequence[Recorder]) -> None:
        options, epochs = self.tasks[0].optimization, self.trainer["max_epochs"]
        every = min(self.trainer["validate_every"], epochs)
        optimizer = options.make(self.ensemble.parameters())
        schedule = options.schedule(optimizer)
        began = time.perf_counter()
        for epoch in range(epochs):
            step_began = time.perf_counter()
            optimizer.zero_grad()
            losses = self._losses()
            losses.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            values = losses.tolist()
            self._steps.append(time.perf_counter() - step_began)
            for index, value in enumerate(values):
                if index in self.failures:
                    continue
                if math.isfinite(value):
                    recorders[index].log({"train/loss": value}, epoch)
                else:
                    self.failures[index] = FloatingPointError(f"training loss is {value} in epoch {epoch}")
            if len(self.failures) == len(self.cells):
                break
            if schedule is not None:
                schedule.step()
            if (epoch + 1) % every == 0:
                self.train_time += time.perf_counter() - began
                self._validate(recorders, epoch)
                began = time.perf_counter()
        self.train_time += time.perf_counter() - began
        self.ensemble.members()

    def _validate(self, recorders: Sequence[Recorder], epoch: int) -> None:
        self.ensemble.members()
        for index, (task, recorder) in enumerate(zip(self.tasks, recorders, strict=True)):
            if index in self.failures:
                continue
            task.eval()
            with torch.inference_mode():
                for number, batch in enumerate(task.evaluation_loader(task.data.validation)):
                    task.validation_step(self._on_device(task, batch), number)
                recorder.log({name: float(value) for name, value in task.validation_metrics.compute().items()}, epoch)
            task.validation_metrics.reset()
            task.train()

    def _losses(self) -> Tensor:
        """Return the loss of each network."""
        return self.loss(self.network(self.x), self.batch)

    @staticmethod
    def _on_device(task: Task, batch: Batch) -> Batch:
        return tuple(tensor.to(task.device) for tensor in batch)


class _Apart(nn.Module):
    """An ensemble each of whose members has inputs of its own."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, x: Tensor) -> Tensor:
        return self.ensemble(x, shared=False)  # type: ignore[no-any-return]


class _StackedLoss:
    """The losses of several tasks, each with its own buffers, from what their networks predict."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._one = _Loss(tasks[0])
        buffers = [dict(_Loss(task).named_buffers()) for task in tasks]
        self._buffers = {name: torch.stack([own[name] for own in buffers]) for name in buffers[0]}

    def __call__(self, predictions: Tensor, batches: Batch) -> Tensor:
        def one(buffers: dict[str, Tensor], prediction: Tensor, batch: Batch) -> Any:
            return functional_call(self._one, buffers, (prediction, batch))

        return vmap(one)(self._buffers, predictions, batches)  # type: ignore[no-any-return]


class _Loss(nn.Module):
    """The loss of a task by what its network predicts. The network is not there: a loss that asks it for more fails."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = copy.copy(task)
        self.task._modules = {name: module for name, module in task._modules.items() if name != "model"}

    def forward(self, prediction: Tensor, batch: Batch) -> Tensor:
        self.task.forward = lambda *inputs: prediction  # type: ignore[method-assign]
        return self.task.loss(batch)[0]
