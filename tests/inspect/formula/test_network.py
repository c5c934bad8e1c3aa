import math
import time
from collections.abc import Callable
from functools import partial

import pytest
import sympy as sp
import torch
from torch import Tensor, nn

from kanzoo.inspect import Select, prune
from kanzoo.inspect.formula import network
from kanzoo.inspect.formula.descent import descend
from kanzoo.inspect.formula.equivalence import equivalent
from kanzoo.inspect.formula.kanpiler import kanpiler, samples, to_basis
from kanzoo.inspect.formula.library import LIBRARY, Candidate, power
from kanzoo.inspect.formula.mult import Affine, Multiply
from kanzoo.inspect.formula.network import as_stack, read_formula
from kanzoo.inspect.formula.snap import Choice, Data
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer
from kanzoo.layers.linear import KANLinear
from kanzoo.models import KAN
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev


def trained(
    widths: list[int], function: Callable[[Tensor], Tensor], low: float, high: float, seed: int
) -> tuple[list[nn.Module], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = low + (high - low) * torch.rand(500, widths[0], generator=generator, dtype=torch.float64)
    y = function(x)
    center = torch.full((widths[0],), (low + high) / 2, dtype=torch.float64)
    units = Affine(center, torch.full_like(center, (high - low) / 2))
    stack = as_stack(nn.Sequential(units, *KAN(widths, partial(BSpline, grid_size=8), residual="identity", generator=generator)))
    for layer in stack:
        assert isinstance(layer, SymbolicLayer)
        assert layer.numeric is not None
        layer.numeric.weight.mul_(0.3)
    for steps, ridge in ((15, 1e-2), (15, 1e-3), (20, 1e-5), (40, 1e-8)):
        descend(stack, x, y, steps, ridge=ridge)
    return stack, x, y


@pytest.mark.slow
def test_reads_a_quotient() -> None:
    stack, x, y = trained([2, 1, 1], lambda x: x[:, :1] / x[:, 1:], 1, 3, 1)
    report = read_formula(stack, x, y, ["p", "q"], seconds=60)
    p, q = sp.symbols("p q", positive=True)
    assert equivalent(report.expression, p / q, {"p": (1, 3), "q": (1, 3)}) == "algebraic"
    assert report.r2_data[0] > 1 - 1e-12
    assert report.r2_network[0] > 0.999
    assert report.error_network > report.outputs[0].error
    assert float((report(x) - y).abs().max()) < 1e-9
    assert report.latex == r"\frac{p}{q}"


@pytest.mark.slow
def test_reads_the_paper_s_example() -> None:
    stack, x, y = trained([2, 1, 1], lambda x: torch.exp(torch.sin(math.pi * x[:, :1]) + x[:, 1:] ** 2), -1, 1, 0)
    report = read_formula(stack, x, y, ["a", "b"], seconds=60)
    a, b = sp.symbols("a b", real=True)
    assert equivalent(report.expression, sp.exp(sp.sin(sp.pi * a) + b**2), {"a": (-1, 1), "b": (-1, 1)}) == "algebraic"


@pytest.mark.slow
def test_reads_a_product_off_sums() -> None:
    stack, x, y = trained([2, 2, 1], lambda x: x[:, :1] * x[:, 1:], -1, 1, 2)
    report = read_formula(stack, x, y, seconds=120)
    first, second = sp.symbols("x1 x2", real=True)
    assert equivalent(report.expression, first * second, {"x1": (-1, 1), "x2": (-1, 1)}) == "algebraic"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("x*sqrt(x**2 + y**2)", {"x": (1.0, 3.0), "y": (1.0, 3.0)}),
        ("sqrt((a - b)**2 + (c - d)**2)", {"a": (1.0, 2.0), "b": (3.0, 5.0), "c": (1.0, 3.0), "d": (2.0, 5.0)}),
        ("p/(1 - v/c)", {"p": (1.0, 5.0), "v": (1.0, 2.0), "c": (3.0, 10.0)}),
    ],
)
def test_reads_what_was_compiled_into_a_basis(text: str, ranges: dict[str, tuple[float, float]]) -> None:
    true = sp.sympify(text, locals={name: sp.Symbol(name, positive=True) for name in ranges})
    points = samples(ranges, 600)
    exact = kanpiler(true, ranges)
    network = to_basis(exact, points, partial(Chebyshev, degree=8))
    report = read_formula(network, points, exact(points).detach(), list(ranges), seconds=120)
    assert equivalent(report.expression, true, ranges) != "different"


