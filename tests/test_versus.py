import math
from dataclasses import replace
from itertools import product
from xml.etree import ElementTree

import pytest

from kanzoo.leaderboard import overall, rank, summarise
from kanzoo.leaderboard.number import format_difference, format_p, format_share
from kanzoo.leaderboard.rank_diagram import rank_diagram
from kanzoo.leaderboard.statistics import holm
from kanzoo.leaderboard.versus import Field, best_baseline, field, versus_baseline
from kanzoo.leaderboard.wording import field_words, versus_words
from kanzoo.record import Row, columns, parse

SEEDS = range(5)


def row(model: str, seed: int = 0, score: float = 0.9, task: str = "digits", **changes: object) -> Row:
    values: dict[str, object] = dict.fromkeys(columns(), "0") | {
        "model": model, "basis": model, "seed": seed, "task": task, "task_key": f"t:{task}", "model_key": f"{task}/{model}",
        "config_hash": f"{task}/{model}/{seed}", "run_id": f"{task}-{model}-{seed}", "status": "FINISHED", "reason": "",
        "score_name": "accuracy", "direction": "max", "score": score, "track": "default", "date": "2026-11-01T10:00:00+00:00",
    }  # fmt: skip
    return parse(values | changes)


def failed(model: str) -> Row:
    return row(model, score=math.nan, status="FAILED", reason="loss became nan")


def runs(model: str, mean: float, spread: float = 0.01, task: str = "digits", **changes: object) -> list[Row]:
    scores = [mean + spread * (seed - 2) for seed in SEEDS]
    return [row(model, seed, score, task, **changes) for seed, score in zip(SEEDS, scores, strict=True)]


def baseline(model: str, mean: float, task: str = "digits", **changes: object) -> list[Row]:
    return runs(model, mean, task=task, basis="", **changes)


def test_the_best_baseline_is_the_one_to_beat() -> None:
    ranking = rank(summarise(runs("bspline", 0.99) + baseline("mlp", 0.9) + baseline("mlp(width=8)", 0.95)))
    (group,) = ranking.values()
    found = best_baseline(group)
    assert found is not None
    assert found.model == "mlp(width=8)"
    assert set(versus_baseline(group)) == {one.summary.model_key for one in group if one.summary.model != found.model}


def test_verdicts_by_hand() -> None:
    """The differences of `same` are 0.02 (seed - 2): their mean is zero. Those of the others have no spread to speak of."""
    rows = baseline("mlp", 0.9) + runs("good", 0.95, 0.0101) + runs("bad", 0.85, 0.0101) + runs("same", 0.9, 0.03)
    (group,) = rank(summarise(rows)).values()
    versus = versus_baseline(group)
    verdicts = {one.summary.model: versus[one.summary.model_key].verdict for one in group if one.summary.basis}
    assert verdicts == {"good": "better", "bad": "worse", "same": "equal"}
    assert [versus[one.summary.model_key].p for one in group if one.summary.basis] == holm(
        [versus[one.summary.model_key].comparison.p for one in group if one.summary.basis]
    )


def test_equal_differences_on_few_seeds_are_no_certainty() -> None:
    """Three accuracies that count few samples may differ by the same in each seed: p is 0, and there is no verdict."""
    for seeds, verdict in ((3, "unknown"), (4, "unknown"), (5, "better")):
        rows = runs("kan", 0.98)[:seeds] + baseline("mlp", 0.97)[:seeds]
        (group,) = rank(summarise(rows)).values()
        (versus,) = versus_baseline(group).values()
        assert math.isnan(versus.p) if seeds < 5 else versus.p < 1e-9
        assert versus.verdict == verdict


def test_a_smaller_error_is_better() -> None:
    rows = [replace(one, direction="min", score_name="rmse") for one in baseline("mlp", 0.9) + runs("good", 0.8, 0.0101)]
    (group,) = rank(summarise(rows)).values()
    (versus,) = versus_baseline(group).values()
    assert versus.verdict == "better"
    assert versus_words(versus, "rmse") == "× 0.889, p < 0.001 ▲"


def test_an_error_of_zero_is_compared_by_the_difference() -> None:
    errors = [replace(one, direction="min", score_name="rmse") for one in baseline("mlp", 0.9) + runs("good", 0.8, 0.0101)]
    (group,) = rank(summarise([replace(one, score=0.0) if one.seed == 3 and one.basis else one for one in errors])).values()
    (versus,) = versus_baseline(group).values()
    assert not versus.comparison.ratio
    assert versus.comparison.difference < 0


