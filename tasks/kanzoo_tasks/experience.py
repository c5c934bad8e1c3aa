"""What continual-learning tasks share: experiences in turn, a strategy, and the matrix of scores after each on each."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import TensorDataset

from kanzoo.layers.factory import Layers
from kanzoo.task import EVALUATION_BATCH, Batch, Report, Task
from kanzoo_tasks import accuracy_matrix, matrix_picture, strategy


class Experiences(Task):
    """A task whose samples come in experiences, one after the other; the last tensor of its data is the experience of each sample.

    A plug-in writes what a `Task` has, and `num_experiences`, `experience_names`, `cell_score` with `cell_score_name`, `groups`, and
    `log_likelihood`. Its `direction` holds for the scores of the matrix too.

    Attributes:
        cell_score_name: what the numbers in the matrix are.
    """

    cell_score_name: str
    num_experiences: int

    def __init__(self, name: strategy.Name, memory: int, ewc_lambda: float) -> None:
        super().__init__()
        self._strategy_name: strategy.Name = name
        self._memory, self._ewc_lambda = memory, ewc_lambda

    @abstractmethod
    def experience_names(self) -> Sequence[str]:
        """Return a short name for each experience."""

    @abstractmethod
    def cell_score(self, prediction: Tensor, target: Tensor) -> float:
        """Return the score of the test samples of one experience."""

    @abstractmethod
    def groups(self, samples: Batch) -> Tensor:
        """Return a whole number for each sample, `(N,)`, that tells its class: a memory is balanced between them."""

    @abstractmethod
    def log_likelihood(self, batch: Batch, generator: Generator) -> Tensor:
        """Return log p(y | x) of a batch of one sample, the target y drawn from what the network predicts."""

    def prepare(self, layers: Layers, *, data_dir: Path | None = None, seed: int = 0) -> None:
        """Load the data, build the network, and begin with a strategy and a matrix that have seen nothing."""
        super().prepare(layers, data_dir=data_dir, seed=seed)
        self.strategy = strategy.make(self._strategy_name, memory=self._memory, ewc_lambda=self._ewc_lambda, seed=seed)
        self._drawn = Generator().manual_seed(seed)
        self._experiences = self.split(self.data.train)
        self._tests = self.split(self.data.test)
        self.untrained: list[float] = []
        self.matrix = np.full((self.num_experiences, self.num_experiences), np.nan)

    def split(self, samples: TensorDataset) -> list[TensorDataset]:
        """Return the samples of each experience."""
        experience = samples.tensors[-1]
        return [TensorDataset(*samples[experience == index]) for index in range(self.num_experiences)]

    def stages(self) -> Sequence[TensorDataset]:
        """Return the training sets of the experiences, as the strategy has them; the first to ask has the untrained network measured."""
        self.untrained = self.untrained or self._scores()
        return self.strategy.stages(self._experiences)

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Let the strategy extend a training batch: once a batch, so that a line search sees the same samples at every point."""
        return self.strategy.extend(tuple(batch)) if self.trainer.training else batch

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of a training batch with the penalty of the strategy."""
        return self.loss(batch)[0] + self.strategy.penalty(self.model)

    def end_stage(self, index: int) -> None:
        """Let the strategy remember the experience, and measure the network on all of them."""
        samples = self._experiences[index]
        training = self.model.training
        self.model.eval()
        self.strategy.remember(
            self.model, samples, self.groups(samples.tensors), lambda batch: self.log_likelihood(self._moved(batch), self._drawn)
        )
        self.model.train(training)
        self.matrix[index] = self._scores()

    def report(self) -> Report:
        """Return averages, transfer and forgetting, and the matrix as a table and a picture; empty before all experiences were fitted."""
        if not np.isfinite(self.matrix).all():
            return Report()
        names = self.experience_names()
        return Report(
            metrics={
                f"learning_{self.cell_score_name}": accuracy_matrix.learning(self.matrix),
                f"average_{self.cell_score_name}": accuracy_matrix.average(self.matrix),
                "backward_transfer": accuracy_matrix.backward_transfer(self.matrix, self.direction),
                "forward_transfer": accuracy_matrix.forward_transfer(self.matrix, self.untrained, self.direction),
                "forgetting": accuracy_matrix.forgetting(self.matrix, self.direction),
            },
            files={
                f"{self.cell_score_name}_matrix.csv": accuracy_matrix.to_csv(self.matrix, self.untrained, names),
                f"{self.cell_score_name}_matrix.png": matrix_picture.draw(
                    self.matrix, self.untrained, names, self.cell_score_name, self.direction
                ),
            },
        )

    @torch.no_grad()
    def _scores(self) -> list[float]:
        """Return the score on the test samples of each experience."""
        training = self.model.training
        self.model.eval()
        scores = []
        for samples in self._tests:
            batches = [samples[start : start + EVALUATION_BATCH] for start in range(0, len(samples), EVALUATION_BATCH)]
            _, predictions, targets = zip(*(self.loss(self._moved(batch)) for batch in batches), strict=True)
            scores.append(self.cell_score(torch.cat(predictions), torch.cat(targets)))
        self.model.train(training)
        return scores

    def _moved(self, batch: Batch) -> Batch:
        device = next(self.model.parameters()).device
        return tuple(tensor.to(device) for tensor in batch)
