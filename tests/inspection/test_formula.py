"""A formula read off a recorded run through the command line: in the data's own names and units, and scored in the network's place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from kanzoo import experiment
from kanzoo.inspect.formula import LIBRARY, Affine, Edge, SymbolicLayer, read_formula
from kanzoo.inspect.formula.equivalence import equivalent
from kanzoo.inspect.formula.report import latex_name

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

LINES = ("formula", "--functions", "x,x^2", "--seconds", "2")


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table whose target is a formula of its columns, far from the units that a network sees."""
    size, rooms = np.random.default_rng(0).uniform([40, 1], [200, 6], (120, 2)).T
    path = tmp_path_factory.mktemp("table") / "houses.csv"
    lines = "".join(f"{a!r},{b!r},{1500 * a + 200 * b * b - 3000!r}\n" for a, b in zip(size.tolist(), rooms.tolist(), strict=True))
    path.write_text(f"living area,rooms,price\n{lines}")
    return path


@pytest.fixture(scope="module")
def sale(recorded: Any, houses: Path) -> Any:
    return recorded.run(
        "task.dataset=csv", f"task.file={houses}", "task.target=price", "task.hidden=[]", "basis.degree=2", "model.squash=clamp"
    )


def test_a_formula_has_the_units_and_names_of_the_table(recorded: Any, sale: Any, tmp_path: Path) -> None:
    out, run = recorded.inspect(sale.run_id, *LINES)
    report = json.loads(recorded.artifact(run.info.run_id, "report.json", tmp_path))["report"]
    (price,) = report["outputs"]
    assert price["name"] == "price"
    area, rooms = sp.Symbol("living area"), sp.Symbol("rooms")
    task = experiment.load_run(sale.run_id, recorded.uri)
    names = task.variables()
    assert names.inputs == ("living area", "rooms")
    found = sp.sympify(price["expression"].replace("living area", "area"))
    true = 1500 * sp.Symbol("area") + 200 * sp.Symbol("rooms") ** 2 - 3000
    assert equivalent(found, true, {"area": (40.0, 200.0), "rooms": (1.0, 6.0)}, tolerance=1e-5) != "different"
    assert price["r2_data"] > 1 - 1e-9
    assert "living area" in out
    assert "complexity" in out
    assert {symbol.name for symbol in (area, rooms)} == set(report["inputs"])
    metrics = run.data.metrics
    assert metrics["test/rmse/before"] == pytest.approx(sale.score, rel=1e-5)
    assert metrics["test/rmse/after"] < 1e-4 * float(task.target_std)  # the formula is exact where the network is not
    assert metrics["r2_data/price"] == price["r2_data"]
    assert metrics["complexity/price"] == price["complexity"] == price["pareto"][-1]["complexity"]
    assert "parameters/after" not in metrics
    tex = recorded.artifact(run.info.run_id, "formula.tex", tmp_path).decode()
    assert tex.startswith("\\begin{align*}\n\\mathrm{price} &= ")
    assert r"\mathrm{living\ area}" in tex
    assert "weights.safetensors" not in [file.path for file in recorded.tracker.client.list_artifacts(run.info.run_id)]


def test_edges_below_a_threshold_are_cut_first(recorded: Any) -> None:
    _, run = recorded.inspect(recorded.kan.run_id, "formula", "--functions", "x", "--threshold", "0.3", "--seconds", "1")
    metrics = run.data.metrics
    assert metrics["complexity/y"] <= 6  # a line in x1 alone
    assert metrics["error/y"] < 1


def test_a_wide_network_is_refused(recorded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    row = recorded.run("task.hidden=[20]", "trainer.max_epochs=1")
    error = recorded.refused(capsys, row.run_id, "formula")
    assert "the network must have at most 40 edges, got 60" in error


def test_every_output_has_its_own_units() -> None:
    """Outputs of very different size are read as well as each alone."""
    x = torch.rand(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    line = LIBRARY[0]
    net = SymbolicLayer(2, 2, [Edge(0, 0, line, c=0.9), Edge(1, 1, line, c=2.1)])
    scale, center = torch.tensor([1e6, 1e-3], dtype=torch.float64), torch.tensor([5e5, 0.0], dtype=torch.float64)
    y = torch.tensor([1.0, 2.0], dtype=torch.float64) * x * scale + center
    report = read_formula([net], x, y, ["a", "b"], units=Affine(center, scale))
    a, b = sp.symbols("a b", positive=True)
    for formula, true in zip(report.outputs, (1e6 * a + 5e5, 2e-3 * b), strict=True):
        assert formula.error < 1e-9
        assert equivalent(formula.expression, true, {"a": (1, 2), "b": (1, 2)}) != "different"
    assert all(r2 < 1 - 1e-4 for r2 in report.r2_network)  # the network was wrong by a tenth, in the same units
    torch.testing.assert_close(report(x), y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "latex"), [("x2", "x_{2}"), ("theta", r"\theta"), ("m_0", "m_{0}"), ("a&b", r"\mathrm{a\&b}"), ("x y", r"\mathrm{x\ y}")]
)
def test_names_in_latex(name: str, latex: str) -> None:
    assert latex_name(name) == latex
