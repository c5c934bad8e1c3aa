"""Fractional and rational Jacobi functions against scipy; their parameters stay where they may be."""

import math

import numpy as np
import pytest
import torch
from scipy.special import eval_jacobi

from kanzoo.models import KAN, num_parameters
from kanzoo_bases.fractional_jacobi import MIN_PLACE, FractionalJacobi
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.rational_jacobi import RationalJacobi
from kanzoo_bases.trainable_jacobi import MIN_EXPONENT, MIN_POSITIVE, above, free

FAMILIES = [FractionalJacobi, RationalJacobi]
EXPONENTS = [(1.0, 1.0), (0.0, 0.0), (2.0, 0.5), (-0.5, 0.7), (-0.9, -0.9)]


def fractional(x, gamma):
    return 2 * (MIN_PLACE + (1 - MIN_PLACE) * (1 + x) / 2) ** gamma - 1


def rational(x, length):
    return x / np.sqrt(x * x + length * length)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 5e-6), (torch.float64, 1e-11)])  # z is rounded where P_8 is steepest
@pytest.mark.parametrize(("alpha", "beta"), EXPONENTS)
@pytest.mark.parametrize(
    ("family", "place", "name", "value"),
    [(FractionalJacobi, fractional, "gamma", 1.0), (FractionalJacobi, fractional, "gamma", 0.4), (RationalJacobi, rational, "length", 2.0)],
)
def test_equals_scipy(family, place, name, value, alpha, beta, dtype, tolerance):
    torch.set_default_dtype(dtype)
    try:
        basis = family(1, alpha=alpha, beta=beta, **{name: value})
    finally:
        torch.set_default_dtype(torch.float32)
    x = torch.linspace(*basis.domain, 1001, dtype=dtype).unsqueeze(-1)
    z = place(x[:, 0].double().numpy(), value)
    expected = np.stack([eval_jacobi(n, alpha, beta, z) for n in range(1, 9)], -1)
    size = np.abs(expected).max(0).clip(1)
    np.testing.assert_allclose(basis(x)[:, 0].detach().double().numpy() / size, expected / size, rtol=0, atol=tolerance)


def test_a_power_of_one_gives_jacobi_polynomials_of_a_slightly_narrower_interval():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1)
    basis = FractionalJacobi(1).double()
    torch.testing.assert_close(basis(x).detach(), Jacobi(1)(x + MIN_PLACE * (1 - x)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives_are_those_of_jacobi_polynomials_by_the_chain_rule(family):
    basis = family(1, alpha=0.5, beta=1.5).double()
    x = torch.linspace(*basis.domain, 101, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    z = basis.place(x)
    (inner,) = torch.autograd.grad(z.sum(), x, retain_graph=True)
    a, b = (above(MIN_EXPONENT, raw).item() for raw in (basis.raw_alpha, basis.raw_beta))
    for n, column in enumerate(basis.columns(x), 1):
        (gradient,) = torch.autograd.grad(column.sum(), x, retain_graph=True)
        outer = (n + a + b + 1) / 2 * eval_jacobi(n - 1, a + 1, b + 1, z.detach()[:, 0].numpy())
        expected = outer * inner[:, 0].numpy()
        np.testing.assert_allclose(gradient[:, 0].numpy(), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("raw", [-1e4, -5.0, 5.0, 30.0])
def test_whatever_the_free_parameters_become_values_and_gradients_are_finite(family, raw):
    basis = family(1)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.fill_(raw)
    x = torch.linspace(*basis.domain, 101).unsqueeze(-1).requires_grad_()
    value = basis(x)
    value.sum().backward()
    assert value.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in (x, *basis.parameters()))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("raw", [-1e4, -5.0, 5.0, 30.0])
def test_the_place_is_inside_whatever_the_free_parameter_becomes(family, raw):
    basis = family(1)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.fill_(raw)
    z = basis.place(torch.linspace(*basis.domain, 101)).detach()
    assert z.abs().max() <= 1
    assert (z.diff() >= 0).all()


@pytest.mark.parametrize("value", [0.02, 1.0, 20.0, 2000.0])
def test_a_free_parameter_starts_at_its_value(value):
    assert math.isclose(above(MIN_POSITIVE, free(MIN_POSITIVE, value)).item(), value, rel_tol=1e-5)


def test_the_power_is_learnt():
    basis = FractionalJacobi(1, degree=1, alpha=0.0, beta=0.0)
    x = torch.linspace(-1, 1, 101).unsqueeze(-1)
    target = torch.from_numpy(fractional(x.double().numpy(), 0.5)).float()
    optimizer = torch.optim.Adam([basis.raw_gamma], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (basis(x)[..., 0] - target).square().mean().backward()
        optimizer.step()
    assert math.isclose(above(MIN_POSITIVE, basis.raw_gamma).item(), 0.5, rel_tol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_has_three_parameters_for_all_its_inputs_and_a_finer_basis_takes_them_over(family):
    assert num_parameters(KAN([4, 3, 2], basis=family))["basis"] == 6
    basis = family(4)
    with torch.no_grad():
        basis.raw_alpha.add_(0.3)
    assert torch.equal(basis.refined(12).raw_alpha, basis.raw_alpha)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_refuses_exponents_that_cannot_be_integrated(family, name):
    with pytest.raises(ValueError, match=f"{name} must be > -0.99, got -1"):
        family(1, **{name: -1.0})
