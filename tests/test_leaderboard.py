"""Rows in, text out: numbers against scipy and against counting by hand, text against anything that hypothesis can type."""

import csv
import json
import math
import random
import re
from dataclasses import astuple, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import (
    by_kind,
    common,
    latest,
    overall,
    pareto,
    rank,
    read_csv,
    render_html,
    render_markdown,
    render_winners,
    summarise,
    write_csv,
)
from kanzoo.leaderboard.markdown import _md
from kanzoo.leaderboard.track import track_kind, track_order, track_words
from kanzoo.record import Row, columns

PLAIN = Row(
    run_id="r",
    experiment="e",
    task="digits",
    task_key="t",
    model="bspline",
    model_key="m",
    basis="bspline",
    plugin="kanzoo 0.1.0",
    seed=0,
    status="FINISHED",
    reason="",
    score_name="accuracy",
    direction="max",
    score=0.9,
    num_parameters=1234567,
    num_coefficients=1000,
    train_time_s=12.34,
    step_time_ms=1.5,
    peak_memory_mb=100.0,
    epochs=3,
    hardware="h1",
    cpu="A processor",
    threads=2,
    torch="2.14.1",
    kanzoo="0.1.0",
    config_hash="c",
    date="2026-11-01T10:00:00+00:00",
    command="kanzoo run digits seed=0",
)


def row(model: str = "bspline", seed: int = 0, score: float = 0.9, task: str = "digits", **changes: Any) -> Row:
    """A row whose keys follow from task, model and seed."""
    keys = {
        "task_key": f"t:{task}",
        "model_key": f"{task}/{model}",
        "config_hash": f"{task}/{model}/{seed}",
        "run_id": f"{task}-{model}-{seed}",
    }
    return replace(PLAIN, **({"model": model, "seed": seed, "score": score, "task": task} | keys | changes))


def failed(model: str, seed: int = 0, task: str = "digits", reason: str = "loss became nan", **changes: Any) -> Row:
    return row(model, seed, math.nan, task, **({"status": "FAILED", "reason": reason} | changes))


# --- strategies


texts = st.one_of(
    st.text(),
    st.text(alphabet="'=+-@\t\r\n\",;|<>&`\\\u2028\u0000é😀 "),
    st.sampled_from(["=1+1", "'", "''=", "'=", "@x", "\r", "-1", '"', "<script>alert(1)</script>", "\u202e"]),
)
floats = st.floats(allow_nan=True, allow_infinity=True)
counts = st.integers(0, 2**63)


def rows_of(score: st.SearchStrategy[float]) -> st.SearchStrategy[list[Row]]:
    """Rows of few models, tasks, seeds and machines, so that they meet; directions agree within a task."""
    small = st.builds(
        lambda task, model, seed, status, hardware, score, date, time: row(
            model,
            seed,
            score,
            task,
            direction="max" if task < "b" else "min",
            status=status,
            hardware=hardware,
            train_time_s=time,
            date=f"2026-11-0{date}T10:00:00+00:00",
            run_id=f"{task}{model}{seed}{date}",
        ),
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
        st.integers(0, 3),
        st.sampled_from(["FINISHED", "FINISHED", "FAILED", "RUNNING"]),
        st.sampled_from(["h1", "h2"]),
        score,
        st.integers(1, 3),
        st.floats(0, 100),
    )
    return st.lists(small, max_size=20)


