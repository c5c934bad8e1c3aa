"""The numbers in an expression: brought into a plain form, fitted to data, and rounded to nice ones where the data allows it."""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import least_squares

Array = NDArray[np.float64]

_DENOMINATORS = (1, 2, 3, 4, 5, 6, 8, 10)
_PI_FACTORS = (sp.Integer(1), sp.pi, 1 / sp.pi, sp.pi**2, 1 / sp.pi**2, sp.sqrt(2 * sp.pi), 1 / sp.sqrt(2 * sp.pi), sp.sqrt(2))

_LOSS = 0.01  # part of the variance that a plainer formula may leave unexplained beyond what it leaves anyhow


def floats(expression: sp.Expr) -> list[sp.Float]:
    """Return the floating-point numbers of an expression, in a fixed order."""
    return sorted(expression.atoms(sp.Float), key=lambda number: (abs(float(number)), float(number)))


def plain(expression: sp.Expr) -> sp.Expr:
    """Pull scales out of powers and logarithms, and constants out of exponentials, so that no two numbers say the same.

    Example:
        >>> x = sp.Symbol("x", positive=True)
        >>> plain(sp.exp(2 * x + 0.0) * sp.sqrt(4.0 * x + 2.0))
        1.414213562373095*sqrt(2.0*x + 1.0)*exp(2*x)
    """
    if not expression.args:
        return expression
    expression = expression.func(*(plain(argument) for argument in expression.args))
    if expression.is_Pow and expression.base.is_Add:
        if not expression.base.has(sp.Float):
            return expression
        factor = _leading(expression.base)
        if factor == 1.0:
            return expression
        if factor > 0 or expression.exp.is_integer:
            return sp.Float(factor, 17) ** expression.exp * sp.expand(expression.base / factor) ** expression.exp
        return sp.Float(-factor, 17) ** expression.exp * sp.expand(-expression.base / factor) ** expression.exp
    if isinstance(expression, sp.log):
        number, rest = expression.args[0].as_coeff_Mul()
        if number.is_Float and number > 0:
            return sp.log(number) + sp.log(rest)
    if isinstance(expression, sp.exp):
        number, rest = expression.args[0].as_coeff_Add()
        if number.is_Float:
            return sp.exp(number) * sp.exp(rest)
    return expression


def gathered(expression: sp.Expr) -> sp.Expr:
    r"""Put numbers before powers of sums into the sums, $c\,(a x + b)^q = (c^{1/q} a x + c^{1/q} b)^q$: often one number less.

    Example:
        >>> x = sp.Symbol("x", positive=True)
        >>> gathered(2.0 * sp.sqrt(0.25 * x**2 + 3.0))
        sqrt(1.0*x**2 + 12.0)
    """
    if not expression.args:
        return expression
    expression = expression.func(*(gathered(argument) for argument in expression.args))
    number, rest = expression.as_coeff_Mul()
    if number.is_Float and number > 0 and rest.is_Pow and rest.base.is_Add and rest.exp.is_Rational:
        return sp.expand(number ** (1 / rest.exp) * rest.base) ** rest.exp
    return expression


def _leading(total: sp.Expr) -> float:
    """Return the constant term of a sum, or the number before its first term."""
    constant, rest = total.as_coeff_Add()
    if constant != 0 and abs(float(constant)) > 1e-7 * max(abs(float(term.as_coeff_Mul()[0])) for term in sp.Add.make_args(rest)):
        return float(constant)
    return max((float(term.as_coeff_Mul()[0]) for term in sp.Add.make_args(rest)), key=abs)


class Model:
    """An expression whose floating-point numbers are parameters.

    Args:
        expression: of `symbols`.
        symbols: the inputs, in the order of the columns of x.
    """

    def __init__(self, expression: sp.Expr, symbols: Sequence[sp.Symbol]) -> None:
        numbers = floats(expression)
        self.parameters = [sp.Symbol(f"_theta{index}", real=True) for index in range(len(numbers))]
        self.form = expression.xreplace(dict(zip(numbers, self.parameters, strict=True)))
        self.start = np.array([float(number) for number in numbers])
        self.symbols = list(symbols)
        slopes = [self.form.diff(parameter) for parameter in self.parameters]
        self._value = _lambdify([*symbols, *self.parameters], [self.form])
        self._slopes = _lambdify([*symbols, *self.parameters], slopes)

    def value(self, x: Array, theta: Array) -> Array:
        """Evaluate at x `(N, inputs)`: `(N,)`, NaN where it is not real."""
        value: Array = _rows(self._value, x, theta, 1)[0]
        return value

    def slopes(self, x: Array, theta: Array) -> Array:
        """Return the derivatives by the parameters, `(N, parameters)`."""
        return _rows(self._slopes, x, theta, len(self.parameters)).T

    def fit(self, x: Array, y: Array, *, steps: int = 60, theta: Array | None = None) -> tuple[Array, float]:
        """Return parameters fitted to data, and their root mean squared error over the standard deviation of y."""
        theta = self.start if theta is None else theta
        spread = float(y.std()) or 1.0

        def error(theta: Array) -> float:
            value = float(np.sqrt(np.mean((self.value(x, theta) - y) ** 2))) / spread
            return value if math.isfinite(value) else math.inf

        before = error(theta)
        if not len(theta) or not math.isfinite(before) or len(theta) > len(y):
            return theta, before
        unit = np.where(np.abs(theta) > 1e-8, np.abs(theta), 1.0)
        with np.errstate(all="ignore"):
            found = least_squares(
                lambda t: np.nan_to_num((self.value(x, t * unit) - y) / spread, nan=1e6, posinf=1e6, neginf=-1e6),
                theta / unit,
                jac=lambda t: np.nan_to_num(self.slopes(x, t * unit) * unit / spread, nan=0.0, posinf=0.0, neginf=0.0),
                method="lm",
                max_nfev=steps,
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
            )
        after = error(found.x * unit)
        return (found.x * unit, after) if after < before else (theta, before)

    def at(self, theta: Array) -> sp.Expr:
        """Return the expression with these numbers."""
        return self.form.xreplace({parameter: sp.Float(value, 17) for parameter, value in zip(self.parameters, theta, strict=True)})


