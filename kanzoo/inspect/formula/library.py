"""Candidates for the function on an edge: what it computes in torch and in sympy, what it costs, and where to begin the search for it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Candidate:
    r"""A function f that an edge may be, as $c\,f(a x + b) + d$.

    Attributes:
        name: what reports call it.
        function: f in torch, elementwise, differentiable; NaN or infinite where it is not defined.
        symbol: f in sympy.
        complexity: what one use of it costs; x costs 1.
        grid: starting values of a and b, `(G, 2)`, for x on [-1, 1].
        free: whether a and b are looked for; what is only another scale or constant (a of a power, b of exp) stays.
        at_origin: whether f(x), or f(a x), is tried for itself: the shift b costs one more.
        is_common: whether a first reading may use it; a piece of a rare function often looks like a common one.

    Example:
        >>> import sympy, torch
        >>> sinc = Candidate("sinc", lambda z: torch.sinc(z / torch.pi), sympy.sinc, 3)
        >>> sinc.function(torch.tensor([0.0]))
        tensor([1.])
    """

    name: str
    function: Function
    symbol: Callable[[sp.Expr], sp.Expr]
    complexity: int
    grid: Tensor | None = None
    free: tuple[bool, bool] = (True, True)
    at_origin: bool = False
    is_common: bool = True

    def __post_init__(self) -> None:
        """Refuse what the search could not use."""
        if self.complexity < 0:
            raise ValueError(f"complexity must be >= 0, got {self.complexity}")
        if self.grid is None:
            object.__setattr__(self, "grid", _affine())
        elif self.grid.ndim != 2 or self.grid.shape[1] != 2:
            raise ValueError(f"grid must have the shape (G, 2), got {tuple(self.grid.shape)}")

    @property
    def start(self) -> Tensor:
        """The grid, float64."""
        assert self.grid is not None
        return self.grid.double()


def _product(first: Tensor, second: Tensor) -> Tensor:
    return torch.cartesian_prod(first.double(), second.double())


def _both_signs(values: Tensor) -> Tensor:
    return torch.cat([values, -values])


def _geometric(low: float, high: float, count: int) -> Tensor:
    return torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64)


def _affine() -> Tensor:
    """Scales of either sign, and where on the line the argument is zero."""
    scale = _both_signs(_geometric(0.2, 12, 9))
    pairs = _product(scale, torch.linspace(-2, 2, 13))
    return torch.stack([pairs[:, 0], -pairs[:, 0] * pairs[:, 1]], 1)


def _one_side() -> Tensor:
    """Arguments ±x + b that are positive on [-1, 1]."""
    return _product(torch.tensor([1.0, -1.0]), 1 + _geometric(1e-3, 30, 16))


def _shift() -> Tensor:
    return _product(torch.tensor([1.0]), torch.cat([torch.linspace(-2, 2, 25), _both_signs(_geometric(2.5, 20, 5))]))


def _waves() -> Tensor:
    return _product(_geometric(0.3, 30, 40), torch.arange(8) * (math.pi / 4))


def _scale() -> Tensor:
    return _product(_both_signs(_geometric(0.05, 20, 20)), torch.zeros(1))


def _positive() -> Tensor:
    """Arguments a (±x + b) that are positive on [-1, 1]."""
    pairs = torch.cartesian_prod(_both_signs(_geometric(0.1, 6, 8)), 1 + _geometric(1e-2, 5, 7))
    return torch.stack([pairs[:, 0], pairs[:, 0].abs() * pairs[:, 1]], 1)


def _inside_one() -> Tensor:
    """Arguments that stay inside (-1, 1)."""
    scale = torch.tensor([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97])
    pairs = _product(_both_signs(scale), torch.tensor([-0.95, -0.6, -0.3, 0.0, 0.3, 0.6, 0.95]))
    return torch.stack([pairs[:, 0], pairs[:, 1] * (1 - pairs[:, 0].abs())], 1)


def power(numerator: int, denominator: int = 1, *, complexity: int | None = None) -> Candidate:
    """Return x to a rational power; of a negative or broken power the argument is positive.

    Raises:
        ValueError: the power is 0, or the denominator is below 1.

    Example:
        >>> power(-3, 2).name
        'x^(-3/2)'
    """
    if denominator < 1 or numerator == 0:
        raise ValueError(f"denominator must be >= 1 and numerator not 0, got {numerator}/{denominator}")
    exponent = sp.Rational(numerator, denominator)
    cost = abs(int(exponent.p)) + 2 * (int(exponent.q) - 1) + (numerator < 0) if complexity is None else complexity
    value = float(exponent)
    entire = bool(exponent.is_integer) and numerator > 0

    def function(z: Tensor) -> Tensor:
        return z.pow(value) if entire else torch.where(z > 0, z, math.nan).pow(value)

    if exponent == 1:
        return Candidate("x", function, lambda z: z, 1, torch.tensor([[1.0, 0.0]]), (False, False))
    name = f"x^{exponent}" if exponent.is_integer else f"x^({exponent})"
    return Candidate(
        name, function, lambda z: z**exponent, max(2, cost), _shift() if entire else _one_side(), (False, True), at_origin=True
    )


def _positive_only(function: Function) -> Function:
    return lambda z: function(torch.where(z > 0, z, math.nan))


LINE = power(1)

POWERS: tuple[Candidate, ...] = (
    LINE,
    *(power(exponent) for exponent in (2, 3, 4, -1, -2, -3, -4)),
    *(power(*exponent) for exponent in ((1, 2), (-1, 2), (3, 2), (-3, 2), (1, 3), (-1, 3), (2, 3))),
)

FUNCTIONS: tuple[Candidate, ...] = (
    Candidate("exp", torch.exp, sp.exp, 2, _scale(), (True, False)),
    Candidate("log", _positive_only(torch.log), sp.log, 2, _one_side(), (False, True), at_origin=True),
    Candidate("sin", torch.sin, sp.sin, 2, _waves()),
    Candidate("abs", torch.abs, sp.Abs, 3, _shift(), (False, True), at_origin=True, is_common=False),
    Candidate("tanh", torch.tanh, sp.tanh, 3, is_common=False),
    Candidate("gaussian", lambda z: torch.exp(-z * z), lambda z: sp.exp(-(z**2)), 3, at_origin=True, is_common=False),
    Candidate("arctan", torch.arctan, sp.atan, 3, is_common=False),
    Candidate("arcsin", torch.arcsin, sp.asin, 3, _inside_one(), at_origin=True, is_common=False),
    Candidate(
        "tan", lambda z: torch.where(z.abs() < math.pi / 2, z, math.nan).tan(), sp.tan, 3, _inside_one() * (math.pi / 2), is_common=False
    ),
    Candidate("cosh", torch.cosh, sp.cosh, 3, at_origin=True, is_common=False),
    Candidate("coth", lambda z: 1 / torch.tanh(torch.where(z > 0, z, math.nan)), sp.coth, 4, _positive(), at_origin=True, is_common=False),
)

#: The functions that an edge is compared with unless the caller says otherwise.
LIBRARY: tuple[Candidate, ...] = (*POWERS, *FUNCTIONS)


def _of_exp(name: str, function: Function, symbol: Callable[[sp.Expr], sp.Expr], complexity: int) -> Candidate:
    return Candidate(name, lambda z: function(torch.exp(z)), lambda z: symbol(sp.exp(z)), complexity)


def _power_of_exp(sign: int, numerator: int, denominator: int) -> Candidate:
    exponent = sp.Rational(numerator, denominator)
    outer = power(numerator, denominator).function
    name = f"(1 {'+' if sign > 0 else '-'} e^z)^({exponent})"
    return _of_exp(name, lambda p: outer(1 + sign * p), lambda p: (1 + sign * p) ** exponent, 4)


#: Functions of exp, for an edge above a sum of logarithms: F(exp(k Σ log x)) is F of a product of powers.
PRODUCTS: tuple[Candidate, ...] = (
    _of_exp("sin(e^z)", torch.sin, sp.sin, 4),
    _of_exp("cos(e^z)", torch.cos, sp.cos, 4),
    _of_exp("arcsin(e^z)", torch.arcsin, sp.asin, 5),
    _of_exp("tanh(e^z)", torch.tanh, sp.tanh, 5),
    _of_exp("exp(-e^z)", lambda p: torch.exp(-p), lambda p: sp.exp(-p), 4),
    _of_exp("exp(e^z)", torch.exp, sp.exp, 4),
    _of_exp("coth(e^z)", lambda p: 1 / torch.tanh(p), sp.coth, 5),
    *(_power_of_exp(sign, *exponent) for sign in (1, -1) for exponent in ((1, 2), (-1, 2), (-1, 1), (2, 1), (-2, 1))),
    _of_exp("log(1 + e^z)", torch.log1p, lambda p: sp.log(1 + p), 5),
    _of_exp("sqrt((1 + e^z)/(1 - e^z))", lambda p: ((1 + p) / (1 - p)).sqrt(), lambda p: sp.sqrt((1 + p) / (1 - p)), 6),
)

#: Library with the functions of products.
EXTENDED: tuple[Candidate, ...] = (*LIBRARY, *PRODUCTS)


def check_library(library: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return the candidates; ValueError when there is none, or two have one name.

    Raises:
        TypeError: one is not a `Candidate`.
    """
    for candidate in library:
        if not isinstance(candidate, Candidate):
            raise TypeError(f"library must hold Candidate objects, got {type(candidate).__name__}")
    names = [candidate.name for candidate in library]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"library must hold one or more candidates of different names, got {names}")
    return library
