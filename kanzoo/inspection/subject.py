"""What a tool is given, a trained task with samples of its data, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from kanzoo import experiment
from kanzoo.inspect import kan_layers
from kanzoo.inspect.layer import edges_at_input, num_inputs
from kanzoo.layers import KANLinear
from kanzoo.models import num_parameters
from kanzoo.place import Place
from kanzoo.task import Task

#: Training samples that a tool looks at, evenly spread over all.
MOST_SAMPLES = 4096


@dataclass(frozen=True)
class Finding:
    """What a tool found.

    Attributes:
        model: what is to stand in the place of the network; None when nothing is.
        figures: by name, recorded as metrics, and shown.
        report: all there is to know, ready for JSON.
        files: tables, pictures and pages, file name to content.
    """

    model: nn.Module | None
    figures: Mapping[str, float]
    report: Mapping[str, Any]
    files: Mapping[str, bytes | str] = field(default_factory=dict)


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


class Subject:
    """A trained task on its device, with samples of its training data.

    Attributes:
        task: the task; its network may be replaced.
        batch: the samples.
        inputs: what the network is called with for them.
        title: what to call it.
    """

    def __init__(self, task: Task, place: Place, title: str) -> None:
        self.title = title
        self.task = task.to(experiment.device(place))
        train = task.data.train
        places = torch.linspace(0, len(train) - 1, min(len(train), MOST_SAMPLES), dtype=torch.float64).round().long()
        self.batch = self._on_device(train[places])
        self.inputs: Sequence[Tensor] = task.inputs(self.batch)

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
        """Return scores of the network as it is, and, unless it is no network any more, its parameters and edges."""
        data, model = self.task.data, self.task.model
        score = {f"{name}/{self.task.score}": self.score(part) for name, part in (("validation", data.validation), ("test", data.test))}
        if not any(True for _ in model.parameters()):
            return score
        return score | {"parameters": float(sum(num_parameters(model).values())), "edges": float(num_edges(model))}

    def _on_device(self, batch: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(tensor.to(self.task.device) for tensor in batch)


def num_edges(model: nn.Module) -> int:
    """Return how many edges the KAN layers of a network have, without those that were cut; of a convolution those at one place."""
    return sum(
        int(layer.edge_mask.sum())
        if isinstance(layer, KANLinear) and layer.edge_mask is not None
        else num_inputs(layer) * edges_at_input(layer)
        for layer in kan_layers(model).values()
    )