@pytest.mark.slow
def test_the_model_and_random_state_stay_as_they_are() -> None:
    model = nn.Sequential(KANLinear(2, 2, partial(Chebyshev, degree=3), generator=torch.Generator().manual_seed(0)), Multiply([[0, 1]]))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(1))
    read_formula(model, x, x[:, :1] * x[:, 1:], seconds=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_two_outputs_are_two_formulas() -> None:
    x = 1 + torch.rand(200, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    stack = as_stack(KANLinear(1, 2, partial(Chebyshev, degree=6), generator=torch.Generator().manual_seed(0)))
    y = torch.cat([x**2, torch.log(x) + 1], 1)
    descend(stack, x, y, 20)
    report = read_formula(stack, x, y, ["t"], seconds=30)
    t = sp.Symbol("t", positive=True)
    assert [sp.simplify(formula.expression - true) for formula, true in zip(report.outputs, (t**2, sp.log(t) + 1), strict=True)] == [0, 0]


def test_bad_input_is_refused() -> None:
    layer = KANLinear(2, 1, Chebyshev)
    x, y = torch.rand(30, 2), torch.rand(30, 1)
    with pytest.raises(TypeError, match="got ReLU"):
        read_formula(nn.Sequential(layer, nn.ReLU()), x, y)
    with pytest.raises(ValueError, match="shapes"):
        read_formula(layer, x[:, :1], y)
    with pytest.raises(ValueError, match="N >= 20"):
        read_formula(layer, x[:10], y[:10])
    with pytest.raises(ValueError, match="finite"):
        read_formula(layer, x, y * torch.nan)
    with pytest.raises(ValueError, match="2 different names"):
        read_formula(layer, x, y, ["a", "a"])
    with pytest.raises(ValueError, match="validation must be between 0 and 1, got 1"):
        read_formula(layer, x, y, validation=1)


def test_a_pruned_network_is_read_in_its_own_inputs() -> None:
    generator = torch.Generator().manual_seed(0)
    net = KAN([3, 2, 1], partial(Chebyshev, degree=3), generator=generator).double()
    x = 1 + torch.rand(50, 3, generator=generator, dtype=torch.float64)
    units = Affine(torch.full((3,), 1.5, dtype=torch.float64), torch.tensor([0.5, 0.7, 0.9], dtype=torch.float64))
    small, pruning = prune(net, units(x), parts="inputs", sparsity=1 / 3)
    assert len(pruning.inputs) == 2
    assert isinstance(small[0], Select)
    value = x
    for layer in as_stack(nn.Sequential(units, *small)):
        value = layer(value)
    torch.testing.assert_close(value, small(units(x)), rtol=1e-12, atol=1e-12)


def test_a_formula_becomes_plain_however_long_the_edges_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, later = time.monotonic, [0.0]
    snap = network.snap

    def slow(
        stack: list[nn.Module], data: Data, library: tuple[Candidate, ...], *, deadline: float
    ) -> tuple[list[nn.Module], list[Choice]]:
        later[0] += 1000.0
        return snap(stack, data, library, deadline=deadline)

    monkeypatch.setattr(time, "monotonic", lambda: clock() + later[0])
    monkeypatch.setattr(network, "snap", slow)
    x = torch.linspace(-1, 1, 60, dtype=torch.float64).unsqueeze(1)
    wave = next(candidate for candidate in LIBRARY if candidate.name == "sin")
    bent = SymbolicLayer(1, 1, [Edge(0, 0, wave, a=0.05, b=math.pi / 2, c=-800.0)], bias=torch.tensor([800.0], dtype=torch.float64))
    report = read_formula([bent], x, x**2, ["x"], library=(power(1), power(2), wave))
    assert str(report.expression) == "x**2"
