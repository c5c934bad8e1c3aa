"""Benchmarks as people launch them: cells that fail or take their process down, launchers that are killed, and launches again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kanzoo.config import compose, compose_grid
from kanzoo.record import Row
from kanzoo.tracking import Tracker

pytestmark = [
    pytest.mark.slow,
    # MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

# Imported by every process at its start: it writes down who is asked for that is not this machine.
SPY = """
import os, socket
def _watched(function):
    def call(*arguments, **options):
        target = next((one for one in arguments if not isinstance(one, socket.socket)), None)
        host = target[0] if isinstance(target, tuple) else target
        if isinstance(target, tuple | str | bytes) and host not in ("127.0.0.1", "::1", "localhost", None, socket.gethostname()):
            with open(os.environ["KANZOO_SPY"], "a") as file:
                file.write(f"{function.__name__} {target}\\n")
        return function(*arguments, **options)
    return call
socket.getaddrinfo = _watched(socket.getaddrinfo)
socket.socket.connect = _watched(socket.socket.connect)
socket.socket.connect_ex = _watched(socket.socket.connect_ex)
"""


class Bench:
    """A benchmark of the tiny experiment in a folder of its own, launched through the command line."""

    def __init__(self, folder: Path, tiny: str, site: Path, uri: str, models: list[str]) -> None:
        self.folder, self.faults, self.pid = folder, folder / "faults", folder / "faults" / "pid"
        self.faults.mkdir()
        self.uri = uri
        self.file = folder / "bench.yaml"
        self.file.write_text(json.dumps({"experiments": [tiny], "models": models, "seeds": [0, 1]}), encoding="utf-8")
        (folder / "sitecustomize.py").write_text(SPY, encoding="utf-8")
        self.spied = folder / "spied"
        path = os.pathsep.join([str(folder), str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = os.environ | {
            "PYTHONPATH": path,
            "KANZOO_FAULTS": str(self.faults),
            "KANZOO_SPY": str(self.spied),
            "COLUMNS": "150",
        }
        self.environment.pop("MLFLOW_DISABLE_TELEMETRY", None)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "kanzoo.cli", "bench", str(self.file), *arguments, "--tracking-uri", self.uri]
        return self.open(command)

    def open(self, command: list[str]) -> "subprocess.Popen[str]":
        # Whoever runs the tests in the background lets them ignore Ctrl+C, and a process hands that on.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            pipe = subprocess.PIPE
            return subprocess.Popen(
                command, env=self.environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True, cwd=self.folder
            )
        finally:
            signal.signal(signal.SIGINT, before)

    def run(self, *arguments: str) -> tuple[int, str]:
        launcher = self.start(*arguments)
        try:
            output, errors = launcher.communicate(timeout=400)
        finally:
            end(launcher)
        assert "Traceback" not in errors, errors
        return launcher.returncode, output

    @property
    def tracker(self) -> Tracker:
        return Tracker(self.uri)

    def attempts(self) -> dict[tuple[str, int], list[Row]]:
        found: dict[tuple[str, int], list[Row]] = {}
        for row in self.tracker.rows("bench"):
            found.setdefault((row.model, row.seed), []).append(row)
        return found

    def running(self) -> list[str]:
        return [run.info.run_name for run in self.tracker._search("attributes.status = 'RUNNING'")]


def end(launcher: "subprocess.Popen[str]") -> None:
    """Kill what is left of a launcher's session."""
    try:
        os.killpg(launcher.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    launcher.communicate()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Tell whether a process lives: one that ended and was not yet collected does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def session(launcher: "subprocess.Popen[str]") -> list[int]:
    """Return the living processes that the launcher started, and itself."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    found = []
    for pid in pids:
        try:
            if os.getsid(pid) == launcher.pid and lives(pid):
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


@pytest.fixture(scope="module")
def failing(
    tmp_path_factory: pytest.TempPathFactory, tiny: str, faulty_site: Path, new_store: Callable[[Path], str]
) -> tuple[Bench, int, str]:
    """Return a benchmark whose cells partly fail, and what its first launch, with two jobs, returned and printed."""
    folder = tmp_path_factory.mktemp("failing")
    models = ["basis.name=chebyshev", "basis.name=faulty basis.how=raise", "basis.name=faulty basis.how=kill", "model.name=baseline"]
    bench = Bench(folder, tiny, faulty_site, new_store(folder), models)
    return bench, *bench.run("--jobs", "2")


def test_failing_cells_do_not_stop_the_others(failing: tuple[Bench, int, str]) -> None:
    bench, code, output = failing
    assert code == 1
    attempts = {key: rows for key, rows in bench.attempts().items() if rows[0].date}
    assert len(attempts) == 8
    first = {key: rows[0] for key, rows in attempts.items()}
    for (model, _seed), row in first.items():
        if "raise" in model:
            assert (row.status, row.reason) == ("FAILED", "RuntimeError: first line <b>of</b> | the reason")
        elif "kill" in model:
            assert (row.status, row.reason) == ("FAILED", "its process was killed, most likely for lack of memory")
        else:
            assert (row.status, row.reason) == ("FINISHED", "")
    assert "8 cells run, 0 finished before, 4 failed" in output
    assert bench.running() == []


def test_record_is_nested_summarised_and_described(failing: tuple[Bench, int, str], tmp_path: Path) -> None:
    bench, _, _ = failing
    tracker = bench.tracker
    (parent,) = tracker.parents("bench", "bench")
    run = tracker.run(parent)
    assert run.info.status in ("FAILED", "FINISHED")  # of the first launch, or of the one after the repair
    cells = tracker._search("tags.`kanzoo.kind` = 'cell'", "bench")
    assert {cell.data.tags["mlflow.parentRunId"] for cell in cells} == {parent}
    summaries = tracker._search("tags.`kanzoo.kind` = 'summary'", "bench")
    assert {one.data.tags["mlflow.parentRunId"] for one in summaries} == {parent}
    rows = bench.attempts()
    for model in ("chebyshev(degree=3)", "mlp"):
        label = next(key[0] for key in rows if key[0].startswith(model.partition("(")[0]))
        (summary,) = [one for one in summaries if one.data.tags["kanzoo.model"] == label]
        scores = [attempts[-1].score for key, attempts in rows.items() if key[0] == label]
        assert summary.data.metrics["n"] == 2
        assert summary.data.metrics["score"] == pytest.approx(sum(scores) / 2)
        assert summary.data.metrics["score_low"] < min(scores) <= max(scores) < summary.data.metrics["score_high"]
    experiment = tracker.client.get_experiment_by_name("bench")
    assert "chebyshev" in experiment.tags["mlflow.note.content"]
    names = {json.loads(value)["name"] for tag, value in experiment.tags.items() if tag.startswith("mlflow.sharedViewState.")}
    assert names == {"Ranking", "Bases", "Score and cost", "Runs: tiny"}
    page = tracker.artifact(parent, "leaderboard.html", tmp_path).read_text(encoding="utf-8")
    assert "chebyshev" in page
    assert "<b>of</b>" not in page


def test_reasons_stand_in_the_leaderboard(failing: tuple[Bench, int, str]) -> None:
    _, _, output = failing
    plain = " ".join(output.split())
    assert "FAILED: RuntimeError: first line" in plain
    assert "FAILED: its process was killed" in plain


def test_relaunch_runs_the_failed_ones_and_a_third_launch_nothing(failing: tuple[Bench, int, str]) -> None:
    bench, _, _ = failing
    before = bench.attempts()
    bench.faults.rmdir()  # repaired
    code, output = bench.run("--jobs", "2")
    assert code == 0, output
    assert "4 cells run, 4 finished before, 0 failed" in output
    after = bench.attempts()
    for key, rows in after.items():
        assert len(rows) - len(before[key]) == (1 if "faulty" in key[0] else 0), key
        assert rows[-1].status == "FINISHED"
    assert len(bench.tracker.parents("bench", "bench")) == 1
    assert bench.running() == []

    runs = len(bench.tracker._search("attributes.status != 'SCHEDULED'"))
    began = time.monotonic()
    code, output = bench.run("--jobs", "2")
    assert time.monotonic() - began < 60
    assert code == 0
    assert "0 cells run, 8 finished before, 0 failed" in output
    assert len(bench.tracker._search("attributes.status != 'SCHEDULED'")) == runs


def test_nothing_outside_this_machine_is_asked_for(failing: tuple[Bench, int, str]) -> None:
    bench, _, _ = failing
    assert not bench.spied.exists(), bench.spied.read_text()
    probe = "import socket; socket.socket().connect_ex(('192.0.2.1', 9)) if not socket.setdefaulttimeout(0.1) else None"
    subprocess.run([sys.executable, "-c", probe], env=bench.environment, timeout=60, check=True)
    assert "192.0.2.1" in bench.spied.read_text()  # the spy does see
    bench.spied.unlink()


def test_seeds_are_trained_together_and_a_death_is_blamed_on_none_of_them(
    tmp_path: Path, tiny: str, faulty_site: Path, new_store: Callable[[Path], str]
) -> None:
    models = ["basis.name=chebyshev", "basis.name=faulty basis.how=kill", "basis.name=faulty basis.how=kill_later"]
    bench = Bench(tmp_path, tiny, faulty_site, new_store(tmp_path), models)
    # Validation has 19 samples, so that the fault strikes in training alone; one layer, so that a step is a call.
    code, output = bench.run("--jobs", "2", "trainer.batch_size=0", "task.num_train=20", "task.num_test=19", "task.hidden=[]")
    assert code == 1
    assert "6 cells run, 0 finished before, 2 failed" in output
    attempts = bench.attempts()
    assert len(attempts) == 6
    for (model, _seed), rows in attempts.items():
        if "how=kill_later" in model:
            assert [(row.status, row.seeds_together) for row in rows] == [("KILLED", 1), ("FINISHED", 1)]
            assert rows[0].reason.startswith("its process ended without a word")
        elif "how=kill" in model:  # before the first step: there were no runs yet
            assert [row.reason for row in rows] == ["its process was killed, most likely for lack of memory"]
        else:
            assert [(row.status, row.seeds_together) for row in rows] == [("FINISHED", 2)]
    assert bench.running() == []


@pytest.fixture(scope="module")
def sleeping(tmp_path_factory: pytest.TempPathFactory, tiny: str, faulty_site: Path, new_store: Callable[[Path], str]) -> Bench:
    folder = tmp_path_factory.mktemp("sleeping")
    return Bench(folder, tiny, faulty_site, new_store(folder), ["basis.name=chebyshev", "basis.name=faulty basis.how=sleep"])


def test_killed_launcher_leaves_no_orphan_and_the_next_one_goes_on(sleeping: Bench) -> None:
    bench = sleeping
    launcher = bench.start("seed=0", "--jobs", "1")
    try:
        wait_for(bench.pid.exists, "the sleeping cell")
        worker = int(bench.pid.read_text())
        assert lives(worker)
        os.kill(launcher.pid, signal.SIGKILL)
        launcher.wait()
        wait_for(lambda: not session(launcher), "the end of the workers", 20)
        assert not lives(worker)
    finally:
        end(launcher)
    assert len(bench.running()) == 2  # the cell and its parent: nobody was left to say that they ended
    bench.pid.unlink()
    bench.faults.rmdir()
    code, output = bench.run("seed=0", "--jobs", "1")
    assert code == 0
    assert "1 cells run, 1 finished before, 0 failed" in output
    assert {key[0]: [row.status for row in rows] for key, rows in bench.attempts().items()} == {
        "chebyshev(degree=3)" if ("chebyshev(degree=3)", 0) in bench.attempts() else "chebyshev": ["FINISHED"],
        "faulty(how=sleep)": ["KILLED", "FINISHED"],
    }
    assert bench.running() == []


@pytest.mark.parametrize("moment", ["at work", "starting"])
def test_ctrl_c_ends_with_130_and_leaves_nothing_running(sleeping: Bench, moment: str) -> None:
    bench = sleeping
    bench.faults.mkdir(exist_ok=True)
    bench.pid.unlink(missing_ok=True)
    launcher = bench.start("seed=1", "basis.name=faulty", "basis.how=sleep", "task.num_test=20,21", "--jobs", "2")
    try:
        if moment == "at work":
            wait_for(bench.pid.exists, "the sleeping cell")
        else:  # as soon as a worker was started, before it could set a handler
            wait_for(lambda: len(session(launcher)) > 2, "a worker")
        os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, errors = launcher.communicate(timeout=60)
        assert launcher.returncode == 130
        assert "Interrupted." in errors
        assert "Traceback" not in errors
        wait_for(lambda: not session(launcher), "the end of the workers", 20)
    finally:
        end(launcher)
    assert bench.running() == []
    statuses = {row.status for row in bench.tracker.rows("bench") if row.seed == 1 and "sleep" in row.model}
    assert statuses == {"KILLED"} if moment == "at work" else statuses <= {"KILLED"}


def test_single_run_ends_with_130_too(sleeping: Bench, tiny: str) -> None:
    bench = sleeping
    bench.faults.mkdir(exist_ok=True)
    bench.pid.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "kanzoo.cli",
        "run",
        tiny,
        "basis.name=faulty",
        "basis.how=sleep",
        "seed=9",
        "--tracking-uri",
        bench.uri,
    ]
    launcher = bench.open(command)
    try:
        wait_for(bench.pid.exists, "the sleeping cell")
        os.kill(launcher.pid, signal.SIGINT)
        _, errors = launcher.communicate(timeout=60)
        assert launcher.returncode == 130, errors
        assert "Traceback" not in errors
    finally:
        end(launcher)
    (row,) = [row for row in bench.tracker.rows() if row.seed == 9]
    assert (row.status, row.reason) == ("KILLED", "interrupted")
    assert bench.running() == []


def test_grid_holds_each_cell_once(tiny: str, tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(
        json.dumps({"experiments": [tiny, tiny], "models": ["basis.name=chebyshev", "basis.name=chebyshev"], "seeds": [0, 0, 1]})
    )
    _, cells = compose_grid(str(file))
    assert [cell.seed for cell in cells] == [0, 1]
    assert compose(tiny, ["seed=0"])[0].task_key == cells[0].task_key
