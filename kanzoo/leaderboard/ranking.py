"""Summaries -> ranking: within a task, over all tasks, and against cost."""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from kanzoo.leaderboard.statistics import average_ranks
from kanzoo.leaderboard.summary import Board, Direction, Summary
from kanzoo.leaderboard.track import track_kind, track_order

#: Significant digits of a mean that count: scores are means in float32, where equal counts may differ in the seventh.
_DIGITS = 6


@dataclass(frozen=True)
class Ranked:
    """A summary and its rank within its board: 1 is best, equal means share a rank, failed ones share the one after the last."""

    rank: int
    summary: Summary


@dataclass(frozen=True)
class Standing:
    """One model over all tasks that it was run on.

    Attributes:
        rank: place by mean rank; equal means share it.
        model: label of the model.
        basis: registry name of the basis; empty for a baseline.
        mean_rank: mean of the ranks in the tasks, where equal scores share the mean of their ranks, and so do failed models, the last.
        tasks: how many tasks that is.
        wins: tasks where it is first.
        win_rate: share of the other models that it beats, over all tasks; an equal one counts half.
        normalised: mean over the tasks of its score between the worst model, 0, and the best, 1, by the logarithms
            where all are positive errors; 0 where every seed failed.
        failed: tasks where every seed failed.
    """

    rank: int
    model: str
    basis: str
    mean_rank: float
    tasks: int
    wins: int
    win_rate: float
    normalised: float
    failed: int


def rank(summaries: Iterable[Summary]) -> dict[Board, list[Ranked]]:
    """Rank the models within each task and track by mean score; failed ones come last, and means equal to six digits share a rank.

    Returns:
        board -> models from best to worst; boards in the order of their tasks' labels, then of their tracks.
    """
    groups: dict[Board, list[Summary]] = defaultdict(list)
    for summary in sorted(summaries, key=lambda one: (one.task, one.task_key, track_order(one.track), one.model, one.model_key)):
        groups[summary.board].append(summary)
    ranking = {}
    for key, group in groups.items():
        costs = [cost(summary) for summary in group]
        places = [1 + sum(other < own for other in costs) for own in costs]
        ranking[key] = sorted((Ranked(place, summary) for place, summary in zip(places, group, strict=True)), key=lambda one: one.rank)
    return ranking


def by_kind(ranking: Mapping[Board, Sequence[Ranked]]) -> dict[str, dict[Board, Sequence[Ranked]]]:
    """Return the boards of each kind of track, the default first: ranks are averaged within a kind alone."""
    kinds = sorted({track_kind(board.track): track_order(board.track) for board in ranking}.items(), key=lambda item: item[1])
    return {kind: {board: group for board, group in ranking.items() if track_kind(board.track) == kind} for kind, _ in kinds}


def common(ranking: Mapping[Board, Sequence[Ranked]]) -> dict[Board, list[Ranked]]:
    """Return two or more tasks with the models that were run on all of them, so many of both that the table is the largest.

    Ranks over other tasks, or among other models, are other ranks: means of them do not compare. Of several configurations of a model
    the best one counts. Give it the boards of one kind of track, see `by_kind`.

    Returns:
        The boards with these models alone, best first; empty when no two tasks share two models.
    """
    best = {board: best_by_label(group) for board, group in ranking.items()}
    shared = dict.fromkeys(frozenset(best[one]) & frozenset(best[other]) for one, other in combinations(best, 2))
    tables = [(models, [board for board, labels in best.items() if models <= labels.keys()]) for models in shared if len(models) > 1]
    if not tables:
        return {}
    models, boards = max(tables, key=lambda table: (len(table[0]) * len(table[1]), len(table[1])))
    return {board: [one for label, one in best[board].items() if label in models] for board in boards}


