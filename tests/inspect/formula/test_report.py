import pytest
import sympy as sp

from kanzoo.inspect.formula.report import Formula, agreement, complexity, front

X, Y = sp.symbols("x y")


def test_front_falls_in_error() -> None:
    formulas = [Formula(X, error, size) for error, size in ((0.5, 1), (0.6, 2), (0.1, 3), (0.1, 4), (0.01, 9))]
    assert [(formula.error, formula.complexity) for formula in front(formulas)] == [(0.5, 1), (0.1, 3), (0.01, 9)]


def test_agreement_counts_forms() -> None:
    assert agreement([X * Y, Y * X, X + Y]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="one or more"):
        agreement([])


def test_complexity_grows() -> None:
    assert complexity(X) < complexity(X * Y) < complexity(sp.sin(X * Y) + 1)


def test_latex_rounds_numbers_at_any_depth_and_keeps_exact_ones() -> None:
    formula = Formula(sp.sqrt(2) * sp.sin(0.46412713085543391 * X) / (4 * sp.pi), 0.0, 9)
    assert formula.latex == r"\frac{\sqrt{2} \sin{\left(0.46413 x \right)}}{4 \pi}"
