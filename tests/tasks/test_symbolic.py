"""The task `symbolic`: a formula is searched, judged and recorded; the trainer has no say; pykan is found or refused."""

import importlib.util
import json
import random
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Generator

from kanzoo import together
from kanzoo.benchmark import run_one
from kanzoo.cell import Cell
from kanzoo.config import compose, compose_grid
from kanzoo.construction import build
from kanzoo.errors import InvalidInput
from kanzoo.experiment import load_run
from kanzoo.inspect.formula import Formula
from kanzoo.layers.factory import KANLayers, PlainLayers
from kanzoo.place import Place
from kanzoo.testing import parametrize_with_task_checks
from kanzoo.tracking import Tracker
from kanzoo_bases.bspline import BSpline
from kanzoo_tasks import pykan
from kanzoo_tasks.data import feynman
from kanzoo_tasks.data.expression import expression
from kanzoo_tasks.data.formula import parse
from kanzoo_tasks.data.sources import named_or_written, symbolic_sources
from kanzoo_tasks.finding import Expression, Finding
from kanzoo_tasks.symbolic import Symbolic

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

needs_pykan = pytest.mark.skipif(importlib.util.find_spec("kan") is None, reason="pykan is not installed")

test_contract = pytest.mark.slow(parametrize_with_task_checks("symbolic", {"formula": "x1*x2", "num_train": 60, "seconds": 1.0}))


def prepared(**changes: object) -> Symbolic:
    task = Symbolic(**{"formula": "x1*x2", "ranges": [[1.0, 2.0]], "num_train": 60, "seconds": 1.0} | changes)  # type: ignore[arg-type]
    task.prepare(KANLayers(partial(BSpline, grid_size=5)))
    return task


def finding(text: str) -> Finding:
    formula = Formula(sp.sympify(text), 0.0, 3)
    return Finding("by hand", formula, (formula,), "none", 0.0)


def cell(*overrides: str) -> Cell:
    (made,) = compose("symbolic", ["task.seconds=1", "task.num_train=60", "basis.grid_size=5", *overrides])
    return made


@pytest.mark.parametrize("number", ["I.6.2", "I.18.12", "I.26.2", "I.44.4", "II.13.17", "III.4.32"])
def test_the_expression_is_the_formula(number: str) -> None:
    equation = feynman.find(number)
    formula = parse(equation.formula, list(equation.ranges))
    low, high = np.array(list(equation.ranges.values())).T
    x = np.random.default_rng(0).uniform(low, high, (50, len(low)))
    values = Expression(expression(formula), formula.variables)(torch.from_numpy(x))
    np.testing.assert_allclose(values[:, 0].numpy(), formula(x), rtol=1e-12)


def test_every_function_of_a_formula_has_an_expression() -> None:
    text = "sign(x1)*min(x1, 0.5) + max(x1, 2) + abs(-x1) + log10(x1)*ln(x1) + arctanh(x1/9) + erf(x1) + J0(x1) + besselk(1, x1) + e**x1"
    text += " + ellipkinc(x1, 0.3) + ellipeinc(x1, 0.3) + lpmv(1, 2, x1/9)"
    formula = parse(text)
    x = np.linspace(0.1, 3, 20)[:, None]
    np.testing.assert_allclose(Expression(expression(formula), ["x1"])(torch.from_numpy(x))[:, 0], formula(x), rtol=1e-12)


def test_an_expression_is_nan_where_it_is_not_real() -> None:
    x = torch.tensor([[-1.0], [4.0]], dtype=torch.float64)
    values = Expression(sp.sqrt(sp.Symbol("x")), ["x"])(x)
    assert values.isnan().tolist() == [[True], [False]]
    assert Expression(sp.Integer(2), ["x"])(x).tolist() == [[2.0], [2.0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formula": "I.6.99"}, "must be the number of a Feynman equation, got 'I.6.99'"),
        ({"formula": "x1*q"}, "may hold only variables x1..xn, got 'q'"),
        ({"formula": "log(x1)"}, "must be finite on its ranges, got 'log\\(x1\\)', finite on 5"),
        ({"formula": "I.12.5", "ranges": [[1.0, 2.0]] * 3}, "must be one pair .*, or 2 for q2, Ef, got 3"),
    ],
)
def test_a_wrong_formula_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        symbolic_sources({"formula": "x1", "ranges": None} | changes, None)


def test_a_number_is_told_from_an_expression() -> None:
    assert all(named_or_written(number) == "feynman" for number in feynman.equations())
    assert named_or_written("x1/2.5") == "formula"


def test_samples_are_of_the_formula_and_noise_is_on_the_training_targets_alone() -> None:
    (clean, noisy) = (prepared(noise=noise, num_train=2000).data for noise in (0.0, 0.1))
    for part in (clean.train, clean.validation, clean.test, noisy.test):
        x, y = part.tensors
        assert x.dtype == y.dtype == torch.float64
        assert torch.equal(y[:, 0], x[:, 0] * x[:, 1])
    error = noisy.train.tensors[1] - clean.train.tensors[1]
    assert float(error.std() / clean.train.tensors[1].std()) == pytest.approx(0.1, rel=0.1)


