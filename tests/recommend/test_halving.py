import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from kanzoo.recommend.halving import ETA, Candidate, Choice, Cost, History, Rung, candidates, finalists, halve, keep, lengths

KANS = [Candidate(name, 1.0) for name in "abcdefgh"]
MLPS = [Candidate("", width) for width in (1.0, 2.0)]


def scorer(value, limit=None):
    """Return a scorer by `value(candidate, epochs)` that tries the first `limit` candidates, and the calls that it got."""
    calls = []

    def score(tried, epochs):
        calls.append((epochs, list(tried)))
        return {one: Cost(value(one, epochs), 10) for one in tried[:limit]}

    return score, calls


def test_the_best_third_goes_on_with_three_times_the_epochs() -> None:
    worth = {one: index for index, one in enumerate([*KANS[4:], MLPS[1], *KANS[:4], MLPS[0]])}
    score, calls = scorer(lambda one, epochs: worth[one])
    history = halve([*KANS, *MLPS], [2, 6, 18], score)
    assert [epochs for epochs, _ in calls] == [2, 6, 18]
    assert [len(tried) for _, tried in calls] == [10, 4, 2]
    assert set(calls[1][1]) == {*KANS[4:7], MLPS[1]}
    assert calls[2][1] == [KANS[4], MLPS[1]]
    assert finalists(history) == [Choice(KANS[4], 2), Choice(MLPS[1], 2)]


def test_an_mlp_reaches_the_end_however_bad_it_is() -> None:
    score, calls = scorer(lambda one, epochs: 1.0 if one.basis else 1e9)
    history = halve([*KANS, *MLPS], [1, 3, 9], score)
    assert all(any(not one.basis for one in tried) for _, tried in calls)
    assert [bool(choice.candidate.basis) for choice in finalists(history)] == [True, False]


def test_what_overfits_keeps_its_short_training() -> None:
    score, _ = scorer(lambda one, epochs: epochs if one == KANS[0] else 100 / epochs)
    history = halve([KANS[0], KANS[1], MLPS[0]], [2, 6, 18], score)
    assert finalists(history) == [Choice(KANS[0], 2), Choice(MLPS[0], 18)]
    assert history.best(KANS[0]).score == 2


def test_who_was_left_out_for_lack_of_time_is_told() -> None:
    score, _ = scorer(lambda one, epochs: 1.0, limit=3)
    history = halve([KANS[0], MLPS[0], *KANS[1:]], [1, 3], score)
    assert history.rungs[0].skipped == tuple(KANS[2:])
    assert history.rungs[1].skipped == ()


def test_failures_are_no_finalists() -> None:
    score, _ = scorer(lambda one, epochs: math.inf if one.basis else 1.0)
    assert finalists(halve([*KANS, *MLPS], [1, 3], score)) == [Choice(MLPS[0], 1)]
    assert finalists(History([Rung(1, (), ())], {})) == []


def test_of_equal_scores_the_smaller_network_goes_on() -> None:
    costs = {KANS[0]: Cost(1.0, 500), KANS[1]: Cost(1.0, 20), MLPS[0]: Cost(1.0, 100)}
    assert keep(costs, 1) == [KANS[1], MLPS[0]]


def test_both_kinds_come_first() -> None:
    found = [one.name for one in candidates(["a", "b"], [1.0, 2.0], [1.0, 8.0])]
    assert found == ["a(width=1)", "mlp(width=1)", "b(width=1)", "mlp(width=8)", "a(width=2)", "b(width=2)"]
    assert len(set(candidates(["a"], [1.0], [1.0, 2.0, 4.0]))) == 4


@given(st.dictionaries(st.sampled_from([*KANS, *MLPS]), st.floats(0, 10), min_size=1), st.integers(1, 12))
def test_keep_keeps_the_best_and_both_kinds(values, number) -> None:
    costs = {one: Cost(value, 1) for one, value in values.items()}
    kept = keep(costs, number)
    assert len(kept) == len(set(kept)) <= len(costs)
    assert {bool(one.basis) for one in kept} == {bool(one.basis) for one in costs}
    assert min(costs.values()) == min(costs[one] for one in kept)
    assert len(kept) >= min(number, len(costs))
    kinds = len({bool(one.basis) for one in costs})
    worst = [max(costs[one] for one in kept[kinds:])] if kept[kinds:] else []
    assert all(costs[one] >= value for value in worst for one in costs if one not in kept)


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 5))
def test_lengths_rise_to_the_last(most, least, rungs) -> None:
    steps = lengths(max(most, least), least, rungs)
    assert steps[-1] == max(most, least)
    assert steps[0] >= least
    assert steps == sorted(set(steps))
    assert len(steps) <= rungs
    assert all(later <= ETA * earlier + ETA for earlier, later in itertools.pairwise(steps))
