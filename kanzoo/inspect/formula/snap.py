"""Turn the edges of a stack of layers into formulas, one after the other, the rest re-fitted to the data each time."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kanzoo.inspect.formula.deadline import NEVER, Deadline
from kanzoo.inspect.formula.descent import descend, relative_error
from kanzoo.inspect.formula.fit import Fit, fit_curves
from kanzoo.inspect.formula.library import Candidate
from kanzoo.inspect.formula.symbolic import SymbolicLayer, edge_of

_POINTS = 64  # of a sampled edge
_NEAR = 0.99  # r² above which a plain candidate is tried although a better one is known: the rest may bend to it
_PLAIN = 1.0  # digits that one unit of complexity is worth when the plainest candidate is looked for
_NEGLIGIBLE = 1e-3  # part of an edge in the output, over its standard deviation, below which the edge may be cut


@dataclass(frozen=True)
class Data:
    """What a network is read against: x `(N, in)` and y `(N, out)`, float64, for fitting and for validation."""

    x: Tensor
    y: Tensor
    x_validation: Tensor
    y_validation: Tensor


@dataclass(frozen=True)
class Choice:
    """What an edge became: layer, output, input, candidate's name and r² of the curve."""

    layer: int
    output: int
    input: int
    name: str
    r2: float


@dataclass(frozen=True)
class OpenEdge:
    """An edge that is still numerical: where it is, its part in the output, the floor of 1 - r², and what it may be."""

    layer: int
    output: int
    input: int
    part: float
    floor: float
    fits: tuple[Fit, ...]


def score(fit: Fit, simplicity: float, floor: float) -> float:
    """Return what is to be small: digits that the curve lacks, as far as they can be trusted, and the complexity times `simplicity`."""
    return math.log10(max(1 - fit.r2, 0.0) + floor) + simplicity * fit.complexity


def open_edges(stack: Sequence[nn.Module], x: Tensor, library: Sequence[Candidate], simplicity: float, error: float) -> list[OpenEdge]:
    """Sample every numerical edge where the data is and fit all candidates, best first; `error` is that of the network."""
    rows = torch.linspace(0, len(x) - 1, _POINTS, dtype=torch.float64).round().long()
    sensitivities = _sensitivities(stack, x)
    places: list[tuple[int, int, int]] = []
    points, curves, parts = [], [], []
    value = x
    with torch.no_grad():
        for number, layer in enumerate(stack):
            if isinstance(layer, SymbolicLayer):
                for output, start in layer.open_edges():
                    inside = value[:, start]
                    full = layer.curve(output, start, inside)
                    parts.append(float((sensitivities[number][:, output] * (full - full.mean())).square().mean().sqrt()))
                    at = inside.sort().values[rows]
                    places.append((number, output, start))
                    points.append(at)
                    curves.append(layer.curve(output, start, at))
            value = layer(value)
    if not places:
        return []
    fits = fit_curves(torch.stack(points, 1), torch.stack(curves, 1), library)
    edges = []
    for place, part, each in zip(places, parts, fits, strict=True):
        floor = 1e-9 + min(1e-2, (error / max(part, 1e-3)) ** 2)  # an edge is not known better than the network knows the data
        edges.append(OpenEdge(*place, part, floor, tuple(sorted(each, key=lambda fit: score(fit, simplicity, floor)))))
    return edges


def snap(
    stack: list[nn.Module],
    data: Data,
    library: Sequence[Candidate],
    *,
    simplicity: float = 0.15,
    width: int = 3,
    steps: int = 15,
    deadline: Deadline = NEVER,
) -> tuple[list[nn.Module], list[Choice]]:
    """Return the stack with all edges as formulas, and what was chosen.

    In each round the edge with the clearest candidate is tried with its best candidates, everything else is re-fitted to the data,
    and the simplest of those whose error is near the smallest one stays. An edge is cut only where the data does not miss it.

    Args:
        stack: layers, some of their edges numerical; not changed.
        data: samples.
        library: candidates.
        simplicity: what one unit of complexity is worth, in decimal digits of 1 - r².
        width: how many candidates of an edge are tried.
        steps: of the refit after each trial.
        deadline: after which no more than one candidate is tried.
    """
    choices: list[Choice] = []
    error = relative_error(stack, data.x_validation, data.y_validation)
    while True:
        edges = open_edges(stack, data.x, library, simplicity, error)
        if not edges:
            return stack, choices
        weak = min(edges, key=lambda edge: edge.part)
        if weak.part < _NEGLIGIBLE and len(edges) > 1:
            trial, trial_error = _tried(stack, weak, None, data, steps)
            if trial_error <= max(1.5 * error, 1e-6):
                stack, error = trial, trial_error
                choices.append(Choice(weak.layer, weak.output, weak.input, "0", 1.0))
                continue
        edge = min((edge for edge in edges if edge.fits), key=lambda edge: score(edge.fits[0], simplicity, edge.floor), default=None)
        if edge is None:
            raise ValueError("library must hold a candidate that is defined on the data of each edge, such as x")
        trials = []
        plainest = sorted((fit for fit in edge.fits if fit.r2 > _NEAR), key=lambda fit: score(fit, _PLAIN, edge.floor))
        for fit in _different([edge.fits[0], *plainest[:1], *edge.fits], 1 if deadline.is_over else width):
            trial, trial_error = _tried(stack, edge, fit, data, steps)
            trials.append((trial_error, fit, trial))
            if trial_error < 0.5 * error or (trial_error <= 1.2 * error and fit.r2 > 1 - 1e-7):
                break
        least = min(each[0] for each in trials)
        error, fit, stack = min(
            (each for each in trials if each[0] <= max(1.5 * least, 1e-8)), key=lambda each: (each[1].complexity, each[0])
        )
        choices.append(Choice(edge.layer, edge.output, edge.input, fit.candidate.name, fit.r2))


