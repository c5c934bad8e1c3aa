"""The search for a formula with pykan, by the steps of its tutorials: the baseline of the task `symbolic`."""

import contextlib
import copy
import importlib.metadata
import importlib.util
import io
import math
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import sympy as sp
import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Generator, Tensor

from kanzoo.errors import InvalidInput
from kanzoo.inspect.formula import Formula
from kanzoo.inspect.formula.report import complexity, front
from kanzoo_tasks.finding import Expression, Finding

#: Steps of LBFGS of each phase, penalty of the first, intervals of the grid: those of pykan's README and tutorials.
_STEPS, _PENALTY, _GRID = 20, 0.01, 5

#: Samples of an edge to which pykan fits its functions: with all 600 a single edge takes longer than the whole budget.
_POINTS = 100

#: One sample of so many is held back, to choose among the formulas: about as many as `discover` holds back.
_HELD = 3


def check_installed() -> None:
    """Raise InvalidInput unless pykan can be imported."""
    if importlib.util.find_spec("kan") is None:
        raise InvalidInput(
            "model.name=baseline for the task symbolic is pykan, which must be installed", "For example: pip install 'kanzoo[peers]'"
        )


def search(x: Tensor, y: Tensor, names: Sequence[str], *, seconds: float, generator: Generator) -> Finding:
    """Return the best formula that pykan finds within its processor time.

    Networks of the shapes [n, 1, 1], [n, 5, 1] and [n, [1, 1], 1], the last with a product node, are fitted one after the other and
    again from other seeds until the time is over, each in these steps: LBFGS with a penalty, `prune`, LBFGS, `auto_symbolic`, LBFGS,
    `symbolic_formula`. Inputs are scaled to [-1, 1] and the target to mean 0 and variance 1; all is in float64. The formula with the
    smallest error on samples that were held back is chosen, and the mean of the target where there is none.

    Args:
        x: inputs `(N, in)`.
        y: target `(N, 1)`.
        names: of the inputs.
        seconds: processor time after which no network is begun.
        generator: source of pykan's seeds.

    Raises:
        InvalidInput: pykan is not installed.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756; KAN 2.0, arXiv:2408.10205; https://github.com/KindXiaoming/pykan
    """
    check_installed()
    begin = time.process_time()
    held = torch.arange(len(x)) % _HELD == 0
    train, validation = (x[~held], y[~held]), (x[held], y[held])
    found = [(_formula(sp.Float(float(y.mean())), names, *validation), "constant")]
    shapes: tuple[list[Any], ...] = ([1], [5], [[1, 1]])
    while time.process_time() - begin < seconds:
        for hidden in shapes:
            if time.process_time() - begin < seconds:
                width = [x.shape[1], *hidden, 1]
                seed = int(torch.randint(2**31, (), generator=generator))
                found += [(_formula(each, names, *validation), str(width)) for each in _expressions(width, *train, names, seed)]
    formula, shape = min(found, key=lambda each: each[0].error)
    method = f"pykan {importlib.metadata.version('pykan')}"
    return Finding(method, formula, front([each for each, _ in found]), shape, time.process_time() - begin)


def _expressions(width: list[Any], x: Tensor, y: Tensor, names: Sequence[str], seed: int) -> list[sp.Expr]:
    """Return the formulas of one network, when its edges have become functions and after the last fit, as far as pykan gets."""
    center, half = (x.amax(0) + x.amin(0)) / 2, (x.amax(0) - x.amin(0)) / 2
    mean, std = y.mean(0), y.std(0)
    inputs, targets = (x - center) / half, (y - mean) / std
    data = {"train_input": inputs, "train_label": targets, "test_input": inputs, "test_label": targets}
    units = {"normalizer": [center.numpy(), half.numpy()], "output_normalizer": [mean.numpy(), std.numpy()]}
    found: list[sp.Expr] = []
    with _isolated(), tempfile.TemporaryDirectory() as folder:
        from kan import KAN

        try:
            model = KAN(width=copy.deepcopy(width), grid=_GRID, k=3, seed=seed, auto_save=False, ckpt_path=folder)
            model.fit(data, opt="LBFGS", steps=_STEPS, lamb=_PENALTY)
            model = model.prune()
            model.fit(data, opt="LBFGS", steps=_STEPS)
            model(inputs[:_POINTS])
            model.auto_symbolic()
            found += model.symbolic_formula(list(names), **units)[0]
            model.fit(data, opt="LBFGS", steps=_STEPS)
            found += model.symbolic_formula(list(names), **units)[0]
        except Exception:  # whatever pykan raises, for a network that was pruned to nothing for example, costs it this attempt
            return found
    return found


def _formula(expression: sp.Expr, names: Sequence[str], x: Tensor, y: Tensor) -> Formula:
    error = float(((Expression(expression, names)(x) - y).square().mean() / y.var(correction=0)).sqrt())
    return Formula(expression, error if math.isfinite(error) else math.inf, complexity(expression))


@contextlib.contextmanager
def _isolated() -> Iterator[None]:
    """Give pykan float64, random states of its own and no terminal: its constructor reseeds all of Python, and it prints every step."""
    before = torch.get_default_dtype()
    silence = io.StringIO()
    with (
        isolate_rng(include_cuda=False),
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
