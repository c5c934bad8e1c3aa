"""Read a formula off a trained network."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from kanzoo.inspect.formula.constants import Array, Model, gathered, plain, refit, round_numbers
from kanzoo.inspect.formula.descent import forward, relative_error
from kanzoo.inspect.formula.library import LIBRARY, Candidate, check_library
from kanzoo.inspect.formula.mult import Affine, Multiply
from kanzoo.inspect.formula.report import Formula, Report, complexity, front
from kanzoo.inspect.formula.snap import Choice, Data, polish, simplify, snap, substitute
from kanzoo.inspect.formula.symbolic import SymbolicLayer, identity, number, numeric_layer
from kanzoo.inspect.layer import squash_of
from kanzoo.inspect.stack import Select
from kanzoo.layers.linear import KANLinear

#: Relative error from which on a formula counts as exact.
EXACT = 1e-6

#: Complexity above which an expression is no formula that anybody would read.
MOST_COMPLEX = 400


def as_stack(model: nn.Module) -> list[nn.Module]:
    """Return a float64 copy of a network as `SymbolicLayer` and `Multiply`, every edge of a `KANLinear` numerical.

    Raises:
        TypeError: a layer is not `KANLinear` (with an `Affine` in front, and a `Select` before the first), `Multiply` or `SymbolicLayer`.
        ValueError: the squash of a layer is `layernorm`, so that an edge is not a function of its input alone.
    """
    layers = enumerate(model) if isinstance(model, (nn.Sequential, nn.ModuleList)) else [("", model)]
    units: Affine | None = None
    stack: list[nn.Module] = []
    for name, layer in layers:
        if isinstance(layer, Affine) and units is None:
            units = copy.deepcopy(layer).double()
        elif isinstance(layer, Select) and not stack:
            units = None if units is None else Affine(units.center[layer.index], units.scale[layer.index])
            stack.append(_selection(layer))
        elif isinstance(layer, KANLinear):
            if squash_of(layer).norm is not None:
                raise ValueError(f"every squash must be elementwise for edges to be functions, got 'layernorm' in layer '{name}'")
            stack.append(numeric_layer(layer, units))
            units = None
        elif isinstance(layer, (Multiply, SymbolicLayer)) and units is None:
            stack.append(copy.deepcopy(layer))
        else:
            where = "" if layer is model else f" in layer '{name}'"
            kinds = "KANLinear (an Affine in front of it), Multiply and SymbolicLayer, a Select before the first"
            raise TypeError(f"model must be made of {kinds}, got {type(layer).__name__}{where}")
    if units is not None or not stack or not isinstance(stack[0], SymbolicLayer):
        raise TypeError("model must begin with a KANLinear or SymbolicLayer, and end with no Affine")
    return stack


def _selection(select: Select) -> SymbolicLayer:
    """Return a `Select` as a layer of identities."""
    kept = [identity(output, start) for output, start in enumerate(select.index.tolist())]
    return SymbolicLayer(select.in_features, len(kept), kept, free_bias=torch.zeros(len(kept), dtype=torch.bool))


def expressions(stack: Sequence[nn.Module], symbols: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """Return the outputs of a stack of formulas in sympy."""
    values: list[sp.Expr] = list(symbols)
    for layer in stack:
        if isinstance(layer, SymbolicLayer):
            values = layer.expressions(values)
        elif isinstance(layer, Multiply):
            values = [sp.Mul(*[values[position] for position in group]) for group in layer.groups]
    return values


def read_formula(
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    names: Sequence[str] | None = None,
    *,
    units: Affine | None = None,
    library: Sequence[Candidate] = LIBRARY,
    goal: float = EXACT,
    seconds: float = 30.0,
    validation: float = 0.3,
) -> Report:
    r"""Read formulas off a network of `KANLinear` and `Multiply` layers, whatever their basis.

    Edges become formulas one by one, the clearest first, and everything else is re-fitted to the data after each. Then all
    constants are fitted together, single edges are exchanged as long as that lowers the error, terms that the data does not miss
    are dropped, numbers near nice ones are rounded, and sympy simplifies.

    Args:
        model: `KAN`, or a `nn.Sequential` of `KANLinear` (`Affine` in front of it, and the `Select` of `prune`), `Multiply`,
            `SymbolicLayer`; it is not changed.
        x: inputs `(N, in)`, as the network takes them.
        y: targets `(N, out)`.
        names: of the inputs; `x1 ... xn` when None.
        units: of the targets, where the network gives $(y - \mathrm{center}) / \mathrm{scale}$; those of its outputs when None.
        library: what edges may be.
        goal: relative error at which a formula is good enough.
        seconds: after which no further improvement is begun.
        validation: share of the samples, drawn evenly, on which errors are measured and choices are made.

    Raises:
        ValueError: shapes do not fit, numbers are not finite, there are fewer than 20 samples, names do not fit, a squash is not
            elementwise, or the network is too large for a formula.
        TypeError: the model holds other layers.

    Example:
        >>> from kanzoo.inspect.formula.symbolic import SymbolicLayer, Edge
        >>> x = torch.linspace(1, 2, 50, dtype=torch.float64).unsqueeze(1)
        >>> read_formula([SymbolicLayer(1, 1, [Edge(0, 0, LIBRARY[0], c=1.9)])], x, 2 * x).expression
        2*x1
    """
    begin = time.monotonic()
    library = check_library(tuple(library))
    stack = as_stack(model) if isinstance(model, nn.Module) else copy.deepcopy(list(model))
    first = stack[0]
    assert isinstance(first, SymbolicLayer)
    data = check_data(x, y, first.in_features, validation)
    symbols = check_names(names, first.in_features, data)
    units = Affine(torch.zeros(y.shape[1]), torch.ones(y.shape[1])) if units is None else units
    center, scale = units.center.double().cpu(), units.scale.double().cpu()
    seen = replace(data, y=(data.y - center) / scale, y_validation=(data.y_validation - center) / scale)
    error_network = relative_error(stack, seen.x_validation, seen.y_validation)
    with torch.no_grad():
        network = forward(stack, data.x_validation) * scale + center
    found: list[list[Formula]] = [[] for _ in range(y.shape[1])]
    best: tuple[float, tuple[Choice, ...]] = (math.inf, ())
    common = tuple(candidate for candidate in library if candidate.is_common)
    for allowed in dict.fromkeys((common or library, library)):
        if best[0] <= goal or (best[1] and time.monotonic() - begin > seconds):
            break
        symbolic, choices = snap(stack, seen, allowed, deadline=begin + seconds)
        error = polish(symbolic, seen)
        late = max(begin + seconds, time.monotonic()) + seconds / 10  # a slow start does not take from what makes a formula plain
        symbolic = simplify(symbolic, seen, allowed, goal=max(goal, 1.3 * error), deadline=late + 2)
        error = polish(symbolic, seen)
        if error > goal:
            symbolic, error = substitute(symbolic, seen, allowed, goal=goal, deadline=begin + seconds)
        if error <= goal:
            symbolic = simplify(symbolic, seen, library, goal=goal, deadline=late + 3)
        if error < best[0]:
            best = (error, tuple(choices))
        for column, (formulas, expression) in enumerate(zip(found, expressions(symbolic, symbols), strict=True)):
            if scale[column] != 1 or center[column] != 0:
                expression = number(float(scale[column])) * expression + number(float(center[column]))
            formulas += finished(expression, symbols, data, column, goal, late + 5)
    chosen = tuple(choose(formulas, goal) for formulas in found)
    r2 = [_r2(formula, symbols, data, column) for column, formula in enumerate(chosen)]
    against = [_r2(formula, symbols, data, column, network) for column, formula in enumerate(chosen)]
    return Report(
        tuple(symbol.name for symbol in symbols),
        chosen,
        tuple(tuple(front(formulas)) for formulas in found),
        best[1],
        tuple(against),
        tuple(r2),
        error_network,
        time.monotonic() - begin,
        symbols=symbols,
    )


def finished(expression: sp.Expr, symbols: Sequence[sp.Symbol], data: Data, column: int, goal: float, deadline: float) -> list[Formula]:
    """Return the expression in several forms: fitted, rounded, with the terms dropped that cost more than they give."""
    x, y = data.x.numpy(), data.y[:, column].numpy()
    found: list[Formula] = []
    for form in dict.fromkeys([plain(expression), plain(sp.expand(expression))]):
        if complexity(form) > MOST_COMPLEX:
            continue
        fitted, error = refit(form, symbols, x, y)
        if not math.isfinite(error):
            continue
        if error <= 0.05 or not found:
            if error > goal:
                deadline = min(deadline, time.monotonic() + 2)
            rounded, _ = round_numbers(fitted, symbols, x, y, tolerance=goal / 10, deadline=deadline)
            found += [_formula(form, symbols, data, column) for form in _forms(rounded)]
    return [formula for formula in found if math.isfinite(formula.error)]


def choose(formulas: Sequence[Formula], goal: float) -> Formula:
    """Return the simplest formula whose error is at most the goal, or near the smallest error.

    Raises:
        ValueError: no formula is defined on all of the data.
    """
    if not formulas:
        raise ValueError(f"library must allow a formula of complexity <= {MOST_COMPLEX} that is defined on all of the data, got none")
    limit = max(goal, 1.2 * min(formula.error for formula in formulas))
    return min((formula for formula in formulas if formula.error <= limit), key=lambda formula: (formula.complexity, formula.error))


def check_data(x: Tensor, y: Tensor, in_features: int, validation: float) -> Data:
    """Split samples evenly into a part for fitting and one for validation, float64.

    Raises:
        ValueError: shapes, numbers or the share are not allowed.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or x.shape[1] != in_features or len(x) < 20:
        raise ValueError(
            f"x and y must have shapes (N, {in_features}) and (N, out) with N >= 20, got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not bool(x.isfinite().all() and y.isfinite().all()):
        raise ValueError("x and y must hold finite numbers")
    if not 0 < validation < 1:
        raise ValueError(f"validation must be between 0 and 1, got {validation}")
    held = torch.zeros(len(x), dtype=torch.bool)
    held[np.unique(np.linspace(0, len(x) - 1, max(2, round(validation * len(x)))).round().astype(int))] = True
    x, y = x.detach().double().cpu(), y.detach().double().cpu()
    return Data(x[~held], y[~held], x[held], y[held])


def check_names(names: Sequence[str] | None, in_features: int, data: Data) -> tuple[sp.Symbol, ...]:
    """Return one symbol for each input, positive where all its data is.

    Raises:
        ValueError: the number of names does not fit, or two are the same.
    """
    names = [f"x{index + 1}" for index in range(in_features)] if names is None else list(names)
    if len(names) != in_features or len(set(names)) < len(names) or not all(names):
        raise ValueError(f"names must be {in_features} different names, got {list(names)}")
    low = torch.minimum(data.x.amin(0), data.x_validation.amin(0))
    return tuple(sp.Symbol(name, positive=True) if low[index] > 0 else sp.Symbol(name, real=True) for index, name in enumerate(names))


def _forms(expression: sp.Expr) -> list[sp.Expr]:
    forms = [expression]
    if complexity(expression) <= 60:
        forms += [sp.powsimp(sp.expand(expression)), sp.factor_terms(expression), gathered(expression)]
        if not expression.has(sp.Float):
            forms.append(sp.simplify(expression))
    return list(dict.fromkeys(forms))


def _formula(expression: sp.Expr, symbols: Sequence[sp.Symbol], data: Data, column: int) -> Formula:
    return Formula(
        expression, _error(expression, symbols, data.x_validation.numpy(), data.y_validation[:, column].numpy()), complexity(expression)
    )


def _error(expression: sp.Expr, symbols: Sequence[sp.Symbol], x: Array, y: Array) -> float:
    model = Model(expression, symbols)
    error = float(np.sqrt(np.mean((model.value(x, model.start) - y) ** 2)) / (y.std() or 1.0))
    return error if math.isfinite(error) else math.inf


def _r2(formula: Formula, symbols: Sequence[sp.Symbol], data: Data, column: int, target: Tensor | None = None) -> float:
    target = data.y_validation if target is None else target
    return 1 - _error(formula.expression, symbols, data.x_validation.numpy(), target[:, column].numpy()) ** 2
