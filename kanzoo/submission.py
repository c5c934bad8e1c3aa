"""Rows from another machine: each must be what its own command gives, before it is merged into published rows."""

import csv
import io
import itertools
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kanzoo.cell import Cell
from kanzoo.config import compose, expand
from kanzoo.config_file import names
from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import read_csv, write_csv
from kanzoo.record import Row

#: Of the cell that a row's command gives: (column, attribute), equal on every machine.
_SAME = (
    *(("task", "task_label"), ("basis", "kan_basis"), ("seed", "seed"), ("track", "track"), ("plugin", "plugin")),
    *(("score_name", "score"), ("direction", "direction")),
    *(("task_key", "task_key"), ("model_key", "model_key"), ("config_hash", "config_hash")),
)

_COUNTS = ("num_parameters", "num_coefficients", "epochs", "operations")


@dataclass
class Submission:
    """What became of submitted rows.

    Attributes:
        new: rows that are right and new.
        known: how many are there already, the same in every column.
        refused: line and reason of every other row.
        old: the rows that were there.
    """

    new: list[Row] = field(default_factory=list)
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    old: list[Row] = field(default_factory=list)


def check(path: Path, into: Path, data_dir: Path | None = None) -> Submission:
    """Check every row of a CSV file; nothing is written.

    Args:
        path: the submitted rows.
        into: the file that they are to be merged into; it may be missing.
        data_dir: where data sets lie: the identity of a row holds the digest of its data.

    Raises:
        InvalidInput: one of the files is no CSV of rows, or the submitted one has none.
    """
    rows = read_csv(path)
    if not rows:
        raise InvalidInput(f"{path} must hold a row, got none")
    found = Submission(old=read_csv(into) if into.exists() else [])
    there = {_place(row): row for row in found.old}
    submitted: dict[tuple[str, str], int] = {}
    for line, row in zip(_lines(path), rows, strict=True):
        before = there.get(_place(row))
        try:
            if before is not None and repr(astuple(before)) == repr(astuple(row)):
                found.known += 1
                continue
            _check(row, data_dir)
            if before is not None:
                raise InvalidInput(f"config_hash {row.config_hash} with hardware {row.hardware} is in {into} already, with other values")
            if _place(row) in submitted:
                raise InvalidInput(f"config_hash {row.config_hash} with hardware {row.hardware} is in line {submitted[_place(row)]} too")
        except InvalidInput as error:
            found.refused.append((line, f"{error.message}. {error.hint}" if error.hint else error.message))
            continue
        submitted[_place(row)] = line
        found.new.append(row)
    return found


def merge(found: Submission, into: Path) -> None:
    """Write the new rows beside the old ones; the file appears whole or not at all.

    Raises:
        InvalidInput: a row was refused.
    """
    if found.refused:
        raise InvalidInput(f"nothing is written while rows are refused, got {len(found.refused)}")
    if found.new:
        write_csv([*found.old, *found.new], into)


def _check(row: Row, data_dir: Path | None) -> None:
    """Raise InvalidInput unless a row's own columns are sound and its command gives its identity."""
    _check_values(row)
    _check_plugin(row.plugin)
    cell = _cell(row.command, data_dir)
    if row.model != cell.model_label and row.model not in (labels := _labels(row.command, data_dir)):
        raise InvalidInput(f"model must be {' or '.join(map(repr, labels))}, which `{row.command}` gives, got {row.model!r}")
    for column, attribute in _SAME:
        given, right = getattr(row, column), getattr(cell, attribute)
        if given != right:
            raise InvalidInput(f"{column} must be {right!r}, which `{row.command}` gives, got {given!r}")


