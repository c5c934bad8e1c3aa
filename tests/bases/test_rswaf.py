"""Reflectional switches against their formula in numpy and sympy."""

import numpy as np
import pytest
import sympy
import torch

from kanzoo_bases.rswaf import RSWAF


def centers_and_width(basis: RSWAF) -> tuple[np.ndarray, float]:
    centers = np.linspace(*basis.domain, basis.num_basis)
    return centers, basis.width * (centers[1] - centers[0])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("domain", [(-2.0, 2.0), (0.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize(("grid_size", "width"), [(2, 1.0), (8, 1.0), (8, 2.5), (20, 0.7)])
def test_equals_numpy(grid_size, width, domain, dtype, tolerance):
    basis = RSWAF(1, grid_size=grid_size, width=width, domain=domain)
    x = torch.linspace(domain[0] - 1, domain[1] + 1, 501, dtype=dtype).unsqueeze(-1)
    centers, h = centers_and_width(basis)
    expected = 1 - np.tanh((x.double().numpy() - centers) / h) ** 2
    np.testing.assert_allclose(basis(x)[:, 0].double().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_equal_sympy(order):
    basis, t = RSWAF(1, width=0.5), sympy.Symbol("t")
    (centers, h), x = centers_and_width(basis), torch.linspace(-2, 2, 41, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    derivative = sympy.lambdify(t, sympy.diff(1 - sympy.tanh(t / sympy.Float(h, 30)) ** 2, t, order))
    for k, center in enumerate(centers):
        value = basis(x)[..., k]
        for _ in range(order):
            (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        np.testing.assert_allclose(value.detach()[:, 0].numpy(), derivative(x.detach()[:, 0].numpy() - center), rtol=1e-9, atol=1e-9)


def test_a_trained_width_is_that_of_its_input():
    basis = RSWAF(2, trainable_width=True).double()
    with torch.no_grad():
        basis.log_width.copy_(torch.tensor([0.0, 2.0]).log1p())
    x = torch.linspace(-2, 2, 31, dtype=torch.float64).unsqueeze(-1).expand(-1, 2)
    for place, width in enumerate([1.0, 3.0]):
        torch.testing.assert_close(basis(x)[:, place], RSWAF(1, width=width)(x[:, :1])[:, 0])
    values = torch.func.functional_call
    assert torch.autograd.gradcheck(lambda log_width: values(basis, {"log_width": log_width}, (x[:5],)), basis.log_width)


def test_learns_no_width_unless_asked():
    assert not list(RSWAF(3).parameters())
    assert [tuple(parameter.shape) for parameter in RSWAF(3, trainable_width=True).parameters()] == [(3,)]


def test_is_finite_far_away():
    x = torch.tensor([[0.0], [1e3], [-1e3]], requires_grad=True)
    values = RSWAF(1)(x)
    values.sum().backward()
    assert values.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"), [({"grid_size": 1}, "grid_size must be >= 2, got 1"), ({"width": 0.0}, "width must be > 0, got 0")]
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        RSWAF(1, **arguments)
