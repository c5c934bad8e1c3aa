"""What a measurement was taken on: times of different fingerprints are not compared."""

import ctypes
import gc
import hashlib
import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path


def cpu_name() -> str:
    """Return the processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe(device: str, threads: int) -> dict[str, str]:
    """Return what decides the speed of a run: processor, device, cores, threads, torch."""
    facts = {
        "cpu": cpu_name(),
        "device": device,
        "cores": str(os.cpu_count()),
        "threads": str(threads),
        "system": platform.system(),
        "machine": platform.machine(),
        "torch": version("torch"),
    }
    if "torch" in sys.modules:
        facts["instructions"] = sys.modules["torch"].backends.cpu.get_cpu_capability()
    return facts


def fingerprint(facts: dict[str, str]) -> str:
    """Return a short hash of those facts."""
    return hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()[:8]


def versions() -> dict[str, str]:
    """Return the versions of what an experiment rests on."""
    packages = ("kanzoo", "torch", "pytorch-lightning", "torchmetrics", "mlflow", "numpy", "omegaconf", "PyWavelets")
    return {name: version(name) for name in packages} | {"python": platform.python_version()}


class PeakMemory:
    """Growth of the process's resident memory since `start`, at its peak, in MB; NaN where the system does not tell."""

    def __init__(self) -> None:
        self._before = float("nan")

    def start(self) -> None:
        """Begin: on Linux what earlier work left free is given back, and the kernel's high-water mark is set back."""
        gc.collect()
        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)  # else a process that ran a larger cell before would seem to need nothing
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._before = _status("VmRSS")
        except OSError:
            self._before = float("nan")

    def stop(self) -> float:
        """Return the growth at the peak, in MB."""
        try:
            return max(0.0, _status("VmHWM") - self._before)
        except OSError:
            return float("nan")


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise OSError(key)
