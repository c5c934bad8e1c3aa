"""Formulas that a user writes: read as a syntax tree, allow-listed node by node, evaluated by numpy. No code is ever run from text."""

import ast
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanzoo.errors import InvalidInput, suggest
from kanzoo_tasks.data.parts import Part

Array = NDArray[np.float64]

MAX_LENGTH = 4000  # characters: room for a sum over x1 ... x100
MAX_DEPTH = 200
MAX_EXPONENT = 100
MAX_VARIABLES = 1000
#: Values at or above this size count as not finite: their squares overflow float32.
MAX_VALUE = 1e18

_CONSTANTS = {"pi": math.pi, "e": math.e}

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}


def _special(name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        import scipy.special  # 0.2 s: only formulas that need it pay for it

        return getattr(scipy.special, name)(*arguments)

    return call


# name: (number of arguments, function)
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{
        name: (1, getattr(np, name)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "log10", "sqrt", "abs", "sign")
    },
    **{f"arc{name}": (1, getattr(np, f"arc{name}")) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"a{name}": (1, getattr(np, f"arc{name}")) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"ln": (1, np.log), "Abs": (1, np.abs), "erf": (1, _special("erf")), "J0": (1, _special("j0"))},
    **{"min": (2, np.minimum), "max": (2, np.maximum), "Min": (2, np.minimum), "Max": (2, np.maximum)},
    **{f"bessel{kind}": (2, _special(f"{kind}v")) for kind in "jyik"},
    **{"ellipkinc": (2, _special("ellipkinc")), "ellipeinc": (2, _special("ellipeinc")), "lpmv": (3, _special("lpmv"))},
}

_RULE = "may hold only numbers, {variables}, + - * / ** and functions such as sin, exp, sqrt"


@dataclass(frozen=True)
class Formula:
    """A function of several variables.

    Attributes:
        text: as it was written.
        variables: names of the inputs, in order.
        tree: of syntax, every node on the list of what is allowed.
    """

    text: str
    variables: tuple[str, ...]
    tree: ast.expr = field(repr=False, compare=False)

    def __call__(self, x: NDArray[Any]) -> Array:
        """Evaluate.

        Args:
            x: inputs `(..., variables)`.

        Returns:
            Values `(...)`, NaN or infinite where the formula is not defined.
        """
        columns = {name: x[..., index] for index, name in enumerate(self.variables)}
        with np.errstate(all="ignore"):
            return np.array(np.broadcast_to(_evaluate(self.tree, columns), x.shape[:-1]), dtype=np.float64)


def parse(text: str, variables: Sequence[str] | None = None, *, key: str = "task.formula") -> Formula:
    """Read a formula.

    Constants are `pi` and `e`, unless a variable has that name; `E`, `I`, `S`, `gamma` and the like are variables when named as such.

    Args:
        text: numbers, variables, `+ - * / **`, parentheses and calls of functions.
        variables: their names; `x1 ... xn` when None, where n is the highest number in the text.
        key: what error messages call it.

    Raises:
        InvalidInput: the text holds anything else, or is too long, too deep or of too high a power.

    Example:
        >>> parse("exp(sin(pi*x1) + x2**2)")(np.array([[0.5, 0.0]]))
        array([2.71828183])
    """
    tree = _read(text, key)
    names = {node.id for node in _walk(tree, text, key) if isinstance(node, ast.Name)}
    if variables is None:
        numbers = [int(name[1:]) for name in names if re.fullmatch(r"x[1-9]\d{0,3}", name)]
        if max(numbers, default=0) > MAX_VARIABLES:
            raise InvalidInput(f"{key} must have at most {MAX_VARIABLES} variables, got x{max(numbers)}")
        variables = [f"x{index + 1}" for index in range(max(numbers, default=0))]
        allowed = "variables x1..xn"
    else:
        allowed = f"variables {', '.join(variables)}"
    for name in sorted(names):
        if name not in variables and name not in _CONSTANTS:
            raise InvalidInput(f"{key} may hold only {allowed}, got {name!r}", "Constants are pi and e." if allowed.endswith("xn") else "")
    if not names & set(variables):
        raise InvalidInput(f"{key} must hold a variable, got {_short(text)}", "Variables are x1, x2, ...")
    formula = Formula(text, tuple(variables), tree)
    _check_numbers(tree, formula, key)
    return formula


def check_ranges(ranges: Sequence[Sequence[float]], variables: Sequence[str], *, key: str = "task.ranges") -> Array:
    """Return one `[low, high]` for each variable, `(variables, 2)`; a single pair stands for all.

    Raises:
        InvalidInput: the number of pairs does not fit, or a pair is not two finite numbers, the lower one first.
    """
    for pair in ranges:
        if len(pair) != 2 or not all(abs(bound) < MAX_VALUE for bound in pair) or not pair[0] < pair[1]:
            raise InvalidInput(f"{key} must hold pairs [low, high] with low < high, got {list(pair)!r}")
    if len(ranges) not in (1, len(variables)):
        known = ", ".join(variables) if len(variables) <= 10 else f"{variables[0]} ... {variables[-1]}"
        raise InvalidInput(f"{key} must be one pair [low, high], or {len(variables)} for {known}, got {len(ranges)}")
    return np.array(ranges if len(ranges) == len(variables) else list(ranges) * len(variables), dtype=np.float64)


