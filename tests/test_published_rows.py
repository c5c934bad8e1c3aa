import math
from dataclasses import replace
from pathlib import Path

import pytest

from kanzoo import cli
from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import read_csv, write_csv
from kanzoo.published_rows import published_rows
from kanzoo.tracking import Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

GRID = "experiments: [{tiny}]\nmodels: [basis.name=chebyshev, model.name=baseline]\nseeds: [0, 1]\noverrides: [trainer.max_epochs=1]\n"


@pytest.mark.slow
def test_a_cell_that_is_published_is_not_run(tiny: str, new_store, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(GRID.format(tiny=tiny))
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first, second = new_store(tmp_path / "first"), new_store(tmp_path / "second")
    assert cli._code(["bench", "grid.yaml", "--tracking-uri", first, "--jobs", "1", "seed=0"]) in (0, None)
    rows = Tracker(first).rows()
    assert [row.status for row in rows] == ["FINISHED", "FINISHED"]
    write_csv([rows[0], replace(rows[1], status="FAILED", score=math.nan)], tmp_path / "results" / "them.csv")
    capsys.readouterr()

    arguments = ["bench", "grid.yaml", "--published", "results", "--tracking-uri", second, "--jobs", "1"]
    assert cli._code([*arguments, "--dry-run"]) in (0, None)
    assert "4 cells: 3 to run, 0 finished, 1 published." in capsys.readouterr().out
    assert cli._code(arguments) in (0, None)
    shown = capsys.readouterr().out
    assert "3 cells run, 0 finished before, 1 published, 0 failed." in shown
    ran = {row.config_hash for row in Tracker(second).rows()}
    assert len(ran) == 3
    assert rows[0].config_hash not in ran
    assert rows[1].config_hash in ran  # published as failed: run
    assert shown.count(" 2 ") >= 2  # both models have two seeds in the ranking

    write_csv([*rows, *Tracker(second).rows()], tmp_path / "results" / "us.csv")
    (tmp_path / "third").mkdir()
    third = new_store(tmp_path / "third")
    assert cli._code([*arguments[:4], "--tracking-uri", third]) in (0, None)
    assert "0 cells run, 0 finished before, 4 published, 0 failed." in capsys.readouterr().out
    assert Tracker(third).rows() == []


def test_files_and_folders_are_read_and_the_newest_finished_row_counts(tmp_path: Path) -> None:
    source = next((Path(__file__).parent.parent / "leaderboard" / "results").glob("*.csv"))
    row = replace(next(row for row in read_csv(source) if row.status == "FINISHED"), latency_ms=1.0)
    old, new = replace(row, date="2020-01-01T00:00:00+00:00", score=0.1), replace(row, date="2021-01-01T00:00:00+00:00", score=0.2)
    write_csv([new], tmp_path / "a.csv")
    write_csv([old], tmp_path / "b.csv")
    (tmp_path / "notes.txt").write_text("no rows")
    assert published_rows([tmp_path]) == published_rows([tmp_path / "b.csv", tmp_path / "a.csv"]) == {row.config_hash: new}
    assert published_rows([]) == {}


def test_a_path_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--published must be a folder or a file, got '.*none', which is missing"):
        published_rows([tmp_path / "none"])
