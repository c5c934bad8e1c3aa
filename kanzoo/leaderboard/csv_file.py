"""CSV: raw numbers, one row a run."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

from kanzoo.errors import InvalidInput
from kanzoo.leaderboard.summary import Direction, row_order
from kanzoo.record import Row, Status, columns, parse

# What a spreadsheet takes for the start of a formula, and the mark itself: https://owasp.org/www-community/attacks/CSV_Injection
_MARK = "'"
_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", _MARK)


def write_csv(rows: Iterable[Row], path: str | Path) -> None:
    """Write raw rows, sorted, numbers exact; the file appears whole or not at all.

    A text cell that a spreadsheet would run as a formula gets an apostrophe in front, which `read_csv` takes off again.

    Args:
        rows: in any order.
        path: the file; its folder is made when missing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(_csv_line(cells) for cells in [columns(), *(_cells(row) for row in sorted(rows, key=row_order))])
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # not tempfile: the file keeps the permissions of the umask
    try:
        draft.write_bytes(text.encode("utf-8", errors="backslashreplace"))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_csv(path: str | Path) -> list[Row]:
    """Read what `write_csv` wrote.

    Raises:
        InvalidInput: the file is missing, is no CSV of rows, or a cell does not parse; names the line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} must be a readable UTF-8 file, got {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        header = next(reader, [])
        for cells in reader:
            if len(cells) != len(header):
                raise ValueError(f"must have {len(header)} cells, got {len(cells)}")
            row = parse({name: _disarmed(cell) for name, cell in zip(header, cells, strict=True)})
            for name, allowed in (("status", get_args(Status)), ("direction", get_args(Direction))):
                if getattr(row, name) not in allowed:
                    raise ValueError(f"column {name!r} must be one of {', '.join(allowed)}, got {getattr(row, name)!r}")
            rows.append(row)
        if missing := [field.name for field in fields(Row) if field.default is MISSING and field.name not in header]:
            raise ValueError(f"column {missing[0]!r} is missing")
    except (ValueError, csv.Error) as error:
        raise InvalidInput(f"{path}, line {max(reader.line_num, 1)}: {error}", "`kanzoo leaderboard` writes such files") from error
    return rows


def _csv_line(cells: Sequence[str]) -> str:
    # With its default line end the writer quotes a lone \r; with "\n" it would not (Python 3.11), and reading would fail.
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"


def _cells(row: Row) -> list[str]:
    written = []
    for field in fields(Row):
        value = getattr(row, field.name)
        if field.type is float:
            written.append(repr(float(value)))
        elif field.type is int:
            written.append(str(int(value)))
        else:
            written.append(_MARK + value if value.startswith(_ACTIVE) else value)
    return written


def _disarmed(cell: str) -> str:
    return cell[1:] if cell.startswith(_MARK) and cell[1:].startswith(_ACTIVE) else cell
