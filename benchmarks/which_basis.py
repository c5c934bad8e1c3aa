"""docs/which-basis.md, from the raw rows of the leaderboard: `python -m benchmarks.which_basis`. Nothing in it is typed by hand."""

import math
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kanzoo.leaderboard import Board, Ranked, Summary, by_kind, common, overall, rank, read_csv, summarise
from kanzoo.leaderboard.number import format_number, format_p, format_share, plural, score_parts
from kanzoo.leaderboard.ranking import best_by_label
from kanzoo.leaderboard.track import track_words
from kanzoo.leaderboard.versus import Versus, best_baseline, best_basis, field, versus_baseline
from kanzoo.leaderboard.wording import field_words
from kanzoo.record import Row

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "which-basis.md"

#: Experiments whose rows are of the benchmarks `full` and `zoo`.
_EXPERIMENTS = ("full", "zoo")

#: What kind of data a task has, by the name of its config.
_KINDS = {
    **dict.fromkeys(("feynman", "special_function", "noisy"), "formulas"),
    **dict.fromkeys(("diabetes", "housing"), "tables"),
    **dict.fromkeys(("digits_dense", "digits_conv", "mnist_5k", "fashion_mnist"), "images"),
    **dict.fromkeys(("cora", "mutag"), "graphs"),
    **dict.fromkeys(("continual_digits", "continual_peaks"), "learning in stages"),
}

_INTRODUCTION = """# Which basis?

What the benchmark `full` found: {runs} runs of {models} models on {tasks} tasks by the rules of {tracks} tracks, up to {seeds} seeds each.
Choices are made on validation data, scores are of test data. A basis is *ahead* or *behind* where the paired t-test over common seeds
against the best baseline of the task, of logarithms for errors, by Holm for all models of it, gives p < 0.05; else it is *undecided*,
which five seeds often leave it. Baselines are the MLP, CNN or GNN, the same wider, the same with a learnt B-spline on each node
(`mlp[bspline]`), SIREN and random Fourier features ([baselines](baselines.md)). The whole table is the
[leaderboard](../leaderboard/README.md).

Scores do not depend on the load of the machine, times do: the cells of *matched time* ran in one go with nothing beside them, but part of
those of *matched parameters* and *tuned*, `mutag` and `feynman(formula=I.6.2)` ran beside other work. Their times of a step are too long.

This page is made by `python -m benchmarks.which_basis` from leaderboard/results; `kanzoo recommend` answers for a table of your own.
"""


def render(rows: Iterable[Row]) -> str:
    """Return the page."""
    rows = [row for row in rows if row.experiment in _EXPERIMENTS]
    ranking = rank(summarise(rows))
    known = [one.summary for group in ranking.values() for one in group]
    kinds = by_kind(ranking)
    head = _INTRODUCTION.format(
        runs=f"{len(rows):,}",
        models=len(set.union(*(set(best_by_label(group)) for group in ranking.values()))),
        tasks=len({board.task_key for board in ranking}),
        tracks=len(kinds),
        seeds=max(summary.n for summary in known),
    )
    parts = [head, "## In short", *map(_short, kinds, kinds.values())]
    for kind, boards in kinds.items():
        parts += [f"## {kind.capitalize()}", _tasks(boards), _overall(boards)]
    parts += ["## By kind of data", _by_data(kinds["default"])]
    return "\n\n".join(parts).rstrip() + "\n"


def _best_basis(group: Sequence[Ranked]) -> tuple[Summary | None, Versus | None]:
    best = best_basis(group)
    return best, versus_baseline(group).get(best.model_key) if best else None


def _short(kind: str, boards: Mapping[Board, Sequence[Ranked]]) -> str:
    """Return in a sentence or two how the best bases do against the best baselines."""
    verdicts = Counter(found[1].verdict if found[1] else "unknown" for found in map(_best_basis, boards.values()))
    count = sum(verdicts.values())
    words = {"better": "ahead on {}", "worse": "behind on {}", "equal": "not to be told apart on {}", "unknown": "without a verdict on {}"}
    told = ", ".join(text.format(verdicts[name]) for name, text in words.items() if verdicts[name] or name != "unknown")
    found = field(common(boards))
    first = ""
    if found:
        place = f"`{found.models[0]}` has the best mean rank, {found.mean_ranks[0]:.1f}"
        first = f" Of the {len(found.models)} models that were run on the same {found.tasks} of them {place}."
    return f"* **{kind.capitalize()}**, {plural(count, 'task')}. Against the best baseline of each task its best basis is {told}.{first}"


