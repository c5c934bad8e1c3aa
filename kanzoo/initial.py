"""How large coefficients begin, as a formula of a layer's sizes: what a config may write, checked without torch."""

import ast
import functools
import math
import operator
from collections.abc import Callable

from kanzoo.errors import InvalidInput

_RULE = "must be a formula of fan_in, fan_out, K and numbers with + - * / ** and sqrt() that is a number > 0"
_MAX_LENGTH = 200

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}


def initial_std(formula: str, fan_in: float, fan_out: int, num_basis: int) -> float:
    """Return the standard deviation that a formula gives for a layer.

    Args:
        formula: of `fan_in`, `fan_out` and `K`: `1 / (fan_in * (K + 1))`, or a number alone.
        fan_in: edges that add up to one output: inputs, times the points of a convolution's kernel (of a transposed one, on the average).
        fan_out: outputs.
        num_basis: functions K of an edge; 1 for an `EdgeBasis`.

    Raises:
        InvalidInput: it is no such formula, or not a number > 0.

    Example:
        >>> initial_std("1 / (fan_in * (K + 1))", 5, 3, 4)
        0.04
    """
    sizes = {"fan_in": float(fan_in), "fan_out": float(fan_out), "K": float(num_basis)}
    try:
        value = _value(_parsed(formula), sizes)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"init {_RULE}, got {formula!r}") from error
    if not 0 < value < math.inf:
        raise InvalidInput(f"init {_RULE}, got {formula!r} = {value:g} for fan_in={fan_in}, fan_out={fan_out}, K={num_basis}")
    return value


def check_formula(formula: str) -> None:
    """Check a formula of a config at sizes of an ordinary layer, before there is one.

    Raises:
        InvalidInput: see `initial_std`.
    """
    try:
        initial_std(formula, 64, 64, 8)
    except InvalidInput as error:
        raise InvalidInput(f"model.{error.message}") from error


@functools.cache
def _parsed(formula: str) -> ast.expr:
    if len(formula) > _MAX_LENGTH:
        raise ValueError("too long")
    return ast.parse(formula.strip(), mode="eval").body


def _value(node: ast.expr, sizes: dict[str, float]) -> float:
    match node:
        case ast.Constant(value=bool()):
            raise ValueError("no number")
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in sizes:
            return sizes[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, sizes), _value(right, sizes))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, sizes)
        case ast.Call(func=ast.Name(id="sqrt"), args=[argument], keywords=[]):
            return math.sqrt(_value(argument, sizes))
    raise ValueError("not allowed")