def test_failed_models_and_lonely_seeds_have_no_verdict() -> None:
    rows = [row("mlp", 0, basis=""), row("bspline", 0, 0.95), failed("fourier")]
    (group,) = rank(summarise(rows)).values()
    versus = versus_baseline(group)
    assert [one.verdict for one in versus.values()] == ["unknown"]
    assert versus_words(next(iter(versus.values())), "accuracy") == "+5.00 %"
    assert versus_words(None, "accuracy") == ""
    assert versus_baseline([one for one in group if one.summary.basis]) == {}


def _table(order: list[str], tasks: int) -> list[Row]:
    return [
        one
        for index, (place, model) in product(range(tasks), enumerate(order))
        for one in runs(model, 0.9 - 0.1 * place, task=f"task {index}", basis="" if model == "mlp" else model)
    ]


def test_a_field_of_models_that_always_come_in_one_order() -> None:
    found = field(rank(summarise(_table(["a", "b", "c"], 12))))
    assert found is not None
    assert found.models == ("a", "b", "c")
    assert found.mean_ranks == (1.0, 2.0, 3.0)
    assert found.tasks == 12
    assert found.p == 0.0
    assert found.critical_difference == pytest.approx(2.343 * math.sqrt(12 / 72), abs=1e-3)
    assert found.cliques == ()
    assert "differ by less than 0.96 do not differ" in field_words(found)


def test_a_field_holds_the_models_of_all_tasks_alone() -> None:
    rows = _table(["a", "b"], 3) + runs("c", 0.99, task="task 0")
    found = field(rank(summarise(rows)))
    assert found is not None
    assert found.models == ("a", "b")
    assert field(rank(summarise(_table(["a", "b"], 1)))) is None
    assert field({}) is None


def test_shares_by_hand() -> None:
    """In each of two tasks a beats b and c; in one of them b and c are equal."""
    rows = _table(["a", "b", "c"], 1) + [
        one for model, mean in (("a", 0.9), ("b", 0.5), ("c", 0.5)) for one in runs(model, mean, task="task 1")
    ]
    standings = {one.model: one for one in overall(rank(summarise(rows)))}
    assert {model: one.win_rate for model, one in standings.items()} == {"a": 1.0, "b": 0.375, "c": 0.125}
    assert {model: round(one.normalised, 9) for model, one in standings.items()} == {"a": 1.0, "b": 0.25, "c": 0.0}


def test_errors_are_normalised_by_their_decades() -> None:
    rows = [replace(one, direction="min") for model, mean in (("a", 1e-4), ("b", 1e-2), ("c", 1.0)) for one in runs(model, mean, 0.0)]
    standings = overall(rank(summarise(rows)))
    assert {one.model: round(one.normalised, 9) for one in standings} == {"a": 1.0, "b": 0.5, "c": 0.0}


def test_a_failed_model_counts_zero() -> None:
    standings = {one.model: one for one in overall(rank(summarise([*runs("a", 0.9), *runs("b", 0.8), failed("c")])))}
    assert standings["c"].normalised == 0
    assert standings["b"].win_rate == 0.5
    assert math.isnan(overall(rank(summarise(runs("a", 0.9))))[0].win_rate)


def test_the_diagram_is_well_formed_and_names_all() -> None:
    names = ("<b>&", *(f"model {index}" for index in range(8)))
    ranks = tuple(1.0 + index for index in range(9))
    svg = rank_diagram(Field(names, ranks, 20, 0.001, 2.6, ((0, 2), (1, 3), (2, 4))))
    tree = ElementTree.fromstring(svg)
    texts = [node.text for node in tree.iter("text")]
    assert all(any(name in (text or "") for text in texts) for name in names)
    assert sum(node.get("class") == "clique" for node in tree.iter("line")) == 3
    assert "critical difference 2.60" in texts


def test_numbers_for_people() -> None:
    assert format_p(0.5) == "p 0.5"
    assert format_p(math.nan) == "–"
    assert format_difference(-0.0123, "accuracy") == "-1.23 %"
    assert format_difference(0.5, "rmse") == "+0.500"
    assert (format_share(0.125), format_share(math.nan)) == ("12 %", "–")
