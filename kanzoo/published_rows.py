"""Rows that are published already: a cell whose row stands there counts as finished."""

import math
from collections.abc import Sequence
from pathlib import Path

from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import latest, read_csv
from kanzoo.record import Row


def published_rows(paths: Sequence[Path]) -> dict[str, Row]:
    """Return the finished rows of CSV files, or of all CSV files in folders, by config hash; of several the newest.

    Raises:
        InvalidInput: a path is missing, or a file is no CSV of rows.
    """
    files = []
    for path in paths:
        if not path.exists():
            raise InvalidInput(f"--published must be a folder or a file, got {str(path)!r}, which is missing")
        files += sorted(path.glob("*.csv")) if path.is_dir() else [path]
    rows = latest(row for file in files for row in read_csv(file))
    return {row.config_hash: row for row in rows if row.status == "FINISHED" and math.isfinite(row.score)}
