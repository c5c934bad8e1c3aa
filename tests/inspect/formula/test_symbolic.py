import pytest
import sympy as sp
import torch

from kanzoo.inspect.formula.fit import Fit
from kanzoo.inspect.formula.library import FUNCTIONS, power
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer, identity, numeric_layer
from kanzoo.layers.linear import KANLinear
from kanzoo_bases.chebyshev import Chebyshev

SQUARE = power(2)


def test_numeric_layer_equals_the_layer() -> None:
    layer = KANLinear(2, 3, Chebyshev, generator=torch.Generator().manual_seed(0))
    x = torch.rand(5, 2, generator=torch.Generator().manual_seed(1))
    made = numeric_layer(layer)
    torch.testing.assert_close(made(x.double()).float(), layer(x))
    assert len(made.open_edges()) == 6
    assert layer.bias is not None


def test_replacing_an_edge_by_its_own_curve_changes_nothing_else() -> None:
    made = numeric_layer(KANLinear(2, 1, Chebyshev, generator=torch.Generator().manual_seed(0)))
    x = torch.rand(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    snapped = made.replaced(0, 1, Fit(SQUARE, 1.0, 0.5, 2.0, -0.25, 1.0, 3, (False, True)))
    expected = made(x)[:, 0] - made.curve(0, 1, x[:, 1]) + 2 * (x[:, 1] + 0.5) ** 2 - 0.25
    torch.testing.assert_close(snapped(x)[:, 0], expected)
    assert snapped.open_edges() == [(0, 0)]
    with pytest.raises(ValueError, match="numerical edges"):
        snapped.expressions(sp.symbols("x y"))


def test_expression_is_the_layer() -> None:
    sine = next(candidate for candidate in FUNCTIONS if candidate.name == "sin")
    layer = SymbolicLayer(2, 1, [Edge(0, 0, SQUARE, b=1.0, c=3.0), Edge(0, 1, sine, a=2.0)], bias=torch.tensor([0.5]))
    x = torch.rand(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    names = sp.symbols("x y", real=True)
    values = sp.lambdify(names, layer.expressions(names)[0])(*x.numpy().T)
    torch.testing.assert_close(layer(x)[:, 0].detach(), torch.as_tensor(values))


def test_what_is_not_free_learns_nothing() -> None:
    layer = SymbolicLayer(1, 1, [identity(0, 0)], free_bias=torch.tensor([False]))
    layer(torch.ones(3, 1, dtype=torch.float64)).sum().backward()
    assert layer.affine.grad is None or not layer.affine.grad.any()


def test_ends_must_be_inside_and_different() -> None:
    with pytest.raises(ValueError, match="different ends"):
        SymbolicLayer(1, 1, [identity(0, 0), identity(0, 0)])
    with pytest.raises(ValueError, match="inside"):
        SymbolicLayer(1, 1, [identity(1, 0)])
