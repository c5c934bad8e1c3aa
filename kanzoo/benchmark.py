"""A benchmark: many cells, each run once, by worker processes of its own; what is finished is skipped."""

import gc
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Literal

from kanzoo.cell import Cell
from kanzoo.errors import InvalidInput
from kanzoo.place import Place, Progress
from kanzoo.record import Row
from kanzoo.tracking import Recorder, Tracker

Event = Literal["started", "ended"]
#: Told of every cell that starts (without a row) and ends (with one).
Listener = Callable[[Event, Cell, Row | None], None]


#: Seeds that are trained at once: more of them fill the cache, and one failure stops them all.
_MOST_TOGETHER = 32


@dataclass
class Outcome:
    """What a launch did.

    Attributes:
        skipped: rows of cells that were finished before.
        rows: rows of the cells that ran.
        parent: run id of the launch's parent run.
    """

    skipped: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    parent: str | None = None

    @property
    def failed(self) -> list[Row]:
        """The rows that did not finish."""
        return [row for row in self.rows if row.status != "FINISHED"]


def pending(cells: Sequence[Cell], tracker: Tracker) -> tuple[list[Cell], list[Row]]:
    """Split cells into those still to run and the rows of those finished."""
    finished = tracker.finished()
    return [cell for cell in cells if cell.config_hash not in finished], [
        finished[cell.config_hash] for cell in cells if cell.config_hash in finished
    ]


def launch(name: str, cells: Sequence[Cell], place: Place, *, jobs: int = 1, listener: Listener | None = None) -> Outcome:
    """Run all cells that are not finished, `jobs` at a time, as nested runs of one parent run.

    Seeds of one small full-batch experiment are trained at once by one worker (see `kanzoo.together`). A cell that raises, gives NaN or
    takes its worker process down is FAILED, and the others go on; those that it was trained with are run again alone. The lock of a
    cell that another launcher works on is waited for only when nothing else is left to do.

    Raises:
        KeyboardInterrupt: after the workers are stopped and their runs marked KILLED.
    """
    tracker = Tracker(place.tracking_uri)
    tracker.sweep()
    todo, skipped = pending(cells, tracker)
    outcome = Outcome(skipped=skipped)
    with tracker.claim(f"launch-{name}") as first:
        parent = _parent(tracker, place.experiment, name, create=bool(todo), reopen=first)
        outcome.parent = parent.run_id if parent else None
        if not todo or parent is None:
            if parent and first:
                parent.close("FINISHED")  # its launcher may have been killed after the last cell
            return outcome
        place = replace(place, parent=parent.run_id)
        try:
            _Pool(grouped(todo), place, min(jobs, len(todo)), outcome, listener).run()
        except BaseException:
            tracker.sweep()
            if first:
                parent.close("KILLED")
            raise
        parent.log({"cells_finished": len(outcome.rows) + len(skipped) - len(outcome.failed), "cells_failed": len(outcome.failed)})
        parent.flush()
        if first:
            parent.close("FAILED" if outcome.failed else "FINISHED")
    return outcome


