"""The constructor's signature is the schema: read here without importing the plug-in, and enforced here.

A range is written once, where the argument is: `degree: Annotated[int, Ge(1)] = 8`. `checked` enforces it when the class is
used from Python; the command line reads it from the source and can refuse a value before torch is imported.
"""

import ast
import functools
import importlib.util
import inspect
import math
import operator
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import annotated_types
from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, MultipleOf

from kanzoo.errors import InvalidInput
from kanzoo.registry import Plugin

_Init = TypeVar("_Init", bound=Callable[..., None])

# What an annotation may be made of to be read without an import.
_NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, bool, str, list, tuple, dict)},
    **{"Annotated": Annotated, "Literal": Literal, "Optional": typing.Optional, "Any": Any, "None": None},
    **{name: getattr(annotated_types, name) for name in ("Ge", "Gt", "Le", "Lt", "Interval", "MinLen", "MaxLen", "Len", "MultipleOf")},
}


@dataclass(frozen=True)
class Argument:
    """One keyword-only argument of a plug-in: `annotation` may carry rules in `Annotated`."""

    name: str
    annotation: Any
    default: Any

    @property
    def plain_type(self) -> Any:
        """The annotation without its rules, as the config schema wants it."""
        return _strip(self.annotation)

    @property
    def rules(self) -> str:
        """The rules in words, for people: `>= 1`, `length >= 1`; empty when there are none."""
        return " and ".join(_words(rule) for rule in _rules(self.annotation))

    def mismatch(self, value: Any) -> str | None:
        """Return `must be an integer, got 'two'` when `value` is not of the argument's type, else None."""
        return None if _fits(self.annotation, value) else f"must be {_kind(self.annotation)}, got {value!r}"

    def violation(self, value: Any) -> str | None:
        """Return `must be >= 1, got 0` when `value` breaks a rule, else None."""
        return _violation(self.annotation, value)


def checked(init: _Init) -> _Init:
    """Decorate a constructor: the rules in its `Annotated` arguments are enforced with a ValueError.

    Example:
        >>> class Family:
        ...     @checked
        ...     def __init__(self, *, degree: Annotated[int, Ge(1)] = 8): ...
        >>> Family(degree=0)
        Traceback (most recent call last):
        ...
        ValueError: degree must be >= 1, got 0
    """
    signature = inspect.signature(init, eval_str=True)

    @functools.wraps(init)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            if broken := _violation(signature.parameters[name].annotation, value):
                raise ValueError(f"{name} {broken}")
        init(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


@functools.cache
def arguments(plugin: Plugin) -> dict[str, Argument]:
    """Return the keyword-only arguments of a plug-in's constructor, from its source alone where that suffices.

    Raises:
        InvalidInput: the plug-in cannot be imported, takes `*args` or `**kwargs`, or leaves an argument untyped or without a default.
    """
    found = arguments_in_source(plugin)
    return arguments_of(plugin.load(), plugin.name) if found is None else found


@functools.cache
def arguments_in_source(plugin: Plugin) -> dict[str, Argument] | None:
    """Return the keyword-only arguments of a plug-in's constructor from its source; None when only an import can tell them."""
    node = _constructor(plugin)
    try:
        return {argument.name: argument for argument in _from_source(node)} if node else None
    except (NameError, ValueError, TypeError, SyntaxError):
        return None


def arguments_of(cls: type, name: str) -> dict[str, Argument]:
    """Return the keyword-only arguments of a class's constructor; refuse what cannot be a schema."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    found = {}
    for parameter in list(inspect.signature(cls.__init__, eval_str=True).parameters.values())[1:]:  # type: ignore[misc]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            hint = "Write every argument out: keyword-only, typed, with a default."
            raise InvalidInput(f"{name} takes {parameter}, which cannot be checked", hint)
        if parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.default is parameter.empty or parameter.annotation is parameter.empty:
                raise InvalidInput(f"argument {parameter.name!r} of {name} must have a type and a default")
            found[parameter.name] = Argument(parameter.name, parameter.annotation, parameter.default)
    return found


@functools.cache
def class_constant(plugin: Plugin, name: str) -> Any:
    """Return a literal class attribute of a plug-in without importing it; None when it is not a literal in the class body."""
    cls = _class(plugin)
    for node in cls.body if cls else []:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for named, value in _pairs(target, node.value):
                if isinstance(named, ast.Name) and named.id == name:
                    try:
                        return ast.literal_eval(value)
                    except (ValueError, TypeError):
                        return None
    return None


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return the names of an assignment with their values: `a, b = 1, 2` has two."""
    both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)
    return list(zip(target.elts, value.elts, strict=True)) if both else [(target, value)]  # type: ignore[attr-defined]


def check_values(found: Mapping[str, Argument], values: Mapping[str, Any], prefix: str) -> None:
    """Raise InvalidInput for the first value that breaks its argument's rules."""
    for name, value in values.items():
        if name in found and (broken := found[name].violation(value)):
            raise InvalidInput(f"{prefix}{name} {broken}")


@functools.cache
def _class(plugin: Plugin) -> ast.ClassDef | None:
    module, _, name = plugin.target.partition(":")
    try:
        origin = _origin(module)
        tree = ast.parse(Path(origin).read_text(encoding="utf-8")) if origin else None
    except Exception:  # a module that cannot be found or read is told by load()
        return None
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None) if tree else None


