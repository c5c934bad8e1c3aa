"""docs/speed.md and its pictures, from the rows of `benchmarks.speed`: nothing in them is typed by hand."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.speed import ROWS, SpeedRow, read
from benchmarks.workload import WORKLOADS, Workload

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "speed.md"
PICTURE = ROOT / "docs" / "speed_growth.svg"

_INTRODUCTION = """# Speed

Forward and backward pass on one pinned thread, CPU time, contestants in turn within one process, medians; ratios are paired by round
with the *bare matrix products* of the same network: what a dense layer of K functions and a residual column must multiply, and
nothing else. `make bench-speed` measures, `python -m benchmarks.report` writes this page from `benchmarks/results/speed.csv`.

* **a name alone**: our basis in a compiled network (`kanzoo.compilation.compile`, `trainer.compile=true`); **eager**: the same without.
* *manner*: a layer written from the formulas of a well-known implementation; *peer*: a package as published on PyPI.
* The two backends: torch multiplies by MKL; oneDNN is what large products go to on AMD processors with AVX-512. Whatever a contestant
  gains by oneDNN is the ratio of the two rows of bare products, no more.
* *first call* is wall-clock time, compilation included where torch's cache does not have it; *memory* is the growth of the peak resident
  set over two steps in a fresh process; *error* is the largest relative error of y, dW and dx against float64.
"""


def page(rows: Sequence[SpeedRow]) -> str:
    """Return the page."""
    machines = sorted({f"{row.cpu}, torch {row.torch} ({row.hardware})" for row in rows})
    parts = [_INTRODUCTION, f"Measured on: {'; '.join(machines)}.\n", _summary(rows), "![growth](speed_growth.svg)\n"]
    for name, workload in WORKLOADS.items():
        found = sorted((row for row in rows if row.workload == name), key=lambda row: row.step_us)
        if found:
            parts += [f"## {name}: {_words(workload)}\n", _table(found)]
    return "\n".join(parts)


def _words(workload: Workload) -> str:
    shape = "→".join(map(str, workload.widths))
    if workload.image:
        return f"convolution {shape}, 3×3, {workload.image}×{workload.image} pixels, batch {workload.batch}"
    return f"[{shape}], batch {workload.batch}, {workload.num_basis} functions an edge"


def _table(rows: Sequence[SpeedRow]) -> str:
    names = ("contestant", "kind", "µs", "±", "× oneDNN", "× MKL", "first call s", "memory MB", "error", "parameters")
    head = f"| {' | '.join(names)} |\n|---|---|{'--:|' * (len(names) - 2)}\n"
    return head + "".join(
        f"| {row.contestant} | {row.kind} | {row.step_us:,.0f} | {row.half_iqr_us:,.0f} | {row.to_onednn:.2f} | {row.to_mkl:.2f} "
        f"| {_number(row.first_call_s, '.1f')} | {_number(row.peak_memory_mb, '.1f')} | {_number(row.error, '.0e')} "
        f"| {row.num_parameters or ''} |\n"
        for row in rows
    )


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"


def _summary(rows: Sequence[SpeedRow]) -> str:
    """Return every basis against the bare products, workload by workload."""
    names = sorted({row.contestant for row in rows if row.kind == "basis" and not row.contestant.endswith(" eager")})
    loads = [name for name in WORKLOADS if any(row.workload == name for row in rows)]
    lines = ["Every registered basis, compiled, as a multiple of the bare oneDNN products:\n", f"| basis | {' | '.join(loads)} |"]
    lines.append(f"|---|{'--:|' * len(loads)}")
    by_place = {(row.workload, row.contestant): row for row in rows}
    for name in names:
        cells = [f"{by_place[load, name].to_onednn:.2f}" if (load, name) in by_place else "" for load in loads]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[SpeedRow]) -> Figure:
    """Return time against grid size for everybody who was measured at two sizes or more."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    deep = [row for row in rows if row.workload.startswith("deep_")]
    for name in sorted({row.contestant for row in deep}):
        points = sorted((WORKLOADS[row.workload].grid_size, row.step_us / 1e3) for row in deep if row.contestant == name)
        if len(points) >= 2 and not name.endswith(" eager"):
            ours = any(row.contestant == name and row.kind == "basis" for row in deep)
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3.5, linewidth=2.2 if ours else 1.0, label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="grid size G",
        ylabel="forward + backward, ms",
        title="Four layers 256 × 256, batch 256: cost of a finer grid",
    )
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=7, ncols=2)
    return figure


def main() -> None:
    """Write page and picture."""
    if not ROWS.is_file():
        sys.exit(f"{ROWS} must be there: run `make bench-speed`")
    rows = read(ROWS)
    PAGE.write_text(page(rows), encoding="utf-8")
    picture(rows).savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
