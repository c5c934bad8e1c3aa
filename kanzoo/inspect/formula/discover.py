"""From data to a formula: networks of many shapes are trained, small ones first, and read."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import torch
from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory, is_edge_factory
from kanzoo.inspect.formula.descent import descend, relative_error
from kanzoo.inspect.formula.library import EXTENDED, LINE, Candidate, check_library
from kanzoo.inspect.formula.mult import Affine
from kanzoo.inspect.formula.network import EXACT, check_data, choose, read_formula
from kanzoo.inspect.formula.report import Formula, Report, front
from kanzoo.inspect.formula.shape import Node, build, inputs_of
from kanzoo.inspect.formula.snap import Data
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer

#: Steps of least squares and the ridge of each phase: smooth edges first.
PHASES = ((12, 1e-3), (15, 1e-5), (50, 1e-9))

_PROMISING = 0.01  # relative error of a network, or twice the goal, above which it waits until larger shapes have been tried
_READ = 3  # networks of a tier that are read
_READ_SECONDS = 12.0  # after which a reading is not improved any more, or a fifth of all seconds where that is more
_GO_ON = 8  # networks of a tier that are trained to the end


def tiers(n: int) -> Iterator[list[Node]]:
    """Yield groups of shapes for n inputs, small ones first.

    Sums and products of one function an input; a function of a sum; one group of inputs inside a function, the rest beside it;
    shapes in which an input has two edges; two functions of groups.
    """
    everything = tuple(range(n))
    if n == 1:
        yield [Node("sum", (0,))]
        yield [Node("sum", (Node("sum", (0,)),))]
        yield [Node("product", (0, 0)), Node("product", (0, Node("sum", (0,))))]
        return
    yield [Node("sum", everything), Node("product", everything)]
    yield [Node("sum", (Node("sum", everything),))]
    inner = [group for size in range(2, n) for group in combinations(everything, size)]

    def rest(group: Sequence[int]) -> tuple[int, ...]:
        return tuple(index for index in everything if index not in group)

    beside = [Node("product", (*rest(group), Node("sum", group))) for group in inner]
    beside += [Node("sum", (*rest(group), Node("product", group))) for group in inner]
    yield [*beside, Node("sum", (Node("product", everything),))]
    shared = [Node("product", (*sorted({*rest(group), index}), Node("sum", group))) for group in [*inner, everything] for index in group]
    full = [Node("sum", (*everything, Node("product", everything)))]
    yield [*full, *shared, *(Node("product", (*rest(group), Node("product", group))) for group in inner)]
    above = [Node("sum", (Node("sum", (*rest(group), Node(kind, group))),)) for group in inner for kind in ("product", "sum")]
    if n == 4:
        pairs = [((0, index), rest((0, index))) for index in (1, 2, 3)]
        halves = [(Node("sum", p), Node("sum", q)) for p, q in pairs]
        yield [Node("sum", (Node("sum", half),)) for half in halves] + [Node("product", half) for half in halves]
        yield [Node("sum", (Node("product", p), Node("product", q))) for p, q in pairs]
    yield above
    if n > 2:
        yield [
            Node("product", (*rest(group), Node("sum", (*(i for i in group if i not in pair), Node("product", pair)))))
            for group in [*inner, everything]
            if len(group) > 2
            for pair in combinations(group, 2)
        ]
    yield [Node(outer, (Node("sum", everything), Node("sum", everything))) for outer in ("sum", "product")]


def discover(
    x: Tensor,
    y: Tensor,
    names: Sequence[str] | None = None,
    *,
    basis: BasisFactory,
    library: Sequence[Candidate] = EXTENDED,
    shapes: Iterable[Sequence[Node]] | None = None,
    goal: float = EXACT,
    seconds: float = 60.0,
    seeds: int = 3,
    samples: int = 600,
    generator: Generator | None = None,
) -> Report:
    """Find a formula for data: train small KANs of many shapes, read the best ones, stop when one is exact.

    Args:
        x: inputs `(N, in)`.
        y: target `(N, 1)`.
        names: of the inputs; `x1 ... xn` when None.
        basis: of the networks, a class or a partial of one.
        library: what edges may be.
        shapes: of the networks, in groups that are tried one after the other; `tiers` of the number of inputs when None.
        goal: relative error at which to stop; with noise, a little above its standard deviation over that of y.
        seconds: after which no network is begun; the best formula so far is returned.
        seeds: networks of each shape.
        samples: rows that are used.
        generator: source of the first weights; one with seed 0 when None.

    Raises:
        ValueError: shapes of x and y do not fit, numbers are not finite, a count is below 1, or a shape has other inputs than x.

    Example:
        >>> from kanzoo_bases.bspline import BSpline
        >>> x = 1 + torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> discover(x, 3 * x[:, :1] / x[:, 1:], ["m", "V"], basis=BSpline).expression
        3*m/V
    """
    begin = time.monotonic()
    if seeds < 1 or samples < 20:
        raise ValueError(f"seeds must be >= 1 and samples >= 20, got {seeds} and {samples}")
    library = check_library(tuple(library))
    if y.ndim != 2 or y.shape[1] != 1:
        raise ValueError(f"y must have the shape (N, 1), got {tuple(y.shape)}")
    data = check_data(x[:samples], y[:samples], x.shape[-1], 0.3)
    groups = [list(group) for group in (tiers(x.shape[1]) if shapes is None else shapes)]
    for shape in (shape for group in groups for shape in group):
        if not inputs_of(shape) <= set(range(x.shape[1])):
            raise ValueError(f"shapes must have the inputs 0 ... {x.shape[1] - 1}, got {shape!r}")
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    scale = data.y.square().mean().sqrt().clamp_min(1e-300)
    scaled = replace(data, y=data.y / scale, y_validation=data.y_validation / scale)
    reports: list[Report] = []
    waiting: list[tuple[float, list[nn.Module], Node]] = []

    def read(error: float, stack: list[nn.Module], shape: Node) -> bool:
        left = max(3.0, min(max(_READ_SECONDS, seconds / 5), begin + seconds - time.monotonic()))
        try:
            report = read_formula(_in_units(stack, float(scale)), x[:samples], y[:samples], names, library=library, goal=goal, seconds=left)
        except ValueError:  # an edge on which no candidate is defined
            return False
        reports.append(replace(report, shape=str(shape)))
        return report.outputs[0].error <= goal

    for tier in filter(None, groups):
        if time.monotonic() - begin > seconds:
            break
        trained = train(tier, scaled, basis, seeds, goal, generator, begin + seconds)
        waiting += trained[_READ:]
        for error, stack, shape in trained[:_READ]:
            if error > max(_PROMISING, 2 * goal) or time.monotonic() - begin > seconds:
                waiting.append((error, stack, shape))
            elif read(error, stack, shape):
                return _best(reports, goal, begin)
    for error, stack, shape in sorted(waiting, key=lambda each: each[0]):
        if reports and time.monotonic() - begin > seconds:
            break
        if read(error, stack, shape):
            break
    return _best(reports, goal, begin)


def train(
    shapes: Sequence[Node], data: Data, basis: BasisFactory, seeds: int, goal: float, generator: Generator, deadline: float
) -> list[tuple[float, list[nn.Module], Node]]:
    """Return the validation error and the layers of the best network of each shape, best first; those that begin badly are given up."""
    units = _units(data.x.amin(0), data.x.amax(0), basis)
    begun: list[tuple[float, list[nn.Module], Node]] = []
    for shape in shapes:
        for _ in range(seeds if shape.height > 1 else 1):
            if begun and time.monotonic() > deadline:
                break
            stack = build(shape, data.x.shape[1], basis, units, generator=generator)
            for steps, ridge in PHASES[:-1]:
                descend(stack, data.x, data.y, steps, ridge=ridge, goal=goal / 10)
            begun.append((relative_error(stack, data.x_validation, data.y_validation), stack, shape))
    begun.sort(key=lambda each: each[0])
    done: dict[Node, tuple[float, list[nn.Module], Node]] = {}
    for _, stack, shape in begun[: max(_GO_ON, seeds)]:
        steps, ridge = PHASES[-1]
        descend(stack, data.x, data.y, steps, ridge=ridge, goal=goal / 10)
        error = relative_error(stack, data.x_validation, data.y_validation)
        if shape not in done or error < done[shape][0]:
            done[shape] = (error, stack, shape)
    return sorted(done.values(), key=lambda each: each[0])


def _units(low: Tensor, high: Tensor, basis: BasisFactory) -> Affine:
    """Bring the data into the middle of the basis's domain, where tanh does not press it together."""
    start, end = (basis(1, 1) if is_edge_factory(basis) else basis(1)).domain
    half = ((high - low) / 2).clamp_min(1e-12) / ((end - start) / 2)
    return Affine((high + low) / 2 - (start + end) / 2 * half, half)


def _in_units(stack: list[nn.Module], scale: float) -> list[nn.Module]:
    """Return the layers and one more that multiplies by a number: they learnt a target of mean square 1."""
    return [*stack, SymbolicLayer(1, 1, [Edge(0, 0, LINE, c=scale, free=(False, False, True), complexity=0)])]


def _best(reports: Sequence[Report], goal: float, begin: float) -> Report:
    if not reports:
        raise ValueError("library must allow a formula that is defined on all of the data, got none")
    formulas: list[Formula] = [formula for report in reports for formula in (*report.pareto[0], report.outputs[0])]
    chosen = choose(formulas, goal)
    origin = next(report for report in reports if chosen in (*report.pareto[0], report.outputs[0]))
    return replace(origin, outputs=(chosen,), pareto=(tuple(front(formulas)),), r2_data=(chosen.r2,), seconds=time.monotonic() - begin)
