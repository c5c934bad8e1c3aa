"""Learnt activations of nodes, and sines."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline as ScipySpline
from torch.nn import functional as F

from kanzoo.layers import NodeActivation, Sine
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN

NAMES = [name for name in sorted(plugins("basis")) if hasattr(find("basis", name).load(), "features")]


def draw(*shape: int, seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def learnt(num_features: int = 3, basis=BSpline, **options) -> NodeActivation:  # type: ignore[no-untyped-def]
    made = NodeActivation(num_features, basis, **options).double()
    with torch.no_grad():
        made.coeff.copy_(draw(*made.coeff.shape, seed=1))
        made.residual_weight.copy_(draw(num_features, seed=2))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_begins_exactly_as_silu_and_learns(name: str) -> None:
    state = torch.get_rng_state()
    made = NodeActivation(3, find("basis", name).load())
    assert torch.equal(torch.get_rng_state(), state)
    x = draw(50, 3).float()
    y = made(x)
    assert torch.equal(y, F.silu(x))
    (y - x).square().sum().backward()
    assert made.coeff.grad is not None
    assert (made.coeff.grad.abs().amax(1) > 0).all()


def test_is_the_formula_with_splines_of_scipy() -> None:
    made, x = learnt(squash="tanh"), draw(40, 3)
    knots = -1 + 0.4 * np.arange(-3, 9)
    silu = x.numpy() / (1 + np.exp(-x.numpy()))
    expected = made.residual_weight.detach().numpy() * silu
    for node, coeff in enumerate(made.coeff.detach().numpy()):
        expected[:, node] += ScipySpline(knots, coeff, 3)(np.tanh(x[:, node].numpy()))
    np.testing.assert_allclose(made(x).detach().numpy(), expected, rtol=1e-6, atol=1e-6)  # knots are kept in float32


@pytest.mark.parametrize("squash", ["tanh", "layernorm", "none"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_channel_has_one_function_at_every_place(dimensions: int, squash: str) -> None:
    made = learnt(squash=squash, dimensions=dimensions)
    image = draw(2, 3, *(4, 5, 6)[:dimensions])
    flat = learnt(squash=squash)
    y = made(image)
    assert y.shape == image.shape
    torch.testing.assert_close(y.movedim(1, -1), flat(image.movedim(1, -1)), rtol=1e-12, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), changed=st.integers(0, 3))
def test_a_node_hears_of_itself_alone(seed: int, changed: int) -> None:
    made, x = learnt(4, Chebyshev), draw(5, 4, seed=seed)
    other = x.clone()
    other[:, changed] += 1
    differs = (made(x) != made(other)).any(0)
    assert differs.nonzero().flatten().tolist() in ([changed], [])


@pytest.mark.parametrize("basis", [BSpline, Chebyshev])
@pytest.mark.parametrize("dimensions", [0, 2])
def test_gradients(basis, dimensions: int) -> None:  # type: ignore[no-untyped-def]
    made = learnt(2, basis, dimensions=dimensions)
    x = draw(3, 2, *(2, 2)[:dimensions]).requires_grad_()
    parameters = (made.coeff, made.residual_weight)
    call = lambda x, *given: torch.func.functional_call(made, dict(zip(("coeff", "residual_weight"), given, strict=True)), x)  # noqa: E731
    torch.autograd.gradcheck(call, (x, *parameters))


@pytest.mark.parametrize("dimensions", [0, 2])
def test_a_moved_grid_keeps_the_function_where_it_is_one_cubic(dimensions: int) -> None:
    made = NodeActivation(3, partial(BSpline, grid_size=8), dimensions=dimensions).double()
    greville = -1 + 0.25 * (torch.arange(11, dtype=torch.float64) - 1)  # of which every grid makes the straight line
    with torch.no_grad():
        made.coeff.copy_(greville.expand(3, -1))
    x = draw(300, 3, *(2, 2)[:dimensions])
    before, knots = made(x), made.expansion.basis.knots.clone()
    made.update_grid(x)
    assert not torch.equal(made.expansion.basis.knots, knots)
    torch.testing.assert_close(made(x), before, rtol=1e-5, atol=1e-5)


def test_errors_name_the_rule() -> None:
    with pytest.raises(ValueError, match="parameters inside an edge, got WavKAN"):
        NodeActivation(3, partial(WavKAN))
    with pytest.raises(ValueError, match="squash must be one of"):
        NodeActivation(3, BSpline, squash="wide")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no grid"):
        NodeActivation(3, Chebyshev).update_grid(torch.zeros(5, 3))


def test_sine() -> None:
    x = draw(4, 3)
    np.testing.assert_allclose(Sine(3.0)(x).numpy(), np.sin(3 * x.numpy()), rtol=1e-12, atol=1e-12)
