"""Seconds until a compiled network has done its first step, with torch's cache empty and full: `python -m benchmarks.first_call`.

Wall-clock time of a fresh process from the first call on, imports of the compiler included. The network is [784, 64, 10] with 8 functions
an edge, then [64, 64] with 64.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import torch

from benchmarks.clock import first_call, settle
from benchmarks.contestant import factory
from benchmarks.workload import Workload, step
from kanzoo.basis import is_edge_factory
from kanzoo.compilation import compile as compiled
from kanzoo.models import KAN
from kanzoo.registry import plugins

ROWS = Path(__file__).parent / "results" / "first_call.csv"
WORKLOADS = {load.name: load for load in (Workload("mnist", (784, 64, 10), 256), Workload("many_functions", (64, 64), 256, grid_size=61))}


def main() -> None:
    """Measure every basis in processes of their own, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(_seconds(WORKLOADS[options.one[0]], options.one[1]))
        return
    rows = []
    for workload in WORKLOADS:
        for basis in sorted(plugins("basis")):
            with tempfile.TemporaryDirectory() as cache:
                cold, warm = (_in_fresh_process(workload, basis, cache) for _ in range(2))
            rows.append({"workload": workload, "basis": basis, "cold_s": cold, "warm_s": warm, "torch": torch.__version__})
            print(f"{workload:16} {basis:14} {cold:6.1f} s cold {warm:6.1f} s warm", flush=True)
    with ROWS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _in_fresh_process(workload: str, basis: str, cache: str) -> float:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.first_call", "--one", workload, basis]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache})
    return float(done.stdout.split()[-1])


def _seconds(workload: Workload, name: str) -> float:
    settle()
    warnings.filterwarnings("ignore")
    basis = factory(name, workload)
    widths = workload.widths if not is_edge_factory(basis) else workload.widths[-2:]
    net = compiled(KAN(widths, basis, generator=torch.Generator().manual_seed(0)), dynamic=False)
    return first_call(partial(step, net, torch.randn(workload.batch, widths[0]))())


if __name__ == "__main__":
    main()
