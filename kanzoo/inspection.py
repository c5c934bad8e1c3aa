"""The tools of `kanzoo.inspect` on a recorded run: its task is rebuilt, the network changed, scored again and recorded as a child run."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from kanzoo import experiment, fitting
from kanzoo.basis import is_edge_factory
from kanzoo.cell import Cell
from kanzoo.errors import InvalidInput
from kanzoo.inspect import attribution, convert, coverage, kan_layers, prune, refine
from kanzoo.inspect.layer import edges_at_input, num_inputs
from kanzoo.inspect.prune import Parts
from kanzoo.layers import KANLinear
from kanzoo.models import num_parameters
from kanzoo.place import Place
from kanzoo.record import Row
from kanzoo.registry import Plugin
from kanzoo.task import Task
from kanzoo.tracking import Recorder, Tracker

#: Training samples that a tool looks at, evenly spread over all.
MOST_SAMPLES = 4096

Moment = Literal["before", "after"]


@dataclass(frozen=True)
class Finding:
    """What a tool found.

    Attributes:
        model: the new network; None when there is none.
        figures: by name, recorded as metrics, and shown.
        report: all there is to know, ready for JSON.
    """

    model: nn.Module | None
    figures: Mapping[str, float]
    report: Mapping[str, Any]


class Tool(Protocol):
    """A tool with its arguments, the fields of a dataclass."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    @property
    def finetune(self) -> int:
        """Epochs to train its network further."""

    def __call__(self, subject: "Subject") -> Finding:
        """Apply it to a copy of the network; raises ValueError or TypeError for what it refuses."""


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