def check_finite(formula: Formula, ranges: Array, *, share: float = 0.05, key: str = "task.formula") -> None:
    """Raise InvalidInput when the formula is finite on less than a share of its ranges."""
    values = formula(_uniform(np.random.default_rng(0), ranges, 1000))
    found = float(np.mean(np.abs(values) < MAX_VALUE))
    if found < share:
        raise InvalidInput(
            f"{key} must be finite on its ranges, got {_short(formula.text)}, finite on {found:.0%} of them",
            "Set task.ranges to where it is defined.",
        )


def sample(formula: Formula, ranges: Array, count: int, generator: np.random.Generator) -> Part:
    """Draw inputs uniformly and evaluate; points where the formula is not finite are drawn again.

    Returns:
        Inputs `(count, variables)` and values `(count, 1)`.

    Raises:
        InvalidInput: the formula is finite hardly anywhere.
    """
    inputs, values, missing = [], [], count
    for _ in range(200):
        x = _uniform(generator, ranges, count)
        y = formula(x)
        kept = np.flatnonzero(np.abs(y) < MAX_VALUE)[:missing]
        inputs.append(x[kept])
        values.append(y[kept])
        missing -= len(kept)
        if missing == 0:
            return Part(np.concatenate(inputs), np.concatenate(values)[:, None])
    raise InvalidInput(f"task.formula must be finite on its ranges, got {_short(formula.text)}", "Set task.ranges to where it is defined.")


def _uniform(generator: np.random.Generator, ranges: Array, count: int) -> Array:
    return generator.uniform(ranges[:, 0], ranges[:, 1], size=(count, len(ranges)))


def _read(text: str, key: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"{key} must have at most {MAX_LENGTH} characters, got {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd literals, which are refused below
            return ast.parse(text.strip(), mode="eval").body
    except (RecursionError, MemoryError):
        raise InvalidInput(f"{key} must be nested at most {MAX_DEPTH} deep, got {_short(text)}") from None
    except ValueError:  # a null byte, a surrogate, a number of thousands of digits
        raise InvalidInput(f"{key} {_RULE.format(variables='variables')}, got {_short(text)}") from None
    except SyntaxError as error:
        raise InvalidInput(
            f"{key} must be a formula such as 'exp(sin(pi*x1) + x2**2)', got {_short(text)}", f"{error.msg}.".capitalize()
        ) from None


def _walk(tree: ast.expr, text: str, key: str) -> Iterator[ast.expr]:
    """Yield every node, and refuse what is not on the list; without recursion, as the depth is not known yet."""
    stack = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidInput(f"{key} must be nested at most {MAX_DEPTH} deep, got {_short(text)}")
        yield node
        children: list[ast.expr]
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                children = []
            case ast.Name(id=name) if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                children = []
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                children = [operand]
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                children = [left, right]
            case ast.Call(func=ast.Name(id=name), args=children, keywords=[]):
                if name not in _FUNCTIONS:
                    raise InvalidInput(f"{key} may call only known functions, got {name!r}", suggest(name, _FUNCTIONS, "Known"))
                if len(children) != _FUNCTIONS[name][0]:
                    raise InvalidInput(f"{key}: {name} must have {_FUNCTIONS[name][0]} argument(s), got {len(children)}")
            case _:
                power = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)
                raise InvalidInput(
                    f"{key} {_RULE.format(variables='variables x1..xn')}, got {_short(ast.get_source_segment(text.strip(), node) or text)}",
                    "A power is written **." if power else "",
                )
        stack += [(child, depth + 1) for child in children]


def _check_numbers(tree: ast.expr, formula: Formula, key: str) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            try:
                finite = math.isfinite(float(node.value))  # type: ignore[arg-type]
            except OverflowError:
                finite = False
            if not finite:
                raise InvalidInput(f"{key} must hold finite numbers, got {_short(str(ast.get_source_segment(formula.text.strip(), node)))}")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            names = {inner.id for inner in ast.walk(node.right) if isinstance(inner, ast.Name)}
            if not names & set(formula.variables):
                with np.errstate(all="ignore"):
                    exponent = float(_evaluate(node.right, {}))
                if not abs(exponent) <= MAX_EXPONENT:
                    raise InvalidInput(f"{key} must hold powers of at most {MAX_EXPONENT}, got {exponent:g}")


def _evaluate(node: ast.expr, values: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value=number):
            return np.float64(number)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name] if name in values else np.float64(_CONSTANTS[name])
        case ast.UnaryOp(op=operation, operand=operand):
            value = _evaluate(operand, values)
            return -value if isinstance(operation, ast.USub) else value
        case ast.BinOp(left=left, op=operator, right=right):
            return _OPERATORS[type(operator)](_evaluate(left, values), _evaluate(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name][1](*(_evaluate(argument, values) for argument in arguments))
    raise TypeError(type(node).__name__)  # _walk lets no other node through


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
