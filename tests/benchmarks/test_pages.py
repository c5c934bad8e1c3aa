"""Pages that are written from rows say what the rows say."""

from math import nan

import pytest

from benchmarks import continual_tables, report
from benchmarks.clock import Timing
from benchmarks.continual_tables import Model
from benchmarks.speed import SpeedRow


def model(task: str, basis: str | None, score: float, **params: str) -> Model:
    figures = {"num_parameters": 1234.0, "test/learning_rmse": 1e-5, "score": score, "test/forgetting": 0.25}
    named = {"task.name": "continual" if "digits" in task else "continual_peaks", "task.strategy": "naive", "model.bias": "False"}
    return Model(task, named | params | ({"basis.name": basis} if basis else {}), figures, 2)


PAGE = "\n".join(f"<!-- {name} -->\n\nold\n\n<!-- /{name} -->" for name in continual_tables.TABLES)


def test_tables_of_continual_learning() -> None:
    found = [
        model("continual_peaks", "bspline", 4e-6),
        model("continual_peaks", "bspline", 0.2, **{"model.residual": "silu"}),
        model("continual_peaks(hidden=[5])", "bspline", 0.3),
        model("continual_peaks_2d", None, 40.0),
        model("continual_digits(scenario=class)", "jacobi", 0.2, **{"task.scenario": "class"}),
        model("continual_digits(scenario=class, strategy=ewc)", "jacobi", 0.35, **{"task.scenario": "class", "task.strategy": "ewc"}),
    ]
    page = continual_tables.fill(PAGE, found)
    assert "old" not in page
    assert "| `bspline` | – | – | **forgets nothing** | 1,234 | 1.0e-05 | 4.0e-06 | 0.25 |" in page
    assert "| `bspline` | silu | – | forgets | 1,234 | 1.0e-05 | 0.2 | 0.25 |" in page
    assert "| one peak at a time | 1,234 | 1.0e-05 | 0.3 | 0.25 |" in page
    assert "| MLP |" in page
    assert "| `jacobi` | – | 1,234 | 20.0 |  | 35.0 |  |  |  |" in page
    assert continual_tables.fill(page, found) == page
    with pytest.raises(ValueError, match="must hold the marks <!-- line -->"):
        continual_tables.fill("no marks", found)


def row(workload: str, contestant: str, kind: str, step_us: float, ratio: float) -> SpeedRow:
    return SpeedRow(workload, contestant, kind, step_us, 1.0, ratio, ratio / 2, nan, 8.25, 4e-7, 99, "abc", "a processor", "2.14")


def test_page_of_speed() -> None:
    rows = [
        row("mnist", "bspline", "basis", 3000.0, 1.5),
        row("mnist", "bspline eager", "basis", 9000.0, 4.5),
        row("mnist", "bare products, oneDNN", "limit", 2000.0, 1.0),
        *(row(f"deep_{size}", "bspline", "basis", 10.0 * size, 1.0) for size in (5, 20, 50)),
    ]
    page = report.page(rows)
    assert "| bspline | basis | 3,000 | 1 | 1.50 | 0.75 |  | 8.2 | 4e-07 | 99 |" in page
    assert "| bspline | 1.50 | 1.00 | 1.00 | 1.00 |" in page
    assert page.index("bare products, oneDNN") < page.index("| bspline eager |")
    grid, batch, width = report.picture(rows).axes
    assert [line.get_label() for line in grid.lines] == ["bspline"]
    assert not batch.lines
    assert not width.lines


def test_page_of_speed_compares_with_others() -> None:
    rows = [
        row("mnist", "bspline", "basis", 3000.0, 1.5),
        row("mnist", "bspline eager", "basis", 9000.0, 4.5),
        row("mnist", "wav_kan", "basis", 90000.0, 45.0),
        row("mnist", "inkan compiled", "peer", 9000.0, 4.5),
        row("mnist", "bare products, MKL", "limit", 2000.0, 1.25),
    ]
    page = report.page(rows)
    assert "| | bspline |" in page
    assert "| inkan compiled | 3.0 |" in page
    assert "mnist 1.25." in page


def test_ratios_are_paired_by_round() -> None:
    slow, fast = Timing([2.0, 20.0, 4.0]), Timing([1.0, 10.0, 1.0])
    assert slow.ratio(fast) == 2
    assert slow.median == 4
