"""A copy of a database whose schema is about to be changed by another version of its owner."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path


def copy_other_schema(database: Path, latest: Callable[[], str]) -> None:
    """Copy a database of another schema version to `<name>.<revision>.db` beside it, once.

    Args:
        database: an SQLite file, which need not be there.
        latest: tells the version that it will be changed to; asked only of a database that has one.
    """
    if not database.is_file() or database.stat().st_size == 0:
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        try:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:  # no such table: not yet its owner's, or not one of its databases
            return
    if found and found[0] != latest():
        copy = database.with_name(f"{database.stem}.{found[0]}{database.suffix}")
        if not copy.exists():
            partial = copy.with_suffix(".partial")
            with closing(sqlite3.connect(database, timeout=60)) as source, closing(sqlite3.connect(partial)) as target:
                source.backup(target)  # includes what still stands in the write-ahead log, which a file copy would miss
            shutil.move(partial, copy)
