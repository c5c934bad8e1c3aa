"""Continual learning of images: classes that come in turn, or pixels that are permuted."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Generator, Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from kanzoo.layers.factory import Layers
from kanzoo.models import DenseNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data
from kanzoo_tasks.data import experiences, image
from kanzoo_tasks.data.parts import Part
from kanzoo_tasks.experience import Experiences


class Continual(Experiences):
    """Tell classes of images that come one experience after the other; the score is the average accuracy after the last one.

    Every sample belongs to one experience, so that all scenarios have as many samples. Scenarios, after van de Ven & Tolias:

    * `class`: each experience brings new classes, and one head tells all of them;
    * `task`: the same, but the experience of a sample is known, and only its classes are compared, in training and in test;
    * `domain`: the same, but one head tells the place of a class within its experience: of pairs, the first or the second;
    * `permuted`: all classes each time, with the pixels of each experience in an order of its own; the first keeps them in place.

    Args:
        dataset: as in `Image`.
        scenario: see above.
        num_experiences: how many there are; the classes are divided as evenly as they can be.
        class_order: classes in the order in which they come; null lets the seed draw it. Classes left out are not used.
        strategy: `naive`, `replay` with a memory of samples, `ewc` with elastic weights, or `cumulative`, the bound that fits all
            samples so far.
        memory: samples that `replay` keeps.
        ewc_lambda: strength of `ewc`.
        hidden: widths of the hidden dense layers.

    Reference:
        van de Ven & Tolias, Three scenarios for continual learning, arXiv:1904.07734; Goodfellow et al., An empirical investigation
        of catastrophic forgetting, arXiv:1312.6211, on permuted pixels.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = Continual(dataset="digits", scenario="domain")
        >>> task.prepare(PlainLayers(), seed=1)
        >>> len(task.stages()), task(task.data.test.tensors[0][:3]).shape
        (5, torch.Size([3, 2]))
    """

    score = "average_accuracy"
    direction = "max"
    sources = "kanzoo_tasks.data.experiences:continual_sources"
    cell_score_name = "accuracy"

    @checked
    def __init__(
        self,
        *,
        dataset: Literal["mnist", "fashion_mnist", "mnist_5k", "digits"] = "digits",
        scenario: Literal["class", "task", "domain", "permuted"] = "class",
        num_experiences: Annotated[int, Ge(2), Le(100)] = 5,
        class_order: list[int] | None = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],  # noqa: B006  the schema's default, copied below
        strategy: Literal["naive", "cumulative", "replay", "ewc"] = "naive",
        memory: Annotated[int, Ge(1)] = 100,
        ewc_lambda: Annotated[float, Ge(0)] = 1000.0,
        hidden: list[Annotated[int, Ge(1)]] = [32],  # noqa: B006  as above
    ) -> None:
        super().__init__(strategy, memory, ewc_lambda)
        self.dataset: image.Name = dataset
        self.scenario: experiences.Scenario = scenario
        self.num_experiences, self.hidden = num_experiences, list(hidden)
        self.class_order = None if class_order is None else list(class_order)
        experiences.split_classes(scenario, num_experiences, class_order, seed=0)

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return flat images `(samples, pixels)` in [-1, 1], targets `(samples,)`, and the experience of each, `(samples,)`."""
        self.classes = experiences.split_classes(self.scenario, self.num_experiences, self.class_order, seed)
        kind = image.KINDS[self.dataset]
        order = torch.from_numpy(experiences.permutations(self.num_experiences, kind.size[0] * kind.size[1], seed))

        def stream(part: Part) -> TensorDataset:
            experience, place = map(torch.from_numpy, experiences.assign(part, self.classes, self.scenario))
            x = torch.from_numpy(part.x).float().mul_(2 / kind.white).sub_(1).flatten(1)
            if self.scenario == "permuted":
                x = x.gather(1, order[experience])
            y = place if self.scenario == "domain" else torch.from_numpy(part.y)
            used = experience >= 0
            return TensorDataset(x[used], y[used], experience[used])

        return Data(*map(stream, image.read(self.dataset, data_dir, seed)))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return dense layers from the pixels to the logits, and note which logits each experience may use."""
        masks = torch.ones(self.num_experiences, self.num_outputs, dtype=torch.bool)
        if self.scenario == "task":
            for mask, group in zip(masks, self.classes, strict=True):
                mask[:] = False
                mask[list(group)] = True
        self.register_buffer("masks", masks, persistent=False)
        return DenseNet(layers, [self.data.train.tensors[0].shape[1], *self.hidden, self.num_outputs])

    @property
    def num_outputs(self) -> int:
        """The number of logits: the most classes of an experience in the scenario `domain`, else ten."""
        return max(map(len, self.classes)) if self.scenario == "domain" else image.NUM_CLASSES

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits of a batch; those of classes that its experience is known not to have are minus infinity."""
        x, _, experience = batch
        masks = self.get_buffer("masks")[experience]
        logits: Tensor = self(x)
        return logits.masked_fill(~masks, -torch.inf)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cross entropy; prediction is logits."""
        logits, y = self.logits(batch), batch[1]
        return nn.functional.cross_entropy(logits, y), logits, y

    def metrics(self) -> MetricCollection:
        """Return the accuracy over all samples."""
        return MetricCollection({"accuracy": MulticlassAccuracy(self.num_outputs, average="micro")})

    def experience_names(self) -> list[str]:
        """Return the classes of each experience, or the number of the permutation."""
        if self.scenario == "permuted":
            return ["in place", *(f"order {index}" for index in range(1, self.num_experiences))]
        return [f"classes {' '.join(map(str, group))}" for group in self.classes]

    def cell_score(self, prediction: Tensor, target: Tensor) -> float:
        """Return the accuracy."""
        return float((prediction.argmax(1) == target).double().mean())

    def groups(self, samples: Batch) -> Tensor:
        """Return a number for each class of each experience."""
        _, y, experience = samples
        return experience * image.NUM_CLASSES + y

    def log_likelihood(self, batch: Batch, generator: Generator) -> Tensor:
        """Return the logarithm of the probability of a class drawn from the network's own probabilities."""
        logarithms = self.logits(batch).log_softmax(1)[0]
        drawn = torch.multinomial(logarithms.detach().exp().cpu(), 1, generator=generator)
        return logarithms[int(drawn)]
