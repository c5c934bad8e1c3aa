"""Symbolic regression: find the formula that the data come from."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import sympy as sp
import torch
from annotated_types import Ge, Gt, Le
from torch import Generator, Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MetricCollection, RelativeSquaredError

from kanzoo.errors import InvalidInput
from kanzoo.inspect.formula import Formula, discover, equivalent
from kanzoo.inspect.formula.network import EXACT
from kanzoo.inspect.formula.report import complexity
from kanzoo.layers.factory import KANLayers, Layers
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Report, SolvedTask
from kanzoo_tasks import pykan
from kanzoo_tasks.data.expression import expression
from kanzoo_tasks.data.formula import sample
from kanzoo_tasks.data.parts import Part
from kanzoo_tasks.data.sources import named_or_written, problem
from kanzoo_tasks.finding import Expression, Finding

#: Choices of a factory of layers that this task does not ask for: the networks of a search are its own.
_UNUSED = ("squash", "residual", "extrapolate", "bias", "width")


class Symbolic(SolvedTask):
    r"""Find a formula for samples of a known one; the score `equivalent` is 1 where both are the same function, else 0.

    With a basis, `kanzoo.inspect.formula.discover` trains small KANs of many shapes and reads them; the baseline is pykan with the
    steps of its tutorials, see `kanzoo_tasks.pykan`. Both get the training samples alone and the same processor time, and the result
    is judged by `kanzoo.inspect.formula.equivalent`, which fits the numbers of the formula to noiseless samples once more before it
    compares. `relative_error` is the root mean squared error on fresh samples over their standard deviation, `complexity` counts
    operations, functions, symbols and numbers. The formula, its LaTeX, the front of complexity against error and the network's
    shape are kept in `report.json`.

    Args:
        formula: the number of a Feynman equation, such as `I.6.2`, or an expression of `x1 ... xn`.
        ranges: `[low, high]` of each variable, or one pair for all; when None, [-1, 1], or an equation's own.
        num_train: samples to search with; of them, the search itself holds some back for its choices.
        num_test: samples for `relative_error`, and as many for validation, on which nothing is chosen.
        noise: standard deviation of Gaussian noise on the training targets, in units of theirs.
        seconds: processor time after which nothing new is begun.

    Reference:
        Udrescu and Tegmark, AI Feynman: a physics-inspired method for symbolic regression, arXiv:1905.11481.

    Example:
        >>> from kanzoo_bases.bspline import BSpline
        >>> task = Symbolic(formula="I.25.13", num_train=100)
        >>> task.prepare(KANLayers(BSpline))
        >>> task.names, task.data.train.tensors[0].shape
        (('q', 'C'), torch.Size([100, 2]))
        >>> task.report().metrics["equivalent"]  # before `solve`, the formula is the mean
        0.0
    """

    score = "equivalent"
    direction = "max"
    baseline = "pykan"
    sources = "kanzoo_tasks.data.sources:symbolic_sources"

    model: Expression
    finding: Finding

    @checked
    def __init__(
        self,
        *,
        formula: str = "I.12.5",
        ranges: list[list[float]] | None = None,
        num_train: Annotated[int, Ge(20), Le(1_000_000)] = 600,
        num_test: Annotated[int, Ge(2), Le(1_000_000)] = 1000,
        noise: Annotated[float, Ge(0), Le(1000)] = 0.0,
        seconds: Annotated[float, Gt(0)] = 30.0,
    ) -> None:
        super().__init__()
        self.num_train, self.num_test, self.noise, self.seconds = num_train, num_test, noise, seconds
        self.formula, self.ranges = problem(named_or_written(formula), formula, ranges)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return self.formula.variables

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return inputs `(samples, variables)` and values `(samples, 1)`, float64."""
        generators = np.random.default_rng(seed).spawn(3)
        sizes = (self.num_train, self.num_test, self.num_test)
        train, *others = (sample(self.formula, self.ranges, size, generator) for size, generator in zip(sizes, generators, strict=True))
        noise = np.random.default_rng([seed, 1]).standard_normal(train.y.shape)
        noisy = Part(train.x, train.y + self.noise * train.y.std() * noise)
        return Data(*(TensorDataset(torch.from_numpy(part.x), torch.from_numpy(part.y)) for part in (noisy, *others)))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return the mean of the training targets: the formula to begin with."""
        usual = type(layers)(layers.basis) if isinstance(layers, KANLayers) else type(layers)()
        for name in _UNUSED:
            if getattr(layers, name, None) != getattr(usual, name, None):
                raise InvalidInput(f"model.{name} must not be set for the task symbolic, got {getattr(layers, name)!r}")
        if not isinstance(layers, KANLayers):
            pykan.check_installed()
        self.layers = layers
        mean = sp.Float(float(self.data.train.tensors[1].mean()))
        constant = Formula(mean, 1.0, complexity(mean))
        return self._found(Finding("mean", constant, (constant,), "constant", 0.0))

    def solve(self, generator: Generator) -> None:
        """Search for a formula with the basis of the layers, or with pykan for the baseline."""
        x, y = self.data.train.tensors
        if isinstance(self.layers, KANLayers):
            report = discover(
                x,
                y,
                self.names,
                basis=self.layers.basis,
                goal=max(EXACT, 1.1 * self.noise),
                seconds=self.seconds,
                clock=time.process_time,
                samples=len(x),
                generator=generator,
            )
            finding = Finding("kanzoo", report.outputs[0], report.pareto[0], report.shape, report.seconds)
        else:
            finding = pykan.search(x, y, self.names, seconds=self.seconds, generator=generator)
        self.model = self._found(finding)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean squared error, prediction and target."""
        x, y = batch
        prediction = self(x)
        return nn.functional.mse_loss(prediction, y), prediction, y

    def metrics(self) -> MetricCollection:
        """Return the root mean squared error over the standard deviation of the target."""
        return MetricCollection({"relative_error": RelativeSquaredError(squared=False)})

    def report(self) -> Report:
        """Return the verdict on the formula, and the formula."""
        true = expression(self.formula)
        ranges = {name: (float(low), float(high)) for name, (low, high) in zip(self.names, self.ranges, strict=True)}
        verdict = equivalent(self.model.expression, true, ranges)
        metrics = {
            "equivalent": float(verdict != "different"),
            "complexity": float(self.finding.formula.complexity),
            "seconds": self.finding.seconds,
        }
        return Report(metrics, {"report.json": self.finding.to_json(verdict=verdict, true=str(true))})

    def _found(self, finding: Finding) -> Expression:
        self.finding = finding
        return Expression(finding.formula.expression, self.names)
