"""The way back: an expression compiled into a network that equals it and can be trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.inspect.formula.library import FUNCTIONS, LINE, Candidate, power
from kanzoo.inspect.formula.mult import Affine, Multiply
from kanzoo.inspect.formula.shape import Node, levels, passed_on
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer
from kanzoo.layers.expansion import Residual, residual_branch
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.squash import Squash

_BY_NAME = {candidate.name: candidate for candidate in FUNCTIONS}

_KNOWN: dict[type, Candidate] = {
    sp.exp: _BY_NAME["exp"],
    sp.log: _BY_NAME["log"],
    sp.sin: _BY_NAME["sin"],
    sp.tan: Candidate("tan", torch.tan, sp.tan, 3),
    sp.tanh: _BY_NAME["tanh"],
    sp.cosh: _BY_NAME["cosh"],
    sp.sinh: Candidate("sinh", torch.sinh, sp.sinh, 3),
    sp.coth: Candidate("coth", lambda z: 1 / torch.tanh(z), sp.coth, 4),
    sp.asin: _BY_NAME["arcsin"],
    sp.acos: Candidate("arccos", torch.arccos, sp.acos, 3),
    sp.atan: _BY_NAME["arctan"],
    sp.Abs: _BY_NAME["abs"],
    sp.sign: Candidate("sign", torch.sign, sp.sign, 3),
}


@dataclass(frozen=True)
class _Unary:
    """c f(a · child + b) + d."""

    child: int | Node
    candidate: Candidate = LINE
    a: float = 1.0
    b: float = 0.0
    c: float = 1.0
    d: float = 0.0

    def scaled(self, factor: float, shift: float = 0.0) -> "_Unary":
        return _Unary(self.child, self.candidate, self.a, self.b, factor * self.c, factor * self.d + shift)


class _Compiler:
    """Turns sympy's tree into nodes; remembers what stands on the edges of each."""

    def __init__(self, symbols: Sequence[sp.Symbol]) -> None:
        self.position = {symbol.name: index for index, symbol in enumerate(symbols)}
        self.edges: dict[int, list[_Unary]] = {}
        self.kept: list[Node] = []  # so that no two nodes share an id

    def node(self, kind: str, edges: list[_Unary]) -> Node:
        if kind == "sum":  # one layer has one edge from an input to a node: the next goes through a node of its own
            inputs: set[int | Node] = set()
            for index, edge in enumerate(edges):
                if edge.child in inputs:
                    edges[index] = _Unary(self.node("sum", [edge]))
                elif isinstance(edge.child, int):
                    inputs.add(edge.child)
        node = Node("product" if kind == "product" else "sum", tuple(edge.child for edge in edges))
        self.edges[id(node)] = edges
        self.kept.append(node)
        return node

    def unary(self, expression: sp.Expr) -> _Unary:
        if expression.is_Symbol:
            return _Unary(self.position[expression.name])
        if expression.is_Add:
            constant, rest = expression.as_independent(*expression.free_symbols, as_Add=True)
            terms = [self.unary(term) for term in sp.Add.make_args(rest)]
            if len(terms) == 1:
                return terms[0].scaled(1.0, float(constant))
            return _Unary(self.node("sum", terms)).scaled(1.0, float(constant))
        if expression.is_Mul:
            constant, rest = expression.as_independent(*expression.free_symbols, as_Add=False)
            factors = [self.unary(factor) for factor in sp.Mul.make_args(rest)]
            if len(factors) == 1:
                return factors[0].scaled(float(constant))
            return _Unary(self.node("product", factors)).scaled(float(constant))
        if expression.is_Pow:
            if not expression.exp.is_number:
                return self.unary(sp.exp(expression.exp * sp.log(expression.base)))
            return self.applied(_power(expression.exp), expression.base)
        if isinstance(expression, sp.cos):
            inner = self.applied(_KNOWN[sp.sin], expression.args[0])
            return _Unary(inner.child, inner.candidate, inner.a, inner.b + float(sp.pi / 2), inner.c, inner.d)
        if type(expression) in _KNOWN:
            return self.applied(_KNOWN[type(expression)], expression.args[0])
        known = ", ".join(sorted(function.__name__ for function in _KNOWN))
        raise ValueError(f"expression may hold + * / powers, cos, {known}, got {type(expression).__name__} in {expression}")

    def applied(self, candidate: Candidate, argument: sp.Expr) -> _Unary:
        inner = self.unary(argument)
        if inner.candidate is not LINE:
            inner = _Unary(self.node("sum", [inner]))
        return _Unary(inner.child, candidate, inner.c * inner.a, inner.c * inner.b + inner.d)