def grouped(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells in groups to be given to one worker: those that differ in the seed alone and may be trained at once, else one."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.model_key if _may_join(cell) else cell.config_hash, []).append(cell)
    return [group[start : start + _MOST_TOGETHER] for group in groups.values() for start in range(0, len(group), _MOST_TOGETHER)]


def _may_join(cell: Cell) -> bool:
    """Return whether a config does not rule it out; the rest is seen when the network is there, by `kanzoo.together`."""
    trainer = cell.trainer
    if cell.tuner:
        return False
    full = trainer["batch_size"] == 0 or trainer["batch_seeds"] is True  # with `true`, a size as large as the data may be meant
    plain = trainer["optimizer"] != "lbfgs" and trainer["grid_updates"] == 0 and trainer["max_seconds"] is None
    return bool(trainer["batch_seeds"] and full and plain)


def run_one(cell: Cell, place: Place, progress: Progress | None = None) -> Row:
    """Run one cell in this process, unless it is finished already; return its row.

    Raises:
        InvalidInput: the cell cannot be built, or another process works on it; nothing is recorded.
    """
    tracker = Tracker(place.tracking_uri)
    tracker.sweep()
    with tracker.claim(cell.config_hash) as free:
        if not free:
            raise InvalidInput(
                f"{cell.task_label} {cell.model_label} seed={cell.seed} is being run by another process",
                "Wait for it, or choose another seed.",
            )
        done = tracker.finished_row(cell.config_hash)
        if done is not None:
            return done
        from kanzoo import tuning  # torch and Lightning, which the launcher of a benchmark does not need

        return tuning.run(cell, place, progress)


def _parent(tracker: Tracker, experiment: str, name: str, *, create: bool, reopen: bool) -> Recorder | None:
    """Return the parent run of a benchmark: a relaunch goes on under the one that is there."""
    with tracker.lock(f"parent-{name}"):  # two launchers at once share one parent run
        found = tracker.parents(experiment, name)
        if found:
            if create and reopen:
                tracker.client.update_run(found[0], status="RUNNING")
            return Recorder(tracker.client, found[0])
        if not create:
            return None
        return tracker.start(experiment, name, key=f"launch-{name}", kind="benchmark", tags={"kanzoo.benchmark": name})


class _Pool:
    """Threads that each own one worker process, so that a worker's death is blamed on the one cell that it worked on."""

    def __init__(self, groups: Sequence[list[Cell]], place: Place, jobs: int, outcome: Outcome, listener: Listener | None) -> None:
        self.place, self.jobs, self.outcome = place, jobs, outcome
        self.listener = listener or (lambda event, cell, row: None)
        self._todo: queue.SimpleQueue[tuple[list[Cell], bool]] = queue.SimpleQueue()
        for group in groups:
            self._todo.put((group, False))
        self._lock, self._stop, self._ended = threading.Lock(), threading.Event(), threading.Semaphore(0)
        self._together = 0  # groups of several that are worked on: their cells may come back
        self._workers: set[ProcessPoolExecutor] = set()
        self._errors: list[BaseException] = []

    def run(self) -> None:
        resource_tracker.ensure_running()  # in a thread that blocks SIGINT, its start would unblock it again
        threads = [threading.Thread(target=self._serve, name=f"slot-{index}", daemon=True) for index in range(self.jobs)]
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                while not self._ended.acquire(timeout=0.2):  # a wait without a limit would not let Ctrl+C through
                    pass
        except BaseException:
            # Not by the threads: one whose `join` was interrupted counts as ended (https://github.com/python/cpython/issues/90882).
            self._stop.set()
            while self._workers:
                self._kill_workers()  # again and again: one may be starting right now
                time.sleep(0.05)
            raise
        if self._errors:
            raise self._errors[0]

    def _kill_workers(self) -> None:
        with self._lock:
            for worker in self._workers:
                for process in list((worker._processes or {}).values()):
                    process.kill()

    def _serve(self) -> None:
        # Ctrl+C is the launcher's: a worker inherits this mask from its very start, before it could set a handler of its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        worker = self._new_worker()
        try:
            while (job := self._next()) is not None:
                cells, patient = job
                try:
                    worker = self._serve_group(worker, cells, patient)
                finally:
                    with self._lock:
                        self._together -= len(cells) > 1
        except BaseException as error:  # handed to the thread that waits
            self._errors.append(error)
        finally:
            self._forget(worker)
            self._ended.release()

    def _next(self) -> tuple[list[Cell], bool] | None:
        while not self._stop.is_set():
            with self._lock:
                try:
                    job = self._todo.get_nowait()
                except queue.Empty:
                    if not self._together:
                        return None
                else:
                    self._together += len(job[0]) > 1
                    return job
            time.sleep(0.05)
        return None

    def _serve_group(self, worker: ProcessPoolExecutor, cells: list[Cell], patient: bool) -> ProcessPoolExecutor:
        """Have a worker run the cells; return it, or the one that took its place."""
        for cell in cells:
            with self._lock:
                self.listener("started", cell, None)
        rows: Sequence[Row | None] = [None] * len(cells)
        try:
            if len(cells) > 1:
                rows = worker.submit(_work_together, cells, self.place).result()
            else:
                rows = [worker.submit(_work, cells[0], self.place, patient).result()]
        except BrokenProcessPool:
            if self._stop.is_set():
                return worker
            dead, worker = worker, self._new_worker()
            self._forget(dead)
            if len(cells) > 1:  # nobody knows which of them it was: each is run again, alone
                worker.submit(_end, cells, self.place).result()
            else:
                rows = [worker.submit(_bury, cells[0], self.place, "its process was killed, most likely for lack of memory").result()]
        for cell, row in zip(cells, rows, strict=True):
            if row is None:  # another has it, or tunes its model: look again when the rest is done; or it is to be run alone
                self._todo.put(([cell], len(cells) == 1))
                continue
            with self._lock:
                self.outcome.rows.append(row)
                self.listener("ended", cell, row)
        return worker

    def _new_worker(self) -> ProcessPoolExecutor:
        worker = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker)
        with self._lock:
            self._workers.add(worker)
        return worker

    def _forget(self, worker: ProcessPoolExecutor) -> None:
        worker.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._workers.discard(worker)