# --- CSV


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(data=st.data())
def test_csv_gives_back_exactly_what_was_written(tmp_path: Path, data: st.DataObject) -> None:
    kinds = {"status": st.sampled_from(["FINISHED", "FAILED"]), "direction": st.sampled_from(["min", "max"])}
    by_type = {str: texts, int: counts, float: floats}
    one = st.builds(Row, **{name: kinds[name] if name in kinds else by_type[type(getattr(PLAIN, name))] for name in columns()})
    rows = data.draw(st.lists(one, max_size=4))
    path = tmp_path / "rows.csv"
    write_csv(rows, path)
    assert sorted(map(repr, map(astuple, read_csv(path)))) == sorted(map(repr, map(astuple, rows)))
    first = path.read_bytes()
    write_csv(read_csv(path), path)
    assert path.read_bytes() == first
    write_csv(rows[::-1], path)
    assert path.read_bytes() == first
    with path.open(newline="", encoding="utf-8") as file:
        for cells in list(csv.reader(file))[1:]:
            text = [cell for name, cell in zip(columns(), cells, strict=True) if isinstance(getattr(PLAIN, name), str)]
            assert not [cell for cell in text if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


def test_csv_columns_and_numbers_are_raw(tmp_path: Path) -> None:
    write_csv([row(score=np.float64(0.1) + np.float64(0.2), train_time_s=math.inf)], tmp_path / "new" / "rows.csv")  # type: ignore[arg-type]
    head, line = (tmp_path / "new" / "rows.csv").read_text().splitlines()
    assert head == ",".join(columns())
    assert ",0.30000000000000004,1234567,1000,inf," in line
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["rows.csv"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    write_csv([PLAIN], path)
    before = path.read_bytes()

    def full_disk(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_csv([PLAIN, PLAIN], path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["rows.csv"]


def test_text_that_utf8_cannot_hold_does_not_stop_the_csv(tmp_path: Path) -> None:
    write_csv([replace(PLAIN, reason="\udcff")], tmp_path / "rows.csv")
    assert read_csv(tmp_path / "rows.csv")[0].reason == "\\udcff"


def test_a_csv_without_a_later_column_reads_with_its_default(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_csv([replace(PLAIN, seeds_together=5, track="seconds=10", operations=7, latency_ms=0.5)], path)
    (read,) = read_csv(path)
    assert (read.seeds_together, read.track, read.operations, read.latency_ms) == (5, "seconds=10", 7, 0.5)
    path.write_text("".join(line.rsplit(",", 4)[0] + "\n" for line in path.read_text().splitlines()))
    assert "seeds_together" not in path.read_text()
    (read,) = read_csv(path)
    assert repr(read) == repr(PLAIN)  # a NaN equals nothing
    (summary,) = summarise([read])
    assert math.isnan(summary.operations)
    assert math.isnan(summary.latency_ms)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "line 1: column 'run_id' is missing"),
        (lambda text: text.replace("model_key", "model_kee"), "line 2: column 'model_key' is missing"),
        (lambda text: text.replace("1234567", "many"), "line 2: column 'num_parameters' must be int, got 'many'"),
        (lambda text: text.replace(",max,", ",up,"), "line 2: column 'direction' must be one of min, max, got 'up'"),
        (lambda text: text.replace("FINISHED", "DONE"), "line 2: column 'status' must be one of"),
        (lambda text: text.rsplit(",", 1)[0] + "\n", f"line 2: must have {len(columns())} cells, got {len(columns()) - 1}"),
        (lambda text: text + '"', "line 3: unexpected end of data"),
    ],
)
def test_a_broken_csv_is_told_by_line(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "rows.csv"
    write_csv([PLAIN], path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InvalidInput, match=re.escape(message)):
        read_csv(path)


def test_a_csv_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("missing", "binary"):
        with pytest.raises(InvalidInput, match=f"{name} must be a readable UTF-8 file"):
            read_csv(tmp_path / name)


def test_a_csv_saved_by_a_spreadsheet_reads(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_csv([PLAIN], path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert list(map(repr, read_csv(path))) == [repr(PLAIN)]


# --- latest


def test_latest_prefers_finished_then_newest() -> None:
    old, new = row(date="2026-11-01T23:00:00+00:00", run_id="old"), row(date="2026-11-02T00:30:00Z", run_id="new")
    east = row(date="2026-11-02T02:00:00+02:00", run_id="east")  # midnight in UTC: before `new`
    broken = failed("bspline", date="2026-12-01T00:00:00+00:00")
    running = row(status="RUNNING", date="2027-01-01T00:00:00+00:00")
    assert latest([new, broken, old, running, east]) == [new]
    assert latest([running, broken]) == [broken]
    assert latest([row(date="yesterday"), old]) == [old]
    assert len(latest([row(seed=0), row(seed=1)])) == 2


# --- summarise


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
@settings(deadline=None)
def test_the_interval_is_scipys(scores: list[float]) -> None:
    (summary,) = summarise([row(seed=seed, score=score) for seed, score in enumerate(scores)])
    assert summary.n == len(scores)
    assert summary.mean == pytest.approx(np.mean(scores), rel=1e-9, abs=1e-9)
    error = float(np.std(scores, ddof=1) / math.sqrt(len(scores)))
    if error > 1e-6:
        low, high = scipy.stats.t.interval(0.95, len(scores) - 1, loc=np.mean(scores), scale=error)
        assert (summary.low, summary.high) == pytest.approx((low, high), rel=1e-9, abs=1e-6 * error)
        assert summary.half == pytest.approx((high - low) / 2, rel=1e-6)


def test_the_interval_by_hand() -> None:
    (summary,) = summarise([row(seed=seed, score=score) for seed, score in enumerate([1.0, 2.0, 3.0])])
    assert summary.half == pytest.approx(4.302652729911275 / math.sqrt(3))  # t(0.975, 2), standard deviation 1
    (single,) = summarise([row(score=0.5)])
    assert single.mean == single.best == single.worst == 0.5
    assert math.isnan(single.low)
    assert math.isnan(single.high)


def test_failed_seeds_are_counted_and_explained() -> None:
    rows = [row(seed=2, score=0.8), row(seed=0, score=0.6), failed("bspline", 1), failed("bspline", 3), row(seed=4, score=math.inf)]
    rows.append(failed("bspline", 5, status="KILLED", reason=""))
    (summary,) = summarise(rows)
    assert (summary.n, summary.failed, summary.seeds, summary.failed_seeds) == (2, 4, (0, 2), (1, 3, 4, 5))
    assert summary.reasons == ("loss became nan", "score is inf", "killed")
    assert summary.mean == pytest.approx(0.7)
    assert (summary.best, summary.worst) == (0.8, 0.6)
    assert summary.run_ids[:2] == ("digits-bspline-0", "digits-bspline-2")
    (lower,) = summarise([row(seed=0, score=0.1, direction="min"), row(seed=1, score=0.2, direction="min")])
    assert (lower.best, lower.worst) == (0.1, 0.2)


def test_times_of_two_machines_are_never_mixed() -> None:
    rows = [row(seed=seed, score=seed, train_time_s=10.0 * (seed + 1), hardware="fast" if seed < 2 else "slow") for seed in range(3)]
    (summary,) = summarise(rows)
    assert summary.n == 3
    assert summary.mean == 1
    assert (summary.hardware, summary.timed, summary.train_time_s) == ("fast", 2, 15.0)


def test_configurations_with_one_label_are_not_averaged() -> None:
    rows = [row(score=0.5), row(score=0.7, model_key="other-key", config_hash="other")]
    assert sorted(summary.mean for summary in summarise(rows)) == [0.5, 0.7]
    text = render_markdown(rows)
    assert "bspline · other-ke" in text
    (standing,) = overall(rank(summarise(rows)))
    assert (standing.mean_rank, standing.tasks) == (1, 1)


def test_rows_that_disagree_on_the_direction_are_refused() -> None:
    with pytest.raises(InvalidInput, match="must share score_name and direction"):
        summarise([row("a"), row("b", direction="min")])


# --- rank and overall


@pytest.mark.parametrize(("direction", "order"), [("max", "bdac"), ("min", "cadb")])
def test_ranks_by_hand(direction: str, order: str) -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.1, "d": 0.9 if direction == "max" else 0.5}
    rows = [row(model, score=score, direction=direction) for model, score in scores.items()]
    (ranking,) = rank(summarise([*rows, failed("z", direction=direction), failed("y", direction=direction)])).values()
    assert "".join(one.summary.model for one in ranking) == ("bdac" if direction == "max" else "cadb") + "yz"
    assert [one.rank for one in ranking] == ([1, 1, 3, 4, 5, 5] if direction == "max" else [1, 2, 2, 4, 5, 5])
    assert order in "".join(one.summary.model for one in ranking)


@given(rows_of(st.sampled_from([0.0, 0.5, 1.0, math.nan])), st.randoms())
@settings(deadline=None)
def test_nothing_depends_on_the_order_of_rows(rows: list[Row], dice: random.Random) -> None:
    shuffled = dice.sample(rows, len(rows))
    assert repr(rank(summarise(rows))) == repr(rank(summarise(shuffled)))
    assert repr(overall(rank(summarise(rows)))) == repr(overall(rank(summarise(shuffled))))
    assert render_markdown(rows) == render_markdown(shuffled)


def test_equal_accuracies_share_a_rank_though_float32_tells_them_apart() -> None:
    (ranking,) = rank(summarise([row("a", score=0.97307336330), row("b", score=0.97307334343), row("c", score=0.9731)])).values()
    ranks = {one.summary.model: one.rank for one in ranking}
    assert ranks["a"] == ranks["b"] != ranks["c"]


@given(rows_of(st.floats(-10, 10)))
@settings(deadline=None)
def test_a_rank_counts_the_better_ones(rows: list[Row]) -> None:
    for ranking in rank(summarise(rows)).values():
        ok = [one for one in ranking if one.summary.n]
        assert ranking[: len(ok)] == ok
        for one in ok:
            sign = 1 if one.summary.direction == "max" else -1
            mine = float(f"{one.summary.mean:.6g}")
            assert one.rank == 1 + sum(sign * float(f"{other.summary.mean:.6g}") > sign * mine for other in ok)
        assert all(one.rank == len(ok) + 1 for one in ranking[len(ok) :])


def test_overall_by_hand() -> None:
    rows = [row("a", score=3, task="t1"), row("b", score=2, task="t1"), failed("c", task="t1")]
    rows += [row("a", score=1, task="t2"), row("b", score=2, task="t2"), row("d", score=2, task="t2")]
    found = {one.model: (one.rank, one.mean_rank, one.tasks, one.wins, one.failed) for one in overall(rank(summarise(rows)))}
    assert found == {"b": (1, 1.75, 2, 1, 0), "a": (2, 2, 2, 1, 0), "d": (3, 1.5, 1, 1, 0), "c": (4, 3, 1, 0, 1)}
    assert list(found) == ["b", "a", "d", "c"]  # those that ran on all tasks first


def test_what_is_compared_overall_is_the_largest_full_table() -> None:
    rows = [row(model, score=score, task=task) for task in ("t1", "t2", "t3") for score, model in enumerate("abc")]
    rows += [row(model, score=9, task="t1") for model in "def"] + [row(model, score=9, task="t4") for model in "ab"]
    shared = common(rank(summarise(rows)))
    assert [[one.summary.model for one in group] for group in shared.values()] == 3 * [["c", "b", "a"]]
    assert [(one.model, one.mean_rank, one.wins) for one in overall(shared)] == [("c", 1, 3), ("b", 2, 0), ("a", 3, 0)]
    assert "Over t1, t2, t3." in render_markdown(rows)


def test_tasks_that_share_no_two_models_are_not_compared() -> None:
    rows = [row("a", task="t1"), row("b", task="t1"), row("a", task="t2"), row("c", task="t2")]
    assert common(rank(summarise(rows))) == common({}) == {}
    assert "Overall" not in render_markdown(rows)


def test_the_baselines_of_all_networks_are_one_model_overall() -> None:
    rows = [row("a", score=3, task="t1"), row("mlp", score=2, task="t1", basis=""), row("mlp(width=8)", score=1, task="t1", basis="")]
    rows += [row("a", score=3, task="t2"), row("cnn", score=2, task="t2", basis=""), row("cnn(width=8)", score=1, task="t2", basis="")]
    found = [(one.model, one.mean_rank, one.tasks) for one in overall(rank(summarise(rows)))]
    assert found == [("a", 1, 2), ("baseline", 2, 2), ("baseline(width=8)", 3, 2)]


def test_a_control_of_all_networks_is_one_model_beside_the_baseline() -> None:
    rows = [row(f"{net}{kind}", score=score, task=net, basis="") for net in ("mlp", "cnn") for score, kind in ((2, ""), (1, "[siren]"))]
    found = [(one.model, one.tasks) for one in overall(rank(summarise(rows)))]
    assert found == [("baseline", 2), ("baseline[siren]", 2)]


# --- tracks


def on(track: str, rows: list[Row], **changes: Any) -> list[Row]:
    """The same experiments by the rules of another track."""
    return [
        replace(one, track=track, **{key: f"{getattr(one, key)}/{track}" for key in ("model_key", "config_hash", "run_id")}, **changes)
        for one in rows
    ]


def test_scores_of_two_tracks_are_never_ranked_together() -> None:
    rows = [row("a", score=0.5), row("b", score=0.6), *on("parameters=5000", [row("a", score=0.9), row("b", score=0.8)])]
    ranking = rank(summarise(rows))
    assert [(board.track, [one.summary.model for one in group]) for board, group in ranking.items()] == [
        ("default", ["b", "a"]),
        ("parameters=5000", ["a", "b"]),
    ]
    assert all(one.summary.board == board for board, group in ranking.items() for one in group)
    same_key = [replace(one, model_key="m", config_hash=one.run_id) for one in rows if one.model == "a"]
    assert sorted(one.mean for one in summarise(same_key)) == [0.5, 0.9]


def test_overall_is_within_one_kind_of_track() -> None:
    rows = [row(model, score=score, task=task) for task in ("t1", "t2") for model, score in (("a", 2), ("b", 1))]
    rows += on("seconds=10", [row("a", score=1), row("b", score=2)]) + on("seconds=60", [row("a", score=1), row("b", score=2)])
    kinds = by_kind(rank(summarise(rows)))
    assert {kind: len(boards) for kind, boards in kinds.items()} == {"default": 2, "matched time": 2}
    assert {kind: overall(boards)[0].model for kind, boards in kinds.items()} == {"default": "a", "matched time": "b"}
    text = render_markdown(rows)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## digits, 10 s of training",
        "## digits, 60 s of training",
        "## t1",
        "## t2",
        "## Overall",
        "## Overall, matched time",
    ]


def test_tracks_in_words_and_in_order() -> None:
    tracks = ["trials=12", "parameters=20000", "seconds=2.5", "parameters=5000, trials=1", "default", "parameters=5000", "new=3"]
    assert sorted(tracks, key=track_order) == [
        "default", "parameters=5000", "parameters=20000", "seconds=2.5", "trials=12", "new=3", "parameters=5000, trials=1",
    ]  # fmt: skip
    assert [track_words(track) for track in tracks] == [
        "tuned by 12 trials", "20,000 parameters", "2.5 s of training", "5,000 parameters, tuned by 1 trial",
        "", "5,000 parameters", "new=3",
    ]  # fmt: skip
    assert track_kind("parameters=5000, trials=1") == "matched parameters, tuned"
    assert track_kind("parameters=5000") == track_kind("parameters=20000") != track_kind("default")


@given(texts, texts)
@example("0", "0=")  # no value, and an empty one
def test_any_text_may_be_a_track(one: str, other: str) -> None:
    assert sorted([one, other], key=track_order) == sorted([other, one], key=track_order)
    title = _md(", ".join(filter(None, ("digits", track_words(one)))))
    assert title in render_markdown([row(track=one)]) or "?" in render_markdown([row(track=one)])


def test_operations_and_latency_are_columns_where_they_are_known() -> None:
    rows = [row("a", operations=12_345, latency_ms=0.5, hardware="h1"), row("b", hardware="h2")]
    text = render_markdown(rows)
    assert "| parameters | operations | training | step | latency | memory |" in text
    assert "| 12.3 k | 12.3 s | 1.50 ms | 0.500 ms | 100 MB |" in text
    assert "| – | 12.3 s † | 1.50 ms † | – † | 100 MB † |" in text
    (summary,) = summarise([row(seed=seed, score=1.0, latency_ms=seed + 1.0, hardware=f"h{seed // 2}") for seed in range(3)])
    assert summary.latency_ms == 1.5, "over the runs on the machine that most used"
    assert "latency" not in render_markdown([row()])


# --- pareto


@given(
    st.lists(st.tuples(*[st.one_of(st.integers(0, 5).map(float), st.just(math.nan), st.just(math.inf))] * 2)),
    st.sampled_from(["min", "max"]),
)
def test_pareto_against_all_pairs(points: list[tuple[float, float]], direction: Any) -> None:
    sign = 1 if direction == "min" else -1
    known = {index: (cost, sign * score) for index, (cost, score) in enumerate(points) if not math.isnan(cost + score)}
    front = {
        index
        for index, (cost, loss) in known.items()
        if not any(other[0] <= cost and other[1] <= loss and other != (cost, loss) for other in known.values())
    }
    found = pareto(points, direction)
    assert set(found) == front
    assert [points[index][0] for index in found] == sorted(points[index][0] for index in found)


# --- Markdown


def test_markdown_formats() -> None:
    rows = [
        row("a", 0, 0.97),
        row("a", 1, 0.98),
        row("b", 0, 0.5, num_parameters=999),
        failed("c", reason="out of\nmemory | x", num_parameters=0),
    ]
    rows += [row("a", score=1.2345e-5, task="fit", score_name="rmse", direction="min", train_time_s=math.nan, hardware="h2")]
    rows += [row("b", score=0.5, task="fit", score_name="rmse", direction="min", hardware="h2")]
    text = render_markdown(rows)
    assert "| 1 | a | 97.50 ± 6.35 % | 2 | 1\u202f234\u202f567 | 12.3 s | 1.50 ms | 100 MB |" in text
    assert "| 2 | b | 50.00 % | 1 | 999 |" in text
    assert "| – | c | FAILED: out of memory &#124; x | 0 of 1 | – | – | – | – |" in text
    assert "| 1 | a | 1.23e-5 | 1 | 1\u202f234\u202f567 | – | 1.50 ms | 100 MB |" in text
    assert "## Overall" in text
    assert "6 runs: kanzoo 0.1.0, torch 2.14.1." in text
    assert "A processor, 2 threads (h1); A processor, 2 threads (h2)." in text
    assert "… and 2 more." in render_markdown(rows, limit=1)
    assert render_markdown([]) == "No results yet.\n"
    assert render_markdown([row(status="RUNNING")]) == "No results yet.\n"


def test_times_of_seeds_trained_at_once_are_kept_apart() -> None:
    rows = [row(seed=seed, score=seed, train_time_s=8.0 if seed else 1.0, seeds_together=1 if seed else 10) for seed in range(3)]
    (summary,) = summarise(rows)
    assert (summary.hardware, summary.timed, summary.train_time_s) == ("h1", 2, 8.0)
    (summary,) = summarise([row(seed=seed, seeds_together=10) for seed in range(3)])
    assert summary.hardware == "h1, 10 seeds at once"


def test_other_hardware_is_marked() -> None:
    rows = [row("a"), row("b"), row("c", hardware="h2", train_time_s=1.0)]
    assert re.findall(r"\| \d \| (\w) \|[^\n]* s † \|", render_markdown(rows)) == ["c"]
    (chart,) = data_of(render_html(rows))
    assert [point["x"]["time"] for point in chart["points"]] == [12.34, 12.34, None]


@given(texts.filter(lambda text: text.strip() and not re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text)))
@settings(deadline=None)
def test_markdown_shows_foreign_text_as_it_is(text: str) -> None:
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse(render_markdown([row(f"x{text}", task=f"x{text}")]))
    inline = [token for token in tokens if token.type == "inline"]
    shown = re.sub(r"\s+", " ", f"x{text}").strip()
    assert plain(inline[0]) == shown
    cells = [token for before, token in pairwise(tokens) if before.type == "td_open"]
    assert len(cells) == 8  # nobody knows operations and latency: no columns for them
    assert plain(cells[1]) == shown


def plain(token: Any) -> str:
    assert {child.type for child in token.children} <= {"text", "text_special"}, token
    return "".join(child.content for child in token.children)


# --- HTML


class Skeleton(HTMLParser):
    """The tags and attribute names of a page, and the text of its title, without the contents."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))


def data_of(page: str) -> Any:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]


@given(
    texts.filter(str.strip),
    st.sampled_from(["", "<b>", '"><img src=x onerror=alert(1)>', "</script><script>alert(1)</script>", "{{ 7 * 7 }}", "<!--", "]]>"]),
)
@settings(deadline=None, max_examples=60)
def test_html_never_holds_foreign_markup(text: str, attack: str) -> None:
    evil = f"{attack}{text}{attack}"
    names = ("task", "model", "reason", "command", "cpu", "hardware", "kanzoo", "torch", "run_id", "score_name")

    def page(word: str) -> str:
        rows = [row("m", 0), row("m", 1), failed("n"), row("o")]
        return render_html([replace(one, **dict.fromkeys(names, word)) for one in rows])

    html = page(evil)
    assert Skeleton(html).tags == Skeleton(page("benign")).tags
    assert not attack.startswith("<") or attack not in html
    assert data_of(html)[0]["points"][0]["model"].startswith(evil)
    assert not re.search("[\u2028\u2029]", re.search("<script type.*?</script>", html, re.DOTALL)[0])  # type: ignore[index]


def test_html_is_deterministic_self_contained_and_small() -> None:
    rows = [row(model, seed, 0.5 + 0.01 * seed, task) for task in ("t1", "t2") for model in "abc" for seed in (0, 1)] + [
        failed("z", task="t1")
    ]
    html = render_html(rows)
    assert html == render_html(rows[::-1])
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:,)|url\(|@import|fetch\(|XMLHttpRequest", html)
    assert re.findall(r"https?://[^\"]+", html) == ["http://www.w3.org/2000/svg"]
    assert len(render_html([]).encode()) < 30_000
    assert "How this was measured" in html
    assert html.count("FAILED") == 1
    assert "loss became nan" in html


def test_five_thousand_rows_make_a_page_of_few_megabytes() -> None:
    commands = {"command": "kanzoo run digits_dense basis.name=gaussian_rbf basis.grid_size=12 trainer.max_epochs=200 model.residual=none"}
    rows = [
        row(f"gaussian_rbf(grid_size={model})", seed, 0.9 + 0.001 * seed, f"task {task}", operations=10**6, latency_ms=0.1, **commands)
        for task in range(50)
        for model in range(20)
        for seed in range(5)
    ]
    assert len(rows) == 5000
    assert len(render_html(rows).encode()) < 6_000_000


def test_charts_use_a_logarithmic_axis_only_for_wide_errors() -> None:
    def log(*scores: float, direction: str = "min") -> bool:
        rows = [row(str(index), score=score, direction=direction) for index, score in enumerate(scores)]
        return bool(data_of(render_html(rows))[0]["log"])

    assert log(1e-4, 1e-1)
    assert not log(1e-2, 1e-1)
    assert not log(0.0, 1e-1, 1e3)
    assert not log(1e-4, 1.0, direction="max")


def test_the_front_is_in_the_data() -> None:
    rows = [row("small", score=0.8, num_parameters=10), row("big", score=0.9, num_parameters=20), row("bad", score=0.7, num_parameters=30)]
    (chart,) = data_of(render_html(rows))
    assert {point["model"]: "size" in point["front"] for point in chart["points"]} == {"small": True, "big": True, "bad": False}
    assert {point["model"]: "time" in point["front"] for point in chart["points"]} == {"small": False, "big": True, "bad": False}
    assert all(point["x"]["operations"] is point["x"]["latency"] is None for point in chart["points"]), "unknown"
    rows = [replace(one, operations=cost, latency_ms=cost / 7, peak_memory_mb=cost) for one, cost in zip(rows, (30, 20, 10), strict=True)]
    (chart,) = data_of(render_html(rows))
    for cost in ("operations", "latency", "memory"):
        assert {point["model"]: cost in point["front"] for point in chart["points"]} == {"small": False, "big": True, "bad": True}


def test_winners_are_one_row_a_task() -> None:
    rows = [row("bspline", score=0.9), row("fourier", score=0.8), row("mlp", score=0.85, basis="")]
    rows += [row("jacobi", score=0.5, task="cora")]
    rows += [row("gcn", score=0.5, task="tied", basis=""), row("jacobi", score=0.5, task="tied")]
    text = render_winners(rows)
    assert "| digits | accuracy, higher is better | **bspline** | 90.00 % | mlp | 85.00 % | +5.00 % | 3 × 1 |" in text
    assert "| cora | accuracy, higher is better | **jacobi** | 50.00 % | – |  |  | 1 × 1 |" in text
    assert "| tied | accuracy, higher is better | **jacobi** | 50.00 % | **gcn** | 50.00 % | +0.00 % | 2 × 1 |" in text
    tracked = render_winners([*rows, *on("parameters=5000", rows)])
    assert tracked.splitlines()[:5] == text.splitlines()[:5]
    assert "The leaderboard has the tracks matched parameters too." in tracked
    assert render_winners([]) == "No results yet.\n"


def test_winners_of_few_seeds_are_counted_where_others_have_five() -> None:
    rows = [
        row(model, seed, score + seed / 100, basis=basis)
        for model, score, basis in (("a", 0.9, "a"), ("mlp", 0.5, ""))
        for seed in range(5)
    ]
    text = render_winners([*rows, row("a", task="cora")])
    assert "| digits | accuracy, higher is better | **a** | 92.00 ± 1.96 % | mlp | 52.00 ± 1.96 % | +40.00 %, p < 0.001 ▲ | 2 × 5 |" in text
    assert "| cora |" not in text
    assert "The leaderboard has 1 more task with fewer seeds too." in text
