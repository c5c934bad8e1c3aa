"""Sinc functions against numpy and mpmath."""

import mpmath
import numpy as np
import pytest
import torch

from kanzoo_bases.sinc import Sinc


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (0.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize(("grid_size", "steps"), [(2, 1), (5, 2), (8, 3)])
def test_equals_numpy(grid_size, steps, domain, dtype, tolerance):
    low, high = domain
    x = torch.linspace(low - 0.3, high + 0.3, 501, dtype=dtype).unsqueeze(-1)
    widest, index = (high - low) / (grid_size - 1), np.arange(grid_size) - (grid_size - 1) / 2
    place = x.double().numpy() - (low + high) / 2
    expected = np.concatenate([np.sinc(place / (widest / step) - index) for step in range(1, steps + 1)], 1)
    ours = Sinc(1, grid_size=grid_size, steps=steps, domain=domain)(x)[:, 0]
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours.double().numpy(), expected, rtol=0, atol=tolerance * steps * grid_size / 10)


def test_is_one_at_its_center_and_zero_at_the_others():
    centers = torch.linspace(-1, 1, 9, dtype=torch.float64).unsqueeze(-1)
    values = Sinc(1, grid_size=9, steps=1)(centers)[:, 0]
    torch.testing.assert_close(values, torch.eye(9, dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
def test_derivatives_equal_mpmath_at_and_near_the_centers(dtype, tolerance):
    place = [0.0, 1e-7, 1e-3, 0.2, 0.49999, 0.5, 0.50001, 0.99999, 1.0]  # steps are one wide: the centers are -1, 0, 1
    x = torch.tensor(place, dtype=dtype).unsqueeze(-1).requires_grad_()
    value = Sinc(1, grid_size=3, steps=1, domain=(-1.0, 1.0))(x)[:, 0, 1]
    for order in (1, 2):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        value = value[:, 0]
        expected = [float(mpmath.diff(lambda t: mpmath.sincpi(t), point, order)) for point in x.detach()[:, 0].double().tolist()]
        np.testing.assert_allclose(value.detach().double().numpy(), expected, rtol=0, atol=tolerance * 10**order)


@pytest.mark.parametrize("arguments", [{"grid_size": 1}, {"steps": 0}])
def test_refuses_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be >= "):
        Sinc(1, **arguments)
