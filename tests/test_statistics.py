import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kanzoo.leaderboard.statistics import (
    average_ranks,
    cliques,
    compare,
    compare_errors,
    critical_difference,
    friedman,
    holm,
    mean_interval,
)

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


@given(st.lists(numbers, min_size=2, max_size=12))
def test_interval_is_scipys(values: list[float]) -> None:
    low, high = mean_interval(values)
    error = stats.sem(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), error) if error else (values[0], values[0])
    np.testing.assert_allclose((low, high), expected, rtol=1e-6, atol=1e-6)


def test_interval_of_one_value() -> None:
    assert all(map(math.isnan, mean_interval([1.0])))


@pytest.mark.slow
def test_student_covers_what_the_bootstrap_of_five_values_does_not() -> None:
    """Why intervals are Student's and not BCa: both claim 95 %."""
    random = np.random.default_rng(0)
    covered = {"student": 0, "bca": 0}
    for _ in range(400):
        values = random.normal(size=5)
        low, high = mean_interval(values.tolist())
        covered["student"] += low <= 0 <= high
        bca = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=999, rng=random).confidence_interval
        covered["bca"] += bca.low <= 0 <= bca.high
    assert covered["student"] >= 0.92 * 400
    assert covered["bca"] <= 0.88 * 400


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=10))
def test_comparison_is_scipys_paired_test(pairs: list[tuple[float, float]]) -> None:
    model, baseline = (dict(enumerate(values)) for values in zip(*pairs, strict=True))
    found = compare(model, baseline)
    differences = np.array([a - b for a, b in pairs])
    assert found.n == len(pairs)
    assert found.difference == pytest.approx(differences.mean(), abs=1e-6)
    if np.ptp(differences) > 1e-6 * (1 + np.abs(differences).max()):
        assert found.p == pytest.approx(stats.ttest_rel(*zip(*pairs, strict=True)).pvalue, rel=1e-6, abs=1e-12)
        inside = found.low <= 0 <= found.high
        assert inside == (found.p >= 0.05) or found.p == pytest.approx(0.05)


@given(st.lists(st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9)), min_size=2, max_size=10))
def test_comparison_of_errors_is_scipys_of_logarithms(pairs: list[tuple[float, float]]) -> None:
    found = compare_errors(*(dict(enumerate(values)) for values in zip(*pairs, strict=True)))
    ratios = np.array([a / b for a, b in pairs])
    assert found.difference == pytest.approx(stats.gmean(ratios), rel=1e-9)
    assert found.ratio
    if np.ptp(np.log(ratios)) > 1e-6 * (1 + np.abs(np.log(ratios)).max()):
        expected = stats.ttest_1samp(np.log(ratios), 0)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
        with np.errstate(over="ignore"):
            low, high = np.exp([expected.confidence_interval().low, expected.confidence_interval().high])
        assert found.low == pytest.approx(low, rel=1e-6)
        assert math.isinf(found.high) or found.high == pytest.approx(high, rel=1e-6)


def test_logarithms_show_what_bad_seeds_hide() -> None:
    """Five errors of a model beside those of a baseline, log-normal of deviation 0.7: by claims of 1,000 at 5 %."""
    random = np.random.default_rng(0)
    claims = {}
    for factor in (1.0, 9.0):
        claims[factor] = {"differences": 0, "ratios": 0}
        for _ in range(1000):
            model, baseline = (dict(enumerate(scale * np.exp(0.7 * random.normal(size=5)))) for scale in (1.0, factor))
            claims[factor]["differences"] += compare(model, baseline).p < 0.05
            claims[factor]["ratios"] += compare_errors(model, baseline).p < 0.05
    assert 30 <= claims[1.0]["ratios"] <= 70, "the level is kept where nothing differs"
    assert claims[9.0]["ratios"] > 950
    assert claims[9.0]["differences"] < 800


def test_seeds_that_only_one_has_are_left_out() -> None:
    found = compare({0: 1.0, 1: 2.0, 7: 100.0}, {0: 0.0, 1: 1.0, 3: -100.0})
    assert (found.n, found.difference, found.p) == (2, 1.0, 0.0)
    assert compare({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).p == 1.0
    nothing = compare({0: 1.0}, {1: 1.0})
    assert nothing.n == 0
    assert math.isnan(nothing.difference)
    assert math.isnan(nothing.p)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_is_monotone_and_between_the_value_and_bonferroni(values: list[float]) -> None:
    adjusted = holm(values)
    for before, after in zip(values, adjusted, strict=True):
        assert before <= after <= 1.0
    ordered = [after for _, after in sorted(zip(values, adjusted, strict=True))]
    assert all(a <= b for a, b in pairwise(ordered))
    assert adjusted[values.index(min(values))] == pytest.approx(min(1.0, len(values) * min(values)))


def test_holm_by_hand() -> None:
    """By hand from Holm's rule: 4 x 0.005, 3 x 0.01, 2 x 0.03, then what the one before it had."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, math.nan])[0] == 0.02
    assert math.isnan(holm([0.02, math.nan])[1])


@given(st.lists(st.integers(0, 4).map(float), min_size=1, max_size=9))
def test_ranks_are_scipys(costs: list[float]) -> None:
    assert average_ranks(costs) == stats.rankdata(costs).tolist()


@given(st.integers(2, 6), st.integers(2, 8), st.integers(0, 1000))
def test_friedman_is_scipys_with_the_correction_of_iman_and_davenport(models: int, tasks: int, seed: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 5, size=(tasks, models)).astype(float)
    p = friedman([average_ranks(row) for row in costs.tolist()])
    if (costs == costs[:, :1]).all():
        assert p == 1.0
        return
    ranks = stats.rankdata(costs, axis=1)
    columns = ranks.T
    if models >= 3:
        chi = stats.friedmanchisquare(*columns).statistic
    else:  # scipy wants three: the sign test's normal form, squared
        wins = np.sign(costs[:, 0] - costs[:, 1])
        chi = wins.sum() ** 2 / (wins != 0).sum()
    rest = tasks * (models - 1) - chi
    expected = stats.f.sf((tasks - 1) * chi / rest, models - 1, (models - 1) * (tasks - 1)) if rest > 1e-9 else 0.0
    assert p == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("models", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_difference_has_the_quantiles_of_demsars_table(models: int, quantile: float) -> None:
    assert critical_difference(models, 6) * math.sqrt(36 / (models * (models + 1))) == pytest.approx(quantile, abs=1e-3)


@given(st.lists(st.floats(1, 10), min_size=1, max_size=8), st.floats(0.01, 5))
def test_a_clique_is_as_long_as_it_can_be(ranks: list[float], difference: float) -> None:
    order, found = sorted(ranks), cliques(ranks, difference)
    for first, last in found:
        assert order[last] - order[first] <= difference
        assert first == 0 or order[last] - order[first - 1] > difference
        assert last == len(order) - 1 or order[last + 1] - order[first] > difference
    for first in range(len(order)):
        for last in range(first + 1, len(order)):
            if order[last] - order[first] <= difference:
                assert any(a <= first and last <= b for a, b in found)