def _origin(module: str) -> str | None:
    """Return the file of a module; unlike `importlib.util.find_spec` it does not import the packages around it."""
    first, *inner = module.split(".")
    spec = importlib.util.find_spec(first)
    for part in inner:
        if spec is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec.origin if spec else None


def _constructor(plugin: Plugin) -> ast.FunctionDef | None:
    cls = _class(plugin)
    return next((node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None) if cls else None


def _from_source(node: ast.FunctionDef) -> Iterator[Argument]:
    if node.args.vararg or node.args.kwarg:
        raise ValueError("told by arguments_of")
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if argument.annotation is None or default is None:
            raise ValueError("told by arguments_of")
        expression = argument.annotation
        if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
            expression = ast.parse(expression.value, mode="eval").body
        annotation = eval(compile(ast.Expression(expression), "<annotation>", "eval"), {"__builtins__": {}}, _NAMES)
        yield Argument(argument.arg, annotation, ast.literal_eval(default))


def _rules(annotation: Any) -> Iterator[BaseMetadata]:
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, GroupedMetadata):
                yield from extra  # type: ignore[misc]
            elif isinstance(extra, BaseMetadata):
                yield extra


def _strip(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _strip(get_args(annotation)[0])
    if get_origin(annotation) in (list, tuple):
        return get_origin(annotation)[tuple(_strip(inner) if inner is not Ellipsis else inner for inner in get_args(annotation))]
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_strip, get_args(annotation)))
    return annotation


def _fits(annotation: Any, value: Any) -> bool:
    """Return whether a value of a config is of a type; integers stand for numbers, numbers for text, lists for tuples."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _fits(inner[0], value)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(one, value) for one in inner)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inner)
    if origin is list or (origin is tuple and inner[-1] is Ellipsis):
        return isinstance(value, list | tuple) and all(_fits(inner[0], item) for item in value)
    if origin is tuple:
        return isinstance(value, list | tuple) and len(value) == len(inner) and all(map(_fits, inner, value))
    if origin is dict:
        return isinstance(value, dict) and all(_fits(inner[0], key) and _fits(inner[1], item) for key, item in value.items())
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return number and isinstance(value, int)
    if annotation is float:
        return number and math.isfinite(value)
    if annotation is str:
        return number or isinstance(value, str)
    if annotation is Any:
        return True
    return value is None if annotation is types.NoneType else not isinstance(annotation, type) or isinstance(value, annotation)


_KINDS = {
    int: ("an integer", "integers"),
    float: ("a finite number", "finite numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "texts"),
}


def _kind(annotation: Any, *, plural: bool = False) -> str:
    """Return a type in words, for people: `a list of integers`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0], plural=plural)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if one is types.NoneType else _kind(one, plural=plural) for one in inner)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (list, tuple):
        count = f" of {len(inner)} " if origin is tuple and inner[-1] is not Ellipsis else " of "
        return f"{'lists' if plural else 'a list'}{count}{_kind(inner[0], plural=True)}"
    if origin is dict:
        return "mappings of keys to values" if plural else "a mapping of keys to values"
    return _KINDS[annotation][plural] if annotation in _KINDS else str(getattr(annotation, "__name__", annotation))


def _words(rule: BaseMetadata) -> str:
    match rule:
        case Ge(bound):
            return f">= {bound}"
        case Gt(bound):
            return f"> {bound}"
        case Le(bound):
            return f"<= {bound}"
        case Lt(bound):
            return f"< {bound}"
        case MinLen(length):
            return f"of length >= {length}"
        case MaxLen(length):
            return f"of length <= {length}"
        case MultipleOf(step):
            return f"a multiple of {step}"
    return str(rule)


def _holds(rule: BaseMetadata, value: Any) -> bool:
    match rule:
        case Ge(bound):
            return bool(value >= bound)
        case Gt(bound):
            return bool(value > bound)
        case Le(bound):
            return bool(value <= bound)
        case Lt(bound):
            return bool(value < bound)
        case MinLen(length):
            return len(value) >= length
        case MaxLen(length):
            return len(value) <= length
        case MultipleOf(step):
            return bool(value % step == 0)
    return True


def _violation(annotation: Any, value: Any) -> str | None:
    if value is None:
        return None
    if get_origin(annotation) in (typing.Union, types.UnionType):
        broken_rules = [_violation(one, value) for one in get_args(annotation) if _fits(one, value)]
        return None if None in broken_rules else next(iter(broken_rules), None)
    rules = list(_rules(annotation))
    if not all(_holds(rule, value) for rule in rules):
        return f"must be {' and '.join(_words(rule) for rule in rules)}, got {value!r}"
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(inner) in (list, tuple):
        kinds = [kind for kind in get_args(inner) if kind is not Ellipsis]
        for item, kind in zip(value, kinds if len(kinds) == len(value) else kinds[:1] * len(value), strict=True):
            if broken := _violation(kind, item):
                return f"{broken} in {list(value)!r}"
    if get_origin(inner) is Literal and value not in get_args(inner):
        return f"must be one of {', '.join(map(str, get_args(inner)))}, got {value!r}"
    return None
