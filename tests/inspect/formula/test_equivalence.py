import pytest
import sympy as sp

from kanzoo.inspect.formula.equivalence import equivalent

X, Y = sp.symbols("x y", positive=True)
RANGES = {"x": (1.0, 3.0), "y": (1.0, 3.0)}


def test_verdicts() -> None:
    assert equivalent(sp.exp(sp.log(X) - sp.log(Y)), X / Y, RANGES) == "algebraic"
    assert equivalent(1.00001 * X * Y, X * Y, RANGES) == "numerical"
    assert equivalent(X * Y + sp.Rational(1, 1000) * X**2, X * Y, RANGES) == "different"
    assert equivalent(sp.Symbol("x") * sp.Symbol("y", real=True), X * Y, RANGES) == "algebraic"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="none for z"):
        equivalent(sp.Symbol("z"), X, RANGES)
    with pytest.raises(ValueError, match="must rise"):
        equivalent(X, X, {"x": (1.0, 1.0)})
    with pytest.raises(ValueError, match="finite on its ranges"):
        equivalent(X, sp.log(X - 2), RANGES)
