"""Chebyshev polynomials against numpy."""

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

from kanzoo_bases.chebyshev import Chebyshev


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("degree", [1, 2, 8])
def test_equals_numpy(degree, dtype, tolerance):
    x = torch.linspace(-1, 1, 1001, dtype=dtype).unsqueeze(-1)
    expected = chebyshev.chebvander(x[:, 0].double().numpy(), degree)[:, 1:]
    np.testing.assert_allclose(Chebyshev(1, degree=degree)(x)[:, 0].double().numpy(), expected, rtol=0, atol=tolerance)


def test_derivatives_equal_numpy_up_to_the_ends():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    for n, column in enumerate(Chebyshev(1, degree=8).columns(x), 1):
        (gradient,) = torch.autograd.grad(column.sum(), x, retain_graph=True)
        series = chebyshev.Chebyshev.basis(n).deriv()
        np.testing.assert_allclose(gradient[:, 0].numpy(), series(x.detach()[:, 0].numpy()), rtol=0, atol=1e-12 * n * n)


def test_is_orthogonal_under_gauss_quadrature():
    nodes, weights = chebyshev.chebgauss(20)
    values = Chebyshev(1, degree=8)(torch.from_numpy(nodes).unsqueeze(-1))[:, 0].numpy()
    np.testing.assert_allclose(values.T * weights @ values, np.eye(8) * np.pi / 2, rtol=0, atol=1e-13)
    np.testing.assert_allclose(weights @ values, 0, atol=1e-13)  # and to the constant


def test_is_known_at_the_ends():
    ends = Chebyshev(1, degree=6)(torch.tensor([[1.0], [-1.0], [0.0]]))[:, 0]
    assert ends.tolist() == [[1, 1, 1, 1, 1, 1], [-1, 1, -1, 1, -1, 1], [0, -1, 0, 1, 0, -1]]


def test_is_finite_far_away():
    assert Chebyshev(1)(torch.tensor([[1e3], [-1e3]])).isfinite().all()


def test_gradients():
    x = torch.tensor([[-1.0, 0.3], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Chebyshev(2), x)
    assert torch.autograd.gradgradcheck(Chebyshev(2), x)


def test_refuses_degree_zero():
    with pytest.raises(ValueError, match="degree must be >= 1, got 0"):
        Chebyshev(1, degree=0)
