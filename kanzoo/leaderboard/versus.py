"""A task's models against its best baseline, and models against each other over tasks: which differences are more than chance."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kanzoo.leaderboard.ranking import Ranked, best_by_label, cost
from kanzoo.leaderboard.statistics import (
    ALPHA,
    Comparison,
    average_ranks,
    cliques,
    compare,
    compare_errors,
    critical_difference,
    friedman,
    holm,
)
from kanzoo.leaderboard.summary import Board, Summary

#: Common seeds from which a comparison has a verdict.
LEAST_SEEDS = 5


@dataclass(frozen=True)
class Versus:
    """A model against the best baseline of its task.

    Attributes:
        comparison: seed by seed.
        p: its p-value after Holm's correction for all models of the task that have a verdict; NaN for the others.
        verdict: `better` or `worse` where p is below 0.05, `equal` where it is not, `unknown` for fewer than five common seeds: of three,
            equal differences of accuracies that count few samples would pass for certainty.
    """

    comparison: Comparison
    p: float
    verdict: str


def best_baseline(group: Sequence[Ranked]) -> Summary | None:
    """Return the baseline with the best mean score of a task, of those with five seeds where there are any; None when none finished."""
    return _first([one.summary for one in group if not one.summary.basis and one.summary.n])


def best_basis(group: Sequence[Ranked]) -> Summary | None:
    """Return the model with a basis that has the best mean score of a task, likewise."""
    return _first([one.summary for one in group if one.summary.basis and one.summary.n])


def _first(best_first: Sequence[Summary]) -> Summary | None:
    """Return the best of those that a verdict can be given of: the mean of fewer seeds comes first by luck more easily."""
    return next(iter([one for one in best_first if one.n >= LEAST_SEEDS] or best_first), None)


def versus_baseline(group: Sequence[Ranked]) -> dict[str, Versus]:
    """Compare each model of a task that finished with its best baseline, on the seeds that both have.

    Taking the best of several baselines is a little hard on the others, which is the side to err on.

    Returns:
        model_key -> comparison; the baseline itself is left out, and all are where there is none.
    """
    baseline = best_baseline(group)
    if baseline is None:
        return {}
    others = [one.summary for one in group if one.summary.n and one.summary.model_key != baseline.model_key]
    comparisons = [paired(summary, baseline) for summary in others]
    adjusted = holm([comparison.p if comparison.n >= LEAST_SEEDS else math.nan for comparison in comparisons])
    return {
        summary.model_key: Versus(comparison, p, _verdict(comparison, p, summary))
        for summary, comparison, p in zip(others, comparisons, adjusted, strict=True)
    }


def paired(summary: Summary, baseline: Summary) -> Comparison:
    """Compare two models of a task seed by seed: errors, where smaller is better and none is zero, by their ratio, others by difference."""
    by_ratio = summary.direction == "min" and min(*summary.scores, *baseline.scores) > 0
    return (compare_errors if by_ratio else compare)(_by_seed(summary), _by_seed(baseline))


def _by_seed(summary: Summary) -> dict[int, float]:
    return dict(zip(summary.seeds, summary.scores, strict=True))


def _verdict(comparison: Comparison, p: float, summary: Summary) -> str:
    if math.isnan(p):
        return "unknown"
    if p >= ALPHA:
        return "equal"
    return "better" if (comparison.sign > 0) == (summary.direction == "max") else "worse"


@dataclass(frozen=True)
class Field:
    """The models that were run on every task, side by side.

    Attributes:
        models: labels by rising mean rank.
        mean_ranks: of each; equal scores share the mean of their ranks, and failed models come last.
        tasks: how many.
        p: of Friedman's test that none differs.
        critical_difference: from which two mean ranks differ, by Nemenyi's test at 5 %.
        cliques: first and last place of each longest run of models that do not differ.
    """

    models: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    tasks: int
    p: float
    critical_difference: float
    cliques: tuple[tuple[int, int], ...]


def field(ranking: Mapping[Board, Sequence[Ranked]]) -> Field | None:
    """Compare the models that were run on every task by their ranks; None for fewer than two tasks or two such models.

    Give it what can be compared, see `kanzoo.leaderboard.common`.
    """
    tasks = [best_by_label(group) for group in ranking.values()]
    models = sorted(set.intersection(*(set(task) for task in tasks))) if tasks else []
    if len(tasks) < 2 or len(models) < 2:
        return None
    ranks = [average_ranks([cost(task[model].summary) for model in models]) for task in tasks]
    means = {model: statistics.mean(column) for model, column in zip(models, zip(*ranks, strict=True), strict=True)}
    order = sorted(models, key=lambda model: (means[model], model))
    difference = critical_difference(len(models), len(tasks))
    rising = tuple(means[model] for model in order)
    return Field(tuple(order), rising, len(tasks), friedman(ranks), difference, tuple(cliques(rising, difference)))
