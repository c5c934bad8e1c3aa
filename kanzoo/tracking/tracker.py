"""A store of runs.

A run of kanzoo carries its `Row` as one JSON tag, so that the leaderboard reads back exactly what was measured; metrics and
parameters are logged beside it for people who browse. While a launcher works on a cell it holds a file lock, which the
operating system frees even after `kill -9`: a RUNNING run whose lock is free is dead, and is marked so.
"""

import json
import os
import re
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock, Timeout
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from kanzoo.cell import Cell
from kanzoo.errors import InvalidInput
from kanzoo.record import Row, Status, parse
from kanzoo.saved_view import shared_view, view_key
from kanzoo.schema_copy import copy_other_schema
from kanzoo.tracking.recorder import ROW, RUN_TAG, Recorder

_CELL, _LOCK, _HOST, _KIND = "kanzoo.cell", "kanzoo.lock", "kanzoo.host", "kanzoo.kind"
_PARENT = "mlflow.parentRunId"

#: Length that MLflow 3.17 takes of an experiment's tag, which holds the description or a saved view.
EXPERIMENT_TAG = 20_000

#: The minor version whose UI was seen to read the saved views of `shared_view`; the format is not documented.
_VIEWS_READ_BY = "3.17."


def default_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, else the SQLite file `runs/mlflow.db` of the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('runs/mlflow.db').resolve()}"


