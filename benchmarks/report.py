"""docs/speed.md and its pictures, from the rows of `benchmarks.speed`: nothing in them is typed by hand."""

import csv
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

* **a name alone**: our basis in a compiled network (`kanzoo.compilation.compile`, `trainer.compile=true`); **eager**: the same without;
  **at once**: loss and gradients as one graph (`kanzoo.compilation.gradients`), for small networks.
* *manner*: a layer written from the formulas of a well-known implementation; *peer*: a package as published on PyPI.
* The two backends: torch multiplies by MKL; oneDNN is what large products go to on AMD processors with AVX-512. Whatever a contestant
  gains by oneDNN is the ratio of the two rows of bare products, no more. *, oneDNN* after another's name: the same under torch's
  setting `medium`, which sends its products to oneDNN too.
* *first call* is wall-clock time, compilation included where torch's cache does not have it; *memory* is the growth of the peak resident
  set over two steps in a fresh process; *error* is the largest relative error of y, dW and dx against float64.
"""

#: Functions with parameters of their own on each edge: no matrix product could replace them.
_EDGE = "wav_kan"

#: Title, words and file of what else was measured.
_FILES = [
    (
        "Training",
        "`python -m benchmarks.training`: the loop of `kanzoo run` beside a bare one, LBFGS, and many seeds at once.",
        "training.csv",
    ),
    (
        "First calls",
        "`python -m benchmarks.first_call`: seconds of a fresh process until the first compiled step is done, the compiler's import "
        "included, with torch's cache empty and full. `mnist` is [784, 64, 10], 8 functions an edge, `many_functions` [64, 64], 64.",
        "first_call.csv",
    ),
    (
        "Half precision",
        "`python -m benchmarks.precision`: [784, 64, 10], batch 256, eager, under bf16 autocast: the basis in float32, products in bf16. "
        "Relative errors against float64; the gradient is the worst of all parameters.",
        "precision.csv",
    ),
]


def page(rows: Sequence[SpeedRow]) -> str:
    """Return the page."""
    machines = sorted({f"{row.cpu}, torch {row.torch} ({row.hardware})" for row in rows})
    parts = [_INTRODUCTION, f"Measured on: {'; '.join(machines)}.\n", _backends(rows), _summary(rows), _others(rows)]
    parts += ["![Time against grid size, batch and width](speed_growth.svg)\n", *(_file(*item) for item in _FILES)]
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


def _backends(rows: Sequence[SpeedRow]) -> str:
    """Return what the library that multiplies is worth on this machine."""
    found = {row.workload: row.to_onednn for row in rows if row.contestant == "bare products, MKL"}
    words = ", ".join(f"{name} {found[name]:.2f}" for name in WORKLOADS if name in found)
    return f"Bare products by MKL take this many times as long as by oneDNN: {words}.\n"


def _others(rows: Sequence[SpeedRow]) -> str:
    """Return how many times as long as our compiled layers the others take, workload by workload."""
    lines = []
    for load in WORKLOADS:
        here = [row for row in rows if row.workload == load]
        ours = [
            row for row in here if row.kind == "basis" and not row.contestant.endswith((" eager", " at once")) and row.contestant != _EDGE
        ]
        others = [row for row in here if row.kind in ("peer", "manner", "baseline")]
        if not ours or not others:
            continue
        lines += [f"\n{load}, times as fast as:\n", f"| | {' | '.join(row.contestant for row in ours)} |", f"|---|{'--:|' * len(ours)}"]
        lines += [f"| {other.contestant} | {' | '.join(f'{other.to_onednn / row.to_onednn:.1f}' for row in ours)} |" for other in others]
    return "\n".join(["## Against others", *lines]) + "\n"


def _file(title: str, words: str, name: str) -> str:
    """Return another file of rows as a table; empty when it was not measured."""
    path = ROWS.with_name(name)
    if not path.is_file():
        return ""
    with path.open(newline="") as file:
        head, *body = csv.reader(file)
    kept = [index for index, column in enumerate(head) if column not in ("hardware", "cpu", "torch")]
    lines = [f"| {' | '.join(_cell(line[index]) for index in kept)} |" for line in body]
    return (
        "\n".join([f"## {title}\n\n{words}\n", f"| {' | '.join(head[index] for index in kept)} |", f"|{'---|' * len(kept)}", *lines]) + "\n"
    )


def _cell(text: str) -> str:
    try:
        return f"{float(text):.3g}" if float(text) < 1000 else f"{float(text):,.0f}"
    except ValueError:
        return text


def _summary(rows: Sequence[SpeedRow]) -> str:
    """Return every basis against the bare products, workload by workload."""
    names = sorted({row.contestant for row in rows if row.kind == "basis" and not row.contestant.endswith((" eager", " at once"))})
    loads = [name for name in WORKLOADS if any(row.workload == name for row in rows)]
    lines = ["Every registered basis, compiled, as a multiple of the bare oneDNN products:\n", f"| basis | {' | '.join(loads)} |"]
    lines.append(f"|---|{'--:|' * len(loads)}")
    by_place = {(row.workload, row.contestant): row for row in rows}
    for name in names:
        cells = [f"{by_place[load, name].to_onednn:.2f}" if (load, name) in by_place else "" for load in loads]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[SpeedRow]) -> Figure:
    """Return time against grid size, batch and width for everybody who was measured at two sizes or more."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = [
        ("Four layers 256 × 256, batch 256", "grid size G", "deep_", lambda load: load.grid_size),
        ("[784, 64, 10], 8 functions an edge", "batch", "mnist", lambda load: load.batch),
        ("Two layers w × w, batch 256, 8 functions an edge", "width w", "width_", lambda load: load.widths[0]),
    ]
    names = sorted({row.contestant for row in rows if not row.contestant.endswith((" eager", " at once", ", oneDNN"))})
    colors = {name: f"C{index % 10}" for index, name in enumerate(names)}
    for axes, (title, label, prefix, size) in zip(figure.subplots(1, 3), panels, strict=True):
        found = [row for row in rows if row.workload.startswith(prefix)]
        for name in names:
            points = sorted((size(WORKLOADS[row.workload]), row.step_us / 1e3, row.kind) for row in found if row.contestant == name)
            if len(points) >= 2:
                sizes, times, kinds = zip(*points, strict=True)
                style = {"basis": "-", "limit": ":", "baseline": "-."}.get(kinds[0], "--")
                width = 2.0 if kinds[0] == "basis" else 1.2
                axes.plot(sizes, times, style, color=colors[name], marker="o", markersize=3, linewidth=width, label=name)
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="forward + backward, ms")
        axes.set_title(title, fontsize=9)
        axes.grid(visible=True, which="both", alpha=0.25)
    handles = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    if handles:
        figure.legend(handles.values(), handles.keys(), fontsize=7, ncols=6, loc="outside lower center")
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
