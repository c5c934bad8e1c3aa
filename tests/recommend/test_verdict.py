import math

import numpy as np
import pytest
from scipy import stats

from kanzoo.leaderboard import summarise
from kanzoo.leaderboard.statistics import compare
from kanzoo.recommend.verdict import Finalist, corrected_p, judge, warning
from kanzoo.record import Row

SHARE = 0.15 / 0.7


def finalist(name, scores, direction="min", score_name="rmse"):
    rows = [
        Row(
            *(str(seed), "e", "t", "k", name, name, name, "p 1", seed, "FINISHED" if math.isfinite(score) else "FAILED", "nan loss"),
            *(score_name, direction, score, 10, 5, 1.0, 1.0, 1.0, 5, "abcdef01", "cpu", 1, "2", "0", f"{name}{seed}", "2026-01-01", "c"),
        )
        for seed, score in enumerate(scores)
    ]
    return Finalist(name, summarise(rows)[0])


def test_a_kan_that_is_better_wins() -> None:
    verdict = judge(finalist("chebyshev", [3.0, 3.1, 3.2, 3.1, 3.05]), finalist("mlp", [3.5, 3.6, 3.7, 3.65, 3.5]), SHARE)
    assert verdict.take == "kan"
    assert verdict.p < 0.01
    assert verdict.sentence == "chebyshev beats mlp: rmse 3.09 ± 0.092 against 3.59 ± 0.11 (p < 0.001, 5 seeds)."


def test_errors_are_compared_by_their_ratio() -> None:
    """A third of the error in each seed is a difference, whatever the bad seeds do to the spread."""
    kan = finalist("chebyshev", [0.008, 0.011, 0.014, 0.012, 0.03])
    assert judge(kan, finalist("mlp", [0.03, 0.03, 0.05, 0.035, 0.12]), SHARE).take == "kan"


def test_higher_is_better_where_the_task_says_so() -> None:
    better, worse = [0.95, 0.96, 0.97, 0.96, 0.955], [0.85, 0.86, 0.86, 0.86, 0.85]
    kan, mlp = finalist("sine", better, "max", "accuracy"), finalist("mlp", worse, "max", "accuracy")
    assert judge(kan, mlp, SHARE).take == "kan"
    swapped = judge(finalist("sine", worse, "max", "accuracy"), finalist("mlp", better, "max", "accuracy"), SHARE)
    assert swapped.take == "mlp"
    assert swapped.sentence.startswith("mlp beats the best KAN, sine: accuracy 95.90 ± ")


def test_without_a_difference_the_mlp_is_taken() -> None:
    verdict = judge(finalist("bspline", [1.0, 2.0, 3.0]), finalist("mlp", [1.1, 1.8, 3.1]), SHARE)
    assert verdict.take == "mlp"
    assert verdict.p > 0.05
    assert verdict.sentence.startswith("No basis that was tried beats the MLP here: best is bspline, rmse 2.00 ± 2.5 against 2.00 ± ")
    assert verdict.sentence.endswith("(p = 0.93, 3 seeds); take the MLP.")


def test_what_failed_is_told() -> None:
    nan = [math.nan] * 3
    assert judge(finalist("sine", nan), finalist("mlp", [1.0, 2.0]), SHARE).sentence.startswith("No KAN finished")
    assert judge(finalist("sine", [1.0, 2.0]), None, SHARE).take == "kan"
    assert judge(None, finalist("mlp", nan), SHARE).take is None
    assert "too few finished seeds" in judge(finalist("sine", [1.0, math.nan]), finalist("mlp", [2.0, 3.0]), SHARE).sentence


def test_the_corrected_p_is_that_of_the_formula() -> None:
    differences = [0.3, 0.5, 0.1, 0.4, 0.45]
    plain = compare(dict(enumerate(differences)), dict.fromkeys(range(5), 0.0))
    t = np.mean(differences) / np.sqrt((1 / 5 + SHARE) * np.var(differences, ddof=1))
    assert corrected_p(plain, SHARE) == pytest.approx(2 * stats.t.sf(t, 4))
    assert corrected_p(plain, 0.0) == pytest.approx(plain.p)
    assert corrected_p(compare({0: 1.0}, {0: 2.0}), SHARE) != corrected_p(plain, SHARE)
    assert math.isnan(corrected_p(compare({0: 1.0}, {0: 2.0}), SHARE))


def test_splits_of_one_table_seldom_make_a_false_claim() -> None:
    # Two estimates of one mean, each by every second training row: equally good, so that any claim is false.
    random, false, plainly = np.random.default_rng(0), 0, 0
    for _ in range(300):
        rows, differences = random.normal(size=60), {}
        for seed in range(5):
            order = random.permutation(60)
            train, test = rows[order[:42]], rows[order[42:51]]
            differences[seed] = np.mean((test - train[::2].mean()) ** 2) - np.mean((test - train[1::2].mean()) ** 2)
        comparison = compare(differences, dict.fromkeys(range(5), 0.0))
        false += corrected_p(comparison, 9 / 42) < 0.05
        plainly += comparison.p < 0.05
    assert false <= 0.05 * 300
    assert false < plainly


def test_a_network_that_predicts_nothing_is_warned_of() -> None:
    chosen = finalist("mlp", [0.5, 0.6], "max", "accuracy").summary
    assert "mean of the target" in warning("regression", [-0.1, 0.05], 0.0, chosen)
    assert warning("regression", [0.5, 0.6], 0.0, chosen) == ""
    assert "(70 %)" in warning("classification", [], 0.7, chosen)
    assert warning("classification", [], 0.5, chosen) == ""
