"""Time everybody on a workload and write rows: `python -m benchmarks.speed mnist tiny --rounds 9`.

Each workload runs in a process of its own. All times are CPU seconds of one pinned thread; ratios are paired by round with the bare
matrix products of the same network. Memory is the growth of the peak resident set over two steps, in a fresh process for each.
"""

import argparse
import copy
import csv
import gc
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.clock import first_call, interleaved, settle
from benchmarks.contestant import Contestant, Step, contestants
from benchmarks.workload import WORKLOADS, Workload, bare_products, step
from kanzoo import hardware
from kanzoo.compilation import Compiled
from kanzoo.kernels.gemm import onednn_is_faster

ROWS = Path(__file__).parent / "results" / "speed.csv"


@dataclass(frozen=True)
class SpeedRow:
    """One contestant on one workload.

    Attributes:
        workload: its name.
        contestant: its name.
        kind: `basis`, `baseline`, `manner`, `peer` or `limit`.
        step_us: median microseconds of forward and backward pass.
        half_iqr_us: half the distance of the quartiles.
        to_onednn: ratio to the bare products by oneDNN in the same round.
        to_mkl: ratio to the bare products by torch's own choice in the same round.
        first_call_s: wall-clock seconds of the first step, compilation included; torch's cache may be warm.
        peak_memory_mb: see the module.
        error: largest relative error of y and of the gradients against the same network in float64.
        num_parameters: trainable parameters.
        hardware: short fingerprint.
        cpu: processor.
        torch: version.
    """

    workload: str
    contestant: str
    kind: str
    step_us: float
    half_iqr_us: float
    to_onednn: float
    to_mkl: float
    first_call_s: float
    peak_memory_mb: float
    error: float
    num_parameters: int
    hardware: str
    cpu: str
    torch: str


