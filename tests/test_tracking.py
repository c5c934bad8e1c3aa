"""The store of runs: opening it in every state, what is written and read back, and what becomes of the dead."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import zlib
from base64 import b64decode
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run

from kanzoo import tracking
from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import render_markdown
from kanzoo.publish import _fitting, publish
from kanzoo.record import Row
from kanzoo.saved_view import shared_view
from kanzoo.tracking import EXPERIMENT_TAG, RUN_TAG, Recorder, Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

ROW = Row(
    run_id="",
    experiment="e",
    task="t",
    task_key="tk",
    model="m",
    model_key="mk",
    basis="chebyshev",
    plugin="kanzoo 0.1",
    seed=0,
    status="FINISHED",
    reason="",
    score_name="rmse",
    direction="min",
    score=1 / 3,
    num_parameters=7,
    num_coefficients=6,
    train_time_s=0.1,
    step_time_ms=1e-3,
    peak_memory_mb=5.5,
    epochs=2,
    hardware="abcd1234",
    cpu="a CPU",
    threads=1,
    torch="2.14",
    kanzoo="0.1",
    config_hash="hash",
    date="2026-11-01T00:00:00+00:00",
    command="kanzoo run 'x'",
    operations=12,
    latency_ms=0.25,
)


@pytest.fixture
def tracker(uri: str) -> Tracker:
    return Tracker(uri)


def start(tracker: Tracker, experiment: str = "e", *, key: str = "hash", kind: str = "cell", **tags: str) -> Recorder:
    return tracker.start(experiment, "run", key=key, kind=kind, tags={"kanzoo.cell": key, **tags})


def in_background(code: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


# --- opening


@pytest.mark.slow
def test_new_database_is_made_with_its_folder_and_stays_open_to_many(tmp_path: Path, empty_store: Path) -> None:
    tracker = Tracker(f"sqlite:///{tmp_path}/not/there/mlflow.db")
    assert (tmp_path / "not" / "there" / "mlflow.db").is_file()
    assert tracker.rows() == []
    with closing(sqlite3.connect(tmp_path / "not" / "there" / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert [path.name for path in empty_store.parent.glob("*.db")] == ["mlflow.db"]  # nothing was copied


def test_existing_database_keeps_what_it_holds(uri: str) -> None:
    with start(Tracker(uri)) as recorder:
        recorder.row(ROW)
        recorder.close("FINISHED")
    assert [row.score for row in Tracker(uri).rows("e")] == [1 / 3]


@pytest.mark.slow
def test_eight_processes_open_a_missing_database_at_once(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from kanzoo.tracking import Tracker
folder = Path(sys.argv[1])
children = []
for index in range(8):  # forked, since importing MLflow eight times takes longest; nothing is open yet
    child = os.fork()
    if child == 0:
        (folder / f"ready{index}").touch()
        while len(list(folder.glob("ready*"))) < 8:
            time.sleep(0.01)
        recorder = Tracker(f"sqlite:///{folder}/mlflow.db").start("e", "run", key=str(index), kind="cell", tags={})
        recorder.log({"loss": 1.0})
        recorder.close("FINISHED")
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    client = Tracker(f"sqlite:///{tmp_path}/mlflow.db").client
    assert len([experiment for experiment in client.search_experiments() if experiment.name == "e"]) == 1
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert [(run.info.status, run.data.metrics) for run in runs] == [("FINISHED", {"loss": 1.0})] * 8


@pytest.mark.slow
def test_database_of_an_older_schema_is_copied_and_then_migrated(tmp_path: Path) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    database = tmp_path / "mlflow.db"
    config = _get_alembic_config(f"sqlite:///{database}")
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    newest_table = next(one for one in revisions if "create_table" in Path(one.path).read_text(encoding="utf-8"))
    old = newest_table.down_revision
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, old)
        connection.execute(
            sqlalchemy.text("INSERT INTO experiments (name, artifact_location, lifecycle_stage) VALUES ('kept', '', 'active')")
        )
    engine.dispose()

    assert Tracker(f"sqlite:///{database}").client.get_experiment_by_name("kept")
    with closing(sqlite3.connect(tmp_path / f"mlflow.{old}.db")) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (old,)
        assert copy.execute("SELECT name FROM experiments WHERE name = 'kept'").fetchone() == ("kept",)
    with closing(sqlite3.connect(database)) as migrated:
        assert migrated.execute("SELECT version_num FROM alembic_version").fetchone() != (old,)


@pytest.mark.parametrize("revision", ["1971f2d9a75b", "0123456789ab"], ids=["older", "unknown"])
def test_database_of_another_schema_is_copied_even_when_it_does_not_open(uri: str, tmp_path: Path, revision: str) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'kept', 'active')")
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.commit()
    with pytest.raises(InvalidInput, match="must be a store that opens"):
        Tracker(uri)
    copy = tmp_path / f"mlflow.{revision}.db"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM experiments WHERE experiment_id = 7").fetchone() == ("kept",)
    before = copy.read_bytes()
    with pytest.raises(InvalidInput):
        Tracker(uri)
    assert copy.read_bytes() == before  # the first copy is the good one
    assert not list(tmp_path.glob("*.partial"))


def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("my notes\n" * 500)
    with pytest.raises(InvalidInput, match="must be a store that opens, got DatabaseError"):
        Tracker(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").read_text() == "my notes\n" * 500


@pytest.mark.slow
def test_dead_server_is_refused_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=r"tracking URI 'http://127\.0\.0\.1:9' must be a store that opens"):
        Tracker("http://127.0.0.1:9")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("uri", ["nonsense://x", "sqlite:////proc/nothing/mlflow.db"])
def test_uri_that_cannot_be_opened_is_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(InvalidInput, match="must be a store that opens"):
        Tracker(uri)


def test_default_store_lies_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking.default_uri() == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    assert tracking.default_uri() == "http://elsewhere"


def test_telemetry_is_off_and_a_dead_server_is_not_waited_for() -> None:
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 2
    from mlflow.telemetry.client import get_telemetry_client

    assert get_telemetry_client() is None


@pytest.mark.slow
def test_telemetry_is_off_whatever_the_environment_says() -> None:
    code = "import kanzoo.tracking; from mlflow.telemetry.client import get_telemetry_client; assert get_telemetry_client() is None"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "false"}, timeout=60, check=True)


# --- writing and reading


def test_metrics_are_buffered_and_none_is_lost(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    log_batch = mlflow.MlflowClient.log_batch
    monkeypatch.setattr(
        mlflow.MlflowClient, "log_batch", lambda self, run, **k: (sizes.append(len(k.get("metrics", []))), log_batch(self, run, **k))
    )
    with start(tracker) as recorder:
        for step in range(250):
            recorder.log({"train/loss": step / 2, "validation/rmse": float("nan")}, step)
        recorder.close("FINISHED")
    assert sum(sizes) == 500
    assert len(sizes) == 3
    history = tracker.client.get_metric_history(recorder.run_id, "train/loss")
    assert sorted((point.step, point.value) for point in history) == [(step, step / 2) for step in range(250)]
    assert len(tracker.client.get_metric_history(recorder.run_id, "validation/rmse")) == 250


def test_curves_grow_while_a_slow_run_goes_on(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(tracker) as recorder:
        recorder.log({"loss": 1.0}, 0)
        assert tracker.client.get_metric_history(recorder.run_id, "loss") == []
        clock = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 60)
        recorder.log({"loss": 0.5}, 1)
        assert [point.value for point in tracker.client.get_metric_history(recorder.run_id, "loss")] == [1.0, 0.5]
        recorder.close("FINISHED")


def test_metrics_in_the_buffer_survive_a_failure(tracker: Tracker) -> None:
    recorder = start(tracker)

    def work() -> None:
        with recorder:
            recorder.log({"loss": 1.0})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    run = tracker.run(recorder.run_id)
    assert (run.info.status, run.data.metrics) == ("FAILED", {"loss": 1.0})


def test_rows_come_back_exactly(tracker: Tracker) -> None:
    rows = [
        replace(ROW, config_hash="a", score=0.1 + 0.2, reason="", command="kanzoo run '\"ü' x=1", date="2026-11-01T00:00:02+00:00"),
        replace(
            ROW, config_hash="b", score=float("inf"), status="FAILED", reason="<b> | ' \" \\ \t 漢字", date="2026-11-01T00:00:01+00:00"
        ),
        replace(ROW, config_hash="c", command="x" * 6000, date="2026-11-01T00:00:03+00:00"),
    ]
    written = []
    for row in rows:
        with start(tracker, key=row.config_hash) as recorder:
            recorder.row(row)
            recorder.close(row.status)
            written.append(replace(row, run_id=recorder.run_id))
    assert tracker.rows() == [written[1], written[0], written[2]]  # the oldest first
    assert tracker.rows("e") == tracker.rows()
    assert tracker.rows("other") == []
    assert tracker.finished() == {"a": written[0], "c": written[2]}
    assert tracker.finished_row("a") == written[0]
    assert tracker.finished_row("b") is None
    assert tracker.experiments() == ["e"]


def test_status_of_mlflow_wins_over_the_row(tracker: Tracker) -> None:
    with start(tracker) as recorder:
        recorder.row(ROW)
        recorder.close("FAILED")
    assert [row.status for row in tracker.rows()] == ["FAILED"]


def test_run_with_a_damaged_row_is_left_out(tracker: Tracker) -> None:
    with start(tracker) as recorder:
        recorder.tags({"kanzoo.row": '{"score": 1'})
        recorder.close("FINISHED")
    assert tracker.rows() == []


def test_artifact_comes_back_and_a_changed_byte_is_refused(tracker: Tracker, tmp_path: Path) -> None:
    with start(tracker) as recorder:
        recorder.artifact("weights.bin", b"\x00\x01\x02")
        recorder.close("FINISHED")
    target = tmp_path / "target"
    target.mkdir()
    assert tracker.artifact(recorder.run_id, "weights.bin", target).read_bytes() == b"\x00\x01\x02"
    (stored,) = (tmp_path / "artifacts").rglob("weights.bin")
    stored.write_bytes(b"\x00\x01\x03")
    with pytest.raises(InvalidInput, match="must have the recorded sha256"):
        tracker.artifact(recorder.run_id, "weights.bin", target)
    stored.unlink()
    with pytest.raises(InvalidInput, match=r"must have the artifact 'weights\.bin'"):
        tracker.artifact(recorder.run_id, "weights.bin", target)


def test_artifact_without_a_recorded_sha256_is_refused(tracker: Tracker, tmp_path: Path) -> None:
    with start(tracker) as recorder:
        recorder.close("FINISHED")
    (tmp_path / "planted.bin").write_bytes(b"x")
    tracker.client.log_artifact(recorder.run_id, str(tmp_path / "planted.bin"))
    with pytest.raises(InvalidInput, match="must have the recorded sha256 None"):
        tracker.artifact(recorder.run_id, "planted.bin", tmp_path)


@pytest.mark.parametrize(
    "name", ["a/b", "<script>alert(1)</script>", "../../x", "..", ".", "%2e%2e", "a b", "ä", "x" * 300, "plain-name_1"]
)
def test_artifacts_stay_inside_their_folder_whatever_the_experiment_is_called(tracker: Tracker, tmp_path: Path, name: str) -> None:
    with start(tracker, name) as recorder:
        recorder.artifact("note.txt", "text")
        recorder.close("FINISHED")
    (written,) = tmp_path.rglob("note.txt")
    assert written.resolve().relative_to(tmp_path / "artifacts").parts[1:] == (recorder.run_id, "artifacts", "note.txt")
    target = tmp_path / "target"
    target.mkdir()
    assert tracker.artifact(recorder.run_id, "note.txt", target).read_text() == "text"


def test_experiments_with_names_alike_do_not_share_a_folder(tracker: Tracker) -> None:
    locations = {tracker.client.get_experiment(tracker.experiment_id(name)).artifact_location for name in ("a/b", "a_b", "a b", "a.b")}
    assert len(locations) == 4


def test_deleted_experiment_is_restored(tracker: Tracker) -> None:
    with start(tracker) as recorder:
        recorder.row(ROW)
        recorder.close("FINISHED")
    tracker.client.delete_experiment(tracker.experiment_id("e"))
    assert tracker.rows() == []
    assert tracker.client.get_experiment(tracker.experiment_id("e")).lifecycle_stage == "active"
    assert len(tracker.rows()) == 1


def test_unknown_run_is_refused(tracker: Tracker) -> None:
    with pytest.raises(InvalidInput, match="unknown run 'x'"):
        tracker.run("x")


# --- the dead


@pytest.mark.slow
def test_sweep_marks_the_dead_and_leaves_the_living(tracker: Tracker, uri: str) -> None:
    code = """
