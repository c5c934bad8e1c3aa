"""SKAN's edges against their formulas in numpy."""

import numpy as np
import pytest
import torch

from kanzoo.layers import KANLinear
from kanzoo.models import num_parameters
from kanzoo_bases.skan import SKAN

FORMULAS = {
    "softplus": lambda x, k: np.logaddexp(0, k * x) - np.log(2),
    "swish": lambda x, k: x / (1 + np.exp(-k * x)),
    "sin": lambda x, k: np.sin(k * x),
    "arctan": lambda x, k: np.arctan(k * x),
}


def moved(kind, dtype=torch.float64):
    """Edges that all differ."""
    basis = SKAN(3, 2, kind=kind).to(dtype)
    with torch.no_grad():
        basis.rate.copy_(torch.linspace(-1.5, 2.0, 6).view(2, 3))
    return basis


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("kind", FORMULAS)
def test_equals_the_formula(kind, dtype, tolerance):
    basis, x = moved(kind, dtype), torch.linspace(-2, 2, 303, dtype=dtype).view(101, 3)
    expected = FORMULAS[kind](x.double().numpy()[:, None], basis.rate.detach().double().numpy())
    np.testing.assert_allclose(basis(x).detach().double().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", FORMULAS)
def test_is_zero_at_zero_whatever_the_parameter(kind):
    assert moved(kind)(torch.zeros(1, 3, dtype=torch.float64)).abs().max() < 1e-15


def test_an_edge_has_one_parameter_and_its_weight():
    assert num_parameters(KANLinear(2, 5, SKAN, residual="none", bias=False)) == {"coefficients": 10, "basis": 10}


@pytest.mark.parametrize("kind", FORMULAS)
def test_gradients_to_inputs_and_parameters(kind):
    basis = moved(kind)
    x = torch.tensor([[-1.13, 0.317, 0.0113], [0.931, 1.713, -0.37]], dtype=torch.float64, requires_grad=True)

    def edges(x, rate):
        return torch.func.functional_call(basis, {"rate": rate}, (x,))

    inputs = (x, basis.rate.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(edges, inputs)
    assert torch.autograd.gradgradcheck(edges, inputs)


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("rate", [1e30, -1e30, 0.0])
def test_wild_parameters_give_no_nan(kind, rate):
    basis, x = SKAN(3, 2, kind=kind), torch.tensor([[-2.0, 0.0, 2.0]], requires_grad=True)
    with torch.no_grad():
        basis.rate.fill_(rate)
    values = basis(x)
    values.sum().backward()
    for found in (values, x.grad, basis.rate.grad):
        assert found.isfinite().all()


def test_refuses_unknown_kinds():
    with pytest.raises(ValueError, match="kind must be one of softplus, swish, sin, arctan, got 'cos'"):
        SKAN(1, 1, kind="cos")
