"""Image classification: MNIST, Fashion-MNIST and smaller sets of digits, with a dense or a convolutional network."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Ge, MinLen
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from kanzoo.layers.factory import Layers
from kanzoo.models import ConvNet, ConvShape, DenseNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Task
from kanzoo_tasks.data import image
from kanzoo_tasks.data.parts import Part
from kanzoo_tasks.data.sources import check_network


class Image(Task):
    """Tell the class of an image out of ten; the score is the accuracy on the test part. Pixels are scaled to [-1, 1].

    Args:
        dataset: `mnist` or `fashion_mnist` (28 x 28 pixels, downloaded where they are not in the folder of data), or, inside Python
            packages, `mnist_5k` (5,000 images of MNIST) or `digits` (1,797 images of 8 x 8 pixels).
        network: `dense` on the flat image, or `conv`.
        hidden: widths of the hidden dense layers of either network; none lets the pixels, or the last convolution, meet the ten
            classes at once.
        channels: output channels of each convolution of `conv`; each halves the image, unless there are `strides`.
        kernel_size: height and width of the kernels of `conv`; odd where the padding is `same`.
        padding: `same` puts zeros around images, so that convolutions keep their size, `valid` does not.
        batch_norm: whether each convolution of `conv` has a batch normalisation behind it.
        strides: one for each convolution of `conv`, instead of max pooling by two behind each; none leaves the poolings.
        average: whether dense layers of `conv` see the means of the last channels, not all of their places.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = Image(dataset="digits", network="conv", channels=[4, 8], hidden=[])
        >>> task.prepare(PlainLayers(), seed=1)
        >>> task(task.data.test.tensors[0][:3]).shape
        torch.Size([3, 10])
    """

    score = "accuracy"
    direction = "max"
    sources = "kanzoo_tasks.data.sources:image_sources"
    late = ("padding", "batch_norm", "strides", "average")

    @checked
    def __init__(
        self,
        *,
        dataset: Literal["mnist", "fashion_mnist", "mnist_5k", "digits"] = "mnist",
        network: Literal["dense", "conv"] = "dense",
        hidden: list[Annotated[int, Ge(1)]] = [64],  # noqa: B006  the schema's default, copied below
        channels: Annotated[list[Annotated[int, Ge(1)]], MinLen(1)] = [8, 16],  # noqa: B006  as above
        kernel_size: Annotated[int, Ge(1)] = 3,
        padding: Literal["same", "valid"] = "same",
        batch_norm: bool = True,
        strides: list[Annotated[int, Ge(1)]] = [],  # noqa: B006  as above
        average: bool = False,
    ) -> None:
        super().__init__()
        if network == "conv":
            check_network(dataset, channels, kernel_size, padding, strides)
        self.dataset: image.Name = dataset
        self.network, self.hidden, self.channels = network, list(hidden), list(channels)
        self.shape = ConvShape(kernel_size=kernel_size, padding=padding, batch_norm=batch_norm, strides=list(strides), average=average)

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return pixels, `(samples, pixels)` for `dense` and `(samples, 1, height, width)` for `conv`, and classes `(samples,)`."""
        white = image.KINDS[self.dataset].white

        def scaled(part: Part) -> TensorDataset:
            pixels = torch.from_numpy(part.x).float().mul_(2 / white).sub_(1)
            return TensorDataset(pixels.flatten(1) if self.network == "dense" else pixels.unsqueeze(1), torch.from_numpy(part.y))

        return Data(*map(scaled, image.read(self.dataset, data_dir, seed)))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return dense layers, or convolutions and dense layers, from an image to ten logits."""
        size = image.KINDS[self.dataset].size
        if self.network == "dense":
            return DenseNet(layers, [size[0] * size[1], *self.hidden, image.NUM_CLASSES])
        return ConvNet(layers, 1, size, self.channels, [*self.hidden, image.NUM_CLASSES], **self.shape)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cross entropy; prediction is logits."""
        x, y = batch
        logits = self(x)
        return nn.functional.cross_entropy(logits, y), logits, y

    def metrics(self) -> MetricCollection:
        """Return the accuracy over all samples."""
        return MetricCollection({"accuracy": MulticlassAccuracy(image.NUM_CLASSES, average="micro")})
