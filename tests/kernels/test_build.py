"""The C++ kernels are built once, are shared, and are done without where they cannot be built."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kanzoo.kernels import build

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KANZOO_KERNELS", raising=False)
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@needs_compiler
def test_is_built_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.library() is not None
    (made,) = (tmp_path / "kanzoo" / "kernels").iterdir()
    build.library.cache_clear()
    monkeypatch.setattr(subprocess, "run", None)
    assert build.library() is not None
    assert [path.name for path in (tmp_path / "kanzoo" / "kernels").iterdir()] == [made.name]


@needs_compiler
def test_leaves_small_numbers_alone() -> None:
    """Loading code that gcc linked with -ffast-math would flush them to zero in the whole process."""
    code = "from kanzoo.kernels.build import library; library(); import torch; print(float(torch.tensor(1e-40) * 1) > 0, 1e-310 * 1 > 0)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["True", "True"]


def test_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANZOO_KERNELS", "off")
    assert build.library() is None


@pytest.mark.parametrize(("compiler", "why"), [("/nowhere/g++", "nowhere"), ("false", "failed")])
def test_warns_once_without_a_compiler(compiler: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler)
    with pytest.warns(UserWarning, match=f"slower dense path: .*{why}"):
        assert build.library() is None
    assert build.library() is None