class Subject:
    """A trained task on its device, with samples of its training data."""

    def __init__(self, task: Task, place: Place) -> None:
        self.task = task.to(experiment.device(place))
        train = task.data.train
        places = torch.linspace(0, len(train) - 1, min(len(train), MOST_SAMPLES), dtype=torch.float64).round().long()
        self.inputs: Sequence[Tensor] = task.inputs(self._on_device(train[places]))

    def stack_input(self) -> Tensor:
        """Return the one input of a stack of dense layers."""
        if len(self.inputs) != 1:
            raise ValueError(f"the network must have one input, got {len(self.inputs)}")
        return self.inputs[0]

    def with_model(self, model: nn.Module) -> None:
        """Let the task have another network."""
        self.task.model = model.to(self.task.device)

    def score(self, part: TensorDataset) -> float:
        """Return the task's score on a part of its data."""
        metrics = self.task.metrics().to(self.task.device)
        self.task.eval()
        with torch.no_grad():
            for batch in self.task.evaluation_loader(part):
                metrics.update(*self.task.loss(self._on_device(batch))[1:])
        return float(metrics.compute()[self.task.score])

    def figures(self) -> dict[str, float]:
        """Return scores, parameters and edges of the network as it is."""
        data, model = self.task.data, self.task.model
        score = {f"{name}/{self.task.score}": self.score(part) for name, part in (("validation", data.validation), ("test", data.test))}
        return score | {"parameters": float(sum(num_parameters(model).values())), "edges": float(num_edges(model))}

    def _on_device(self, batch: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(tensor.to(self.task.device) for tensor in batch)


@dataclass(frozen=True)
class Prune:
    """Cut edges, nodes or inputs, see `kanzoo.inspect.prune`; with `max_loss` the score on validation data may get worse by that much."""

    name = "prune"
    threshold: float | None = None
    sparsity: float | None = None
    max_loss: float | None = None
    parts: Parts = "edges"
    finetune: int = 0

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        task, x = subject.task, subject.stack_input()
        original: Any = task.model
        if self.threshold is not None:
            self._check(original, x, self.threshold)

        def score(model: nn.Module) -> float:
            subject.with_model(model)
            try:
                return subject.score(task.data.validation)
            finally:
                subject.with_model(original)

        model, done = prune(
            original,
            x,
            parts=self.parts,
            threshold=self.threshold,
            sparsity=self.sparsity,
            score=None if self.max_loss is None else score,
            max_loss=self.max_loss or 0.0,
            direction=task.direction,
        )
        return Finding(model, {"inputs": float(len(done.inputs))}, asdict(done))

    def _check(self, model: nn.Module, x: Tensor, threshold: float) -> None:
        scores = attribution(model, x)
        judged = {"edges": scores.edges, "nodes": scores.nodes[1:-1], "inputs": scores.nodes[:1]}[self.parts]
        largest = max((float(score.max()) for score in judged), default=threshold)
        if threshold > largest:
            raise ValueError(f"threshold must be at most the largest score of the {self.parts}, {largest:.3g}, got {threshold}")


@dataclass(frozen=True)
class Refine:
    """Raise the resolution of every basis to `to`, see `kanzoo.inspect.refine`."""

    name, finetune = "refine", 0
    to: int

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        model = copy.deepcopy(subject.task.model)
        done = refine(model, self.to, *subject.inputs)
        return Finding(model, _by_layer("residual", {layer: one.residual for layer, one in done.items()}), _plain(done))


@dataclass(frozen=True)
class Convert:
    """Take another basis, see `kanzoo.inspect.convert`."""

    name, finetune = "convert", 0
    basis: Plugin
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        basis_class = self.basis.load()
        if is_edge_factory(basis_class):
            raise ValueError(f"basis must not be one of functions with parameters inside, got {self.basis.name!r}")
        model, done = convert(subject.task.model, partial(basis_class, **self.arguments), *subject.inputs)
        layers = {layer: {"maximum": float(one.maximum.max()), "rms": float(one.rms.square().mean().sqrt())} for layer, one in done.items()}
        return Finding(model, _by_layer("residual", {layer: one["rms"] for layer, one in layers.items()}), layers)


@dataclass(frozen=True)
class Attribute:
    """Score inputs, nodes and edges by what `outputs`, by number, or all owe to them, see `kanzoo.inspect.attribution`."""

    name, finetune = "attribute", 0
    outputs: Sequence[int] | None = None

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        weights, x = None, subject.stack_input()
        if self.outputs is not None:
            weights = self._weights(subject.task.model, x, self.outputs)
        scores = attribution(subject.task.model, x, outputs=weights)
        figures = {f"attribution/{index}": float(score) for index, score in enumerate(scores.inputs)}
        return Finding(None, figures, {"nodes": [one.tolist() for one in scores.nodes], "edges": [one.tolist() for one in scores.edges]})

    @staticmethod
    @torch.no_grad()
    def _weights(model: nn.Module, x: Tensor, outputs: Sequence[int]) -> Tensor:
        count = model(x[:1]).shape[-1]
        if not outputs or not all(0 <= output < count for output in outputs):
            raise ValueError(f"outputs must be of 0 ... {count - 1}, got {list(outputs)}")
        return torch.zeros(count).index_fill(0, torch.tensor(outputs), 1.0)


@dataclass(frozen=True)
class Coverage:
    """Tell the share of each layer's inputs that lie in its domain, see `kanzoo.inspect.coverage`."""

    name, finetune = "coverage", 0

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        shares = coverage(subject.task.model, *subject.inputs)
        return Finding(None, _by_layer("coverage", shares), shares)


def inspect(prefix: str, tool: Tool, place: Place) -> Outcome:
    """Apply a tool to the network of a recorded run, with its training data as samples, and record the outcome as a child of the run.

    Args:
        prefix: id of the run, or how no other one begins.
        tool: with its arguments.
        place: the store, where data lie, and the device; the child is recorded in the experiment of the run.

    Raises:
        InvalidInput: the run is not there, or not FINISHED, or the tool refuses its network; nothing is recorded.
    """
    tracker = Tracker(place.tracking_uri)
    row = tracker.trained(prefix)
    cell, task = experiment.load_cell(row.run_id, tracker.uri, place.data_dir)
    try:
        kan_layers(task.model)
        subject = Subject(task, place)
        if task.score not in task.metrics():
            raise ValueError(f"the score must be one of the task's metrics, got {task.score!r} of its report")
        if tool.finetune and len(task.stages()) > 1:
            raise ValueError(f"finetune must be 0 for a task of several stages, got {tool.finetune}")
        before = subject.figures()
        finding = tool(subject)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{tool.name} of {row.task} {row.model}: {error}") from error
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


def num_edges(model: nn.Module) -> int:
    """Return how many edges the KAN layers of a network have, without those that were cut; of a convolution those at one place."""
    return sum(
        int(layer.edge_mask.sum())
        if isinstance(layer, KANLinear) and layer.edge_mask is not None
        else num_inputs(layer) * edges_at_input(layer)
        for layer in kan_layers(model).values()
    )


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
        figures: dict[str, Mapping[Moment, float]] = {name: {"before": before[name], "after": after[name]} for name in before}
        recorder.log({f"{name}/{moment}": value for name, pair in figures.items() for moment, value in pair.items()})
        recorder.log(outcome.finding.figures)
        report = {"tool": tool.name, "arguments": _arguments(tool), "run": outcome.row.run_id, "figures": figures}
        recorder.artifact("report.json", json.dumps(report | {"report": outcome.finding.report}, indent=1))
        if model is not None:
            weights = {name: value.detach().cpu().contiguous() for name, value in subject.task.model.state_dict().items()}
            recorder.artifact("weights.safetensors", save(weights))
        recorder.close("FINISHED")
    return replace(outcome, figures=figures)


def _finetune(subject: Subject, cell: Cell, tool: Tool, place: Place, recorder: Recorder) -> None:
    """Train the network further with the optimiser of its cell; grids and resolution stay."""
    if tool.finetune:
        trainer = cell.trainer | {"max_epochs": tool.finetune, "grid_updates": 0, "refine": None}
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


def _by_layer(what: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{what}/{layer or 'network'}": value for layer, value in values.items()}


def _plain(layers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in layers.items()}