def _check_values(row: Row) -> None:
    if row.status == "RUNNING":
        raise InvalidInput("status must be FINISHED, FAILED or KILLED, got RUNNING")
    for column, pattern, rule in (
        ("run_id", r"[0-9a-f]{32}", "32 hexadecimal digits"),
        ("hardware", r"[0-9a-f]{8}", "a fingerprint of 8 hexadecimal digits"),
    ):
        if not re.fullmatch(pattern, getattr(row, column)) and (column == "run_id" or row.status == "FINISHED"):
            raise InvalidInput(f"{column} must be {rule}, got {getattr(row, column)!r}")
    try:
        dated = datetime.fromisoformat(row.date).tzinfo is not None
    except ValueError:
        dated = False
    if not dated:
        raise InvalidInput(f"date must be ISO 8601 with a time zone, got {row.date!r}")
    for column in _COUNTS:
        if getattr(row, column) < 0:
            raise InvalidInput(f"{column} must be >= 0, got {getattr(row, column)}")
    if row.status == "FINISHED":
        _check_finished(row)


def _check_finished(row: Row) -> None:
    if not math.isfinite(row.score):
        raise InvalidInput(f"score must be finite where status is FINISHED, got {row.score}")
    if row.score_name.endswith("accuracy") and not 0 <= row.score <= 1:
        raise InvalidInput(f"score must be from 0 to 1 for {row.score_name}, got {row.score}")
    times = ["train_time_s", *(["step_time_ms"] if row.epochs else []), *([] if math.isnan(row.latency_ms) else ["latency_ms"])]
    for column in times:
        if not 0 < getattr(row, column) < math.inf:
            raise InvalidInput(f"{column} must be > 0 and finite, got {getattr(row, column)}")
    if row.threads < 1 or row.seeds_together < 1:
        raise InvalidInput(f"threads and seeds_together must be >= 1, got {row.threads} and {row.seeds_together}")


def _check_plugin(plugin: str) -> None:
    distribution, _, wanted = plugin.partition(" ")
    try:
        installed = version(distribution) if distribution else None
    except PackageNotFoundError:
        installed = None
    if installed is None or installed != wanted:
        raise InvalidInput(f"plugin {plugin!r} must be installed, got {installed or 'none'}", f"Install {plugin}.")


def _cell(command: str, data_dir: Path | None) -> Cell:
    """Return the cell of a row's command, which is read and never run.

    Raises:
        InvalidInput: it is no `kanzoo run` of one cell of a config that comes with kanzoo, or the config is refused.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidInput(f"command must be one line of a shell, got {command!r}: {error}") from None
    if words[:2] != ["kanzoo", "run"] or len(words) < 3 or any(word.startswith("-") for word in words[2:]):
        raise InvalidInput(f"command must be `kanzoo run CONFIG key=value ...`, got {command!r}")
    source, overrides = words[2], words[3:]
    if source not in names():
        raise InvalidInput(f"command must name a config that comes with kanzoo, got {source!r}", "A file of one machine repeats nothing.")
    if len(list(itertools.islice(expand(overrides), 2))) != 1:
        raise InvalidInput(f"command must give one cell, got a sweep: {command!r}")
    try:
        (cell,) = compose(source, overrides, data_dir=data_dir)
    except InvalidInput as error:
        raise InvalidInput(f"the config of `{command}` is refused: {error.message}", error.hint) from error
    return cell


def _labels(command: str, data_dir: Path | None) -> list[str]:
    """Return what the model of a command may be called.

    In a command made by a benchmark the first overrides are those of the experiment's line: what the trainer is told there is the same
    for all models, and no part of their labels.
    """
    source, *overrides = shlex.split(command)[2:]
    cells = [compose(source, overrides[n:], own=overrides[:n], data_dir=data_dir)[0] for n in range(len(overrides) + 1)]
    return list(dict.fromkeys(cell.model_label for cell in cells))


def _place(row: Row) -> tuple[str, str]:
    return row.config_hash, row.hardware


def _lines(path: Path) -> Sequence[int]:
    """Return the line on which each row begins."""
    reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True)
    next(reader, None)
    ends = [1, *(reader.line_num for _ in reader)]
    return [end + 1 for end in ends[:-1]]
