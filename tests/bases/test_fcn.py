"""FCN-KAN's edges against torch's own modules and numpy, and its tables against B-splines."""

import numpy as np
import pytest
import torch
from torch import nn

from kanzoo.layers import KANLinear
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.fcn import FCN


def moved(dtype=torch.float64, **options):
    """Edges that all differ."""
    basis = FCN(3, 2, **options).to(dtype)
    with torch.no_grad():
        for place, parameter in enumerate(basis.parameters()):
            parameter += 0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(place), dtype=torch.float64).to(dtype)
    return basis


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("frequencies", [0, 3])
def test_equals_numpy(frequencies, dtype, tolerance):
    basis, x = moved(dtype, frequencies=frequencies), torch.linspace(-2, 2, 303, dtype=dtype).view(101, 3)
    place = x.double().numpy()
    seen = np.stack([place, *(wave(2**n * place) for n in range(frequencies) for wave in (np.sin, np.cos))], -1)
    u, c, v = (parameter.detach().double().numpy() for parameter in (basis.inner, basis.offset, basis.outer))
    units = (seen[:, None, :, None, :] * u).sum(-1) + c
    expected = (v * units / (1 + np.exp(-units))).sum(-1)
    np.testing.assert_allclose(basis(x).detach().double().numpy(), expected, rtol=0, atol=tolerance)


def test_the_default_at_first_is_exact_in_float32():
    x = torch.linspace(-2, 2, 401, dtype=torch.float64).unsqueeze(-1)
    exact = FCN(1, 1).double()(x)
    torch.testing.assert_close(FCN(1, 1)(x.float()).double(), exact, rtol=0, atol=1e-6)


def test_each_edge_is_a_network():
    basis, x = moved(hidden=5), torch.linspace(-2, 2, 60, dtype=torch.float64).view(20, 3)
    for o in range(2):
        for i in range(3):
            net = nn.Sequential(nn.Linear(1, 5), nn.SiLU(), nn.Linear(5, 1, bias=False)).double()
            with torch.no_grad():
                net[0].weight.copy_(basis.inner[o, i])
                net[0].bias.copy_(basis.offset[o, i])
                net[2].weight[0] = basis.outer[o, i]
                torch.testing.assert_close(basis(x)[:, o, i], net(x[:, i : i + 1])[:, 0])


def test_units_begin_at_places_of_their_own():
    basis = FCN(2, 3, hidden=4)
    bends = -basis.offset / basis.inner[..., 0]
    torch.testing.assert_close(bends.detach(), torch.tensor([-1.5, -0.5, 0.5, 1.5]).expand(3, 2, -1))
    assert basis.inner[0, 0, :, 0].sign().tolist() == [1, -1, 1, -1]


def test_parameters_are_those_of_the_reference_but_for_the_constant():
    assert sum(parameter.numel() for parameter in FCN(1, 1, hidden=32, frequencies=3).parameters()) == 32 * (7 + 1 + 1)


def test_gradients_to_inputs_and_parameters():
    basis = moved(hidden=2, frequencies=1)
    x = torch.tensor([[-1.13, 0.317, 1.713]], dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in basis.named_parameters()]

    def edges(x, *parameters):
        return torch.func.functional_call(basis, dict(zip(names, parameters, strict=True)), (x,))

    inputs = (x, *(parameter.detach().clone().requires_grad_() for parameter in basis.parameters()))
    assert torch.autograd.gradcheck(edges, inputs)
    assert torch.autograd.gradgradcheck(edges, inputs)


@pytest.mark.parametrize("size", [1e10, -1e10])
def test_wild_parameters_give_no_nan(size):
    basis, x = FCN(3, 2), torch.tensor([[-2.0, 0.0, 2.0]], requires_grad=True)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.fill_(size)
    values = basis(x)
    values.sum().backward()
    for found in (values, x.grad, *(parameter.grad for parameter in basis.parameters())):
        assert found.isfinite().all()


def test_a_table_with_linear_interpolation_is_a_spline_of_degree_one():
    layer = KANLinear(
        1, 1, lambda size: BSpline(size, degree=1, grid_size=63, domain=(-2.0, 2.0)), squash="clamp", residual="none"
    ).double()
    table, x = np.random.default_rng(0).normal(size=64), torch.linspace(-2, 2, 997, dtype=torch.float64)
    with torch.no_grad():
        layer.coeff[0, 0] = torch.from_numpy(table)
    expected = np.interp(x.numpy(), np.linspace(-2, 2, 64), table)
    np.testing.assert_allclose(layer(x.unsqueeze(-1))[:, 0].detach().numpy(), expected, rtol=0, atol=1e-12)


def test_refuses_no_units():
    with pytest.raises(ValueError, match="hidden must be >= 1, got 0"):
        FCN(1, 1, hidden=0)
    with pytest.raises(ValueError, match="frequencies must be >= 0, got -1"):
        FCN(1, 1, frequencies=-1)