import json, sys, time
from kanzoo.tracking import Tracker
tracker = Tracker(sys.argv[1])
with tracker.claim(sys.argv[2]) as free:
    assert free
    recorder = tracker.start("e", "run", key=sys.argv[2], kind="cell", tags={"kanzoo.cell": sys.argv[2]})
    recorder.tags({"kanzoo.row": sys.argv[3]})
    print(recorder.run_id, flush=True)
    time.sleep(600)
"""
    living, dead = (
        in_background(code, uri, key, json.dumps(vars(replace(ROW, status="RUNNING", config_hash=key)))) for key in ("living", "dead")
    )
    try:
        assert living.stdout is not None
        assert dead.stdout is not None
        living_id, dead_id = living.stdout.readline().strip(), dead.stdout.readline().strip()
        assert tracker.sweep() == 0
        with tracker.claim("dead") as free:
            assert not free
        dead.kill()
        dead.wait()
        assert tracker.sweep() == 1
        assert tracker.run(living_id).info.status == "RUNNING"
        assert tracker.run(dead_id).info.status == "KILLED"
        assert "its process ended without a word" in tracker.run(dead_id).data.tags["mlflow.note.content"]
        (row,) = tracker.rows()
        assert (row.config_hash, row.status, row.reason) == (
            "dead",
            "KILLED",
            "its process ended without a word (killed, or the machine went down)",
        )
        assert tracker.sweep() == 0
    finally:
        for process in (living, dead):
            process.kill()
            process.communicate()


def test_sweep_leaves_a_run_that_ended_well_in_the_meantime(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = start(tracker)
    search = tracker._search

    def late(condition: str, experiment: str | None = None) -> list[Run]:
        found = search(condition, experiment)
        recorder.close("FINISHED")
        return found

    monkeypatch.setattr(tracker, "_search", late)
    assert tracker.sweep() == 0
    assert tracker.run(recorder.run_id).info.status == "FINISHED"


def test_sweep_leaves_runs_of_other_machines_and_other_programs(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tracker.client.create_run(tracker.experiment_id("e")).info.run_id
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "another")
        elsewhere = start(tracker).run_id
    mine = start(tracker).run_id
    assert tracker.sweep() == 1
    assert [tracker.run(run).info.status for run in (foreign, elsewhere, mine)] == ["RUNNING", "RUNNING", "KILLED"]


def test_claims_of_different_cells_do_not_meet(tracker: Tracker) -> None:
    with tracker.claim("a/b") as first, tracker.claim("a_b") as second, tracker.claim("a/b") as third:
        assert (first, second, third) == (True, True, False)


# --- what people browse


def test_experiment_gets_description_views_and_summaries(tracker: Tracker) -> None:
    parent = start(tracker, key="launch", kind="benchmark")
    rows = [
        replace(ROW, config_hash=f"{model}{seed}", model=model, model_key=model, seed=seed, score=score + seed)
        for model, score in (("good", 1.0), ("worse", 3.0))  # words that no run's id holds
        for seed in (0, 1)
    ]
    rows.append(
        replace(ROW, config_hash="f", model="lost", model_key="lost", status="FAILED", reason="RuntimeError: broke", score=float("nan"))
    )
    for _ in range(2):  # publishing again replaces
        publish(tracker, "e", parent.run_id, rows)
    experiment = tracker.client.get_experiment_by_name("e")
    description = experiment.tags["mlflow.note.content"]
    assert description.index("good") < description.index("worse") < description.index("lost")
    assert "RuntimeError: broke" in description
    views = {json.loads(value)["name"] for tag, value in experiment.tags.items() if tag.startswith("mlflow.sharedViewState.")}
    assert views == {"Ranking", "Bases", "Score and cost", "Runs: t"}
    page = f"#/experiments/{experiment.experiment_id}/runs/{parent.run_id}/artifacts/leaderboard.html"
    assert f"[Leaderboard as a page]({page})" in description
    assert f"[Ranking]({tracker.view_url('e', 'Ranking')})" in description
    summaries = tracker._search("tags.`kanzoo.kind` = 'summary'", "e")
    assert {run.data.tags["kanzoo.model"]: run.data.metrics["score"] for run in summaries} == {"good": 1.5, "worse": 3.5}
    for run in summaries:
        metrics = run.data.metrics
        assert run.data.tags["mlflow.parentRunId"] == parent.run_id
        assert run.info.status == "FINISHED"
        assert metrics["n"] == 2
        assert metrics["score_high"] - metrics["score"] == pytest.approx(12.7062 * 0.5, rel=1e-4)  # t(0.975, 1) * s / sqrt(2)
        assert metrics["score_low"] < metrics["score"]
    note = tracker.run(parent.run_id).data.tags["mlflow.note.content"]
    assert "good" in note
    assert f"[Ranking]({tracker.view_url('e', 'Ranking')})" in note


def test_views_take_the_track_into_account(tracker: Tracker) -> None:
    rows = [replace(ROW, config_hash=track, model_key=track, track=track) for track in ("default", "parameters=5000")]
    publish(tracker, "e", None, rows)
    tags = tracker.client.get_experiment_by_name("e").tags
    found = [json.loads(value) for tag, value in tags.items() if tag.startswith("mlflow.sharedViewState.")]
    states = {view["name"]: json.loads(zlib.decompress(b64decode(view["state"].removeprefix("deflate;")))) for view in found}
    assert set(states) == {"Ranking", "Bases", "Score and cost", "Runs: t", "Runs: t, 5,000 parameters"}
    assert "tags.`kanzoo.track` = 'default'" in states["Runs: t"]["searchFilter"]
    assert "tags.`kanzoo.track` = 'parameters=5000'" in states["Runs: t, 5,000 parameters"]["searchFilter"]
    keys = [{"mode": "tag", "groupByData": f"kanzoo.{name}"} for name in ("task", "track")]
    keys.append({"mode": "param", "groupByData": "basis.name"})
    assert states["Bases"]["groupBy"] == {"aggregateFunction": "average", "groupByKeys": keys}
    assert states["Ranking"]["groupBy"] is None
    costs = ["score", "num_parameters", "train_time_s", "operations", "latency_ms"]
    assert states["Score and cost"]["selectedColumns"][1:6] == [f"metrics.`{name}`" for name in costs]


def test_the_address_of_a_view_that_is_not_there_is_that_of_the_runs(tracker: Tracker) -> None:
    assert "viewStateShareKey" not in tracker.view_url("e", "Ranking")
    publish(tracker, "e", None, [ROW])
    assert "viewStateShareKey" in tracker.view_url("e", "Ranking")


@pytest.mark.slow
def test_long_leaderboard_is_shortened_to_whole_lines() -> None:
    rows = [
        replace(ROW, config_hash=f"{task}-{model}", task=f"task {task}", task_key=f"{task}", model=f"model {model}", model_key=f"{model}")
        for task in range(12)
        for model in range(25)
    ]
    whole = [render_markdown(rows, limit) for limit in (None, 20, 10, 5, 3, 1)]
    assert len(whole[0]) > EXPERIMENT_TAG
    for length in (EXPERIMENT_TAG, RUN_TAG, 1000):
        text = _fitting(rows, length)
        assert length / 3 < len(text) <= length
        assert any(text in one for one in whole)
        assert text.count("\n") > 3


def test_summaries_of_configurations_with_one_label_do_not_replace_each_other(tracker: Tracker) -> None:
    parent = start(tracker, key="launch", kind="benchmark")
    publish(tracker, "e", parent.run_id, [replace(ROW, config_hash=key, model_key=key) for key in ("x", "y")])
    assert len(tracker._search("tags.`kanzoo.kind` = 'summary'", "e")) == 2


def test_no_view_is_written_for_a_ui_that_is_not_known_to_read_it(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "__version__", "3.99.0")
    publish(tracker, "e", None, [ROW])
    tags = tracker.client.get_experiment_by_name("e").tags
    assert "mlflow.note.content" in tags
    assert not [tag for tag in tags if tag.startswith("mlflow.sharedViewState.")]


def test_view_survives_its_own_packing() -> None:
    import zlib
    from base64 import b64decode

    tag, value = shared_view("key", "name", columns={"metrics.`score`": 90}, filter="f", order="metrics.`score`", ascending=True)
    assert tag == "mlflow.sharedViewState.key"
    content = json.loads(value)
    state = json.loads(zlib.decompress(b64decode(content["state"].removeprefix("deflate;"))))
    assert state["selectedColumns"] == state["columnOrder"] == ["metrics.`score`"]
    assert state["orderByAsc"] is True


def test_experiment_opens_as_one_of_training_runs(tracker: Tracker) -> None:
    tags = tracker.client.get_experiment(tracker.experiment_id("e")).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
