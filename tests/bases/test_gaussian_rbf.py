"""Gaussian radial basis functions against their formula in numpy."""

import numpy as np
import pytest
import torch

from kanzoo_bases.gaussian_rbf import GaussianRBF


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("domain", [(-2.0, 2.0), (0.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize("grid_size", [2, 8, 20])
def test_equals_numpy(grid_size, domain, dtype, tolerance):
    low, high = domain
    x = torch.linspace(low - 1, high + 1, 501, dtype=dtype).unsqueeze(-1)
    width = (high - low) / (grid_size - 1)
    expected = np.exp(-(((x.double().numpy() - np.linspace(low, high, grid_size)) / width) ** 2))
    ours = GaussianRBF(1, grid_size=grid_size, domain=domain)(x)[:, 0]
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours.double().numpy(), expected, rtol=0, atol=tolerance)


def test_is_one_at_each_center_and_symmetric():
    basis = GaussianRBF(1)
    centers = torch.linspace(-2, 2, 8).unsqueeze(-1)
    values = basis(centers)[:, 0]
    torch.testing.assert_close(values.diagonal(), torch.ones(8))
    torch.testing.assert_close(values, values.T)
    torch.testing.assert_close(basis(-centers)[:, 0], values.flip(1))


def test_is_finite_far_away():
    x = torch.tensor([[0.0], [1e3], [-1e3]], requires_grad=True)
    values = GaussianRBF(1)(x)
    values.sum().backward()
    assert values.isfinite().all()
    assert x.grad.isfinite().all()


def test_both_layouts_agree_and_keep_leading_dimensions():
    basis = GaussianRBF(3)
    for shape in [(), (0,), (1,), (2, 5)]:
        x = torch.ones(*shape, 3)
        assert basis(x).shape == (*shape, 3, 8)
        assert torch.equal(basis.features(x).transpose(-1, -2), basis(x))
    assert basis.features(torch.ones(4, 3)).is_contiguous()


def test_gradients():
    x = torch.linspace(-2.5, 2.5, 6, dtype=torch.float64).reshape(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(GaussianRBF(2), x)
    assert torch.autograd.gradgradcheck(GaussianRBF(2), x)


def test_refuses_one_center():
    with pytest.raises(ValueError, match="grid_size must be >= 2, got 1"):
        GaussianRBF(1, grid_size=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_finer_family_begins_with_the_coarser_one(dtype):
    basis, x = GaussianRBF(2), torch.linspace(-3, 3, 200, dtype=dtype).view(100, 2)
    for resolution in (15, 16, 40):
        finer = basis.refined(resolution).to(dtype)
        assert finer.constructed_with()[finer.resolution] == finer.num_basis == resolution
        assert torch.equal(finer(x)[..., : basis.num_basis], basis(x))
        basis = finer
    assert torch.equal(basis.refined(40)(x), basis(x))
    assert type(GaussianRBF(2).refined(8)) is GaussianRBF