def _tasks(boards: Mapping[Board, Sequence[Ranked]]) -> str:
    lines = ["| task | score | best basis | | best baseline | | verdict |", "|:--|:--|:--|--:|:--|--:|:--|"]
    for board, group in boards.items():
        best, versus = _best_basis(group)
        baseline = best_baseline(group)
        title = ", ".join(filter(None, (group[0].summary.task, track_words(board.track))))
        cells = [f"`{title}`", group[0].summary.score_name]
        for summary in (best, baseline):
            cells += [f"`{summary.model}`", _score(summary)] if summary else ["–", ""]
        verdict = {"better": "ahead", "worse": "behind", "equal": "undecided"}.get(versus.verdict, "–") if versus else "–"
        cells.append(f"{verdict}, {format_p(versus.p)}" if versus and verdict != "–" else verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _score(summary: Summary) -> str:
    mean, half, unit = score_parts(summary)
    return f"{mean} {half}".strip() + unit


def _overall(boards: Mapping[Board, Sequence[Ranked]]) -> str:
    """Return the models that were run on the same tasks, with what they cost beside the plain baseline."""
    boards = common(boards)
    if not boards:
        return ""
    lines = ["| model | mean rank | win rate | normalised | parameters | step |", "|:--|--:|--:|--:|--:|--:|"]
    costs = _costs(boards)
    for standing in overall(boards):
        ratios = costs.get(standing.model, (math.nan, math.nan))
        parameters, step = (f"{format_number(value, 2)} ×" if math.isfinite(value) else "–" for value in ratios)
        cells = (standing.model, f"{standing.mean_rank:.1f}", format_share(standing.win_rate), f"{standing.normalised:.2f}")
        lines.append(f"| `{cells[0]}` | {' | '.join(map(str, cells[1:]))} | {parameters} | {step} |")
    found = field(boards)
    tasks = ", ".join(f"`{group[0].summary.task}`" for group in boards.values())
    notes = f"Over {tasks}. Parameters and time of a step are medians of their ratios to the plain baseline of the same task."
    return "\n".join(lines) + f"\n\n{notes}" + (f" {field_words(found)}" if found else "")


def _costs(boards: Mapping[Board, Sequence[Ranked]]) -> dict[str, tuple[float, float]]:
    """Return how many times the parameters and the time of a step of the plain baseline each model takes, medians over the tasks."""
    ratios: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for group in boards.values():
        best = best_by_label(group)
        plain = best.get("baseline")
        if plain is None:
            continue
        for label, one in best.items():
            own, base = one.summary, plain.summary
            time = own.step_time_ms / base.step_time_ms if own.hardware == base.hardware else math.nan
            ratios[label].append((own.num_parameters / base.num_parameters, time))
    return {label: (_median(pair[0] for pair in pairs), _median(pair[1] for pair in pairs)) for label, pairs in ratios.items()}


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return statistics.median(known) if known else math.nan


def _by_data(boards: Mapping[Board, Sequence[Ranked]]) -> str:
    """Return the normalised score of each model, averaged within each kind of data."""
    groups: dict[str, dict[Board, Sequence[Ranked]]] = defaultdict(dict)
    for board, group in boards.items():
        groups[_KINDS.get(group[0].summary.task.partition("(")[0], "others")][board] = group
    scores = {kind: {one.model: one.normalised for one in overall(own) if one.tasks == len(own)} for kind, own in groups.items()}
    models = sorted(
        set.union(*(set(own) for own in scores.values())), key=lambda model: (-sum(model in own for own in scores.values()), model)
    )
    lines = [f"| model | {' | '.join(f'{kind} ({len(groups[kind])})' for kind in scores)} |", f"|:--|{'--:|' * len(scores)}"]
    for model in models:
        lines.append(f"| `{model}` | {' | '.join(f'{own[model]:.2f}' if model in own else '–' for own in scores.values())} |")
    return "\n".join(lines) + "\n\nNormalised scores, 0 the worst of a task and 1 the best, averaged over the tasks of a kind."


def published() -> list[Row]:
    """Return the rows of leaderboard/results."""
    return [row for path in sorted((ROOT / "leaderboard" / "results").glob("*.csv")) for row in read_csv(path)]


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(published()), encoding="utf-8")
    sys.stdout.write(f"Written: {PAGE.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
