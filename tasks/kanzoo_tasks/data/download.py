"""Where downloaded data lie, and how they get there whole."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def folder(data_dir: Path | None, name: str) -> Path:
    """Return where the raw files of a data set lie, or shall lie: in the folder of data where that has them, else in the cache."""
    given = data_dir / name / "raw" if data_dir else None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kanzoo"
    return given if given is not None and given.is_dir() else cache / name / "raw"


def fetch(target: Path, download: Callable[[Path], Path]) -> None:
    """Let `download` fill an empty folder and return the one that becomes `target`: nobody ever sees half of it, and one process works."""
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / "download.lock"):
        if not target.is_dir():  # another process may have been faster
            with tempfile.TemporaryDirectory(dir=target.parent) as partial:
                download(Path(partial)).rename(target)