def test_the_judge_knows_right_from_wrong() -> None:
    task = prepared()
    for text, score in [("x2*x1", 1.0), ("1.5*x1*x2", 1.0), ("x1*x2 + x1**2/9", 0.0), ("sqrt(x1 - 1.5)", 0.0)]:
        task.model = task._found(finding(text))
        report = task.report()
        assert report.metrics["equivalent"] == score, text
        assert (json.loads(report.files["report.json"])["verdict"] == "different") is (score == 0)


def test_before_the_search_the_formula_is_the_mean() -> None:
    task = prepared()
    y = task.data.train.tensors[1]
    loss, prediction, _ = task.loss(task.data.train.tensors)
    assert float(loss) == pytest.approx(float(y.var(correction=0)))
    assert torch.allclose(prediction, y.mean())
    assert task.report().metrics["equivalent"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_product_is_found(noise: float) -> None:
    task = prepared(noise=noise, num_train=200, seconds=10.0)
    state = torch.get_rng_state()
    task.solve(Generator().manual_seed(0))
    assert torch.equal(state, torch.get_rng_state())
    assert task.report().metrics["equivalent"] == 1
    assert task.finding.formula.error < 1.5 * max(noise, 1e-9)


def test_layers_have_no_say() -> None:
    task = Symbolic(num_train=20)
    for name, value in [("squash", "clamp"), ("residual", "none"), ("bias", False), ("width", 2.0)]:
        with pytest.raises(InvalidInput, match=f"model.{name} must not be set for the task symbolic, got {value!r}"):
            task.prepare(KANLayers(BSpline, **{name: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "override", ["trainer.lr=0.1", "trainer.max_epochs=3", "trainer.refine={every: 1, to: [9]}", "trainer.compile=true"]
)
def test_the_trainer_has_no_say(override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(InvalidInput, match=f"{key} must not be set for the task symbolic, which solves itself, got"):
        build(cell(override))


def test_a_baseline_without_pykan_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="is pykan, which must be installed"):
        Symbolic(num_train=20).prepare(PlainLayers())


def test_the_baseline_is_called_pykan() -> None:
    assert cell("model.name=baseline").model_label == "pykan"
    (dense,) = compose("digits_dense", ["model.name=baseline"])
    assert dense.model_label == "mlp"


def test_a_fault_of_pykan_costs_an_attempt_and_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    class KAN:
        def __init__(self, width: list[object], **options: object) -> None:
            width.append(1)
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002  what pykan does
            torch.manual_seed(1)
            assert torch.get_default_dtype() is torch.float64
            raise ZeroDivisionError

    module = ModuleType("kan")
    module.KAN = KAN  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kan", module)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    width: list[object] = [2, 1, 1]
    x = torch.rand(20, 2, generator=Generator().manual_seed(0), dtype=torch.float64)
    assert pykan._expressions(width, x, x[:, :1], ["a", "b"], 0) == []
    assert width == [2, 1, 1]
    assert states[:2] == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(states[2], torch.get_rng_state())
    assert torch.get_default_dtype() is torch.float32


@needs_pykan
@pytest.mark.slow
def test_pykan_finds_a_formula() -> None:
    task = Symbolic(formula="I.25.13", num_train=150, seconds=1.0)
    task.prepare(PlainLayers())
    task.solve(Generator().manual_seed(0))
    assert task.finding.method.startswith("pykan 0.2")
    assert task.finding.formula.error < 0.2
    assert task.finding.shape == "[2, 1, 1]"


def test_a_cell_is_recorded_with_its_formula_and_skipped_the_next_time(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    def solve(self: Symbolic, generator: Generator) -> None:
        searched.append(generator.initial_seed())
        self.model = self._found(finding("Ef*q2"))

    monkeypatch.setattr(Symbolic, "solve", solve)
    place = Place(uri, "symbolic", accelerator="cpu")
    row = run_one(cell("seed=3"), place)
    assert (row.status, row.score, row.score_name, row.direction, row.epochs) == ("FINISHED", 1.0, "equivalent", "max", 0)
    tracker = Tracker(uri)
    report = json.loads(tracker.artifact(row.run_id, "report.json", tmp_path).read_text())
    assert (report["formula"], report["true"], report["verdict"]) == ("Ef*q2", "Ef*q2", "algebraic")
    metrics = tracker.run(row.run_id).data.metrics
    assert metrics["test/relative_error"] < 1e-12
    assert metrics["test/equivalent"] == 1
    assert run_one(cell("seed=3"), place).run_id == row.run_id
    assert searched == [3]
    with pytest.raises(InvalidInput, match=r"must have the artifact 'weights.safetensors'"):
        load_run(row.run_id, uri)


def test_seeds_are_not_trained_at_once(uri: str) -> None:
    cells = [cell("trainer.batch_seeds=true", f"seed={seed}") for seed in (0, 1)]
    assert together.run(cells, Place(uri, "symbolic", accelerator="cpu")) == [None, None]


def test_the_benchmark_is_every_second_equation_of_two_to_four_variables() -> None:
    _, cells = compose_grid("symbolic")
    small = [number for number, equation in feynman.equations().items() if 2 <= len(equation.ranges) <= 4]
    assert len(small) == 78
    assert list(dict.fromkeys(each.task["formula"] for each in cells)) == small[::2]
    labels = [each.model_label for each in cells]
    assert {label: labels.count(label) for label in labels} == {
        "bspline(grid_size=12)": 39,
        "chebyshev(degree=12)": 39,
        "gaussian_rbf(grid_size=12)": 39,
        "pykan": 39,
    }
