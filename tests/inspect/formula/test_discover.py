import importlib
from functools import partial

import pytest
import sympy as sp
import torch
from torch import Tensor

from kanzoo.basis import BasisFactory
from kanzoo.inspect.formula.discover import discover, tiers
from kanzoo.inspect.formula.equivalence import equivalent
from kanzoo.inspect.formula.mult import Affine
from kanzoo.inspect.formula.shape import Node, build, edges_of, inputs_of, levels
from kanzoo.inspect.formula.symbolic import SymbolicLayer
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.gaussian_rbf import GaussianRBF


def data(count: int, low: float = 1, high: float = 5) -> Tensor:
    return low + (high - low) * torch.rand(600, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("basis", [BSpline, Chebyshev, GaussianRBF])
def test_a_product_of_powers(basis: BasisFactory) -> None:
    x = data(3)
    report = discover(x, x[:, :1] * x[:, 1:2] / (4 * torch.pi * x[:, 2:] ** 2), ["q", "p", "r"], basis=basis)
    q, p, r = sp.symbols("q p r", positive=True)
    assert equivalent(report.expression, q * p / (4 * sp.pi * r**2), dict.fromkeys("qpr", (1, 5))) == "algebraic"
    assert report.pareto[0][-1].error < 1e-6


@pytest.mark.slow
def test_a_function_inside_a_product() -> None:
    x = torch.cat([data(1), data(1, 1, 2).flip(0), data(1, 3, 10).roll(100, 0)], 1)
    y = x[:, :1] / (1 - x[:, 1:2] ** 2 / x[:, 2:] ** 2).sqrt()
    report = discover(x, y, ["m", "v", "c"], basis=partial(BSpline, grid_size=12), seconds=120)
    m, v, c = sp.symbols("m v c", positive=True)
    ranges = {"m": (1.0, 5.0), "v": (1.0, 2.0), "c": (3.0, 10.0)}
    assert equivalent(report.expression, m / sp.sqrt(1 - v**2 / c**2), ranges) != "different"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_shape_can_be_built(count: int) -> None:
    x = data(count)
    shapes = [shape for tier in tiers(count) for shape in tier]
    assert len(set(shapes)) == len(shapes)
    for shape in shapes:
        units = Affine(torch.zeros(count, dtype=torch.float64), torch.ones(count, dtype=torch.float64))
        stack = build(shape, count, partial(Chebyshev, degree=2), units, generator=torch.Generator().manual_seed(0))
        assert sum(len(layer.open_edges()) for layer in stack if isinstance(layer, SymbolicLayer)) == edges_of(shape)
        assert len(levels(shape, count)) == shape.height
        value = x
        for layer in stack:
            value = layer(value)
        assert value.shape == (600, 1)
        assert value.isfinite().all()


@pytest.mark.slow
def test_given_shapes_are_the_only_ones() -> None:
    x = data(2)
    report = discover(x, x[:, :1] * x[:, 1:], basis=BSpline, shapes=[[Node("sum", (0, 1))]], seconds=5)
    assert report.shape == "f(x1) + f(x2)"
    assert report.outputs[0].error > 0.05  # a product is no sum


@pytest.mark.slow
def test_a_network_as_good_as_the_noise_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("kanzoo.inspect.formula.discover")
    train, trained = module.train, []
    monkeypatch.setattr(module, "train", lambda shapes, *rest: trained.append(shapes) or train(shapes, *rest))
    x = data(2, 1, 2)
    y = x[:, :1] ** 2 + x[:, 1:]
    noisy = y + 0.03 * y.std() * torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    shapes = [[Node("sum", (0, 1))], [Node("product", (0, 1))]]
    report = discover(x, noisy, basis=partial(BSpline, grid_size=5), shapes=shapes, goal=0.04)
    assert trained == shapes[:1]
    assert 0.01 < report.outputs[0].error < 0.04


def test_inputs_of_a_shape() -> None:
    assert inputs_of(Node("sum", (2, Node("product", (0, 2))))) == {0, 2}


def test_bad_input_is_refused() -> None:
    x = data(2)
    with pytest.raises(ValueError, match=r"y must have the shape \(N, 1\)"):
        discover(x, x, basis=BSpline)
    with pytest.raises(ValueError, match="seeds must be >= 1"):
        discover(x, x[:, :1], basis=BSpline, seeds=0)
    with pytest.raises(ValueError, match=r"shapes must have the inputs 0 ... 1, got Node\(kind='sum', children=\(0, 2\)\)"):
        discover(x, x[:, :1], basis=BSpline, shapes=[[Node("sum", (0, 2))]])
