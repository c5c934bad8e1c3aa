import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kanzoo_tasks import accuracy_matrix, matrix_picture

# Three experiences, by hand: ACC = (0.2 + 0.4 + 0.9) / 3, BWT = ((0.2 - 1.0) + (0.4 - 0.8)) / 2, FWT = ((0.3 - 0.1) + (0.5 - 0.2)) / 2,
# forgetting = ((1.0 - 0.2) + (0.8 - 0.4)) / 2.
R = [[1.0, 0.3, 0.0], [0.6, 0.8, 0.5], [0.2, 0.4, 0.9]]
B = [0.0, 0.1, 0.2]

matrices = st.integers(2, 6).flatmap(lambda size: arrays(np.float64, (size, size), elements=st.floats(0, 1, width=32)))
ALL: list[Callable[..., float]] = [
    accuracy_matrix.average,
    accuracy_matrix.learning,
    accuracy_matrix.backward_transfer,
    accuracy_matrix.forgetting,
    lambda scores: accuracy_matrix.forward_transfer(scores, np.zeros(len(scores))),
]


def test_values_by_hand() -> None:
    assert accuracy_matrix.average(R) == pytest.approx(0.5)
    assert accuracy_matrix.learning(R) == pytest.approx(0.9)
    assert accuracy_matrix.backward_transfer(R) == pytest.approx(-0.6)
    assert accuracy_matrix.forward_transfer(R, B) == pytest.approx(0.25)
    assert accuracy_matrix.forgetting(R) == pytest.approx(0.6)


def test_errors_by_hand() -> None:
    """RMSE of the first experience rises from 0.1 to 0.5 and that of the second falls from 0.3 to 0.2, with 0.25 between."""
    errors = [[0.1, 0.9, 0.8], [0.4, 0.25, 0.6], [0.5, 0.2, 0.1]]
    assert accuracy_matrix.average(errors) == pytest.approx(0.8 / 3)
    assert accuracy_matrix.backward_transfer(errors, "min") == pytest.approx(-((0.5 - 0.1) + (0.2 - 0.25)) / 2)
    assert accuracy_matrix.forward_transfer(errors, [1.0, 1.0, 1.0], "min") == pytest.approx((0.1 + 0.4) / 2)
    assert accuracy_matrix.forgetting(errors, "min") == pytest.approx(((0.5 - 0.1) + (0.2 - 0.25)) / 2)


@given(matrices)
def test_who_forgets_nothing_has_no_forgetting(matrix: np.ndarray) -> None:
    matrix[:] = matrix.diagonal()
    assert accuracy_matrix.forgetting(matrix) == 0
    assert accuracy_matrix.backward_transfer(matrix) == 0
    assert accuracy_matrix.average(matrix) == accuracy_matrix.learning(matrix)


@given(matrices)
def test_ranges(matrix: np.ndarray) -> None:
    assert 0 <= accuracy_matrix.average(matrix) <= 1
    assert -1 <= accuracy_matrix.backward_transfer(matrix) <= 1
    assert -1 <= accuracy_matrix.forgetting(matrix) <= 1


@given(matrices)
def test_forgetting_is_at_least_what_was_lost(matrix: np.ndarray) -> None:
    """The best earlier score is no worse than the one right after fitting, so forgetting >= -BWT."""
    assert accuracy_matrix.forgetting(matrix) >= -accuracy_matrix.backward_transfer(matrix) - 1e-12


@given(matrices)
def test_an_error_is_an_accuracy_turned_round(matrix: np.ndarray) -> None:
    start = matrix[0]
    assert accuracy_matrix.backward_transfer(1 - matrix, "min") == pytest.approx(accuracy_matrix.backward_transfer(matrix), abs=1e-12)
    assert accuracy_matrix.forgetting(1 - matrix, "min") == pytest.approx(accuracy_matrix.forgetting(matrix), abs=1e-12)
    turned = accuracy_matrix.forward_transfer(1 - matrix, 1 - start, "min")
    assert turned == pytest.approx(accuracy_matrix.forward_transfer(matrix, start), abs=1e-12)


@given(matrices, st.floats(0, 1, width=32))
def test_transfer_does_not_see_a_constant(matrix: np.ndarray, shift: float) -> None:
    for function in (accuracy_matrix.backward_transfer, accuracy_matrix.forgetting):
        assert function(matrix + shift) == pytest.approx(function(matrix), abs=1e-6)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("scores", "message"),
    [([[1.0]], "two or more"), ([[1.0, 0.0]], "square"), ([0.5, 0.5], "square"), ([[1.0, np.nan], [0.0, 1.0]], "finite")],
)
def test_what_is_no_matrix_is_refused(function: Callable[..., float], scores: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(scores)


@pytest.mark.parametrize(("untrained", "message"), [([0.1], r"of length 3, got \(1,\)"), ([0.1, 0.2, np.inf], "finite")])
def test_a_wrong_start_is_refused(untrained: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy_matrix.forward_transfer(R, untrained)


def test_csv_reads_back() -> None:
    names = ["0, 1", "2, 3", "4, 5"]  # commas are quoted
    header, *rows = csv.reader(io.StringIO(accuracy_matrix.to_csv(R, B, names)))
    assert header == ["after", *(f"on {name}" for name in names)]
    assert [row[0] for row in rows] == ["untrained", *names]
    assert [[float(cell) for cell in row[1:]] for row in rows] == [B, *R]


@pytest.mark.parametrize(("scale", "direction"), [(1.0, "max"), (1.0, "min"), (1e4, "min"), (0.0, "min")])
def test_the_picture_is_a_png_and_the_same_again(scale: float, direction: accuracy_matrix.Direction) -> None:
    scores, start = np.asarray(R) * [[scale], [1.0], [1.0]] + 1e-3 * scale, np.asarray(B) + 1e-3
    if scale == 0:
        scores, start = 0 * scores, 0 * start  # a perfect network, with no largest error to scale colours by
    first, again = (matrix_picture.draw(scores, start, ["a", "b", "c"], "rmse", direction) for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert first == again
