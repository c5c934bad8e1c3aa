"""Classification of the rows of a table."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from kanzoo.layers.factory import Layers
from kanzoo.models import DenseNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Task, Variables
from kanzoo_tasks.data import classes, table
from kanzoo_tasks.data.parts import Part


class TabularClassification(Task):
    """Tell the class of a row of numbers; the score is the accuracy on the test part.

    The network sees inputs that are scaled to [-1, 1] by the training part; its buffers `input_center` and `input_scale` tell how.

    Args:
        dataset: scikit-learn's `iris`, `wine` or `breast_cancer`, or a `csv` file.
        file: path of a CSV file with a header.
        target: the column of that file to predict from all others: text or numbers, 100 classes at most.
        hidden: widths of the hidden layers; none gives a single layer.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = TabularClassification(dataset="wine")
        >>> task.prepare(PlainLayers(), seed=1)
        >>> task(task.data.test.tensors[0][:5]).shape
        torch.Size([5, 3])
    """

    score = "accuracy"
    direction = "max"
    sources = "kanzoo_tasks.data.classes:sources"

    input_center: Tensor
    input_scale: Tensor
    features: tuple[str, ...]
    classes: tuple[str, ...]

    @checked
    def __init__(
        self,
        *,
        dataset: Literal["iris", "wine", "breast_cancer", "csv"] = "iris",
        file: str | None = None,
        target: str | None = None,
        hidden: list[Annotated[int, Ge(1)]] = [8],  # noqa: B006  the schema's default, copied below
    ) -> None:
        super().__init__()
        self.dataset, self.file, self.target, self.hidden = dataset, file, target, list(hidden)

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return scaled inputs `(samples, features)` and classes `(samples,)`; note the names of both."""
        read = classes.read_csv(self.file or "", self.target or "") if self.dataset == "csv" else classes.bundled(self.dataset)
        self.features, self.classes = read.features, read.targets
        parts = table.split(read, seed)
        low, high = parts.train.x.min(axis=0), parts.train.x.max(axis=0)
        center, scale = (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)
        self.register_buffer("input_center", torch.from_numpy(center).float())
        self.register_buffer("input_scale", torch.from_numpy(scale).float())

        def scaled(part: Part) -> TensorDataset:
            return TensorDataset(torch.from_numpy((part.x - center) / scale).float(), torch.from_numpy(part.y).long())

        return Data(*map(scaled, parts))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return dense layers from the features over `hidden` to a logit a class."""
        return DenseNet(layers, [len(self.features), *self.hidden, len(self.classes)])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cross entropy; prediction is logits."""
        x, y = batch
        logits = self(x)
        return nn.functional.cross_entropy(logits, y), logits, y

    def metrics(self) -> MetricCollection:
        """Return the accuracy over all samples."""
        return MetricCollection({"accuracy": MulticlassAccuracy(len(self.classes), average="micro")})

    def variables(self) -> Variables:
        """Return the names of the columns and of the classes, and the scaling of the inputs."""
        return Variables(self.features, self.classes, (self.input_center, self.input_scale), classes=True)
