"""The tables of docs/continual.md, from the records of `kanzoo bench continual`: `python -m benchmarks.continual_tables`."""

import argparse
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kanzoo.tracking import Tracker

PAGE = Path(__file__).parent.parent / "docs" / "continual.md"

#: What `worst_rmse` is called: the limits are ours.
_FORGETS_NOTHING, _FORGETS_LITTLE = 1e-3, 1e-2


@dataclass(frozen=True)
class Model:
    """One configuration on one task, its figures averaged over the finished seeds."""

    task: str
    params: dict[str, str]
    figures: dict[str, float]
    seeds: int

    @property
    def name(self) -> str:
        """The basis, or the MLP with its width."""
        basis = self.params.get("basis.name")
        width = float(self.params.get("model.width", "1"))
        return f"`{basis}`" if basis else "MLP" if width == 1 else f"MLP × {width:g}"

    @property
    def residual(self) -> str:
        """The residual branch of a KAN."""
        found = self.params.get("model.residual", "none")
        return "–" if found == "none" else found

    @property
    def bias(self) -> str:
        """Whether there is one."""
        return "–" if self.params.get("model.bias") == "False" else "yes"

    @property
    def parameters(self) -> str:
        """How many there are."""
        return f"{self.figures['num_parameters']:,.0f}"


def models(tracker: Tracker, experiment: str) -> list[Model]:
    """Return the models of all finished runs of an experiment, in the order in which they began."""
    groups: dict[str, list[Any]] = defaultdict(list)
    rows = {row.run_id: row for row in tracker.rows(experiment) if row.status == "FINISHED"}
    for run_id, row in rows.items():
        groups[row.model_key].append((row, tracker.run(run_id).data))
    found = []
    for group in groups.values():
        shared = set.intersection(*(set(data.metrics) for _, data in group))
        figures = {name: statistics.mean(data.metrics[name] for _, data in group) for name in shared}
        found.append(Model(group[0][0].task, group[0][1].params, figures, len(group)))
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * text_columns + "|---:" * (len(head) - text_columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _number(value: float) -> str:
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def _figures(model: Model) -> list[str]:
    return [model.parameters, *(_number(model.figures[name]) for name in ("test/learning_rmse", "score", "test/forgetting"))]


def _verdict(model: Model) -> str:
    if model.figures["test/learning_rmse"] > 0.1 and model.figures["test/forgetting"] < 0.1:
        return "never learns"
    if model.figures["score"] <= _FORGETS_NOTHING:
        return "**forgets nothing**"
    return "forgets a little" if model.figures["score"] <= _FORGETS_LITTLE else "forgets"


def line(found: Sequence[Model]) -> str:
    """Return the table of the peaks on a line."""
    head = ("basis", "residual", "bias", "verdict", "parameters", "RMSE on a peak just learnt", "worst RMSE", "forgetting")
    rows = [[m.name, m.residual, m.bias, _verdict(m), *_figures(m)] for m in found if m.task == "continual_peaks"]
    return _table(head, rows, 4)


def layers(found: Sequence[Model]) -> str:
    """Return the table of the line with a hidden layer."""
    head = ("[1, 5, 1], `bspline`", "parameters", "RMSE on a peak just learnt", "worst RMSE", "forgetting")
    rows = [[_strategy(m), *_figures(m)] for m in found if m.task.startswith("continual_peaks(")]
    return _table(head, rows, 1)


def plane(found: Sequence[Model]) -> str:
    """Return the table of the peaks in the plane."""
    head = ("basis", "residual", "samples", "parameters", "RMSE on a peak just learnt", "worst RMSE", "forgetting")
    rows = [[m.name, m.residual, _strategy(m), *_figures(m)] for m in found if m.task.startswith("continual_peaks_2d")]
    return _table(head, rows, 3)


def _strategy(model: Model) -> str:
    return "all so far (bound)" if model.params["task.strategy"] == "cumulative" else "one peak at a time"


def digits(found: Sequence[Model]) -> str:
    """Return the table of the digits."""
    columns = ("class", "class, replay", "class, ewc", "task", "domain", "permuted")
    table: dict[tuple[str, str], dict[str, Model]] = defaultdict(dict)
    for model in found:
        if model.params["task.name"] == "continual":
            strategy = model.params["task.strategy"]
            column = model.params["task.scenario"] + ("" if strategy == "naive" else f", {strategy}")
            table[model.name, model.residual if "basis.name" in model.params else ""][column] = model
    rows = [
        [*key, cells["class"].parameters, *(f"{100 * cells[column].figures['score']:.1f}" if column in cells else "" for column in columns)]
        for key, cells in table.items()
    ]
    return _table(("basis", "residual", "parameters", *columns), rows, 2)


#: Mark in the page to what stands there.
TABLES: dict[str, Callable[[Sequence[Model]], str]] = {"line": line, "layers": layers, "plane": plane, "digits": digits}


def fill(page: str, found: Sequence[Model]) -> str:
    """Return the page with the tables between its marks `<!-- name -->` and `<!-- /name -->` replaced."""
    for name, table in TABLES.items():
        page, count = re.subn(
            rf"(<!-- {name} -->\n\n).*?(\n\n<!-- /{name} -->)",
            lambda marks, table=table: marks[1] + table(found) + marks[2],
            page,
            flags=re.DOTALL,
        )  # type: ignore[misc]
        if not count:
            raise ValueError(f"the page must hold the marks <!-- {name} --> and <!-- /{name} -->, got none")
    return page


def main() -> None:
    """Fill the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", default="continual")
    parser.add_argument("--tracking-uri", default=None)
    options = parser.parse_args()
    found = models(Tracker(options.tracking_uri), options.experiment)
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(json.dumps({"models": len(found), "seeds": sorted({model.seeds for model in found})}))


if __name__ == "__main__":
    main()
