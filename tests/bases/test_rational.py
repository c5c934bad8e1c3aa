"""KAT's rational functions against their formula in numpy."""

import numpy as np
import pytest
import torch
from numpy.polynomial.polynomial import polyval
from torch.nn import functional as F

from kanzoo.inspect.shrink import select_features
from kanzoo.layers import KANLinear
from kanzoo_bases.rational import Rational


def moved(in_features=6, groups=3, dtype=torch.float64):
    """Groups that all differ."""
    basis = Rational(in_features, groups=groups).to(dtype)
    with torch.no_grad():
        basis.numerator.copy_(torch.linspace(-1, 0.7, 6))
        basis.denominator.copy_(torch.linspace(-0.6, 0.5, 4 * groups).view(groups, 4))
    return basis


def by_numpy(basis, x):
    a, b = basis.numerator.detach().double().numpy(), basis.denominator.detach().double().numpy()
    columns = [
        polyval(column, a) / (1 + np.abs(polyval(column, np.concatenate([[0], b[group]]))))
        for column, group in zip(x.double().numpy().T, basis.group, strict=True)
    ]
    return np.stack(columns, -1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("start", ["swish", "gelu", "identity"])
def test_equals_numpy(start, dtype, tolerance):
    x = torch.linspace(-3, 3, 301, dtype=dtype).unsqueeze(-1)
    basis = Rational(1, start=start).to(dtype)
    np.testing.assert_allclose(basis(x)[..., 0].detach().double().numpy(), by_numpy(basis, x), rtol=0, atol=tolerance)


def test_neighbours_share_a_denominator():
    basis, x = moved(), torch.linspace(-3, 3, 120, dtype=torch.float64).view(20, 6)
    assert basis.group.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(basis(x)[..., 0].detach().numpy(), by_numpy(basis, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("start", "activation", "tolerance"), [("swish", F.silu, 1e-5), ("gelu", F.gelu, 1e-3), ("identity", lambda x: x, 0)]
)
def test_starts_as_an_activation(start, activation, tolerance):
    x = torch.linspace(-3, 3, 601).unsqueeze(-1)
    torch.testing.assert_close(Rational(1, start=start)(x)[..., 0].detach(), activation(x), rtol=0, atol=tolerance)


def test_denominators_learn_from_zero():
    basis = Rational(3, start="identity")
    basis(torch.tensor([[0.5, -1.0, 2.0]])).sum().backward()
    assert (basis.denominator.grad != 0).all()


@pytest.mark.parametrize(("in_features", "groups", "expected"), [(1, None, 1), (5, None, 5), (64, None, 8), (5, 2, 2), (3, 8, 8)])
def test_groups_are_eight_or_one_an_input(in_features, groups, expected):
    basis = Rational(in_features, groups=groups)
    assert basis.denominator.shape == (expected, 4)
    assert basis.numerator.shape == (6,)
    assert 0 <= basis.group.min() <= basis.group.max() < expected
    sizes = torch.bincount(basis.group)
    assert sizes[sizes > 0].max() - sizes[sizes > 0].min() <= 1


@pytest.mark.parametrize("index", [[0, 3], [5], [1, 2, 3, 4]])
def test_cut_inputs_keep_their_function(index):
    basis, x = moved(), torch.linspace(-3, 3, 120, dtype=torch.float64).view(20, 6)
    assert torch.equal(select_features(basis, "in_features", torch.tensor(index))(x[:, index]), basis(x)[:, index])


def test_output_has_unit_variance():
    layer = KANLinear(64, 200, Rational, squash="clamp", residual="none", generator=torch.Generator().manual_seed(0))
    x = 6 * torch.rand(500, 64, generator=torch.Generator().manual_seed(1)) - 3
    assert layer(x).square().mean().sqrt().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("size", [1e15, -1e15])
def test_wild_parameters_give_no_nan(size):
    basis, x = Rational(3), torch.tensor([[-3.0, 0.0, 3.0]], requires_grad=True)
    with torch.no_grad():
        basis.numerator.fill_(size)
        basis.denominator.fill_(size)
    values = basis(x)
    values.sum().backward()
    for found in (values, x.grad, basis.numerator.grad, basis.denominator.grad):
        assert found.isfinite().all()


def test_gradients_to_inputs_and_parameters():
    basis = moved(4, 2)
    x = torch.tensor([[-1.13, 0.317, 0.0113, 2.2], [0.931, 1.713, -0.37, -2.9]], dtype=torch.float64, requires_grad=True)

    def values(x, numerator, denominator):
        return torch.func.functional_call(basis, {"numerator": numerator, "denominator": denominator}, (x,))

    inputs = (x, *(parameter.detach().clone().requires_grad_() for parameter in (basis.numerator, basis.denominator)))
    assert torch.autograd.gradcheck(values, inputs)
    assert torch.autograd.gradgradcheck(values, inputs)


def test_refuses_no_groups_and_refinement():
    with pytest.raises(ValueError, match="groups must be >= 1, got 0"):
        Rational(3, groups=0)
    with pytest.raises(TypeError, match="basis must have a resolution, got Rational"):
        Rational(3).refined(8)
