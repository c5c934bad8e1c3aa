"""Compile the C++ beside this file at first use, once a machine, into the cache."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

# Of -ffast-math only what lets sums be taken in another order: with all of it gcc links code that makes the whole process flush
# small numbers to zero.
_ORDER = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")
_FLAGS = ("-O3", "-std=c++17", "-march=native", *_ORDER, "-fopenmp-simd", "-shared", "-fPIC")
_WIDE = ("-mprefer-vector-width=512",)  # of x86 compilers
_TIMEOUT = 120


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None, with one warning, where they cannot be: no compiler, or `KANZOO_KERNELS=off`."""
    if os.environ.get("KANZOO_KERNELS", "") == "off":
        return None
    source = Path(__file__).with_name("compact.cpp")
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    if compiler is None:
        _warn("no C++ compiler was found")
        return None
    flags = [*_FLAGS, *(_WIDE if platform.machine() in ("x86_64", "AMD64") else ())]
    words = " ".join([compiler, *flags, platform.machine(), _processor()])
    target = _cache() / f"compact-{hashlib.sha256(words.encode() + source.read_bytes()).hexdigest()[:16]}.so"
    try:
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:  # another process sees the whole file or none
                made = Path(folder) / target.name
                subprocess.run([compiler, *flags, str(source), "-o", str(made)], check=True, capture_output=True, timeout=_TIMEOUT)
                made.replace(target)
        return ctypes.CDLL(str(target))
    except subprocess.CalledProcessError as error:
        _warn(f"{compiler} failed: {error.stderr.decode(errors='replace').strip()[:300]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        _warn(str(error))
    return None


def _warn(reason: str) -> None:
    warnings.warn(f"layers of local bases take the slower dense path: {reason}", stacklevel=3)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kanzoo" / "kernels"


def _processor() -> str:
    """Return the instruction sets of the processor: a cache on a shared disk serves several kinds of machines."""
    try:
        return next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.processor()