def overall(ranking: Mapping[Board, Sequence[Ranked]]) -> list[Standing]:
    """Average the ranks of each model over the tasks that it was run on, best first; models that ran on fewer tasks come after.

    Give it the boards of one kind of track, see `by_kind`, and of these what can be compared, see `common`.

    Models are matched by label; the baselines of the different networks (mlp, cnn) are one model. Where a task has several
    configurations with one label, the best one counts.
    """
    places: dict[str, list[Ranked]] = defaultdict(list)
    ranks: dict[str, list[float]] = defaultdict(list)
    wins: dict[str, int] = defaultdict(int)
    beaten: dict[str, list[float]] = defaultdict(list)
    normalised: dict[str, list[float]] = defaultdict(list)
    for group in ranking.values():
        best = best_by_label(group)
        costs = {label: cost(one.summary) for label, one in best.items()}
        for (label, one), own in zip(best.items(), average_ranks(list(costs.values())), strict=True):
            places[label].append(one)
            ranks[label].append(own)
            wins[label] += costs[label] == min(costs.values()) < math.inf
            beaten[label] += [(costs[label] < other) + (costs[label] == other) / 2 for name, other in costs.items() if name != label]
            normalised[label].append(_normalised(costs[label], costs.values()))
    means = {model: statistics.mean(own) for model, own in ranks.items()}
    order = {model: (-len(ones), means[model]) for model, ones in places.items()}
    return [
        Standing(
            rank=1 + sum(other < order[model] for other in order.values()),
            model=model,
            basis=places[model][0].summary.basis,
            mean_rank=means[model],
            tasks=len(places[model]),
            wins=wins[model],
            win_rate=statistics.mean(beaten[model]) if beaten[model] else math.nan,
            normalised=statistics.mean(normalised[model]),
            failed=sum(one.summary.n == 0 for one in places[model]),
        )
        for model in sorted(places, key=lambda model: (order[model], model))
    ]


def best_by_label(group: Iterable[Ranked]) -> dict[str, Ranked]:
    """Return the best configuration of each model of a task, by the name under which it is followed over tasks."""
    best: dict[str, Ranked] = {}
    for one in group:  # best first
        best.setdefault(_across_tasks(one.summary), one)
    return best


def _normalised(own: float, costs: Iterable[float]) -> float:
    known = [value for value in costs if math.isfinite(value)]
    if not math.isfinite(own):
        return 0.0
    if min(known) > 0:  # errors: what lies between 1e-5 and 1e-2 is not all the same beside 1
        own, known = math.log(own), [math.log(value) for value in known]
    span = max(known) - min(known)
    return (max(known) - own) / span if span else 1.0


def _across_tasks(summary: Summary) -> str:
    """Return the name under which a model is followed over tasks: `mlp(width=8)` here is `cnn(width=8)` there."""
    return summary.model if summary.basis else re.sub(r"^\w+", "baseline", summary.model)


def pareto(points: Sequence[tuple[float, float]], direction: Direction = "min") -> list[int]:
    """Return the points that no other point beats in cost without losing in score, or in score without losing in cost.

    Args:
        points: (cost, score); cheaper is better. A point with a NaN is never on the front.
        direction: which scores are better.

    Returns:
        Indices by rising cost.

    Example:
        >>> pareto([(1, 0.5), (2, 0.9), (3, 0.8)], "max")
        [0, 1]
    """
    sign = 1 if direction == "min" else -1
    known = [(price, sign * score, index) for index, (price, score) in enumerate(points) if not (math.isnan(price) or math.isnan(score))]
    front: list[tuple[float, float, int]] = []
    for price, loss, index in sorted(known):
        if not front or loss < front[-1][1] or (price, loss) == front[-1][:2]:
            front.append((price, loss, index))
    return [index for _, _, index in front]


def cost(summary: Summary) -> float:
    """Return what models are ranked by: the mean score to six digits, smaller is better; infinite when every seed failed."""
    if summary.n == 0:
        return math.inf
    mean = float(f"{summary.mean:.{_DIGITS}g}")
    return mean if summary.direction == "min" else -mean