def main() -> None:
    """Run workloads in processes of their own; replace their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="contestants whose name contains this")
    parser.add_argument("--out", type=Path, default=ROWS)
    parser.add_argument("--no-memory", action="store_true", help="leave the memory column empty: it takes a process for each contestant")
    parser.add_argument("--memory-of", default="", help=argparse.SUPPRESS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = sorted(set(options.workloads) - set(WORKLOADS))
    if unknown:
        parser.error(f"workloads must be among {', '.join(WORKLOADS)}, got {', '.join(unknown)}")
    if options.memory_of:
        print(_peak_memory(WORKLOADS[options.workloads[0]], options.memory_of))
        return
    if options.here:
        rows = measure(WORKLOADS[options.workloads[0]], options.rounds, options.only, memory=not options.no_memory)
        _write(options.out, rows)
        return
    for name in options.workloads or WORKLOADS:
        rest = ["--rounds", str(options.rounds), "--only", options.only, "--out", str(options.out), "--here"]
        subprocess.run([sys.executable, "-m", "benchmarks.speed", name, *rest, *(["--no-memory"] if options.no_memory else [])], check=True)


def measure(workload: Workload, rounds: int, only: str, *, memory: bool) -> list[SpeedRow]:
    """Time everybody on one workload."""
    settle()
    warnings.filterwarnings("ignore")  # of the peers
    x = workload.inputs()
    models: dict[str, nn.Module] = {}
    steps, first_calls, errors, kinds = {}, {}, {}, {}
    for contestant in contestants(workload):
        if only not in contestant.name:
            continue
        try:
            model = contestant.build()
            work = contestant.step(model, x)
            first_calls[contestant.name] = first_call(work)
        except Exception as error:  # a peer's own fault is told, not ours to mend
            print(f"{contestant.name} fails: {type(error).__name__}: {str(error).splitlines()[:1]}", file=sys.stderr)
            continue
        models[contestant.name], steps[contestant.name], kinds[contestant.name] = model, work, contestant.kind
        errors[contestant.name] = _error(contestant, model, x)
        print(f"{workload.name}: {contestant.name} ready after {first_calls[contestant.name]:.1f} s", file=sys.stderr, flush=True)
    limits = {"bare products, oneDNN": bare_products(workload, "onednn"), "bare products, MKL": bare_products(workload, "mkl")}
    gc.collect()
    gc.disable()
    timings = interleaved({**steps, **limits}, rounds)
    gc.enable()
    facts = hardware.describe("cpu", 1)
    rows = []
    for name, timing in timings.items():
        rows.append(
            SpeedRow(
                workload=workload.name,
                contestant=name,
                kind=kinds.get(name, "limit"),
                step_us=1e6 * timing.median,
                half_iqr_us=1e6 * timing.half_iqr,
                to_onednn=timing.ratio(timings["bare products, oneDNN"]),
                to_mkl=timing.ratio(timings["bare products, MKL"]),
                first_call_s=first_calls.get(name, float("nan")),
                peak_memory_mb=_memory_in_fresh_process(workload, name) if memory and name in models else float("nan"),
                error=errors.get(name, float("nan")),
                num_parameters=sum(p.numel() for p in models[name].parameters()) if name in models else 0,
                hardware=hardware.fingerprint(facts),
                cpu=hardware.cpu_name(),
                torch=torch.__version__,
            )
        )
        print(
            f"{workload.name:9} {name:28} {rows[-1].step_us:10.0f} us  {rows[-1].to_onednn:6.2f} x oneDNN  {rows[-1].to_mkl:6.2f} x MKL",
            flush=True,
        )
    print(f"oneDNN is taken for large products: {onednn_is_faster()}")
    return rows


def _error(contestant: Contestant, model: nn.Module, x: Tensor) -> float:
    """Return the largest relative error of y, dW and dX against float64; of a step that gives its sum alone, of the gradients."""
    plain = model.model if isinstance(model, Compiled) else model
    try:
        exact = copy.deepcopy(plain).double()
        found, true = _outcome(contestant.step, model, x), _outcome(step, exact, x.detach().double().requires_grad_(x.requires_grad))
    except Exception:  # a peer that cannot be copied, or not in float64
        return float("nan")
    pairs = zip(reversed(found), reversed(true), strict=False)
    return max(float((a.double() - b).norm() / b.norm().clamp_min(1e-300)) for a, b in pairs)


def _outcome(make: Step, model: nn.Module, x: Tensor) -> list[Tensor]:
    y = make(model, x)()
    gradients = [leaf.grad.detach() for leaf in [*model.parameters(), x] if leaf.grad is not None]
    return [y.detach(), *gradients] if y.ndim else gradients


def _memory_in_fresh_process(workload: Workload, name: str) -> float:
    command = [sys.executable, "-m", "benchmarks.speed", workload.name, "--memory-of", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout.split() else float("nan")


def _peak_memory(workload: Workload, name: str) -> float:
    """Return the growth of the peak resident set over two steps, in MB, after two that warm up."""
    settle()
    warnings.filterwarnings("ignore")
    (contestant,) = [found for found in contestants(workload) if found.name == name]
    work = contestant.step(contestant.build(), workload.inputs())
    for _ in range(2):
        work()
    memory = hardware.PeakMemory()
    memory.start()
    for _ in range(2):
        work()
    return memory.stop()


def read(path: Path) -> list[SpeedRow]:
    """Return the rows of a file."""
    kinds = {field.name: field.type for field in fields(SpeedRow)}
    with path.open(newline="") as file:
        return [SpeedRow(**{key: kinds[key](value) for key, value in row.items()}) for row in csv.DictReader(file)]  # type: ignore[operator,misc,arg-type]


def _write(path: Path, rows: list[SpeedRow]) -> None:
    """Replace the rows of the same workload and contestant; keep the rest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = {(row.workload, row.contestant) for row in rows}
    kept = [row for row in (read(path) if path.is_file() else []) if (row.workload, row.contestant) not in fresh]
    order = list(WORKLOADS)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(SpeedRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in sorted([*kept, *rows], key=lambda row: (order.index(row.workload), row.kind, row.step_us)))


if __name__ == "__main__":
    main()
