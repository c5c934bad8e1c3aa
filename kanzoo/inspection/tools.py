"""Tools that change a network or tell figures of it: prune, refine, convert, attribute, coverage."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import is_edge_factory
from kanzoo.inspect import attribution, convert, coverage, prune, refine
from kanzoo.inspect.prune import Parts
from kanzoo.inspection.subject import Finding, Subject
from kanzoo.registry import Plugin


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
        report = {"nodes": [one.tolist() for one in scores.nodes], "edges": [one.tolist() for one in scores.edges]}
        return Finding(None, figures, report | {"inputs": subject.task.variables().inputs})

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


def _by_layer(what: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{what}/{layer or 'network'}": value for layer, value in values.items()}


def _plain(layers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in layers.items()}
