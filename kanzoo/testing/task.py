"""The conformance suite of a task: its declaration, its data, and its training with both kinds of layers."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanzoo.basis import ColumnBasis
from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.registry import find
from kanzoo.signature import arguments_of
from kanzoo.testing.broken import Broken
from kanzoo.testing.check import Check, CheckResult, parametrize, report, run
from kanzoo.testing.random_state import generator, same_random_state

if TYPE_CHECKING:
    from kanzoo.task import Task

_TASK_CHECKS: list[Check] = []


class _Cubic(ColumnBasis):
    """Legendre polynomials of degree 1 to 3: enough of a basis to check a task."""

    resolution = "degree"
    support = "global"
    reference = "none"

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, num_basis=3, domain=(-1.0, 1.0))

    def columns(self, x: Tensor) -> list[Tensor]:
        return [x, 1.5 * x * x - 0.5, x * (2.5 * x * x - 1.5)]


#: Samples of the batch that `check_task` trains on.
_BATCH = 64


@dataclass(frozen=True)
class TaskSubject:
    """A task under test: its name in messages, its class, the arguments and where data sets lie."""

    name: str
    made: "type[Task]"
    arguments: Mapping[str, Any]
    data_dir: Path | None

    def make(self) -> "Task":
        """Build the task; nothing is loaded."""
        return self.made(**self.arguments)

    def prepared(self, layers: Layers, seed: int = 0) -> "Task":
        """Build it, load its data and ask the factory for its network."""
        task = self.make()
        task.prepare(layers, data_dir=self.data_dir, seed=seed)
        return task

    def factories(self) -> dict[str, Layers]:
        """Return the factories of both kinds."""
        return {"KANLayers": KANLayers(_Cubic, generator=generator()), "PlainLayers": PlainLayers(generator=generator())}

    def prepared_with_each(self) -> "Iterator[tuple[str, Task]]":
        """Yield the task prepared with each kind of factory; one that solves itself may refuse the baseline, for want of a package."""
        from kanzoo.task import SolvedTask

        for kind, layers in self.factories().items():
            try:
                yield kind, self.prepared(layers)
            except InvalidInput:
                if not (issubclass(self.made, SolvedTask) and isinstance(layers, PlainLayers)):
                    raise

    def require(self, condition: object, rule: str, value: object) -> None:
        """Raise AssertionError with name, rule and value unless the condition holds."""
        if not condition:
            raise Broken(self.name, rule, value)


def _task_check(function: Callable[[TaskSubject], None]) -> Callable[[TaskSubject], None]:
    _TASK_CHECKS.append(Check((), function))
    return function


def task_checks() -> tuple[Check, ...]:
    """Return the checks of a task."""
    return tuple(_TASK_CHECKS)


def check_task(
    task: "str | type[Task]", arguments: Mapping[str, Any] | None = None, data_dir: Path | None = None, *, raise_on_failure: bool = True
) -> list[CheckResult]:
    """Run every check of a task, on KAN layers and on the baseline.

    Args:
        task: a registry name or a `Task` class.
        arguments: of its constructor; choose small data, the checks load it several times.
        data_dir: where data sets lie, or None.
        raise_on_failure: raise when a check fails, or only return the results.

    Raises:
        AssertionError: at least one check failed; the message has a line for each.
        InvalidInput: the name is unknown, or the plug-in cannot be imported.
    """
    return report(run(_TASK_CHECKS, _subject(task, arguments, data_dir)), raise_on_failure)


def parametrize_with_task_checks(
    task: str, arguments: Mapping[str, Any] | None = None, data_dir: Path | None = None
) -> Callable[..., None]:
    """Return a test function for pytest, one case for each check of a task.

    Args:
        task: a registry name.
        arguments: of its constructor; choose small data, the checks load it several times.
        data_dir: where data sets lie, or None.

    Example:
        test_contract = parametrize_with_task_checks("my_task", {"samples": 100})
    """
    return parametrize({task: _TASK_CHECKS}, lambda name: _subject(name, arguments, data_dir))


def _subject(task: "str | type[Task]", arguments: Mapping[str, Any] | None, data_dir: Path | None) -> TaskSubject:
    made = find("task", task).load() if isinstance(task, str) else task
    return TaskSubject(task if isinstance(task, str) else made.__name__, made, dict(arguments or {}), data_dir)


@_task_check
def task_is_declared(subject: TaskSubject) -> None:
    """It derives from Task; every argument is keyword-only, typed and has a default; score, direction and version are declared."""
    from kanzoo.task import Task

    subject.require(issubclass(subject.made, Task), "must be derived from kanzoo.task.Task", subject.made)
    try:
        found = arguments_of(subject.made, subject.name)
    except InvalidInput as error:
        raise AssertionError(f"{subject.name}: {error.message}") from error
    unknown = sorted(set(subject.arguments) - set(found))
    subject.require(not unknown, f"arguments must be among {list(found)}", unknown)
    score, direction = getattr(subject.made, "score", None), getattr(subject.made, "direction", None)
    subject.require(isinstance(score, str) and score, "score must be the name of a metric", repr(score))
    subject.require(direction in ("min", "max"), "direction must be 'min' or 'max'", repr(direction))
    version = subject.made.version
    subject.require(type(version) is int and version >= 1, "version must be an integer >= 1", repr(version))


@_task_check
def data_is_sound(subject: TaskSubject) -> None:
    """Training, validation and test set are not empty, and their numbers are finite."""
    data = subject.make().load(subject.data_dir, 0)
    for part in ("train", "validation", "test"):
        dataset = getattr(data, part)
        subject.require(len(dataset) > 0, f"the {part} set must not be empty", "0 samples")
        bad = [index for index, tensor in enumerate(dataset.tensors) if tensor.is_floating_point() and not tensor.isfinite().all()]
        subject.require(not bad, f"the {part} set must be finite", f"NaN or infinity in tensors {bad}")


@_task_check
def seed_decides_the_data(subject: TaskSubject) -> None:
    """The same seed loads the same data twice; another seed splits or samples them otherwise, unless the split is official."""
    first, again, other = (subject.make().load(subject.data_dir, seed) for seed in (0, 0, 1))

    def same(one: Any, two: Any, part: str) -> bool:
        pairs = zip(getattr(one, part).tensors, getattr(two, part).tensors, strict=True)
        return all(torch.equal(a, b) for a, b in pairs)

    for part in ("train", "validation", "test"):
        subject.require(same(first, again, part), f"the same seed must give the same {part} set", "a difference")
    if not subject.make().official_split:
        subject.require(not same(first, other, "train"), "another seed must give another training set", "the same one")


@_task_check
def task_leaves_random_state_alone(subject: TaskSubject) -> None:
    """Loading the data and building the network leave the global random state alone; the factory has its own generator."""
    prepared = subject.prepared_with_each()
    for kind in subject.factories():
        with same_random_state(subject.require, f"prepare with {kind}"):
            next(prepared, None)


@_task_check
def stages_are_not_empty(subject: TaskSubject) -> None:
    """There is at least one stage, and none is empty."""
    (_, task), *_ = subject.prepared_with_each()
    sizes = [len(stage) for stage in task.stages()]
    subject.require(sizes and min(sizes) > 0, "stages must be one or more training sets, none of them empty", sizes)


@_task_check
def loss_and_score_are_finite(subject: TaskSubject) -> None:
    """The loss is one finite number, and the metrics contain the score and take predictions and targets."""
    for kind, task in subject.prepared_with_each():
        task.eval()
        with torch.no_grad():
            loss, prediction, target = task.loss(task.data.validation[:_BATCH])
        subject.require(loss.ndim == 0 and loss.isfinite(), f"the loss with {kind} must be one finite number", loss)
        metrics = task.metrics()
        metrics.update(prediction, target)
        for stage in range(len(task.stages())):
            task.end_stage(stage)
        found = {name: float(value) for name, value in metrics.compute().items()} | dict(task.report().metrics)
        subject.require(task.score in found, f"metrics or report must contain the score {task.score!r}", list(found))
        value = found[task.score]
        subject.require(math.isfinite(value), f"the score {task.score!r} with {kind} must be finite", value)


@_task_check
def steps_lower_the_loss(subject: TaskSubject) -> None:
    """A few steps of Adam, or the search of a SolvedTask, lower the loss, with KAN layers and with the baseline.

    A search may find nothing with the baseline.
    """
    from kanzoo.task import SolvedTask

    for kind, task in subject.prepared_with_each():
        batch = task.stages()[0][:_BATCH]
        if isinstance(task, SolvedTask):
            before = float(task.loss(batch)[0])
            task.solve(generator())
            after = float(task.loss(batch)[0])
            nothing = kind == "PlainLayers" and after == before
            shown = f"{before:.4g} before and {after:.4g} after"
            subject.require(after < before or nothing, f"solve with {kind} must lower the loss", shown)
            continue
        optimizer = torch.optim.Adam(task.model.parameters(), lr=3e-3)
        losses = []
        with torch.random.fork_rng(devices=[]):  # a network may drop out
            torch.manual_seed(0)
            for _ in range(10):
                loss = task.loss(batch)[0]
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(float(loss.detach()))
        shown = f"{losses[0]:.4g} before and {losses[-1]:.4g} after"
        subject.require(losses[-1] < losses[0], f"ten steps with {kind} must lower the loss", shown)
