"""Hat functions against numpy's interpolation and B-splines of degree 1."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kanzoo.layers import KANLinear
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.piecewise_linear import PiecewiseLinear


def layer(outputs: int, grid_size: int, dtype: torch.dtype = torch.float64) -> KANLinear:
    made = KANLinear(
        2,
        outputs,
        lambda inputs: PiecewiseLinear(inputs, grid_size=grid_size),
        squash="none",
        residual="none",
        generator=torch.Generator().manual_seed(0),
    )
    return made.to(dtype)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize(("outputs", "grid_size"), [(1, 1), (3, 5), (16, 60)])  # 16 outputs of 60 cells are contracted locally
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_a_layer_interpolates_its_coefficients(dtype, tolerance, outputs, grid_size, moved):
    made, generator = layer(outputs, grid_size, dtype), torch.Generator().manual_seed(1)
    if moved:
        made.update_grid(torch.rand(500, 2, generator=generator, dtype=dtype) ** 3)
    with torch.no_grad():
        made.coeff.copy_(torch.randn(made.coeff.shape, generator=generator, dtype=dtype))
    x = torch.rand(400, 2, generator=generator, dtype=dtype) * 2 - 1
    knots, coeff = made.expansion.basis.cell_ends().double().numpy(), made.coeff.detach().double().numpy()
    even = np.linspace(-1, 1, grid_size + 1)  # as they are before their rounding
    columns = [[np.interp(x[:, i].double(), knots[i] if moved else even, coeff[o, i]) for i in range(2)] for o in range(outputs)]
    np.testing.assert_allclose(made(x).detach().numpy(), np.array(columns).sum(1).T, rtol=0, atol=tolerance)


@pytest.mark.parametrize("grid_size", [1, 8, 24, 25, 64, 100])  # on both sides of where knots are searched
def test_are_the_splines_of_degree_one(grid_size):
    samples = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)) ** 3
    hats, splines = PiecewiseLinear(3, grid_size=grid_size), BSpline(3, degree=1, grid_size=grid_size)
    for basis in (hats, splines):
        basis.update_grid(samples)
    x = torch.cat([samples.clamp(*hats.interval()), hats.cell_ends().T])
    assert torch.equal(hats(x), splines(x))
    torch.testing.assert_close(hats(hats.cell_ends().T), torch.eye(grid_size + 1).unsqueeze(1).expand(-1, 3, -1))


@settings(max_examples=50, deadline=None)
@given(grid_size=st.integers(1, 120), seed=st.integers(0, 99), shape=st.sampled_from([(), (0,), (5,), (2, 3), (2, 0, 4)]))
def test_sums_to_one_and_two_are_not_zero_for_every_shape(grid_size, seed, shape):
    generator = torch.Generator().manual_seed(seed)
    basis = PiecewiseLinear(2, grid_size=grid_size).double()
    basis.update_grid(torch.randn(50, 2, generator=generator).double())
    x = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 2 - 1
    values = basis(x)
    assert values.shape == (*shape, 2, grid_size + 1)
    torch.testing.assert_close(values.sum(-1), torch.ones_like(x))
    assert ((values != 0).sum(-1) <= 2).all()


def test_goes_on_outside_a_moved_fine_grid_as_a_line():
    made = layer(3, 60)
    made.update_grid(torch.rand(500, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    ends = torch.tensor([[0.999], [1.0], [1.001], [2.0]], dtype=torch.float64).expand(-1, 2)
    near, end, beyond, far = made(ends)
    torch.testing.assert_close(beyond - end, end - near)
    torch.testing.assert_close(far - end, 1000 * (end - near), rtol=1e-6, atol=1e-9)
    batches = torch.func.vmap(made)(ends.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(batches, made(ends))


def test_refined_grids_contain_the_old_one():
    basis = PiecewiseLinear(1, grid_size=4, domain=(0.0, 2.0))
    basis.update_grid(torch.rand(100, 1, generator=torch.Generator().manual_seed(0)))
    finer = basis.refined(9)
    assert type(finer) is PiecewiseLinear
    assert finer.domain == (0.0, 2.0)
    assert torch.isin(basis.cell_ends(), finer.cell_ends()).all()


def test_refuses_no_cell():
    with pytest.raises(ValueError, match="grid_size must be >= 1, got 0"):
        PiecewiseLinear(1, grid_size=0)
