"""Apply a tool to the network of a recorded run, and record the outcome as a child run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from safetensors.torch import save
from torch import Tensor, nn

from kanzoo import experiment, fitting
from kanzoo.cell import Cell
from kanzoo.errors import InvalidInput
from kanzoo.inspect import kan_layers
from kanzoo.inspection.subject import Finding, Subject, Tool
from kanzoo.place import Place
from kanzoo.record import Row
from kanzoo.registry import Plugin
from kanzoo.tracking import Recorder, Tracker

Moment = Literal["before", "after"]


@dataclass(frozen=True)
class Outcome:
    """What an inspection measured.

    Attributes:
        run_id: of the child run.
        row: of the run that was inspected.
        finding: what the tool found.
        figures: scores on validation and test data, number of parameters and edges, each before and after.
        reason: why training further failed; empty when it did not.
    """

    run_id: str
    row: Row
    finding: Finding
    figures: Mapping[str, Mapping[Moment, float]]
    reason: str = ""


def inspect(prefix: str, tool: Tool, place: Place) -> Outcome:
    """Apply a tool to the network of a recorded run, with its training data as samples, and record the outcome as a child of the run.

    Args:
        prefix: id of the run, or how no other one begins.
        tool: with its arguments.
        place: the store, where data lie, and the device; the child is recorded in the experiment of the run.

    Raises:
        InvalidInput: the run is not there, or not FINISHED, or is a baseline's, or the tool refuses its network; nothing is recorded.
    """
    tracker = Tracker(place.tracking_uri)
    row = tracker.trained(prefix)
    cell, task = experiment.load_cell(row.run_id, tracker.uri, place.data_dir)
    what, kind = f"{tool.name} of {row.task} {row.model}", cell.model["name"]
    if kind != "kan":
        raise InvalidInput(f"{what}: the run must be of a KAN, got model.name={kind}", "A baseline has no functions on edges.")
    try:
        kan_layers(task.model)
        subject = Subject(task, place, f"{row.task} {row.model}")
        if task.score not in task.metrics():
            raise ValueError(f"the score must be one of the task's metrics, got {task.score!r} of its report")
        if tool.finetune and len(task.stages()) > 1:
            raise ValueError(f"finetune must be 0 for a task of several stages, got {tool.finetune}")
        before = subject.figures()
        finding = tool(subject)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{what}: {error}") from error
    lock = f"inspection-{row.run_id}"
    with tracker.lock(lock):
        recorder = tracker.start(
            row.experiment,
            f"{tool.name} {row.model} seed={row.seed}",
            key=lock,
            kind="inspection",
            tags=_tags(tool, row),
            parent=row.run_id,
        )
        return _record(Outcome(recorder.run_id, row, finding, {}), subject, cell, tool, place, recorder, before)


def _record(
    outcome: Outcome, subject: Subject, cell: Cell, tool: Tool, place: Place, recorder: Recorder, before: Mapping[str, float]
) -> Outcome:
    with recorder:
        model = outcome.finding.model
        try:
            if model is not None:
                subject.with_model(model)
                _finetune(subject, cell, tool, place, recorder)
            after = before if model is None else subject.figures()
        except Exception as error:  # training further may fail in as many ways as training
            recorder.failure(error)
            recorder.close("FAILED")
            return replace(outcome, reason=experiment.reason(error))
        figures: dict[str, Mapping[Moment, float]] = {name: {"before": before[name], "after": after[name]} for name in after}
        recorder.log({f"{name}/{moment}": value for name, pair in figures.items() for moment, value in pair.items()})
        recorder.log(outcome.finding.figures)
        report = {"tool": tool.name, "arguments": _arguments(tool), "run": outcome.row.run_id, "figures": figures}
        recorder.artifact("report.json", json.dumps(report | {"report": outcome.finding.report}, indent=1))
        for name, content in outcome.finding.files.items():
            recorder.artifact(name, content)
        if model is not None and (weights := _weights(subject.task.model)):
            recorder.artifact("weights.safetensors", save(weights))
        recorder.close("FINISHED")
    return replace(outcome, figures=figures)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}


def _finetune(subject: Subject, cell: Cell, tool: Tool, place: Place, recorder: Recorder) -> None:
    """Train the network further with the optimiser of its cell; grids and resolution stay."""
    if tool.finetune:
        trainer = cell.trainer | {"max_epochs": tool.finetune, "grid_updates": 0, "refine": None, "max_seconds": None}
        subject.task.train()
        with experiment.isolated(cell.seed):
            fitting.fit(subject.task, subject.task.stages(), replace(cell, trainer=trainer), place, recorder)
        subject.task.to(experiment.device(place))


def _arguments(tool: Tool) -> dict[str, Any]:
    values = {name: value for name, value in vars(tool).items() if value is not None}
    return {name: value.name if isinstance(value, Plugin) else value for name, value in values.items()}


def _tags(tool: Tool, row: Row) -> dict[str, str]:
    arguments = {f"kanzoo.tool.{name}": str(value) for name, value in _arguments(tool).items()}
    return {"kanzoo.tool": tool.name, "kanzoo.task": row.task, "kanzoo.model": row.model} | arguments
