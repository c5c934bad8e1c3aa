from functools import partial

import pytest
import sympy as sp
import torch

from kanzoo.basis import BasisFactory
from kanzoo.inspect.formula.kanpiler import kanpiler, samples, to_basis
from kanzoo.inspect.formula.network import expressions
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN

X, Y, Z = sp.symbols("x y z")
RANGES = {"x": (1.0, 2.0), "y": (0.5, 3.0), "z": (-1.0, 1.0)}
EXPRESSIONS = [
    X * Y,
    X / Y,
    sp.exp(sp.sin(sp.pi * X) + Z**2),
    sp.sqrt((X - Y) ** 2 + Z**2 + 1),
    X * Y * Z + sp.sin(X) * sp.cos(Y),
    X**2 + sp.sin(X) + sp.log(X * Y),
    X**Y,
    sp.tanh(X * Z) + sp.Abs(Z),
    2 * X + 3,
    1 / (1 / X + Y / X**2),
    sp.exp(-((Z / Y) ** 2) / 2) / (sp.sqrt(2 * sp.pi) * Y),
    (X + Y) * (X - Y) + 1,
    X**2 * sp.exp(X),
    sp.asin(Z / 2) + sp.acos(Z / 3) + sp.atan(Y) + sp.sinh(Z),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_the_network_is_the_expression(expression: sp.Expr) -> None:
    network = kanpiler(expression, RANGES)
    x = samples(RANGES, 300, seed=7)
    true = torch.as_tensor(sp.lambdify([X, Y, Z], expression, ["scipy", "numpy"])(*x.numpy().T))
    torch.testing.assert_close(network(x)[:, 0].detach(), true, rtol=1e-10, atol=1e-10)
    back = expressions(list(network), [X, Y, Z])[0]
    again = torch.as_tensor(sp.lambdify([X, Y, Z], back, ["scipy", "numpy"])(*x.numpy().T))
    torch.testing.assert_close(again, true, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("basis", [partial(Chebyshev, degree=16), partial(BSpline, grid_size=40)], ids=["chebyshev", "bspline"])
def test_edges_in_any_basis(basis: BasisFactory) -> None:
    expression = X * sp.sqrt(1 - (Z / 3) ** 2) + sp.sin(X) * Y
    network = kanpiler(expression, RANGES)
    made = to_basis(network, samples(RANGES, 2000), basis)
    x = samples(RANGES, 300, seed=7)
    assert float((made(x) - network(x)).detach().abs().max()) < 1e-5


def test_it_trains() -> None:
    network = kanpiler(2 * sp.sin(X) * Y, RANGES)
    x = samples(RANGES)
    y = 3 * torch.sin(1.1 * x[:, :1]) * x[:, 1:2]
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=400, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (network(x) - y).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert closure().item() < 1e-6


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="expression may hold"):
        kanpiler(sp.gamma(X), RANGES)
    with pytest.raises(ValueError, match="must hold variables of ranges"):
        kanpiler(sp.Symbol("w") * X, RANGES)
    with pytest.raises(ValueError, match="must hold variables of ranges"):
        kanpiler(sp.Integer(3), RANGES)
    with pytest.raises(ValueError, match="finite on its ranges"):
        kanpiler(sp.log(Z), RANGES)
    with pytest.raises(ValueError, match="must rise"):
        kanpiler(X, {"x": (1.0, 0.0)})
    with pytest.raises(TypeError, match="linear in its coefficients"):
        to_basis(kanpiler(X**2, RANGES), samples(RANGES), WavKAN)
