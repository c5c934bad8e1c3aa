import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest

# The same examples at every commit; to look for new ones: HYPOTHESIS_PROFILE=explore make test.
hypothesis.settings.register_profile("commit", deadline=None)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "commit"))

# Before torch is imported: the tests run side by side, and threads that wait for each other cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: A tiny experiment: a second of work.
TINY = """
task: {name: regression, dataset: formula, formula: "sin(pi*x1)", num_train: 60, num_test: 20, hidden: [2]}
basis: {name: chebyshev, degree: 3}
trainer: {lr: 1.0e-2, batch_size: 20, max_epochs: 3}
"""


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh MLflow database, to be copied: making one takes seconds."""
    from kanzoo.tracking import Tracker

    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    Tracker(f"sqlite:///{database}")
    return database


@pytest.fixture(scope="session")
def new_store(empty_store: Path) -> Callable[[Path], str]:
    """Return a function that puts an empty store into a folder and returns its URI."""

    def new_store(folder: Path) -> str:
        with closing(sqlite3.connect(empty_store)) as source, closing(sqlite3.connect(folder / "mlflow.db")) as target:
            source.backup(target)  # with what stands in the write-ahead log
        return f"sqlite:///{folder / 'mlflow.db'}"

    return new_store


@pytest.fixture
def uri(new_store: Callable[[Path], str], tmp_path: Path) -> str:
    """Return the URI of an empty store of the test's own."""
    return new_store(tmp_path)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of the config of a tiny experiment."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def faulty_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the path in which the distribution `kan-faulty` is installed, with its basis `faulty`."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(Path(__file__).parent / "fixtures" / "kan_faulty" / "kan_faulty.py", site)
    info = site / "kan_faulty-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kan-faulty\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[kanzoo.bases]\nfaulty = kan_faulty:Faulty\n", encoding="utf-8")
    return site


@pytest.fixture
def faulty(faulty_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the basis `faulty` in this process, its faults switched on; return the folder that switches them off when it is gone."""
    from kanzoo.registry import plugins

    faults = tmp_path / "faults"
    faults.mkdir()
    monkeypatch.setenv("KANZOO_FAULTS", str(faults))
    monkeypatch.syspath_prepend(faulty_site)
    plugins.cache_clear()
    yield faults
    plugins.cache_clear()