def _begin_worker() -> None:
    """End at once when the launcher dies, so that the locks are freed."""
    launcher = multiprocessing.parent_process()
    assert launcher is not None

    def watch() -> None:
        wait([launcher.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="watch-launcher", daemon=True).start()
    from kanzoo import experiment, together, tuning  # noqa: F401

    gc.freeze()  # what is imported stays: a collection before each measurement of memory need not walk through it


def _work(cell: Cell, place: Place, patient: bool) -> Row | None:
    """Run one cell in this process; None when another launcher has it, or another worker tunes its model, and `patient` is off."""
    from kanzoo import experiment, tuning

    tracker = Tracker(place.tracking_uri)
    while True:
        with tracker.claim(cell.config_hash) as free:
            if free:
                done = tracker.finished_row(cell.config_hash)
                if done is not None:
                    return done
                if not patient and tuning.is_busy(cell, tracker):
                    return None
                try:
                    return tuning.run(cell, place)
                except InvalidInput as error:
                    return experiment.record_failure(cell, place, f"{error.message}. {error.hint}".strip())
        if not patient:
            return None
        threading.Event().wait(0.5)


def _work_together(cells: Sequence[Cell], place: Place) -> list[Row | None]:
    """Train cells at once in this process; None for each that another launcher has, or that is to be run alone."""
    from kanzoo import together

    tracker = Tracker(place.tracking_uri)
    with ExitStack() as stack:
        free = [cell for cell in cells if stack.enter_context(tracker.claim(cell.config_hash))]
        rows = {cell.config_hash: tracker.finished_row(cell.config_hash) for cell in free}
        left = [cell for cell in free if rows[cell.config_hash] is None]
        if len(left) > 1:
            rows |= {cell.config_hash: row for cell, row in zip(left, together.run(left, place), strict=True)}
    return [rows.get(cell.config_hash) for cell in cells]


def _end(cells: Sequence[Cell], place: Place) -> None:
    """Mark as KILLED the runs of cells whose worker died; not those of others, whose own launcher tells what became of them."""
    tracker = Tracker(place.tracking_uri)
    for cell in cells:
        with tracker.claim(cell.config_hash):
            tracker.end_running(cell.config_hash, "its process ended without a word (killed, or the machine went down)", "KILLED")


def _bury(cell: Cell, place: Place, reason: str) -> Row:
    """Record the failure of a cell whose worker died."""
    from kanzoo import experiment

    with Tracker(place.tracking_uri).claim(cell.config_hash):
        return experiment.record_failure(cell, place, reason)
