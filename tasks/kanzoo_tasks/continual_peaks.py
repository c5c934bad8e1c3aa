"""Continual regression: five Gaussian peaks, shown one at a time."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MeanSquaredError, MetricCollection

from kanzoo.layers.factory import Layers, PlainLayers
from kanzoo.models import DenseNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Report
from kanzoo_tasks import phase_picture
from kanzoo_tasks.experience import Experiences

#: Middles of the peaks: evenly on a line, or as the five on a die.
CENTERS: Mapping[int, NDArray[np.float64]] = {
    1: np.array([[-0.8], [-0.4], [0.0], [0.4], [0.8]]),
    2: np.array([[-0.6, -0.6], [-0.6, 0.6], [0.0, 0.0], [0.6, -0.6], [0.6, 0.6]]),
}
SHARPNESS = 300.0
HALF_WIDTH = 0.2

_LINE = np.linspace(-1, 1, 501)


class ContinualPeaks(Experiences):
    r"""Fit $y = \sum_{j=1}^5 e^{-300 |x - c_j|^2}$ one peak at a time, each on samples around it; the score is the worst error on the way.

    After phase i the root mean squared error is taken over peaks 1 to i, `rmse_after_i`; the score `worst_rmse` is the largest of the
    five, so that it is small only for a network that fits each peak and forgets none. In one dimension the peaks stand side by side,
    c = -0.8, -0.4, 0, 0.4, 0.8, and their samples share no interval. In two they stand like the five on a die, and those of different
    peaks share intervals of each coordinate. The samples are those of the paper, the same for every seed; the seed decides the
    network's start.

    Args:
        dimension: 1, as in the paper, or 2.
        num_train: training samples a peak, evenly spread over a cube of width 0.4 around it, its ends included.
        num_test: test samples a peak, as many again for validation; between the training samples.
        strategy: as in `Continual`.
        memory: as in `Continual`.
        ewc_lambda: as in `Continual`; errors are taken as Gaussian with variance 1.
        hidden: widths of the hidden layers of a KAN; none gives a single edge for each coordinate.
        baseline_hidden: those of a baseline, which without hidden layers could be no more than a straight line.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756, section 3.5.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = ContinualPeaks()
        >>> task.prepare(PlainLayers())
        >>> [len(stage) for stage in task.stages()]
        [100, 100, 100, 100, 100]
    """

    score = "worst_rmse"
    direction = "min"
    cell_score_name = "rmse"
    official_split = True
    num_experiences = 5

    @checked
    def __init__(
        self,
        *,
        dimension: Annotated[int, Ge(1), Le(2)] = 1,
        num_train: Annotated[int, Ge(2), Le(100_000)] = 100,
        num_test: Annotated[int, Ge(2), Le(100_000)] = 200,
        strategy: Literal["naive", "cumulative", "replay", "ewc"] = "naive",
        memory: Annotated[int, Ge(1)] = 100,
        ewc_lambda: Annotated[float, Ge(0)] = 1000.0,
        hidden: list[Annotated[int, Ge(1)]] = [],  # noqa: B006  the schema's default, copied below
        baseline_hidden: list[Annotated[int, Ge(1)]] = [12, 12],  # noqa: B006  as above
    ) -> None:
        super().__init__(strategy, memory, ewc_lambda)
        self.dimension, self.num_train, self.num_test = dimension, num_train, num_test
        self.hidden, self.baseline_hidden = list(hidden), list(baseline_hidden)

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return places `(samples, dimension)`, heights `(samples, 1)` and the peak of each sample `(samples,)`."""
        middles = (np.arange(self.num_test) + 0.5) / self.num_test
        return Data(
            self._around(np.linspace(0, 1, self.num_train)),
            self._around(middles + 0.25 / self.num_test),
            self._around(middles),
        )

    def build_model(self, layers: Layers) -> nn.Module:
        """Return dense layers from a place to a height."""
        hidden = self.baseline_hidden if isinstance(layers, PlainLayers) else self.hidden
        return DenseNet(layers, [self.dimension, *hidden, 1])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean squared error."""
        x, y, _ = batch
        prediction = self(x)
        return nn.functional.mse_loss(prediction, y), prediction, y

    def metrics(self) -> MetricCollection:
        """Return the root mean squared error over all peaks."""
        return MetricCollection({"rmse": MeanSquaredError(squared=False)})

    def prepare(self, layers: Layers, *, data_dir: Path | None = None, seed: int = 0) -> None:
        """Prepare as any task on experiences does, with no curves drawn yet."""
        super().prepare(layers, data_dir=data_dir, seed=seed)
        self._curves: list[NDArray[np.float64]] = []

    def end_stage(self, index: int) -> None:
        """End the stage as any task on experiences does, and keep the learnt function on a line."""
        super().end_stage(index)
        if self.dimension == 1:
            (line,) = self._moved((torch.from_numpy(_LINE).float()[:, None],))
            with torch.no_grad():
                self._curves.append(self.model(line)[:, 0].double().cpu().numpy())

    def report(self) -> Report:
        """Return what all experiences have, the errors over the peaks seen so far, phase by phase, and a picture of the functions."""
        common = super().report()
        if not common.metrics:
            return common
        errors = [math.sqrt(float((row[: index + 1] ** 2).mean())) for index, row in enumerate(self.matrix)]
        phases = {f"rmse_after_{index}": error for index, error in enumerate(errors, start=1)}
        files = dict(common.files)
        if self.dimension == 1:
            shown = [(float(center - HALF_WIDTH), float(center + HALF_WIDTH)) for (center,) in CENTERS[1]]
            files["phases.png"] = phase_picture.draw(_LINE, _height(_LINE[:, None], CENTERS[1]), self._curves, shown)
        return Report({**common.metrics, **phases, self.score: max(errors)}, files)

    def experience_names(self) -> list[str]:
        """Return where each peak stands."""
        return [f"peak at {', '.join(f'{place:g}' for place in center)}" for center in CENTERS[self.dimension]]

    def cell_score(self, prediction: Tensor, target: Tensor) -> float:
        """Return the root mean squared error."""
        return math.sqrt(float((prediction - target).double().square().mean()))

    def groups(self, samples: Batch) -> Tensor:
        """Return the peak of each sample."""
        return samples[-1]

    def log_likelihood(self, batch: Batch, generator: Generator) -> Tensor:
        """Return a number whose squared gradient is, in expectation, that of log N(y; f(x), 1): f(x) times a drawn error."""
        error = torch.randn((), generator=generator)
        height: Tensor = self(batch[0])
        return height.sum() * float(error)

    def _around(self, first: NDArray[np.float64]) -> TensorDataset:
        """Return samples of all peaks; `first` is the first coordinate of each, in [0, 1], and others fill the cube evenly."""
        place = np.stack([first, *([_radical_inverse(len(first))] * (self.dimension - 1))], axis=1)
        centers = CENTERS[self.dimension]
        x = centers[:, None] + HALF_WIDTH * (2 * place - 1)
        places = x.reshape(-1, self.dimension)
        heights = _height(places, centers)[:, None]
        peaks = np.repeat(np.arange(len(centers)), len(first))
        return TensorDataset(torch.from_numpy(places).float(), torch.from_numpy(heights).float(), torch.from_numpy(peaks))


def _height(x: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of all peaks at places `(N, dimension)`."""
    distance = ((x[:, None] - centers) ** 2).sum(-1)
    return np.asarray(np.exp(-SHARPNESS * distance).sum(-1))


def _radical_inverse(count: int) -> NDArray[np.float64]:
    """Return the first numbers of van der Corput's sequence of base 2, moved into the middles: with an even grid, Hammersley's points."""
    numbers, result, digit = np.arange(count), np.zeros(count), 0.5
    while numbers.any():
        result += digit * (numbers % 2)
        numbers, digit = numbers // 2, digit / 2
    return result + digit
