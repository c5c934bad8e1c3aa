"""The page that tells which basis: rendered from the published rows, and right on rows whose answer is known."""

from dataclasses import replace

from benchmarks import which_basis
from kanzoo.leaderboard import latest
from kanzoo.record import Row

BASE = Row(
    **{"run_id": "r", "experiment": "full", "task": "diabetes", "task_key": "t", "model": "m", "model_key": "k", "basis": "fourier"},
    **{"plugin": "kanzoo 0.1", "seed": 0, "status": "FINISHED", "reason": "", "score_name": "rmse", "direction": "min", "score": 1.0},
    **{"num_parameters": 100, "num_coefficients": 90, "train_time_s": 1.0, "step_time_ms": 4.0, "peak_memory_mb": 1.0, "epochs": 1},
    **{"hardware": "h", "cpu": "c", "threads": 1, "torch": "2", "kanzoo": "0.1", "config_hash": "h", "date": "2026-01-01T00:00:00+00:00"},
    **{"command": "kanzoo run x"},
)


def rows(model: str, basis: str, scores: list[float], task: str = "diabetes", **changes: object) -> list[Row]:
    found = []
    for seed, score in enumerate(scores):
        key = f"{model}{task}{changes.get('track', '')}"
        made = replace(BASE, model=model, basis=basis, task=task, task_key=task, model_key=key, seed=seed, score=score)
        found.append(replace(made, config_hash=f"{key}{seed}", run_id=f"{key}{seed}", **changes))  # type: ignore[arg-type]
    return found


def test_the_page_is_what_the_rows_render_to() -> None:
    assert which_basis.PAGE.read_text() == which_basis.render(which_basis.published()), "run `python -m benchmarks.which_basis`"


def test_who_is_ahead_is_told_by_the_paired_test() -> None:
    noise = [0.0, 0.1, 0.2, 0.3, 0.4]
    for difference, words in ((-0.5, "ahead on 2, behind on 0"), (0.5, "ahead on 0, behind on 2")):
        found = []
        for task in ("diabetes", "housing"):
            found += rows("mlp", "", [1 + value for value in noise], task, num_parameters=50, step_time_ms=2.0)
            found += rows("fourier", "fourier", [1 + difference + 1.01 * value for value in noise], task)
        page = which_basis.render(found)
        assert f"best basis is {words}, not to be told apart on 0" in page
        assert "| `fourier` |" in page
        assert "2.0 × | 2.0 × |" in page
    equal = rows("mlp", "", [1.0, 2.0, 3.0, 4.0, 5.0]) + rows("fourier", "fourier", [3.0, 1.0, 5.0, 2.0, 4.0])
    assert "not to be told apart on 1" in which_basis.render(equal)


def test_tracks_are_told_apart_and_other_benchmarks_left_out() -> None:
    found = rows("mlp", "", [1.0, 2.0]) + rows("fourier", "fourier", [0.5, 1.0], track="parameters=500")
    page = which_basis.render([*found, *rows("jacobi", "jacobi", [0.1, 0.1], experiment="graph")])
    assert "## Matched parameters" in page
    assert "diabetes, 500 parameters" in page
    assert "jacobi" not in page
    assert len(latest(found)) == 4
