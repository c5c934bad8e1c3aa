"""A task: data, a network asked from a factory, a loss and a score. The step methods are written once, here."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from pytorch_lightning import LightningModule
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from torchmetrics import MetricCollection

from kanzoo import compilation
from kanzoo.layers.factory import Layers

#: Samples of a validation or test batch: large enough to be fast, small enough for a KAN's features to fit in memory.
EVALUATION_BATCH = 1024

Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Data:
    """The three parts of a data set, as tensors: choices are made on validation, the score is taken on test."""

    train: TensorDataset
    validation: TensorDataset
    test: TensorDataset


@dataclass(frozen=True)
class Optimization:
    """How a task is fitted.

    Attributes:
        optimizer: `adam`, `adamw`, or `lbfgs` (strong Wolfe line search, 20 iterations a step, history 10: pykan's way).
        lr: learning rate.
        weight_decay: of AdamW.
        lr_decay: factor on the learning rate after each epoch.
        batch_size: samples a step; 0 is the whole training set.
    """

    optimizer: Literal["adam", "adamw", "lbfgs"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    lr_decay: float = 1.0
    batch_size: int = 64

    def make(self, parameters: Iterable[Tensor]) -> Optimizer:
        """Return the optimiser of these parameters."""
        if self.optimizer == "lbfgs":
            return torch.optim.LBFGS(
                parameters, lr=self.lr, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=1e-14
            )
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(parameters, lr=self.lr, weight_decay=self.weight_decay)

    def schedule(self, optimizer: Optimizer) -> LRScheduler | None:
        """Return the schedule of its learning rate, one step an epoch; None when it stays."""
        return None if self.lr_decay == 1.0 else ExponentialLR(optimizer, self.lr_decay)


class Steps(Protocol):
    """Takes many steps on a full batch in one of Lightning's; `epoch` tells how many epochs of the stage are done."""

    epoch: int

    def __call__(self, batch: Batch) -> None:
        """Take the steps up to the next validation."""


@dataclass(frozen=True)
class Report:
    """What a finished task leaves beside its metrics.

    Attributes:
        metrics: figures over all stages, by name; the score may be one of them.
        files: tables and pictures, file name to content.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, bytes | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variables:
    """What the columns of a network's input and output are called, and in which units they are, for tools that speak to people.

    Attributes:
        inputs: names of the inputs; x1, x2, ... when None.
        outputs: names of the outputs; y, or y1, y2, ..., when None.
        input_units: (center, scale) of each input, where the network sees (x - center) / scale.
        output_units: (center, scale) of each output, where the network gives (y - center) / scale.
        classes: whether the outputs are classes, each with a logit.
    """

    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    input_units: tuple[Tensor, Tensor] | None = None
    output_units: tuple[Tensor, Tensor] | None = None
    classes: bool = False


class Task(LightningModule, ABC):
    """A problem to be solved by any network of a factory, as a Lightning module.

    A plug-in sets the class attributes and writes `load`, `build_model`, `loss` and `metrics`; its constructor's keyword-only,
    typed, defaulted arguments are the config schema. To use a task without the command line: `prepare` it, then hand it and its
    loaders to a `Trainer`.

    Attributes:
        score: the ranked metric, a key of `metrics()` or of `report().metrics`.
        direction: whether the score is better when smaller (`min`) or larger (`max`).
        version: raise it when scores of an older version no longer compare.
        late: arguments that came later: with its default, one of them is no part of the identity of an experiment.
        sources: `module:function` of a torch-free function `(arguments, data_dir) -> digest` that refuses wrong files, columns or
            formulas with `InvalidInput`, before anything heavy is imported, and names the data that an experiment rests on.
        official_split: whether the parts are the publisher's, the same for every seed.
        baseline: what its baseline is called, where that is no MLP, CNN or GNN.
    """

    score: ClassVar[str]
    direction: ClassVar[Literal["min", "max"]]
    version: ClassVar[int] = 1
    late: ClassVar[tuple[str, ...]] = ()
    sources: ClassVar[str | None] = None
    baseline: ClassVar[str | None] = None

    official_split: bool = False
    data: Data
    model: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.optimization = Optimization()
        self.steps: Steps | None = None  # set while `kanzoo.fitting` takes the steps; a Trainer alone takes its own
        self._losses: list[Tensor] = []
        self._network: list[Callable[..., Tensor]] = []  # stands for `model` in training; in a list, or its parameters are found twice
        self._gradients: compilation.Gradients | None = None

    @abstractmethod
    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return the data; the seed decides sampling and splits. `data_dir` is where data sets lie, or None."""

    @abstractmethod
    def build_model(self, layers: Layers) -> nn.Module:
        """Return the network for this problem from a factory of layers; `self.data` is there."""

    @abstractmethod
    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return (loss, prediction, target) of a batch; prediction and target are what `metrics` compares."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Return fresh torchmetrics, among them the score."""

    def stages(self) -> Sequence[TensorDataset]:
        """Return the training sets to fit in turn: one for ordinary learning, several experiences for continual learning."""
        return [self.data.train]

    def end_stage(self, index: int) -> None:
        """Do what there is to do after stage `index` was fitted: measure the stages seen so far, remember some of its samples."""

    def report(self) -> Report:
        """Return what the run leaves beside its metrics; asked once, after the test."""
        return Report()

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return what the network is called with for a batch: its first tensor. A task on graphs looks up the nodes and edges here."""
        return (batch[0],)

    def variables(self) -> Variables:
        """Return names and units of the network's inputs and outputs; by default nobody knows any."""
        return Variables()

    def prepare(self, layers: Layers, *, data_dir: Path | None = None, seed: int = 0) -> None:
        """Load the data and build the network."""
        self.data = self.load(data_dir, seed)
        self.model = self.build_model(layers)
        self.validation_metrics = self.metrics().clone(prefix="validation/")
        self.test_metrics = self.metrics().clone(prefix="test/")

    def is_full_batch(self, stage: TensorDataset) -> bool:
        """Return whether one step takes all samples of a stage."""
        size = self.optimization.batch_size
        return size == 0 or size >= len(stage)

    def train_loader(self, stage: TensorDataset, generator: Generator) -> DataLoader[Batch]:
        """Return the batches of a stage, shuffled by `generator`; a full batch is not copied."""
        if self.is_full_batch(stage):
            return DataLoader([stage.tensors], batch_size=None, generator=generator)  # type: ignore[arg-type]
        sampler = BatchSampler(RandomSampler(stage, generator=generator), self.optimization.batch_size, drop_last=False)
        return DataLoader(
            stage, sampler=sampler, batch_size=None, generator=generator
        )  # a list of indices at once: one gather, no collation

    def evaluation_loader(self, dataset: TensorDataset) -> DataLoader[Batch]:
        """Return a data set in order, in large batches."""
        sampler = BatchSampler(SequentialSampler(dataset), EVALUATION_BATCH, drop_last=False)
        return DataLoader(dataset, sampler=sampler, batch_size=None, generator=Generator())  # without one it draws from the global state

    def forward(self, *inputs: Tensor) -> Tensor:
        """Apply the network: write `self(x)` in `loss`, so that it may be compiled."""
        compiled = self._network and self.training  # an evaluation is not worth a compilation of its own
        return (self._network[0] if compiled else self.model)(*inputs)

    def compile_model(self, *, at_once: bool = False) -> None:
        """Let training use a compiled network from now on; `model` stays what it is.

        Args:
            at_once: let `backpropagate` take loss and gradients as one graph, which is for small networks on batches of one size.
        """
        if at_once:
            self._gradients = compilation.gradients(self.model, self._loss_of, dynamic=False)
        else:
            self._network = [compilation.compile(self.model, dynamic=True)]

    def compile_again(self) -> None:
        """Compile anew what `compile_model` compiled, after the network got other parameters."""
        if self._gradients is not None or self._network:
            self.compile_model(at_once=self._gradients is not None)

    def backpropagate(self, batch: Batch) -> Tensor:
        """Set the gradients of the network's parameters to those of the loss of a batch, and return the loss without a tape."""
        if self._gradients is not None:
            return self._gradients(*batch)
        self.model.zero_grad()
        loss = self.loss(batch)[0]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _loss_of(self, network: Callable[..., Tensor], *batch: Tensor) -> Tensor:
        before, self._network = self._network, [network]
        loss = self.loss(batch)[0]
        self._network = before
        return loss

    @property
    def current_epoch(self) -> int:
        """The epoch of the stage, also where many are one of Lightning's."""
        return super().current_epoch if self.steps is None else self.steps.epoch

    def training_step(self, batch: Batch, batch_index: int) -> Tensor | None:
        """Return the loss of a training batch, or None after all steps up to the next validation were taken here."""
        if self.steps is None:
            return self.loss(batch)[0]
        self.steps(batch)
        return None

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Update the validation metrics."""
        _, prediction, target = self.loss(batch)
        self.validation_metrics.update(prediction, target)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Update the test metrics."""
        _, prediction, target = self.loss(batch)
        self.test_metrics.update(prediction, target)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        """Keep the loss for the epoch's mean."""
        if self.steps is not None:
            return
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        self._losses.append(loss.detach())

    def on_train_epoch_end(self) -> None:
        """Log the mean loss of the epoch.

        Raises:
            FloatingPointError: it is NaN or infinite.
        """
        if self.steps is not None:  # they were logged one by one
            return
        mean = torch.stack(self._losses).mean()
        self._losses.clear()
        if not torch.isfinite(mean):
            raise FloatingPointError(f"training loss is {mean.item()} in epoch {self.current_epoch}")
        self.log("train/loss", mean)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        self.log_dict(self.validation_metrics.compute())
        self.validation_metrics.reset()

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        self.log_dict(self.test_metrics.compute())
        self.test_metrics.reset()

    def configure_optimizers(self) -> Any:
        """Return the optimiser that `optimization` names, with its schedule."""
        optimizer = self.optimization.make(self.model.parameters())
        schedule = self.optimization.schedule(optimizer)
        return optimizer if schedule is None else ([optimizer], [schedule])


class SolvedTask(Task):
    """A task that finds its network by a search of its own, not by the steps of an optimiser: a formula, for example.

    `build_model` returns the network from which the search starts, whose loss is finite, and `solve` puts what it found in its place. The
    rest is as for any task: `metrics` and `report` judge it, and it is recorded, skipped when finished, and run by benchmarks. Of
    the section `trainer` nothing has a meaning, so that everything there must stay as it is. A network without parameters and buffers
    leaves no weights: `report` keeps what was found.
    """

    @abstractmethod
    def solve(self, generator: Generator) -> None:
        """Search for a network on `self.data` and make it `self.model`; all chance comes from `generator`."""
