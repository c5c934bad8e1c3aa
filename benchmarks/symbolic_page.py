"""docs/symbolic.md, from the records of `kanzoo bench symbolic`: nothing in it is typed by hand.

`python -m benchmarks.symbolic_page --collect` reads the records into `benchmarks/results/symbolic.csv` and writes the page; without
the option the page is written from that file alone.
"""

import argparse
import csv
import json
import re
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from kanzoo.config import compose_grid
from kanzoo.record import Row
from kanzoo.tracking import Tracker

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "benchmarks" / "results" / "symbolic.csv"
PAGE = ROOT / "docs" / "symbolic.md"

#: Characters of a formula that are shown, and significant digits of its numbers.
_LENGTH, _DIGITS = 110, 4

_INTRODUCTION = """# Symbolic regression: which formulas are found

{count} equations of the Feynman lectures ([arXiv:1905.11481][feynman]), every second of those with two to four variables; 600 noiseless
samples each, one seed, {seconds:g} s of processor time after which nothing new is begun. With a basis, `kanzoo.inspect.formula.discover`
trains small KANs of many shapes and reads them. pykan goes the way of its tutorials: LBFGS with a penalty, `prune`, LBFGS,
`auto_symbolic`, LBFGS, `symbolic_formula`, on the shapes [n, 1, 1], [n, 5, 1] and [n, [1, 1], 1] and from as many seeds as the time
allows, in float64, inputs scaled to [-1, 1]; its functions are fitted to 100 samples of an edge, since with 600 a single edge takes
longer than the whole time. Both choose by samples that they hold back.

A formula is *found* when it is the same function as the true one: sympy proves it (*by algebra*), or after a last fit of its numbers to
other samples the difference on fresh ones is below 1e-6 of the standard deviation. The relative error is that of the formula as it was
found, on fresh samples, over their standard deviation.

```console
pip install 'kanzoo[peers]'               # pykan
kanzoo bench symbolic                     # goes on where it was stopped
python -m benchmarks.symbolic_page --collect
```

[feynman]: https://arxiv.org/abs/1905.11481
"""


@dataclass(frozen=True)
class Found:
    """What one method found for one equation, and by which run; `verdict` is `failed` and `formula` the reason where there is none."""

    equation: str
    true: str
    model: str
    verdict: str
    formula: str
    relative_error: float
    complexity: int
    seconds: float
    budget: float
    method: str
    shape: str
    run_id: str
    config_hash: str
    hardware: str
    cpu: str
    torch: str
    kanzoo: str
    date: str
    command: str

    @property
    def is_equivalent(self) -> bool:
        """Whether it is the true formula."""
        return self.verdict in ("algebraic", "numerical")


def collect(tracker: Tracker, experiment: str = "symbolic") -> list[Found]:
    """Return what the finished and failed cells of the benchmark found, in its order.

    Raises:
        LookupError: a cell was not run yet.
    """
    _, cells = compose_grid("symbolic")
    rows: dict[str, Row] = {}
    for row in tracker.rows(experiment):
        if row.status == "FINISHED" or (row.status == "FAILED" and row.config_hash not in rows):
            rows[row.config_hash] = row
    missing = [cell for cell in cells if cell.config_hash not in rows]
    if missing:
        raise LookupError(f"{len(missing)} of {len(cells)} cells were not run yet; the first is: {missing[0].command}")
    return [_found(tracker, cell.task["formula"], cell.task["seconds"], rows[cell.config_hash]) for cell in cells]


def _found(tracker: Tracker, equation: str, budget: float, row: Row) -> Found:
    origin = {name: getattr(row, name) for name in ("run_id", "config_hash", "hardware", "cpu", "torch", "kanzoo", "date", "command")}
    nan = float("nan")
    if row.status == "FAILED":
        return Found(equation, "", row.model, "failed", row.reason, nan, 0, nan, budget, "", "", **origin)
    with tempfile.TemporaryDirectory() as folder:
        report = json.loads(tracker.artifact(row.run_id, "report.json", Path(folder)).read_text(encoding="utf-8"))
    error = tracker.run(row.run_id).data.metrics.get("test/relative_error", nan)
    told = {name: report[name] for name in ("true", "verdict", "formula", "complexity", "seconds", "method", "shape")}
    return Found(equation=equation, model=row.model, relative_error=error, budget=budget, **told, **origin)


