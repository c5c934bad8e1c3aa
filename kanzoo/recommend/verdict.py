"""What the finalists' scores say, in a sentence. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kanzoo.leaderboard.number import format_p, score_parts
from kanzoo.leaderboard.statistics import ALPHA, Comparison
from kanzoo.leaderboard.summary import Summary
from kanzoo.leaderboard.versus import paired


@dataclass(frozen=True)
class Finalist:
    """A choice with the test scores of its seeds; `name` is what people call it."""

    name: str
    summary: Summary


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Attributes:
        take: which finalist to take; None where none finished.
        p: of the corrected paired test that both predict equally well; NaN where they could not be compared.
        sentence: all of it in words.
    """

    take: Literal["kan", "mlp"] | None
    p: float
    sentence: str


def corrected_p(comparison: Comparison, test_share: float) -> float:
    r"""Return the p-value of a paired t-test over splits of one table, whose training parts share rows.

    The seeds' differences $d_1 \dots d_n$ are not independent, since each split draws from the same rows. The variance of their mean is
    taken for $(1/n + n_{test}/n_{train}) s^2$ instead of $s^2/n$; without that a chance difference is called real far too often.

    Args:
        comparison: seed by seed.
        test_share: rows of the test part over rows of the training part.

    Returns:
        The two-sided p; NaN for fewer than two seeds.

    Reference:
        Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003).

    Example:
        >>> from kanzoo.leaderboard.statistics import compare
        >>> plain = compare({0: 1.0, 1: 1.2, 2: 0.9}, {0: 0.5, 1: 0.4, 2: 0.5})
        >>> round(plain.p, 3), round(corrected_p(plain, 0.0), 3), round(corrected_p(plain, 0.2), 3)
        (0.042, 0.042, 0.065)
    """
    if math.isnan(comparison.p) or comparison.p in (0.0, 1.0):  # without spread there is nothing to correct
        return comparison.p
    from scipy.special import stdtr, stdtrit

    degrees = comparison.n - 1
    t = float(stdtrit(degrees, comparison.p / 2)) / math.sqrt(1 + comparison.n * test_share)
    return float(2 * stdtr(degrees, t))


def judge(kan: Finalist | None, mlp: Finalist | None, test_share: float) -> Verdict:
    """Return the verdict on the best KAN and the best MLP, by their test scores on the seeds that both finished."""
    kan, mlp = _finished(kan), _finished(mlp)
    if kan is None or mlp is None:
        return _alone(kan, mlp)
    comparison = paired(kan.summary, mlp.summary)
    p = corrected_p(comparison, test_share)
    scores = f"{kan.summary.score_name} {in_words(kan.summary)} against {in_words(mlp.summary)}"
    after = f"({format_p(p).replace('p 0', 'p = 0').replace('p 1', 'p = 1')}, {comparison.n} seeds)"
    if math.isnan(p):
        return Verdict("mlp", p, f"{kan.name} and {mlp.name} share too few finished seeds for a test: {scores}; take the MLP.")
    if p >= ALPHA:
        return Verdict(
            "mlp", p, f"No basis that was tried beats the MLP here: best is {kan.name}, {scores} of {mlp.name} {after}; take the MLP."
        )
    if (comparison.sign > 0) == (kan.summary.direction == "max"):
        return Verdict("kan", p, f"{kan.name} beats {mlp.name}: {scores} {after}.")
    return Verdict(
        "mlp", p, f"{mlp.name} beats the best KAN, {kan.name}: {kan.summary.score_name} {_both(mlp, kan)} {after}; take the MLP."
    )


def in_words(summary: Summary) -> str:
    """Return the mean and half its 95 % interval: `3.12 ± 0.21`, `97.31 ± 0.52 %`."""
    mean, half, unit = score_parts(summary)
    return f"{mean} {half}".strip() + unit


def warning(kind: str, r2: Sequence[float], most: float, chosen: Summary) -> str:
    """Return what is to be said where the chosen network predicts nothing; empty where it does.

    Args:
        kind: `regression` or `classification`.
        r2: coefficients of determination on the test parts.
        most: share of the most frequent class.
        chosen: its summary.
    """
    if kind == "regression" and r2 and sum(r2) / len(r2) <= 0:
        return (
            "It predicts no better than the mean of the target (r2 on the test rows is not above 0): the columns may tell nothing about it."
        )
    if kind == "classification" and chosen.n and chosen.mean <= most:
        return f"It is right no more often than the most frequent class alone ({100 * most:.0f} %): the columns may tell nothing about it."
    return ""


def _both(one: Finalist, other: Finalist) -> str:
    return f"{in_words(one.summary)} against {in_words(other.summary)}"


def _finished(one: Finalist | None) -> Finalist | None:
    return one if one is not None and one.summary.n else None


def _alone(kan: Finalist | None, mlp: Finalist | None) -> Verdict:
    if kan is not None:
        return Verdict("kan", math.nan, f"No MLP finished, so that nothing is compared; best KAN is {kan.name}.")
    if mlp is not None:
        return Verdict("mlp", math.nan, f"No KAN finished, so that nothing is compared; take the MLP, {mlp.name}.")
    return Verdict(None, math.nan, "Nothing finished: there is nothing to recommend.")
