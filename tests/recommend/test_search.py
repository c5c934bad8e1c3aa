import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from kanzoo import cli
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.place import Place
from kanzoo.recommend import search
from kanzoo.recommend.columns import look
from kanzoo.recommend.halving import Candidate, Choice, candidates
from kanzoo.recommend.search import MLP_WIDTHS, WIDTHS, Pace, Problem, Search, chosen_bases
from kanzoo.record import Row
from kanzoo.registry import plugins
from kanzoo.tracking import Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

BASES = ["chebyshev", "bspline", "sine", "fourier"]


def table(folder: Path, function, name: str = "data.csv", rows: int = 200) -> Path:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (rows, 2))
    path = folder / name
    path.write_text("a,b,y\n" + "".join(f"{a},{b},{function(a, b, random)}\n" for a, b in x))
    return path


def smooth(a, b, random):
    return math.exp(math.sin(math.pi * a) + b * b)


def noise(a, b, random):
    return a - b + random.normal()


class Workshop:
    """Stands for the runs: each takes seconds of a clock of its own, and its score is known."""

    def __init__(self, monkeypatch, seconds=lambda name, epochs: 0.1 * epochs) -> None:
        self.now, self.ran, self.rows, self.seconds = 0.0, [], {}, seconds
        monkeypatch.setattr(search.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(search, "_run_here", self.run)
        monkeypatch.setattr(search, "metric", lambda tracker, row, name: row.score)

    def run(self, cell, place):
        if cell.config_hash in self.rows:
            return self.rows[cell.config_hash]
        epochs, name = cell.trainer["max_epochs"], cell.basis.get("name", "mlp")
        took = self.seconds(name, epochs)
        self.now += took + 0.5
        self.ran.append((name, cell.model["width"], epochs, cell.seed))
        score = {"chebyshev": 0.1, "mlp": 0.5}.get(name, 0.3) / epochs + 0.001 * cell.seed
        row = Row(
            *("0" * 32, "e", cell.task_label, cell.task_key, cell.model_label, cell.model_key, name, cell.plugin, cell.seed, "FINISHED"),
            *("", cell.score, cell.direction, score, 10, 5, took, 1.0, 1.0, epochs, "01234567", "cpu", 1, "2", "0", cell.config_hash),
            *("2026-11-22T00:00:00+00:00", cell.command),
        )
        return self.rows.setdefault(cell.config_hash, row)


@pytest.fixture
def searched(tmp_path: Path, uri: str):
    def searched(seconds: float, bases=BASES, **options):
        file = table(tmp_path, smooth)
        problem, told = Problem(file, "y", look(file, "y")), []
        result = Search(problem, Place(uri, "e"), seconds, tell=told.append, **options).run(candidates(bases, WIDTHS, MLP_WIDTHS))
        return result, told

    return searched


def test_with_time_all_are_tried_and_two_are_left(searched, monkeypatch) -> None:
    workshop = Workshop(monkeypatch)
    result, told = searched(10_000)
    assert [len(rung.tried) for rung in result.history.rungs] == [18, 6, 2]
    assert [rung.epochs for rung in result.history.rungs] == [4, 12, 36]
    assert not any(rung.skipped for rung in result.history.rungs)
    assert [(choice.candidate.basis, choice.epochs) for choice in result.rows] == [("chebyshev", 36), ("", 36)]
    assert all([row.seed for row in rows] == [0, 1, 2, 3, 4] for rows in result.rows.values())
    assert result.test_share == pytest.approx(30 / 140)
    assert len(workshop.ran) == len(set(workshop.ran))
    assert told[-1].startswith("final: mlp")


@pytest.mark.parametrize("seconds", [40, 60, 100, 200])
def test_the_time_is_kept(searched, monkeypatch, seconds: float) -> None:
    workshop = Workshop(monkeypatch)
    result, _ = searched(seconds)
    assert workshop.now <= 1.1 * seconds
    assert workshop.now >= 0.4 * seconds
    assert all(len(rows) == 5 for rows in result.rows.values())


def test_without_time_the_two_most_important_are_compared_and_the_others_named(searched, monkeypatch) -> None:
    workshop = Workshop(monkeypatch)
    result, told = searched(1)
    assert {(name, epochs) for name, _, epochs, _ in workshop.ran} == {("chebyshev", 4), ("mlp", 4)}
    assert len(result.history.rungs[0].skipped) == 16
    assert "16 left out for lack of time" in told[0]


def test_slow_training_is_shortened_so_that_the_final_fits(searched, monkeypatch) -> None:
    workshop = Workshop(monkeypatch, lambda name, epochs: 0.5 * epochs)
    searched(300)
    longest = max(epochs for _, _, epochs, _ in workshop.ran)
    assert 4 < longest < 36
    assert workshop.now <= 1.1 * 300


def test_a_candidate_that_fails_is_not_chosen(searched, monkeypatch) -> None:
    workshop = Workshop(monkeypatch)
    whole = workshop.run

    def run(cell, place):
        row = whole(cell, place)
        return replace(row, status="FAILED", score=math.nan) if cell.basis.get("name") == "chebyshev" else row

    monkeypatch.setattr(search, "_run_here", run)
    result, _ = searched(10_000)
    assert {choice.candidate.basis for choice in result.rows} & {"chebyshev"} == set()
    assert len(result.rows) == 2


def test_pace_tells_what_cells_will_take() -> None:
    pace, kan, mlp = Pace(), Candidate("sine", 1.0), Candidate("", 1.0)
    assert pace.expected(Choice(kan, 10), 2) == 0
    pace.seconds, pace.overheads = {kan: 0.5}, [9.0, 1.0, 1.0]
    assert pace.expected(Choice(kan, 10), 2) == 2 * (1.0 + 5.0)
    assert pace.expected(Choice(Candidate("fourier", 1.0), 10), 1) == 6.0
    assert pace.expected(Choice(mlp, 10), 1) == 6.0
    pace.seconds[mlp] = 0.1
    assert pace.expected(Choice(Candidate("", 8.0), 10), 1) == 2.0


def test_names_with_commas_and_quotes_are_one_cell(tmp_path: Path) -> None:
    file = tmp_path / "it's, 1.csv"
    file.write_text("a,\"p, 'q'\"\n" + "".join(f"{index},{index / 7}\n" for index in range(50)))
    (cell,) = Problem(file, "p, 'q'", look(file, "p, 'q'")).cells(Choice(Candidate("sine", 2.0), 5), 1)
    assert (cell.task["file"], cell.task["target"]) == (str(file), "p, 'q'")


def test_a_large_table_is_learnt_in_batches(tmp_path: Path) -> None:
    file = table(tmp_path, smooth, rows=6000)
    (cell,) = Problem(file, "y", look(file, "y")).cells(Choice(Candidate("sine", 2.0), 5), 1)
    assert (cell.trainer["optimizer"], cell.trainer["batch_size"]) == ("adamw", 256)


def test_bases_are_chosen_by_name() -> None:
    assert chosen_bases("*") == list(plugins("basis"))
    assert chosen_bases("sine, bspline") == ["sine", "bspline"]
    assert set(chosen_bases("")) <= set(plugins("basis"))
    with pytest.raises(InvalidInput, match="unknown basis 'sin'"):
        chosen_bases("sin")
    with pytest.raises(InvalidInput, match="--bases must name each basis once, got 'sine' twice"):
        chosen_bases("sine,sine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv", "--target", "y"], "task.file must be an existing file, got none.csv"),
        (["data.csv", "--target", "z"], "task.target must be a column of data.csv, got 'z'"),
        (["constant.csv", "--target", "y"], "task.target must name a column that varies, got 'y'"),
        (["short.csv", "--target", "y"], "FILE must hold at least 40 rows, got 20 in short.csv"),
        (["words.csv", "--target", "y"], "task.file must hold finite numbers in column 'a', got 'red' in line 2"),
        (["data.csv", "--target", "y", "--bases", "sin"], "unknown basis 'sin'"),
        (["data.csv", "--target", "y", "--out", "there.yaml"], "--out must not exist yet, got 'there.yaml'"),
        (["data.csv", "--target", "y", "--out", "rec.txt"], "--out must end in .yaml, got 'rec.txt'"),
        (["data.csv", "--target", "y", "--kind", "guess"], "--kind must be one of auto, regression, classification, got 'guess'"),
        (["data.csv", "--target", "y", "--kind", "classification"], "task.target must name a column of at most 100 classes"),
    ],
)
def test_wrong_input_is_refused_and_nothing_recorded(arguments, message, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, smooth)
    table(tmp_path, lambda a, b, random: 3, "constant.csv")
    table(tmp_path, smooth, "short.csv", rows=20)
    (tmp_path / "words.csv").write_text("a,y\n" + "".join(f"red,{index / 7}\n" for index in range(50)))
    (tmp_path / "there.yaml").touch()
    before = sorted(tmp_path.rglob("*"))
    assert cli._code(["recommend", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"Error: {message}")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize(("function", "winner"), [(smooth, "chebyshev"), (noise, "")])
def test_the_answer_is_right_where_it_is_known(function, winner: str, uri: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, function)
    arguments = ["recommend", "data.csv", "--target", "y", "--seconds", "1", "--bases", "chebyshev", "--seeds", "10", "--tracking-uri", uri]
    assert cli._code(arguments) in (0, None)
    shown = capsys.readouterr().out
    assert ("chebyshev(width=1) beats mlp(width=1): rmse" in shown) is bool(winner)
    assert ("take the MLP." in shown) is not bool(winner)
    assert "10 seeds)" in shown
    rows = Tracker(uri).rows("recommend-data.csv")
    assert len(rows) == 20
    (cell,) = compose("recommended.yaml")
    assert cell.basis.get("name", "") == winner
    assert cell.config_hash in {row.config_hash for row in rows}
    assert yaml.safe_load((tmp_path / "recommended.yaml").read_text())["task"]["target"] == "y"
    assert cli._code([*arguments, "--force"]) in (0, None)
    assert len(Tracker(uri).rows("recommend-data.csv")) == 20  # nothing is run twice


@pytest.mark.slow
def test_classes_in_words(uri: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, lambda a, b, random: "in" if a * a + b * b < 0.5 else "out")
    assert cli._code(["recommend", "data.csv", "--target", "y", "--seconds", "1", "--bases", "sine", "--tracking-uri", uri]) in (0, None)
    shown = capsys.readouterr().out
    assert "classification of 'y', 200 rows" in shown
    assert " %" in shown
    (cell,) = compose("recommended.yaml")
    assert (cell.task["name"], cell.score) == ("tabular_classification", "accuracy")