def refit(expression: sp.Expr, symbols: Sequence[sp.Symbol], x: Array, y: Array) -> tuple[sp.Expr, float]:
    """Return the expression with its floating-point numbers fitted to data, and the relative error."""
    model = Model(expression, symbols)
    theta, error = model.fit(x, y)
    return model.at(theta), error


def nice(value: float, tolerance: float) -> list[sp.Expr]:
    """Return integers, simple fractions and their products with powers of π that are within a relative tolerance, simplest first.

    Example:
        >>> nice(0.0795775, 1e-4)[0]
        1/(4*pi)
    """
    if abs(value) > 1e6 or value == 0:
        return []
    found: list[tuple[float, sp.Expr]] = []
    for cost, factor in enumerate(_PI_FACTORS):
        scaled = value / float(factor)
        for flipped in (False, True):
            target = 1 / scaled if flipped else scaled
            for denominator in _DENOMINATORS[: 8 if not flipped else 3]:
                numerator = round(target * denominator)
                if numerator and abs(numerator) <= 400 and abs(numerator / denominator - target) <= tolerance * abs(target):
                    fraction = Fraction(numerator, denominator)
                    exact = sp.Rational(fraction.numerator, fraction.denominator)
                    size = float(abs(fraction.numerator) + fraction.denominator + 4 * cost)
                    found.append((size, factor * (1 / exact if flipped else exact)))
    unique: dict[sp.Expr, float] = {}
    for size, exact in sorted(found, key=lambda each: each[0]):
        unique.setdefault(exact, size)
    return list(unique)[:2]


def round_numbers(
    expression: sp.Expr, symbols: Sequence[sp.Symbol], x: Array, y: Array, *, tolerance: float, deadline: float = math.inf
) -> tuple[sp.Expr, float]:
    """Drop terms and round numbers one by one, the others fitted again each time, as long as the error stays within a tolerance.

    Args:
        expression: of `symbols`.
        symbols: inputs.
        x: `(N, inputs)`.
        y: `(N,)`.
        tolerance: relative error that is accepted; at least twice the error that the expression has, or what takes 0.01 from r² if
            that is less.
        deadline: value of `time.monotonic()` at which to stop.

    Returns:
        The expression and its relative error.
    """
    expression, error = refit(expression, symbols, x, y)
    limit = max(tolerance, math.sqrt(error**2 + min(3 * error**2, _LOSS)))
    together, after = _rounded_together(expression, symbols, x, y, limit)
    if after <= limit:
        return together, after
    refused: set[tuple[str, str]] = set()
    changed = True
    exactly = limit < 1e-5  # otherwise a number says no more than its size
    while changed and time.monotonic() < deadline:
        changed = False
        for number in floats(expression):
            model = Model(expression, symbols)
            value = float(number)
            position = floats(expression).index(number)
            for exact in [sp.Integer(0), *(nice(value, max(1e-6, 1e2 * limit)) if exactly else [])]:
                key = (f"{value:.5g}", str(exact))
                if key in refused:
                    continue
                form = model.form.xreplace({model.parameters[position]: exact})
                others = {p: sp.Float(v, 17) for p, v in zip(model.parameters, model.start, strict=True)}
                trial = form.xreplace(others)
                if trial.has(sp.nan, sp.zoo, sp.oo, sp.I) or not trial.free_symbols:
                    refused.add(key)
                    continue
                trial = plain(trial)
                fitted, after = refit(trial, symbols, x, y)
                if after <= limit and len(floats(fitted)) < len(model.start):
                    expression, error, changed = fitted, after, True
                    break
                refused.add(key)
            if changed:
                break
    return expression, error


def _rounded_together(expression: sp.Expr, symbols: Sequence[sp.Symbol], x: Array, y: Array, limit: float) -> tuple[sp.Expr, float]:
    """Round all numbers at once: of an exact formula most are nice already."""
    if limit >= 1e-5:
        return expression, math.inf
    near = {}
    for number in floats(expression):
        exact = [sp.Integer(0)] if abs(number) < 1e-9 else nice(float(number), 1e-7)
        if exact:
            near[number] = exact[0]
    trial = expression.xreplace(near)
    if not near or trial.has(sp.nan, sp.zoo, sp.oo, sp.I) or not trial.free_symbols:
        return expression, math.inf
    return refit(plain(trial), symbols, x, y)


def _lambdify(symbols: Sequence[sp.Symbol], expressions: Sequence[sp.Expr]) -> Callable[..., Any]:
    return sp.lambdify(symbols, list(expressions), modules=["scipy", "numpy"], cse=True)  # type: ignore[no-any-return]


def _rows(function: Callable[..., Any], x: Array, theta: Array, count: int) -> Array:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = function(*x.T, *theta)
    rows = np.empty((count, len(x)))
    for row, value in zip(rows, values, strict=True):
        row[:] = value if np.isrealobj(value) else math.nan
    return rows
