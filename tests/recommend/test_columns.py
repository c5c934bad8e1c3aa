from pathlib import Path

import pytest

from kanzoo.errors import InvalidInput
from kanzoo.recommend.columns import MIN_ROWS, look


def written(folder: Path, values: list[object]) -> Path:
    path = folder / "t.csv"
    path.write_text("x, y\n" + "".join(f"{index},{value}\n" for index, value in enumerate(values)))
    return path


@pytest.mark.parametrize(
    ("values", "kind", "most"),
    [
        ([index / 7 for index in range(60)], "regression", 1 / 60),
        (["ash", "oak", "oak"] * 20, "classification", 2 / 3),
        ([0, 1, 1, 1] * 15, "classification", 3 / 4),
        (["1.0", "2.0"] * 30, "classification", 1 / 2),
        ([0.5, 1.5] * 30, "regression", 1 / 2),
        (list(range(60)), "regression", 1 / 60),
        ([3] * 60, "regression", 1.0),
        ([*(index / 7 for index in range(59)), "n/a"], "regression", 1 / 60),
    ],
)
def test_the_kind_of_a_target(tmp_path: Path, values: list[object], kind: str, most: float) -> None:
    found = look(written(tmp_path, values), "y")
    assert (found.kind, found.rows) == (kind, 60)
    assert found.most == pytest.approx(most)


def test_too_few_rows_are_no_base(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"FILE must hold at least {MIN_ROWS} rows, got 39 in .*t\.csv"):
        look(written(tmp_path, list(range(39))), "y")
    assert look(written(tmp_path, list(range(40))), "y").rows == 40


def test_what_else_is_wrong_is_left_to_the_task(tmp_path: Path) -> None:
    assert look(tmp_path / "none.csv", "y").kind == "regression"
    assert look(written(tmp_path, [1, 2]), "z").rows == 0
