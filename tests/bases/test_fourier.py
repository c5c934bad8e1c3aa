"""The Fourier basis against numpy."""

import numpy as np
import pytest
import torch

from kanzoo_bases.fourier import Fourier


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("degree", [1, 4, 8])
def test_equals_numpy(degree, dtype, tolerance):
    x = torch.linspace(-torch.pi, torch.pi, 2001, dtype=dtype).unsqueeze(-1)
    angles = x.double().numpy() * np.arange(1, degree + 1)
    expected = np.stack([np.cos(angles), np.sin(angles)], -1).reshape(len(x), -1)
    np.testing.assert_allclose(Fourier(1, degree=degree)(x)[:, 0].double().numpy(), expected, rtol=0, atol=tolerance)


def test_rounding_grows_no_faster_than_the_frequency():
    x = torch.linspace(-torch.pi, torch.pi, 2001).unsqueeze(-1)
    cosines = Fourier(1, degree=64)(x)[:, 0, ::2].double().numpy()
    error = np.abs(cosines - np.cos(x.double().numpy() * np.arange(1, 65))).max(0)
    assert (error < 2**-23 * np.arange(1, 65) + 1e-7).all()


def test_is_orthogonal_over_one_period():
    x = torch.arange(64, dtype=torch.float64).unsqueeze(-1) * (2 * torch.pi / 64)
    values = Fourier(1, degree=10)(x)[:, 0]
    torch.testing.assert_close(values.T @ values / 32, torch.eye(20, dtype=torch.float64), rtol=0, atol=1e-13)
    torch.testing.assert_close(values.sum(0), torch.zeros(20, dtype=torch.float64), rtol=0, atol=1e-12)


def test_is_periodic_and_finite_far_away():
    basis = Fourier(1)
    x = torch.linspace(-3, 3, 50, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(basis(x + 2 * torch.pi), basis(x), rtol=0, atol=1e-13)
    assert basis(torch.tensor([[0.0], [1e3], [-1e3]])).abs().max() <= 1 + 1e-5


def test_initial_scale_is_damped_only_when_smooth():
    torch.testing.assert_close(Fourier(1, degree=3).initial_scale(), torch.tensor([1, 1, 1 / 4, 1 / 4, 1 / 9, 1 / 9]))
    assert torch.equal(Fourier(1, degree=3, smooth=False).initial_scale(), torch.ones(6))


def test_gradients():
    x = torch.tensor([[-torch.pi, 0.3], [0.0, torch.pi]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Fourier(2), x)
    assert torch.autograd.gradgradcheck(Fourier(2), x)


def test_refuses_degree_zero():
    with pytest.raises(ValueError, match="degree must be >= 1, got 0"):
        Fourier(1, degree=0)
