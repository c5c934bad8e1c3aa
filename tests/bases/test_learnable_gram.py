"""SiLU of polynomials with a learnt recurrence: against numpy's polynomials and scipy's Legendre polynomials."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial
from scipy.special import eval_legendre, expit

from kanzoo.models import KAN, num_parameters
from kanzoo_bases.gram import Gram
from kanzoo_bases.learnable_gram import LearnableGram

X = torch.linspace(-1, 1, 101, dtype=torch.float64)


def family(*beta):
    """Return the family with these numbers in its recurrence."""
    basis = LearnableGram(1, degree=len(beta) + 1).double()
    n = np.arange(1, len(beta) + 1)
    factor = ((2 * n + 1) * n**2) / ((n + 1) ** 2 / (4 * n**2 - 1))
    with torch.no_grad():
        basis.recurrence.copy_(torch.from_numpy(np.array(beta) / factor))
    return basis


def silu(x):
    return x * expit(x)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-2, 2), max_size=5))
def test_equals_polynomials_of_numpy(beta):
    x = Polynomial([0, 1])
    polynomials = [Polynomial([1]), x]
    for number in beta:
        polynomials.append(x * polynomials[-1] - number * polynomials[-2])
    expected = np.stack([silu(polynomial(X.numpy())) for polynomial in polynomials[1:]], -1)
    np.testing.assert_allclose(family(*beta)(X.unsqueeze(-1))[:, 0].detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_it_begins_as_silu_of_powers():
    expected = np.stack([silu(X.numpy() ** n) for n in (1, 2, 3)], -1)
    np.testing.assert_allclose(LearnableGram(1)(X.unsqueeze(-1))[:, 0].detach().numpy(), expected, rtol=1e-12)


def test_legendre_polynomials_are_among_them():
    n = np.arange(1, 6)
    values = family(*(n**2 / (4 * n**2 - 1)))(X.unsqueeze(-1))[:, 0].detach().numpy()
    for degree in range(1, 7):
        lead = np.prod([(2 * k - 1) / k for k in range(1, degree + 1)])
        np.testing.assert_allclose(values[:, degree - 1], silu(eval_legendre(degree, X.numpy()) / lead), rtol=0, atol=1e-12)


def test_gram_polynomials_are_among_them():
    n, m = np.arange(1, 5), 11
    values = family(*(n**2 * (m**2 - n**2) / (m**2 * (4 * n**2 - 1))))(X.unsqueeze(-1))[:, 0].detach().numpy()
    gram = Gram(1, degree=5, num_points=m)(X.unsqueeze(-1))[:, 0].numpy()
    slopes = [2 * m / k * np.sqrt((k * k - 1 / 4) / (m * m - k * k)) for k in range(1, 6)]
    np.testing.assert_allclose(values, silu(gram / np.cumprod(slopes)), rtol=0, atol=1e-12)


def test_the_recurrence_is_learnt():
    basis = family(0.0)
    target = family(0.4)(X.unsqueeze(-1)).detach()
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        (basis(X.unsqueeze(-1)) - target).square().mean().backward()
        optimizer.step()
    assert basis.figures() == {"beta_1": pytest.approx(0.4, abs=1e-3)}


def test_a_layer_has_one_recurrence_for_all_its_inputs_and_a_finer_basis_takes_it_over():
    assert num_parameters(KAN([4, 3, 2], basis=LearnableGram))["basis"] == 2 * 2
    basis = family(0.3, -0.2)
    finer = basis.refined(5)
    torch.testing.assert_close(finer(X.unsqueeze(-1))[..., :3], basis(X.unsqueeze(-1)), rtol=0, atol=0)
    assert finer.beta().tolist()[2:] == [0, 0]
