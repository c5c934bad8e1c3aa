import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kanzoo import cli
from kanzoo.cell import Cell
from kanzoo.config import compose, compose_grid
from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import read_csv, render_html, render_markdown, write_csv
from kanzoo.record import Row
from kanzoo.submission import check, merge


def row_of(cell: Cell) -> Row:
    return Row(
        *("0" * 32, "mine", cell.task_label, cell.task_key, cell.model_label, cell.model_key, cell.kan_basis),
        *(cell.plugin, cell.seed, "FINISHED", "", cell.score, cell.direction, 0.9, 100, 80, 1.5, 2.0, 10.0, 30, "0123abcd", "a cpu", 1),
        *("2.14", "0.1.0", cell.config_hash, "2026-11-22T03:13:45+00:00", cell.command),
    )


def rows_of(*overrides: str, config: str = "digits_dense") -> list[Row]:
    return [row_of(cell) for cell in compose(config, overrides)]


GOOD = rows_of("basis.name=chebyshev,bspline", "seed=0,1")


@pytest.fixture
def submitted(tmp_path: Path):
    """Return a function that writes rows and checks them against `into.csv`."""

    def submitted(*rows: Row, into: Path | None = None):
        write_csv(rows, tmp_path / "rows.csv")
        return check(tmp_path / "rows.csv", into or tmp_path / "into.csv")

    return submitted


def reason(found) -> str:
    assert found.new == []
    ((_, text),) = found.refused
    return text


def test_rows_that_their_commands_give_are_merged(submitted, tmp_path: Path) -> None:
    found = submitted(*GOOD[:3])
    assert (len(found.new), found.known, found.refused) == (3, 0, [])
    merge(found, tmp_path / "into.csv")
    again = submitted(*GOOD)
    assert (len(again.new), again.known, again.refused) == (1, 3, [])
    merge(again, tmp_path / "into.csv")
    assert sorted(map(repr, read_csv(tmp_path / "into.csv"))) == sorted(map(repr, GOOD))


def test_a_baseline_with_learnt_activations_has_no_basis_to_be_ranked_by(submitted) -> None:
    (row,) = rows_of("model.name=learnable_activation", "basis.name=bspline")
    assert row.basis == ""
    assert len(submitted(row).new) == 1
    assert "basis must be ''" in reason(submitted(replace(row, basis="bspline")))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("config_hash", "0123456789abcdef", "config_hash must be '"),
        ("model_key", "0123456789abcdef", "model_key must be '"),
        ("task_key", "0123456789abcdef", "task_key must be '"),
        ("seed", 7, "seed must be 0, which `kanzoo run digits_dense basis.name=chebyshev seed=0` gives, got 7"),
        ("track", "seconds=10", "track must be 'default'"),
        ("task", "mnist", "task must be 'digits_dense'"),
        ("model", "better", "model must be 'chebyshev'"),
        ("basis", "", "basis must be 'chebyshev'"),
        ("score_name", "loss", "score_name must be 'accuracy'"),
        ("direction", "min", "direction must be 'max'"),
        ("plugin", "kan-x 1.2", "plugin 'kan-x 1.2' must be installed, got none. Install kan-x 1.2."),
        ("plugin", "kanzoo 99.0", "plugin 'kanzoo 99.0' must be installed, got "),
        ("plugin", "", "plugin '' must be installed, got none"),
        ("score", math.nan, "score must be finite"),
        ("score", 1.5, "score must be from 0 to 1 for accuracy, got 1.5"),
        ("train_time_s", 0.0, "train_time_s must be > 0 and finite, got 0.0"),
        ("step_time_ms", math.inf, "step_time_ms must be > 0 and finite, got inf"),
        ("latency_ms", -1.0, "latency_ms must be > 0 and finite, got -1.0"),
        ("num_parameters", -1, "num_parameters must be >= 0, got -1"),
        ("threads", 0, "threads and seeds_together must be >= 1"),
        ("date", "yesterday", "date must be ISO 8601 with a time zone, got 'yesterday'"),
        ("date", "2026-11-22T03:13:45", "date must be ISO 8601 with a time zone"),
        ("run_id", "", "run_id must be 32 hexadecimal digits, got ''"),
        ("hardware", "", "hardware must be a fingerprint of 8 hexadecimal digits, got ''"),
        ("status", "RUNNING", "status must be FINISHED, FAILED or KILLED, got RUNNING"),
        ("command", "kanzoo run digits_dense basis.name=chebyshev seed=1", "seed must be 1"),
        ("command", "kanzoo run digits_dense basis.name=chebyshev basis.degree=9 seed=0", "model must be 'chebyshev(degree=9)'"),
        ("command", "kanzoo run digits_dense seed=0,1", "command must give one cell, got a sweep"),
        ("command", "kanzoo run mine.yaml", "command must name a config that comes with kanzoo, got 'mine.yaml'"),
        ("command", "kanzoo run ../../x", "command must name a config that comes with kanzoo"),
        ("command", "kanzoo run digits_dense --data-dir /", "command must be `kanzoo run CONFIG key=value ...`"),
        ("command", "kanzoo bench quick", "command must be `kanzoo run CONFIG"),
        ("command", "kanzoo run 'digits", "command must be one line of a shell"),
        ("command", "kanzoo run digits_dense nonsense", "an override must be key=value, got 'nonsense'"),
        ("command", "kanzoo run digits_dense basis.name=chebyshev basis.degree=0", "the config of `kanzoo run"),
    ],
)
def test_a_row_that_is_not_right_is_refused(submitted, column: str, value: object, message: str) -> None:
    assert reason(submitted(replace(GOOD[0], **{column: value}))).startswith(message)


