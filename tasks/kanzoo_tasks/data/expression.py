"""Formulas that a user writes, as expressions of sympy: built from the checked syntax tree, no code is run from text."""

import ast
import operator
from collections.abc import Callable
from typing import Any

import sympy as sp

from kanzoo_tasks.data.formula import Formula

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

#: Those of `kanzoo_tasks.data.formula` that sympy calls otherwise.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"arc{name}": getattr(sp, f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"ln": sp.log, "abs": sp.Abs, "min": sp.Min, "max": sp.Max, "J0": lambda z: sp.besselj(0, z), "log10": lambda z: sp.log(z, 10)},
    **{"ellipkinc": sp.elliptic_f, "ellipeinc": sp.elliptic_e, "lpmv": lambda order, degree, z: sp.assoc_legendre(degree, order, z)},
}


def expression(formula: Formula) -> sp.Expr:
    """Return a formula in sympy, with one symbol a variable and decimal numbers as exact fractions.

    Example:
        >>> from kanzoo_tasks.data.formula import parse
        >>> expression(parse("0.5*x1**2*sin(pi*x2)"))
        x1**2*sin(pi*x2)/2
    """
    return _converted(formula.tree, set(formula.variables))


def _converted(node: ast.expr, variables: set[str]) -> Any:
    match node:
        case ast.Constant(value=number):
            return sp.Rational(str(number))
        case ast.Name(id=name):
            return sp.Symbol(name) if name in variables else {"pi": sp.pi, "e": sp.E}[name]
        case ast.UnaryOp(op=operation, operand=operand):
            value = _converted(operand, variables)
            return -value if isinstance(operation, ast.USub) else value
        case ast.BinOp(left=left, op=operation, right=right):
            return _OPERATORS[type(operation)](_converted(left, variables), _converted(right, variables))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            function = _FUNCTIONS.get(name) or getattr(sp, name)
            return function(*(_converted(argument, variables) for argument in arguments))
    raise TypeError(type(node).__name__)  # kanzoo_tasks.data.formula lets no other node through
