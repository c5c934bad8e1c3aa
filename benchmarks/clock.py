"""Timing that neighbours cannot spoil: one pinned thread, its CPU time, contestants in turn within one process."""

import ctypes
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@dataclass(frozen=True)
class Timing:
    """Seconds of one call, round by round."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """Seconds, the median over rounds."""
        return statistics.median(self.seconds)

    @property
    def half_iqr(self) -> float:
        """Half the distance of the quartiles."""
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2

    def ratio(self, other: "Timing") -> float:
        """Median of the ratios to another contestant, paired by round: what slows the machine slows both."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True))


def settle() -> None:
    """Take one thread, one core, and an allocator that keeps its memory: glibc's gives large blocks back and then faults them in again."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2_000_000_000)
    except (OSError, AttributeError):  # another C library
        pass


def first_call(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(contestants: Mapping[str, Callable[[], object]], rounds: int, least: float = 0.02) -> dict[str, Timing]:
    """Time contestants in turn.

    Args:
        contestants: by name, each a call; the first calls, which warm up, are not counted.
        rounds: of all contestants.
        least: seconds of CPU time that one measurement takes at least; a short call is repeated.
    """
    repeats: dict[str, int] = {}
    for name, work in contestants.items():
        work()
        start = time.thread_time()
        work()
        repeats[name] = max(1, round(least / max(time.thread_time() - start, 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            start = time.thread_time()
            for _ in range(repeats[name]):
                work()
            seconds[name].append((time.thread_time() - start) / repeats[name])
    return {name: Timing(values) for name, values in seconds.items()}