def test_a_command_is_read_and_never_run(submitted, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for command in (
        f"kanzoo run digits_dense; touch {marker}",
        f"kanzoo run $(touch {marker})",
        f"kanzoo run digits_dense `touch {marker}`",
    ):
        assert submitted(replace(GOOD[0], command=command)).refused
        assert not marker.exists()


def test_a_failed_run_is_a_row_too(submitted) -> None:
    nan = math.nan
    failed = replace(GOOD[0], status="FAILED", reason="loss is nan", score=nan, train_time_s=nan, step_time_ms=nan, hardware="")
    assert submitted(failed).refused == []


def test_the_same_cell_on_the_same_machine_stands_once(submitted, tmp_path: Path) -> None:
    merge(submitted(GOOD[0]), tmp_path / "into.csv")
    assert "is in" in reason(submitted(replace(GOOD[0], score=0.91)))
    assert submitted(replace(GOOD[0], hardware="ffff0000")).refused == []
    twice = submitted(GOOD[1], replace(GOOD[1], run_id="1" * 32))
    assert [line for line, _ in twice.refused] == [3]
    assert twice.refused[0][1].endswith("is in line 2 too")


def test_data_that_are_missing_are_asked_for(tmp_path: Path) -> None:
    (row,) = rows_of("task.formula=I.6.2", "seed=0", config="feynman")
    housing = replace(row, command="kanzoo run regression task.dataset=housing seed=0")
    write_csv([housing], tmp_path / "rows.csv")
    assert "KANZOO_DATA" in reason(check(tmp_path / "rows.csv", tmp_path / "into.csv"))


def test_a_file_without_rows_is_refused(submitted, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must hold a row, got none"):
        submitted()
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="column 'run_id' is missing"):
        check(tmp_path / "odd.csv", tmp_path / "into.csv")


def test_the_command_line_lists_all_refusals_and_writes_nothing(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv([*GOOD[:1], *(replace(GOOD[1], run_id=f"{index:032x}", score=math.nan) for index in range(25))], tmp_path / "mine.csv")
    assert cli._code(["submit", "mine.csv"]) == 2
    shown, error = capsys.readouterr()
    assert len(re.findall(r"line \d+: score must be finite", shown)) == 20
    assert "... and 5 more" in shown
    assert error.startswith("Error: every row must be right, got 25 that are refused in mine.csv\nNothing is written.")
    assert not (tmp_path / "leaderboard").exists()
    write_csv(GOOD, tmp_path / "mine.csv")
    assert cli._code(["submit", "mine.csv"]) in (0, None)
    assert "4 rows merged into leaderboard/results/mine.csv, 0 were there already." in capsys.readouterr().out
    assert len(read_csv(tmp_path / "leaderboard" / "results" / "mine.csv")) == 4


def test_a_hostile_row_reaches_pages_as_text(submitted, tmp_path: Path) -> None:
    hostile = replace(
        GOOD[0],
        experiment='=HYPERLINK("http://x","y")',
        cpu="<img src=x onerror=alert(1)>",
        torch="</script><script>alert(2)</script>",
        kanzoo="[x](javascript:alert(3)) | pipe",
    )
    found = submitted(hostile, *GOOD[1:])
    assert found.refused == []
    merge(found, tmp_path / "into.csv")
    text = (tmp_path / "into.csv").read_text()
    assert "'=HYPERLINK" in text
    assert not re.search(r"(^|,)\"?=HYPERLINK", text, re.MULTILINE)
    rows = read_csv(tmp_path / "into.csv")
    assert {row.cpu for row in rows} == {hostile.cpu, "a cpu"}
    page, markdown = render_html(rows), render_markdown(rows)
    for shown in (page, markdown):
        assert "<img src=x" not in shown
        assert "<script>alert" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert r"\[x\](javascript:alert(3)) &#124; pipe" in markdown


def test_rows_of_a_benchmark_whose_experiments_say_how_to_train_are_merged(submitted, tmp_path: Path) -> None:
    benchmark = tmp_path / "mine.yaml"
    benchmark.write_text("experiments: [digits_dense trainer.max_epochs=3]\nmodels: [basis.name=chebyshev trainer.lr=0.01]\n")
    _, (cell,) = compose_grid(str(benchmark))
    assert cell.model_label == "chebyshev(lr=0.01)"
    found = submitted(row_of(cell))
    assert (len(found.new), found.refused) == (1, [])
    assert "model must be" in reason(submitted(replace(row_of(cell), model="chebyshev(lr=0.02)")))
