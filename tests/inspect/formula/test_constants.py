import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from kanzoo.inspect.formula.constants import Model, floats, gathered, nice, plain, refit, round_numbers

X, Y = sp.symbols("x y", positive=True)
POINTS = np.random.default_rng(0).uniform(1, 3, (200, 2))


def test_refit_finds_the_numbers() -> None:
    true = 2.5 * POINTS[:, 0] ** 2 + np.sin(1.3 * POINTS[:, 1])
    fitted, error = refit(2.4 * X**2 + 0.9 * sp.sin(1.2 * Y), [X, Y], POINTS, true)
    assert error < 1e-12
    assert sorted(round(float(number), 9) for number in floats(fitted)) == [1.0, 1.3, 2.5]


def test_rounding_drops_and_names() -> None:
    true = POINTS[:, 0] / (4 * math.pi) / POINTS[:, 1] ** 2 + 3
    rounded, error = round_numbers(0.0795 * X / (Y + 1e-5) ** 2 + 2.99 + 1e-4 * X * Y, [X, Y], POINTS, true, tolerance=1e-7)
    assert sp.simplify(rounded - (X / (4 * sp.pi * Y**2) + 3)) == 0
    assert error < 1e-12


@given(st.integers(1, 50), st.sampled_from([1, 2, 3, 4, 5, 8]), st.sampled_from([1, -1]))
def test_fractions_are_nice(numerator: int, denominator: int, sign: int) -> None:
    value = sign * numerator / denominator
    assert any(float(exact) == pytest.approx(value, rel=1e-12) for exact in nice(value, 1e-9))


def test_other_numbers_are_not_nice() -> None:
    assert nice(0.123456789, 1e-7) == []
    assert nice(0.0, 1e-7) == []


@pytest.mark.parametrize(
    "expression",
    [
        sp.sqrt(2.0 * X + 3.0 * Y),
        1 + 3.0 * sp.sqrt(2.0 * X + 3.0 * Y),
        2.5 * (0.5 * X + Y + 1) ** sp.Rational(-2, 3),
        sp.log(2.5 * X * Y),
        sp.exp(0.3 + 1.5 * X),
        (0.5 * X - 2.0 * Y) ** 2,
        (1.5 - 0.2 * X) ** sp.Rational(-3, 2),
    ],
)
@pytest.mark.parametrize("form", [plain, gathered])
def test_a_form_is_the_same_function(expression: sp.Expr, form: Callable[[sp.Expr], sp.Expr]) -> None:
    before, after = Model(expression, [X, Y]), Model(form(expression), [X, Y])
    np.testing.assert_allclose(after.value(POINTS, after.start), before.value(POINTS, before.start), rtol=1e-10)


def test_terms_that_count_stay_however_noisy_the_data() -> None:
    noise = np.random.default_rng(0).normal(size=len(POINTS))
    y = POINTS[:, 0] + POINTS[:, 1]
    y = (y - y.mean()) / y.std() + 2 * noise
    found, _ = round_numbers(1.5 * X + 1.5 * Y + 0.1, [X, Y], POINTS, y, tolerance=1e-7)
    assert found.free_symbols == {X, Y}
