"""A stranger's package, installed with pip, is a basis like any other: without a line changed in the project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "fixtures" / "kan_wavelets"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("plugin")
    package = shutil.copytree(SOURCE, folder / "source")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "site"), str(package)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    return os.environ | {"PYTHONPATH": str(folder / "site"), "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "COLUMNS": "200"}


def kanzoo(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kanzoo.cli", *arguments], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_with_its_distribution(environment: dict[str, str]) -> None:
    (line,) = [line for line in kanzoo(environment, "list", "bases").splitlines() if "mexican_hat" in line]
    assert "kan-wavelets 1.2.3" in line
    assert "grid_size=8" in line


def test_it_passes_the_contract(environment: dict[str, str]) -> None:
    shown = kanzoo(environment, "check", "mexican_hat")
    assert "FAILED" not in shown
    assert shown.count("passed") > 10


def test_it_trains_and_is_ranked(environment: dict[str, str]) -> None:
    config = "mnist_dense" if "KANZOO_DATA" in environment else "digits_dense"
    kanzoo(environment, "run", config, "basis.name=mexican_hat", "trainer.max_epochs=1")
    ranking = kanzoo(environment, "leaderboard", "--out", str(Path(environment["PYTHONPATH"]).parent / "out"))
    assert "mexican_hat" in ranking
