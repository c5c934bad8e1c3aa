"""The page of symbolic regression says what the records say."""

import json
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from benchmarks import symbolic_page
from benchmarks.symbolic_page import Found
from kanzoo.cell import Cell
from kanzoo.config import compose_grid
from kanzoo.record import Row
from kanzoo.tracking import Tracker, cell_tags

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

ONE = Found("I.25.13", "q/C", "bspline(grid_size=12)", "algebraic", "q/C", 1e-16, 5, 3.0, 30.0, "kanzoo", "f", *["x"] * 8)
FOUND = [
    ONE,
    replace(ONE, model="pykan", verdict="numerical", formula="0.94688123*q**1.0/C + 1.25e-15", seconds=20.0, method="pykan 0.2.8"),
    replace(ONE, equation="I.16.6", true="(u + v)/(1 + u*v)", verdict="different", formula="sin(u)" * 30, relative_error=0.5, seconds=31.0),
    Found("I.16.6", "", "pykan", "failed", "ValueError: no", nan, 0, nan, 30.0, "", "", *["x"] * 8),
]


def test_the_page_counts_and_shows() -> None:
    page = symbolic_page.page(FOUND)
    assert "# Symbolic regression" in page
    assert "2 equations of the Feynman lectures" in page
    assert "30 s of processor time" in page
    assert "| `bspline(grid_size=12)` | 1 of 2 | 50% | 1 | 2.5e-01 | 5 | 17 |" in page
    assert "| `pykan 0.2.8` | 1 of 2 | 50% | 0 | 1.0e-16 | 5 | 20 |" in page
    assert "| I.25.13 | `q/C` | ✓ | ✓ |" in page
    assert "| I.16.6 | `(u + v)/(1 + u*v)` | – | – |" in page
    assert "| I.25.13 | pykan | ✓ | `0.9469*q**1/C + 1.25e-15` | 1.0e-16 | 5 |" in page
    assert "| I.16.6 | pykan | – | `ValueError: no` | – | 0 |" in page
    assert max(map(len, page.splitlines())) < 200


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    symbolic_page.write(FOUND, tmp_path / "found.csv")
    again = symbolic_page.read(tmp_path / "found.csv")
    assert repr(again) == repr(FOUND)
    assert symbolic_page.page(again) == symbolic_page.page(FOUND)


def recorded(tracker: Tracker, cell: Cell, status: str) -> None:
    recorder = tracker.start("symbolic", "run", key=cell.config_hash, kind="cell", tags=cell_tags(cell))
    empty = {name: 0 if kind in (int, "int") else nan if kind in (float, "float") else "" for name, kind in Row.__annotations__.items()}
    known = {"run_id": recorder.run_id, "model": cell.model_label, "status": status, "reason": "why", "config_hash": cell.config_hash}
    recorder.row(Row(**empty | known))
    if status == "FINISHED":
        found = {"true": "q/C", "verdict": "algebraic", "formula": "q/C", "complexity": 5}
        recorder.artifact("report.json", json.dumps(found | {"seconds": 3.0, "method": "kanzoo", "shape": "f"}))
        recorder.log({"test/relative_error": 1e-9})
    recorder.close(status)  # type: ignore[arg-type]


def test_records_are_collected_when_all_cells_were_run(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, (first, second, third, *_) = compose_grid("symbolic")
    monkeypatch.setattr(symbolic_page, "compose_grid", lambda name: (grid, [first, second]))
    tracker = Tracker(uri)
    recorded(tracker, first, "FINISHED")
    recorded(tracker, third, "FINISHED")
    with pytest.raises(LookupError, match=r"1 of 2 cells were not run yet; the first is: kanzoo run symbolic task\.formula=I\.8\.14"):
        symbolic_page.collect(tracker)
    recorded(tracker, second, "KILLED")
    with pytest.raises(LookupError, match="1 of 2"):
        symbolic_page.collect(tracker)
    recorded(tracker, second, "FAILED")
    one, two = symbolic_page.collect(tracker)
    assert (one.equation, one.formula, one.relative_error, one.is_equivalent, one.budget) == ("I.6.2", "q/C", 1e-9, True, 30.0)
    assert (two.equation, two.verdict, two.formula, two.is_equivalent) == ("I.8.14", "failed", "why", False)


@pytest.mark.skipif(not symbolic_page.ROWS.is_file(), reason="the benchmark was not run yet")
def test_the_published_page_is_what_the_rows_render_to() -> None:
    rows = symbolic_page.read(symbolic_page.ROWS)
    assert symbolic_page.PAGE.read_text(encoding="utf-8") == symbolic_page.page(rows), "run `python -m benchmarks.symbolic_page`"
    assert len({row.config_hash for row in rows}) == len(rows)
    assert all(row.command.startswith("kanzoo run symbolic ") for row in rows)