def kanpiler(expression: sp.Expr, ranges: Mapping[str, tuple[float, float]]) -> nn.Sequential:
    """Compile an expression into a network of `SymbolicLayer` and `Multiply` that equals it, float64 and trainable.

    Functions of one variable stand on edges, sums in nodes, products in multiplication nodes.

    Args:
        expression: of the variables in `ranges`.
        ranges: low and high of each input, in the order of the network's inputs.

    Raises:
        ValueError: a variable has no range, a range does not rise, the expression holds no variable or a function that is not
            known, or it is not finite on its ranges.

    Reference:
        Liu et al., KAN 2.0: Kolmogorov-Arnold networks meet science, arXiv:2408.10205.

    Example:
        >>> x, y = sp.symbols("x y")
        >>> kanpiler(sp.exp(-x * y), {"x": (0, 1), "y": (0, 1)})(torch.tensor([[0.5, 2.0]], dtype=torch.float64))
        tensor([[0.3679]], dtype=torch.float64, grad_fn=<StackBackward0>)
    """
    names = list(ranges)
    missing = sorted({symbol.name for symbol in expression.free_symbols} - set(names))
    if missing or not expression.free_symbols:
        raise ValueError(f"expression must hold variables of ranges, got {expression} with ranges of {', '.join(names) or 'none'}")
    compiler = _Compiler([sp.Symbol(name) for name in names])
    top = compiler.unary(expression)
    root = compiler.node("sum", [top])
    layers: list[nn.Module] = []
    for level in levels(root, len(names)):
        passed, free = passed_on(level)
        bias = torch.zeros(level.fan_out, dtype=torch.float64)
        for output, start, place in level.edges:
            if place is not None:
                unary = compiler.edges[id(place[0])][place[1]]
                bias[output] += unary.d
                is_free = (*unary.candidate.free, True)
                passed.append(Edge(output, start, unary.candidate, unary.a, unary.b, unary.c, is_free, unary.candidate.complexity))
        layers.append(SymbolicLayer(level.fan_in, level.fan_out, passed, bias=bias, free_bias=free))
        if level.is_product:
            layers.append(Multiply(level.groups))
    network = nn.Sequential(*layers)
    with torch.no_grad():
        if not bool(network(samples(ranges)).isfinite().all()):
            raise ValueError(f"expression must be finite on its ranges, got {expression}")
    return network


def samples(ranges: Mapping[str, tuple[float, float]], count: int = 500, seed: int = 0) -> Tensor:
    """Draw inputs evenly from ranges, `(count, variables)`, float64.

    Raises:
        ValueError: a range does not rise.
    """
    for name, (low, high) in ranges.items():
        if not low < high:
            raise ValueError(f"ranges must rise, got {name}: {(low, high)}")
    bounds = np.array(list(ranges.values()), dtype=np.float64)
    return torch.from_numpy(np.random.default_rng(seed).uniform(bounds[:, 0], bounds[:, 1], (count, len(bounds))))


@torch.no_grad()
def to_basis(
    network: nn.Sequential, x: Tensor, basis: BasisFactory, *, squash: Squash = "tanh", residual: Residual = "identity"
) -> nn.Sequential:
    """Return the network with `KANLinear` layers of any basis in place of formulas, its edges fitted by least squares on samples.

    Args:
        network: of `SymbolicLayer` and `Multiply`, all formulas.
        x: samples `(N, in)` that cover where the network will be used, `samples(ranges)` for example.
        basis: a `Basis` class or a partial of one; coefficients of functions with parameters inside are not a linear problem.
        squash: of the new layers, not `layernorm`.
        residual: of the new layers.

    Returns:
        `Affine` and `KANLinear` for each layer, and the same `Multiply`, float64.

    Raises:
        TypeError: the basis makes an `EdgeBasis`, or the network holds other layers.
    """
    layers: list[nn.Module] = []
    value = x.double()
    for layer in network:
        if isinstance(layer, Multiply):
            layers.append(layer)
        elif isinstance(layer, SymbolicLayer) and layer.numeric is None:
            new = KANLinear(
                layer.in_features, layer.out_features, basis, squash=squash, residual=residual, generator=torch.Generator()
            ).double()
            if new.expansion is None:
                raise TypeError(f"basis must make a Basis, linear in its coefficients, got {type(new.edge).__name__}")
            low, high = value.amin(0), value.amax(0)
            start, end = new.expansion.basis.domain
            half = ((high - low) / (end - start)).clamp_min(1e-12)
            units = Affine((high + low) / 2 - (start + end) / 2 * half, half)
            _fit_layer(layer, new, value, units(value))
            layers += [units, new]
        else:
            raise TypeError(f"network must be made of SymbolicLayer, all formulas, and Multiply, got {type(layer).__name__}")
        value = layer(value)
    return nn.Sequential(*layers)


def _fit_layer(layer: SymbolicLayer, new: KANLinear, x: Tensor, inside: Tensor) -> None:
    assert new.expansion is not None
    assert new.bias is not None
    features = new.expansion(inside).transpose(1, 2)  # (N, in, K)
    mask = torch.zeros(layer.out_features, layer.in_features, dtype=torch.bool)
    new.coeff.zero_()
    new.bias.copy_(layer.bias)
    if new.residual_weight is not None:
        new.residual_weight.zero_()
    for edge in layer.current_edges():
        z = inside[:, edge.input]
        columns = [features[:, edge.input], torch.ones_like(z).unsqueeze(1)]
        if new.residual_weight is not None:
            columns.append(residual_branch(new.residual, z).unsqueeze(1))
        target = edge.c * edge.candidate.function(edge.a * x[:, edge.input] + edge.b)
        solution = torch.linalg.lstsq(torch.cat(columns, 1), target.unsqueeze(1), rcond=1e-13, driver="gelsd").solution.squeeze(1)
        size = features.shape[2]
        new.coeff[edge.output, edge.input] += solution[:size]
        new.bias[edge.output] += solution[size]
        if new.residual_weight is not None:
            new.residual_weight[edge.output, edge.input] += solution[size + 1]
        mask[edge.output, edge.input] = True
    new.mask_edges(mask)


def _power(exponent: sp.Expr) -> Candidate:
    if exponent.is_Rational:
        return power(int(exponent.p), int(exponent.q))
    value = float(exponent)
    return Candidate(f"x^{value:g}", lambda z: z.pow(value), lambda z: z**value, 4, free=(False, True))
