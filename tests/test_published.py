"""What is published is rendered from raw rows: nothing in it is typed by hand."""

import importlib
from pathlib import Path

import pytest

from kanzoo import publish, submission
from kanzoo.config import data_dir_from_environment
from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import read_csv
from kanzoo.testing import check_basis

ROOT = Path(__file__).parent.parent
ROWS = [row for path in sorted((ROOT / "leaderboard" / "results").glob("*.csv")) for row in read_csv(path)]

#: Files with rows that were recorded before `model.extrapolate` came and are to be run again.
STALE = {"continual.csv", "continual_full.csv", "graph_full.csv"}


def _known(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.xfail(strict=True)) if name in STALE else name


def test_the_pages_are_what_the_rows_render_to(tmp_path: Path) -> None:
    publish.write(ROWS, tmp_path, raw=False)
    for name in ("README.md", "index.html"):
        assert (tmp_path / name).read_text() == (ROOT / "leaderboard" / name).read_text(), (
            f"run `make render` and commit leaderboard/{name}"
        )


def test_the_excerpt_is_what_the_rows_render_to(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text())
    publish.write_excerpt(ROWS, copy)
    assert copy.read_text() == (ROOT / "README.md").read_text(), "run `make render` and commit README.md"


def test_every_row_can_be_traced() -> None:
    assert ROWS
    for row in ROWS:
        assert row.run_id
        assert row.date
        assert row.hardware
        assert row.config_hash
        assert row.command.startswith("kanzoo run ")


@pytest.mark.slow
@pytest.mark.parametrize("name", [_known(path.name) for path in sorted((ROOT / "leaderboard" / "results").glob("*.csv"))])
def test_the_command_of_every_row_gives_its_identity(name: str, tmp_path: Path) -> None:
    """A row whose command means another cell today is a row that nobody can check."""
    found = submission.check(ROOT / "leaderboard" / "results" / name, tmp_path / "none.csv", data_dir_from_environment())
    needs_data = [line for line, reason in found.refused if "KANZOO_DATA" in reason]
    assert found.refused == [] or (len(needs_data) == len(found.refused) and data_dir_from_environment() is None)


def test_an_excerpt_needs_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(InvalidInput, match="must hold the marks"):
        publish.write_excerpt(ROWS, page)
    assert page.read_text() == "no marks"


@pytest.mark.slow
def test_the_basis_that_the_readme_shows_passes_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (ROOT / "README.md").read_text().partition("# my_bases.py\n")[2].partition("```")[0]
    (tmp_path / "my_bases.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_basis(importlib.import_module("my_bases").Monomials)
