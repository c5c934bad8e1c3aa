"""Jacobi polynomials against scipy."""

import numpy as np
import pytest
import torch
from numpy.polynomial import legendre
from scipy.special import binom, eval_gegenbauer, eval_jacobi, gamma, roots_jacobi

from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.jacobi import Jacobi

PAIRS = [(1.0, 1.0), (0.0, 0.0), (-0.5, -0.5), (0.5, -0.5), (2.0, 0.5), (-0.9, -0.1), (-0.99, -0.99), (0.3, -0.7), (5.0, 0.0)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("alpha", "beta"), PAIRS)
def test_equals_scipy(alpha, beta, dtype, tolerance):
    x = torch.linspace(-1, 1, 1001, dtype=dtype).unsqueeze(-1)
    expected = np.stack([eval_jacobi(n, alpha, beta, x[:, 0].double().numpy()) for n in range(1, 9)], -1)
    ours = Jacobi(1, alpha=alpha, beta=beta)(x)[:, 0].double().numpy()
    scale = np.abs(expected).max(0).clip(1)
    np.testing.assert_allclose(ours / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("alpha", "beta"), [pair for pair in PAIRS if sum(pair) != -1])  # there roots_jacobi divides by zero
def test_is_orthogonal_under_gauss_quadrature(alpha, beta):
    nodes, weights = roots_jacobi(20, alpha, beta)
    values = np.concatenate([np.ones((20, 1)), Jacobi(1, alpha=alpha, beta=beta)(torch.from_numpy(nodes).unsqueeze(-1))[:, 0].numpy()], 1)
    gram = values.T * weights @ values
    size = np.sqrt(gram.diagonal())
    np.testing.assert_allclose(gram / np.outer(size, size), np.eye(9), rtol=0, atol=1e-10)


def test_has_the_special_cases():
    x = torch.linspace(-1, 1, 201, dtype=torch.float64).unsqueeze(-1)
    points = x[:, 0].numpy()
    np.testing.assert_allclose(Jacobi(1, alpha=0.0, beta=0.0)(x)[:, 0].numpy(), legendre.legvander(points, 8)[:, 1:], rtol=0, atol=1e-12)
    n = np.arange(1, 9)
    third = eval_gegenbauer(n, 1.5, points[:, None]) * gamma(3) / gamma(n + 3) * gamma(n + 2) / gamma(2)
    np.testing.assert_allclose(Jacobi(1)(x)[:, 0].numpy(), third, rtol=0, atol=1e-11)
    ends = torch.tensor(binom(n - 0.5, n))
    torch.testing.assert_close(Jacobi(1, alpha=-0.5, beta=-0.5)(x) / ends, Chebyshev(1)(x), rtol=0, atol=1e-12)


def test_is_known_at_the_ends():
    n = np.arange(1, 9)
    ends = Jacobi(1, alpha=2.0, beta=1.0)(torch.tensor([[1.0], [-1.0]], dtype=torch.float64))[:, 0].numpy()
    np.testing.assert_allclose(ends, [binom(n + 2, n), (-1.0) ** n * binom(n + 1, n)], rtol=1e-12)


def test_is_finite_far_away():
    assert Jacobi(1)(torch.tensor([[1e3], [-1e3], [0.0]])).isfinite().all()


def test_gradients():
    x = torch.tensor([[-1.0, 0.3], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Jacobi(2, alpha=0.5), x)
    assert torch.autograd.gradgradcheck(Jacobi(2, alpha=0.5), x)


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_refuses_exponents_that_cannot_be_integrated(name):
    with pytest.raises(ValueError, match=f"{name} must be > -1, got -1"):
        Jacobi(1, **{name: -1.0})