class Tracker:
    """A store of runs.

    Opening it creates what is missing. Several processes may open a database that does not exist yet at once. A database that an
    MLflow of another schema wrote is copied beside itself first, since MLflow migrates it without asking and for ever.

    Args:
        uri: any MLflow tracking URI; `sqlite:///path` keeps everything beside that file.

    Raises:
        InvalidInput: the store cannot be opened.
    """

    def __init__(self, uri: str | None = None) -> None:
        self.uri = uri or default_uri()
        self.artifact_location: str | None = None
        if self.uri.startswith("sqlite:///"):
            database = Path(self.uri.removeprefix("sqlite:///")).resolve()
            self.uri = f"sqlite:///{database}"
            self.artifact_location = (database.parent / "artifacts").as_uri()
            self.locks = database.parent / "locks"
        else:
            self.locks = Path.home() / ".cache" / "kanzoo" / "locks" / sha256(self.uri.encode()).hexdigest()[:16]
            database = None
        try:
            self.locks.mkdir(parents=True, exist_ok=True)
            with FileLock(self.locks / "open.lock"):  # MLflow's own creation of a database is not safe against a second process
                if database is not None:
                    copy_other_schema(database, _latest_schema)
                self.client = mlflow.MlflowClient(tracking_uri=self.uri)
                self.client.search_experiments(max_results=1)
                if database is not None:
                    with closing(sqlite3.connect(database, timeout=60)) as connection:
                        connection.execute("PRAGMA journal_mode=WAL")  # 4 times faster with 8 writers
        except Exception as error:  # MLflow lets through what SQLAlchemy, alembic and requests raise
            raise InvalidInput(
                f"tracking URI {self.uri!r} must be a store that opens, got {type(error).__name__}", _first_line(error)
            ) from error

    # ----------------------------------------------------------------- writing

    def experiment_id(self, name: str) -> str:
        """Return the id of an experiment, which is created when it is missing."""
        with self.lock("experiment"):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                location = f"{self.artifact_location}/{_folder_name(name)}" if self.artifact_location else None
                # Without its kind, MLflow's UI opens an experiment as one of prompts and traces.
                return str(self.client.create_experiment(name, location, {"mlflow.experimentKind": "custom_model_development"}))
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Hold the lock of a cell or a launch while working on it; yields False when another process holds it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.lock(key).acquire(timeout=0))
            except Timeout:
                yield False
            else:
                yield True

    def lock(self, key: str) -> FileLock:
        """Return a lock between processes; the system frees it when its holder dies."""
        return FileLock(self.locks / f"{re.sub(r'[^A-Za-z0-9_-]', '_', key)[:100]}-{sha256(key.encode()).hexdigest()[:8]}.lock")

    def start(self, experiment: str, name: str, *, key: str, kind: str, tags: Mapping[str, str], parent: str | None = None) -> "Recorder":
        """Create a RUNNING run whose lock `key` the caller holds."""
        above = {_PARENT: parent} if parent else {}
        all_tags = {_LOCK: key, _HOST: socket.gethostname(), _KIND: kind, "mlflow.runName": name, **tags, **above}
        run = self.client.create_run(
            self.experiment_id(experiment), tags={tag: value[:RUN_TAG] for tag, value in all_tags.items()}, run_name=name[:250]
        )
        return Recorder(self.client, run.info.run_id)

    def sweep(self) -> int:
        """Mark as KILLED every RUNNING run of this machine that no process works on any more; return how many."""
        dead = 0
        for run in self._search("attributes.status = 'RUNNING'"):
            key, host = run.data.tags.get(_LOCK), run.data.tags.get(_HOST)
            if key is None or host != socket.gethostname():
                continue
            with self.claim(key) as free:
                # It may have ended well since the search: only a free lock and a state read under it tell.
                if free and self.client.get_run(run.info.run_id).info.status == "RUNNING":
                    self.kill(run, "its process ended without a word (killed, or the machine went down)")
                    dead += 1
        return dead

    def kill(self, run: Run, reason: str) -> None:
        """Mark a run as KILLED, in its row too."""
        self._restate(run, "KILLED", reason)
        self.client.set_terminated(run.info.run_id, "KILLED")

    def end_running(self, config_hash: str, reason: str, status: Status = "FAILED") -> Row | None:
        """Mark the RUNNING run of a cell, whose worker died, as FAILED or KILLED; return its row."""
        for run in self._search(f"attributes.status = 'RUNNING' and tags.`{_CELL}` = '{config_hash}'"):
            self._restate(run, status, reason)
            self.client.set_terminated(run.info.run_id, status)
            return _row(self.client.get_run(run.info.run_id))
        return None

    def _restate(self, run: Run, status: Status, reason: str) -> None:
        recorder, row = Recorder(self.client, run.info.run_id), _row(run)
        if row is None:
            recorder.tags({"kanzoo.reason": reason})
        else:
            recorder.row(replace(row, status=status, reason=reason))

    # ----------------------------------------------------------------- reading

    def finished(self) -> dict[str, Row]:
        """Return the rows of all finished cells by config hash."""
        return {row.config_hash: row for row in self.rows() if row.status == "FINISHED"}

    def finished_row(self, config_hash: str) -> Row | None:
        """Return the row of one cell when it is finished."""
        for run in self._search(f"attributes.status = 'FINISHED' and tags.`{_CELL}` = '{config_hash}'"):
            return _row(run)
        return None

    def study(self, model_key: str) -> str | None:
        """Return the run id of the finished study of a model, or None."""
        found = self._search(f"attributes.status = 'FINISHED' and tags.`kanzoo.study` = '{model_key}'")
        return found[0].info.run_id if found else None

    def parents(self, experiment: str, name: str) -> list[str]:
        """Return the run ids of a benchmark's parent runs, newest first."""
        found = self._search(f"tags.`{_KIND}` = 'benchmark'", experiment)
        return [run.info.run_id for run in found if run.data.tags.get("kanzoo.benchmark") == name]

    def rows(self, experiment: str | None = None) -> list[Row]:
        """Return the rows of all runs of cells that ended, oldest first."""
        rows = [_row(run) for run in self._search(f"tags.`{_KIND}` = 'cell'", experiment)]
        return sorted((row for row in rows if row is not None and row.status != "RUNNING"), key=lambda row: (row.date, row.run_id))

    def experiments(self) -> list[str]:
        """Return the names of the experiments that hold runs of cells."""
        found = {run.info.experiment_id for run in self._search(f"tags.`{_KIND}` = 'cell'")}
        return sorted(self.client.get_experiment(id_).name for id_ in found)

    def run(self, run_id: str) -> Run:
        """Return a run by its id.

        Raises:
            InvalidInput: there is none.
        """
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            raise InvalidInput(f"unknown run {run_id!r} in {self.uri}", _first_line(error)) from error

    def trained(self, prefix: str) -> Row:
        """Return the row of the finished run of a cell whose id begins with `prefix`.

        Raises:
            InvalidInput: no run's id or that of several begins so; the run is no cell's; it is not FINISHED.
        """
        found = self._search(f"attributes.run_id LIKE '{prefix}%'") if re.fullmatch("[0-9a-f]{1,32}", prefix) else []
        if not found:
            raise InvalidInput(f"unknown run {prefix!r} in {self.uri}", "See kanzoo list runs.")
        if len(found) > 1:
            raise InvalidInput(f"run must begin the id of one run, got {prefix!r} of {len(found)}", "See kanzoo list runs.")
        run, row = found[0], _row(found[0])
        if run.data.tags.get(_KIND) != "cell" or row is None:
            raise InvalidInput(f"run must be an experiment's, got {prefix!r} of kind {run.data.tags.get(_KIND)!r}")
        if run.info.status != "FINISHED":
            raise InvalidInput(f"run must be FINISHED, got {prefix!r} that is {run.info.status}")
        return row

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Download one artifact of a run into a folder and return its path.

        Raises:
            InvalidInput: the run has no such artifact, or its file was changed after it was recorded.
        """
        run = self.run(run_id)
        try:
            path = Path(self.client.download_artifacts(run_id, name, str(folder)))
        except (MlflowException, OSError) as error:
            raise InvalidInput(f"run {run_id} must have the artifact {name!r}, got {type(error).__name__}", _first_line(error)) from error
        recorded = run.data.tags.get(f"kanzoo.sha256.{name}")
        if recorded != sha256(path.read_bytes()).hexdigest():
            raise InvalidInput(
                f"{name} of run {run_id} must have the recorded sha256 {recorded}, got another", "The file was changed: it is not loaded."
            )
        return path

    def _search(self, condition: str, experiment: str | None = None) -> list[Run]:
        if experiment is None:
            ids = [found.experiment_id for found in self.client.search_experiments()]
        else:
            found = self.client.get_experiment_by_name(experiment)
            ids = [found.experiment_id] if found else []
        runs: list[Run] = []
        token = None
        while ids:
            page = self.client.search_runs(ids, condition, ViewType.ACTIVE_ONLY, max_results=5000, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        return runs

    # ----------------------------------------------------------------- what people browse

    def describe(self, experiment: str, markdown: str) -> None:
        """Give an experiment its description, which is shown above its runs."""
        self.client.set_experiment_tag(self.experiment_id(experiment), "mlflow.note.content", markdown[:EXPERIMENT_TAG])

    def save_views(self, experiment: str, views: Mapping[str, Mapping[str, Any]]) -> None:
        """Give an experiment saved views, by name the arguments of `shared_view`; none for a UI that is not known to read them."""
        id_ = self.experiment_id(experiment)
        for name, view in views.items() if mlflow.__version__.startswith(_VIEWS_READ_BY) else ():
            self.client.set_experiment_tag(id_, *shared_view(view_key(experiment, name), name, **view))

    def summarise(self, experiment: str, parent: str, key: str, name: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Write the summary run of a model on a task; the older one of the same key is replaced."""
        lock = f"summary-{experiment}-{key}"
        with self.lock(lock):
            for run in self._search(f"tags.`{_KIND}` = 'summary' and tags.`kanzoo.summary` = '{key}'", experiment):
                self.client.delete_run(run.info.run_id)
            recorder = self.start(experiment, name, key=lock, kind="summary", tags={"kanzoo.summary": key, **tags}, parent=parent)
            recorder.log(metrics)
            recorder.close("FINISHED")

    def view_url(self, experiment: str, name: str) -> str:
        """Return the address, below the server's, that opens a saved view; of an experiment without it, its runs."""
        id_, key = self.experiment_id(experiment), view_key(experiment, name)
        view = f"viewStateShareKey={key}&" if f"mlflow.sharedViewState.{key}" in self.client.get_experiment(id_).tags else ""
        return f"#/experiments/{id_}/runs?{view}workflowType=machine_learning"


def cell_tags(cell: Cell) -> dict[str, str]:
    """Return the tags by which a cell's run is found."""
    return {
        _CELL: cell.config_hash,
        "kanzoo.task": cell.task_label,
        "kanzoo.model": cell.model_label,
        "kanzoo.task_key": cell.task_key,
        "kanzoo.track": cell.track,
        "kanzoo.plugin": cell.plugin,
        "kanzoo.command": cell.command,
    }


def _folder_name(experiment: str) -> str:
    """Return one plain folder name: MLflow decodes an address, so that quoted slashes and dots would still lead out."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", experiment):
        return experiment
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', experiment)[:60]}-{sha256(experiment.encode()).hexdigest()[:8]}"


def _row(run: Run) -> Row | None:
    try:
        values = json.loads(run.data.tags[ROW])
        if run.info.status != values["status"]:
            values["status"] = run.info.status
        return parse(values | {"run_id": run.info.run_id})
    except (KeyError, ValueError):
        return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@cache  # a sixth of a second, at every opening
def _latest_schema() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision  # no public name; a missing one must not be passed over

    return str(_get_latest_schema_revision())  # type: ignore[no-untyped-call]
