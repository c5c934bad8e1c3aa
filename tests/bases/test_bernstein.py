"""Bernstein polynomials against scipy."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BPoly
from scipy.special import comb

from kanzoo_bases.bernstein import Bernstein
from kanzoo_bases.bspline import BSpline


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("degree", [1, 2, 8])
def test_equals_scipy(degree, dtype, tolerance):
    x = torch.linspace(-1, 1, 1001, dtype=dtype).unsqueeze(-1)
    expected = BPoly(np.eye(degree + 1)[:, None], [-1, 1])(x[:, 0].double().numpy())
    np.testing.assert_allclose(Bernstein(1, degree=degree)(x)[:, 0].double().numpy(), expected, rtol=0, atol=tolerance)


def test_derivatives_equal_scipy_up_to_the_ends():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    expected = BPoly(np.eye(9)[:, None], [-1, 1]).derivative()(x.detach()[:, 0].numpy())
    for k, column in enumerate(Bernstein(1).columns(x)):
        (gradient,) = torch.autograd.grad(column.sum(), x, retain_graph=True)
        np.testing.assert_allclose(gradient[:, 0].numpy(), expected[:, k], rtol=0, atol=1e-13)


@pytest.mark.parametrize("degree", [1, 8, 50])
def test_is_a_partition_of_unity(degree):
    x = torch.linspace(-1, 1, 501, dtype=torch.float64).unsqueeze(-1)
    values = Bernstein(1, degree=degree)(x)
    assert values.min() >= 0
    torch.testing.assert_close(values.sum(-1), torch.ones_like(x), rtol=0, atol=1e-13)


def test_reproduces_straight_lines():
    x = torch.linspace(-1, 1, 501, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(Bernstein(1)(x) @ torch.linspace(-1, 1, 9, dtype=torch.float64), x, rtol=0, atol=1e-14)


def test_is_the_b_spline_of_one_cell():
    x = torch.linspace(-1, 1, 201, dtype=torch.float64).unsqueeze(-1)
    cubic, spline = Bernstein(1, degree=3)(x)[:, 0], BSpline(1, degree=3, grid_size=1).double()(x)[:, 0]
    fitted = cubic @ torch.linalg.lstsq(cubic, spline).solution
    torch.testing.assert_close(fitted, spline, rtol=0, atol=1e-13)


def test_a_higher_degree_holds_a_lower_one():
    x = torch.linspace(-1, 1, 201, dtype=torch.float64).unsqueeze(-1)
    k = np.arange(9)
    raised = np.stack([comb(4, i) * comb(4, k - i) / comb(8, k) for i in range(5)])  # degree elevation from 4 to 8
    torch.testing.assert_close(Bernstein(1, degree=8)(x) @ torch.from_numpy(raised.T), Bernstein(1, degree=4)(x), rtol=0, atol=1e-14)
