"""Summaries -> ranking: within a task, over all tasks, and against cost."""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kanzoo.leaderboard.summary import Direction, Summary

#: Significant digits of a mean that count: scores are means in float32, where equal counts may differ in the seventh.
_DIGITS = 6


@dataclass(frozen=True)
class Ranked:
    """A summary and its rank within its task: 1 is best, equal means share a rank, failed ones share the one after the last."""

    rank: int
    summary: Summary


@dataclass(frozen=True)
class Standing:
    """One model over all tasks that it was run on.

    Attributes:
        rank: place by mean rank; equal means share it.
        model: label of the model.
        basis: registry name of the basis; empty for a baseline.
        mean_rank: mean of the ranks in the tasks. A task where every seed failed counts with the rank after the last.
        tasks: how many tasks that is.
        wins: tasks where it is first.
        failed: tasks where every seed failed.
    """

    rank: int
    model: str
    basis: str
    mean_rank: float
    tasks: int
    wins: int
    failed: int


def rank(summaries: Iterable[Summary]) -> dict[str, list[Ranked]]:
    """Rank the models within each task by mean score; failed ones come last, and means equal to six digits share a rank.

    Returns:
        task_key -> models from best to worst; tasks in the order of their labels.
    """
    groups: dict[str, list[Summary]] = defaultdict(list)
    for summary in sorted(summaries, key=lambda one: (one.task, one.task_key, one.model, one.model_key)):
        groups[summary.task_key].append(summary)
    ranking = {}
    for key, group in groups.items():
        costs = [_cost(summary) for summary in group]
        places = [1 + sum(other < cost for other in costs) for cost in costs]
        ranking[key] = sorted((Ranked(place, summary) for place, summary in zip(places, group, strict=True)), key=lambda one: one.rank)
    return ranking


def overall(ranking: Mapping[str, Sequence[Ranked]]) -> list[Standing]:
    """Average the ranks of each model over the tasks that it was run on, best first; models that ran on fewer tasks come after.

    Models are matched by label; the baselines of the different networks (mlp, cnn) are one model. Where a task has several
    configurations with one label, the best one counts.
    """
    places: dict[str, list[Ranked]] = defaultdict(list)
    for group in ranking.values():
        best: dict[str, Ranked] = {}
        for one in group:  # best first
            best.setdefault(_across_tasks(one.summary), one)
        for label, one in best.items():
            places[label].append(one)
    means = {model: statistics.mean(one.rank for one in ones) for model, ones in places.items()}
    order = {model: (-len(ones), means[model]) for model, ones in places.items()}
    return [
        Standing(
            rank=1 + sum(other < order[model] for other in order.values()),
            model=model,
            basis=places[model][0].summary.basis,
            mean_rank=means[model],
            tasks=len(places[model]),
            wins=sum(one.rank == 1 and one.summary.n > 0 for one in places[model]),
            failed=sum(one.summary.n == 0 for one in places[model]),
        )
        for model in sorted(places, key=lambda model: (order[model], model))
    ]


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
    known = [(cost, sign * score, index) for index, (cost, score) in enumerate(points) if not (math.isnan(cost) or math.isnan(score))]
    front: list[tuple[float, float, int]] = []
    for cost, loss, index in sorted(known):
        if not front or loss < front[-1][1] or (cost, loss) == front[-1][:2]:
            front.append((cost, loss, index))
    return [index for _, _, index in front]


def _cost(summary: Summary) -> float:
    if summary.n == 0:
        return math.inf
    mean = float(f"{summary.mean:.{_DIGITS}g}")
    return mean if summary.direction == "min" else -mean
