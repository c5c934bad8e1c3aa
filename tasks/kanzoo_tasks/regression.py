"""Regression: learn a formula, an equation of physics, or a table."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from kanzoo.layers.factory import Layers
from kanzoo.models import DenseNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Task, Variables
from kanzoo_tasks.data import table
from kanzoo_tasks.data.formula import sample
from kanzoo_tasks.data.parts import Part, Parts
from kanzoo_tasks.data.sources import problem


class Regression(Task):
    """Fit numbers; the score is the root mean squared error on the test part, in the unit of the target.

    The network sees inputs that are scaled to [-1, 1] and learns targets that are standardised, both by the training part; its
    buffers `input_center`, `input_scale`, `target_mean` and `target_std` tell how. Metrics are in original units.

    Args:
        dataset: a `formula`, a `feynman` equation, scikit-learn's `diabetes` or `linnerud`, California `housing`, or a `csv` file.
        formula: of `x1 ... xn`; with `feynman`, the number of an equation such as `I.6.2`.
        ranges: `[low, high]` of each variable of a formula, or one pair for all; when None, [-1, 1], or an equation's own.
        num_train: samples of a formula for training.
        num_test: samples of a formula for test, and as many for validation.
        noise: standard deviation of Gaussian noise on the training targets, in units of theirs.
        file: path of a CSV file with a header.
        target: the column of that file to predict from all others.
        hidden: widths of the hidden layers; none gives a single layer.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = Regression(formula="sin(pi*x1)*x2", num_train=100)
        >>> task.prepare(PlainLayers(), seed=1)
        >>> task(task.data.train.tensors[0]).shape
        torch.Size([100, 1])
    """

    score = "rmse"
    direction = "min"
    sources = "kanzoo_tasks.data.sources:regression_sources"

    input_center: Tensor
    input_scale: Tensor
    target_mean: Tensor
    target_std: Tensor
    features: tuple[str, ...]
    targets: tuple[str, ...]

    @checked
    def __init__(
        self,
        *,
        dataset: Literal["formula", "feynman", "diabetes", "linnerud", "housing", "csv"] = "formula",
        formula: str = "exp(sin(pi*x1) + x2**2)",
        ranges: list[list[float]] | None = None,
        num_train: Annotated[int, Ge(2), Le(10_000_000)] = 1000,
        num_test: Annotated[int, Ge(2), Le(10_000_000)] = 1000,
        noise: Annotated[float, Ge(0), Le(1000)] = 0.0,
        file: str | None = None,
        target: str | None = None,
        hidden: list[Annotated[int, Ge(1)]] = [5],  # noqa: B006  the schema's default, copied below
    ) -> None:
        super().__init__()
        self.dataset, self.formula, self.ranges = dataset, formula, ranges
        self.num_train, self.num_test, self.noise = num_train, num_test, noise
        self.file, self.target, self.hidden = file, target, list(hidden)

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return scaled inputs `(samples, features)` and standardised targets `(samples, targets)`; note their names."""
        noise = np.random.default_rng([seed, 1])  # apart from the generator of the data, which stay the same
        parts = self._read(data_dir, seed)
        x, y = parts.train
        y = y + self.noise * y.std(axis=0) * noise.standard_normal(y.shape)
        low, high = x.min(axis=0), x.max(axis=0)
        center, scale = (low + high) / 2, _no_zero((high - low) / 2)
        mean, std = y.mean(axis=0), _no_zero(y.std(axis=0))
        for name, values in (("input_center", center), ("input_scale", scale), ("target_mean", mean), ("target_std", std)):
            self.register_buffer(name, _tensor(values))

        def scaled(part: Part) -> TensorDataset:
            return TensorDataset(_tensor((part.x - center) / scale), _tensor((part.y - mean) / std))

        return Data(scaled(Part(x, y)), scaled(parts.validation), scaled(parts.test))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return dense layers from the features over `hidden` to the targets."""
        x, y = self.data.train.tensors
        return DenseNet(layers, [x.shape[1], *self.hidden, y.shape[1]])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean squared error of standardised targets; prediction and target in original units."""
        x, y = batch
        prediction = self(x)
        loss = nn.functional.mse_loss(prediction, y)
        return loss, prediction * self.target_std + self.target_mean, y * self.target_std + self.target_mean

    def variables(self) -> Variables:
        """Return the names of a formula's variables or a table's columns, and the scaling of both sides."""
        return Variables(self.features, self.targets, (self.input_center, self.input_scale), (self.target_mean, self.target_std))

    def metrics(self) -> MetricCollection:
        """Return root mean squared error, mean absolute error and coefficient of determination."""
        return MetricCollection({"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2Score()})

    def _read(self, data_dir: Path | None, seed: int) -> Parts:
        if self.dataset in ("formula", "feynman"):
            function, ranges = problem(self.dataset, self.formula, self.ranges)
            # One generator a part: the test samples do not depend on the number of the training samples.
            generators = np.random.default_rng(seed).spawn(3)
            sizes = (self.num_train, self.num_test, self.num_test)
            self.features, self.targets = function.variables, ("y",)
            return Parts(*(sample(function, ranges, size, generator) for size, generator in zip(sizes, generators, strict=True)))
        read = self._table(data_dir)
        self.features, self.targets = read.features, read.targets
        return table.split(read, seed)

    def _table(self, data_dir: Path | None) -> table.Table:
        if self.dataset == "diabetes":
            return table.diabetes()
        if self.dataset == "linnerud":
            return table.linnerud()
        if self.dataset == "housing":
            return table.housing(data_dir)
        return table.read_csv(self.file or "", self.target or "")


def _no_zero(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(scale > 0, scale, 1.0)


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