def polish(stack: list[nn.Module], data: Data, *, steps: int = 100) -> float:
    """Fit all constants of the formulas together, in place, and return the relative error on the validation part."""
    descend(stack, data.x, data.y, steps, start=1e-4, goal=1e-12, patience=15)
    return relative_error(stack, data.x_validation, data.y_validation)


def substitute(
    stack: list[nn.Module], data: Data, library: Sequence[Candidate], *, goal: float, deadline: Deadline, tries: int = 6
) -> tuple[list[nn.Module], float]:
    """Exchange the candidate of one edge at a time for another, as long as that lowers the error by much; return stack and error."""
    error = relative_error(stack, data.x_validation, data.y_validation)
    improved = True
    while improved and error > goal:
        improved = False
        for place, fits in _alternatives(stack, data.x, library):
            for fit in fits[:tries]:
                if deadline.is_over:
                    return stack, error
                trial = _exchanged(stack, place, fit)
                descend(trial, data.x, data.y, 25)
                trial_error = relative_error(trial, data.x_validation, data.y_validation)
                if trial_error < 0.5 * error:
                    stack, error, improved = trial, polish(trial, data), True
                    break
            if improved:
                break
    return stack, error


def simplify(stack: list[nn.Module], data: Data, library: Sequence[Candidate], *, goal: float, deadline: Deadline) -> list[nn.Module]:
    """Exchange functions for simpler ones that look the same, as long as the error stays at the goal or below."""
    for place, fits in _alternatives(stack, data.x, library):
        layer = stack[place[0]]
        assert isinstance(layer, SymbolicLayer)
        edge = layer.edges[place[1]]
        now = edge.candidate.complexity + sum(edge.free[:2])
        for fit in sorted(fits, key=lambda fit: (_weight(fit), -fit.r2)):
            if _weight(fit) >= now or deadline.is_over:
                break
            if fit.r2 > 1 - 1e-4:
                trial = _exchanged(stack, place, fit)
                if polish(trial, data, steps=30) <= goal:
                    stack = trial
                    break
    return stack


def _weight(fit: Fit) -> int:
    return fit.candidate.complexity + sum(fit.free)


def _alternatives(stack: list[nn.Module], x: Tensor, library: Sequence[Candidate]) -> list[tuple[tuple[int, int], list[Fit]]]:
    rows = torch.linspace(0, len(x) - 1, _POINTS, dtype=torch.float64).round().long()
    places, points, curves, names = [], [], [], []
    value = x
    with torch.no_grad():
        for number, layer in enumerate(stack):
            if isinstance(layer, SymbolicLayer):
                for index, edge in enumerate(layer.current_edges()):
                    if any(edge.free):
                        at = value[:, edge.input].sort().values[rows]
                        curve = edge.c * edge.candidate.function(edge.a * at + edge.b)
                        if bool(curve.isfinite().all()):
                            places.append((number, index))
                            points.append(at)
                            curves.append(curve)
                            names.append(edge.candidate.name)
            value = layer(value)
    if not places or not bool(torch.stack(points).isfinite().all()):
        return []
    found = fit_curves(torch.stack(points, 1), torch.stack(curves, 1), library)
    return [
        (place, [fit for fit in fits if fit.candidate.name != name and fit.r2 > 0.9])
        for place, fits, name in zip(places, found, names, strict=True)
    ]


def _exchanged(stack: list[nn.Module], place: tuple[int, int], fit: Fit) -> list[nn.Module]:
    number, index = place
    result = []
    for position, layer in enumerate(stack):
        if not isinstance(layer, SymbolicLayer):
            result.append(layer)
            continue
        edges, bias = layer.current_edges(), layer.bias.detach().clone()
        if position == number:
            old = edges[index]
            edges[index] = edge_of(fit, old.output, old.input)
            bias[old.output] += fit.d
        result.append(layer.with_edges(edges, bias))
    return result


def _different(fits: Sequence[Fit], count: int) -> list[Fit]:
    """Return the first fits of different candidates."""
    chosen: dict[str, Fit] = {}
    for fit in fits:
        chosen.setdefault(fit.candidate.name, fit)
    return list(chosen.values())[:count]


def _tried(stack: list[nn.Module], edge: OpenEdge, fit: Fit | None, data: Data, steps: int) -> tuple[list[nn.Module], float]:
    trial = [
        layer.replaced(edge.output, edge.input, fit) if number == edge.layer and isinstance(layer, SymbolicLayer) else copy.deepcopy(layer)
        for number, layer in enumerate(stack)
    ]
    descend(trial, data.x, data.y, steps, ridge=1e-10)
    return trial, relative_error(trial, data.x_validation, data.y_validation)


def _sensitivities(stack: Sequence[nn.Module], x: Tensor) -> list[Tensor]:
    """Return for each layer the size of the derivative of the outputs by its outputs, over the spread of each output."""
    outputs = []
    value = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        for layer in stack:
            value = layer(value)
            outputs.append(value)
        spread = value.detach().std(0).clamp_min(1e-300)
        total = [torch.zeros_like(output) for output in outputs]
        for column in range(value.shape[1]):
            slopes = torch.autograd.grad(value[:, column].sum(), outputs, retain_graph=True)
            total = [old + (slope / spread[column]).square() for old, slope in zip(total, slopes, strict=True)]
    return [each.sqrt() for each in total]