def write(found: Iterable[Found], path: Path) -> None:
    """Write what was found as CSV, numbers exact."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Found)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(each) for each in found)


def read(path: Path) -> list[Found]:
    """Read what `write` wrote."""
    kinds = {"float": float, "int": int, float: float, int: int}
    columns = {field.name: kinds.get(field.type, str) for field in fields(Found)}
    with path.open(newline="", encoding="utf-8") as file:
        return [Found(**{name: kind(line[name]) for name, kind in columns.items()}) for line in csv.DictReader(file)]


def page(found: Sequence[Found]) -> str:
    """Return the page."""
    models = list(dict.fromkeys(each.model for each in found))
    by_equation: dict[str, list[Found]] = defaultdict(list)
    for each in found:
        by_equation[each.equation].append(each)
    machines = sorted({f"{each.cpu}, torch {each.torch} ({each.hardware})" for each in found})
    (budget,) = {each.budget for each in found}
    parts = [
        _INTRODUCTION.format(count=len(by_equation), seconds=budget),
        "## How many\n",
        _totals(models, found),
        f"Measured on: {'; '.join(machines)}.\n",
        "## Which\n",
        _marks(models, by_equation),
        "## What was found\n",
        f"Numbers to {_DIGITS} digits and formulas to {_LENGTH} characters; `benchmarks/results/symbolic.csv` has all of each.\n",
        _formulas(by_equation),
    ]
    return "\n".join(parts)


def _totals(models: Sequence[str], found: Sequence[Found]) -> str:
    lines = []
    for model in models:
        own = [each for each in found if each.model == model]
        right = [each for each in own if each.is_equivalent]
        algebra = sum(each.verdict == "algebraic" for each in own)
        lines.append(
            [
                _name(model, own),
                f"{len(right)} of {len(own)}",
                f"{len(right) / len(own):.0%}",
                str(algebra),
                _median([each.relative_error for each in own], ".1e"),
                _median([each.complexity for each in own if each.verdict != "failed"], ".0f"),
                _median([each.seconds for each in own], ".0f"),
            ]
        )
    head = ("method", "found", "", "by algebra", "median relative error", "median complexity", "median processor time, s")
    return _table(head, lines, 1)


def _name(model: str, found: Sequence[Found]) -> str:
    package = {each.method for each in found if each.method.startswith(model)}
    return f"`{package.pop() if package else model}`"


def _median(values: Sequence[float], form: str) -> str:
    known = [value for value in values if value == value]
    return f"{statistics.median(known):{form}}" if known else "–"


def _marks(models: Sequence[str], by_equation: dict[str, list[Found]]) -> str:
    lines = []
    for equation, found in by_equation.items():
        true = next((each.true for each in found if each.true), "")
        marks = {each.model: "✓" if each.is_equivalent else "–" for each in found}
        lines.append([equation, f"`{true}`", *(marks.get(model, "") for model in models)])
    return _table(["equation", "formula", *(f"`{model}`" for model in models)], lines, 2)


def _formulas(by_equation: dict[str, list[Found]]) -> str:
    """Return one line a formula, with all methods that found it."""
    lines = []
    for equation, found in by_equation.items():
        groups: dict[tuple[str, bool], list[Found]] = defaultdict(list)
        for each in found:
            groups[_rounded(each.formula), each.is_equivalent].append(each)
        for (formula, is_equivalent), group in groups.items():
            mark = "✓" if is_equivalent else "–"
            text = formula if len(formula) <= _LENGTH else f"{formula[: _LENGTH - 1]}…"
            methods = ", ".join(each.model.partition("(")[0] for each in group)
            errors = [each.relative_error for each in group if each.relative_error == each.relative_error]
            lines.append([equation, methods, mark, f"`{text}`", f"{max(errors):.1e}" if errors else "–", str(group[0].complexity)])
    return _table(("equation", "method", "", "formula", "relative error", "complexity"), lines, 4)


def _rounded(formula: str) -> str:
    return re.sub(r"(?<![\w.])\d+\.\d+(e[+-]?\d+)?", lambda number: f"{float(number[0]):.{_DIGITS}g}", formula).replace("|", "¦")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * text_columns + "|---:" * (len(head) - text_columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main() -> None:
    """Write the page, and with `--collect` the file before it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collect", action="store_true", help="read the records first")
    parser.add_argument("--experiment", default="symbolic")
    parser.add_argument("--tracking-uri", default=None)
    options = parser.parse_args()
    if options.collect:
        try:
            write(collect(Tracker(options.tracking_uri), options.experiment), ROWS)
        except LookupError as error:
            sys.exit(f"{error.args[0]}. Run `kanzoo bench symbolic`.")
    if not ROWS.is_file():
        sys.exit(f"{ROWS} must be there: run `make bench-symbolic`")
    PAGE.write_text(page(read(ROWS)), encoding="utf-8")


if __name__ == "__main__":
    main()
