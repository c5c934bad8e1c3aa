"""B-splines on trained knots against scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline as ScipyBSpline
from torch.func import functional_call

from kanzoo_bases.bspline import BSpline
from kanzoo_bases.free_knot_bspline import FreeKnotBSpline


def moved(in_features: int = 3, scale: float = 1.0, dtype: torch.dtype = torch.float64, **arguments) -> FreeKnotBSpline:
    """A basis whose knots are far from even and differ from input to input."""
    basis = FreeKnotBSpline(in_features, **arguments).to(dtype)
    basis.spacing.data.copy_(scale * torch.randn(basis.spacing.shape, generator=torch.Generator().manual_seed(0)))
    return basis


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize(("degree", "grid_size"), [(1, 2), (2, 5), (3, 5), (3, 50)])  # 50 cells are searched
def test_equals_scipy_on_moved_knots(degree, grid_size, domain, dtype, tolerance):
    basis = moved(degree=degree, grid_size=grid_size, domain=domain, dtype=dtype)
    x = torch.linspace(*domain, 301, dtype=dtype).unsqueeze(-1).expand(-1, 3)
    ours, knots = basis(x).detach().double().numpy(), basis.knots().detach().numpy()
    for i in range(3):
        design = ScipyBSpline.design_matrix(x[:, i].double().numpy(), knots[i], degree).toarray()
        np.testing.assert_allclose(ours[:, i], design, rtol=0, atol=tolerance)


@pytest.mark.parametrize("degree", [1, 3])
def test_starts_as_splines_on_an_even_grid(degree):
    x = torch.linspace(-1, 1, 301).unsqueeze(-1)
    torch.testing.assert_close(FreeKnotBSpline(1, degree=degree)(x), BSpline(1, degree=degree)(x), rtol=0, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(spacing=st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=12))
def test_knots_rise_between_the_ends_whatever_the_parameters(spacing):
    basis = FreeKnotBSpline(1, grid_size=len(spacing))
    basis.spacing.data.copy_(torch.tensor([spacing]))
    widths = basis.cell_ends().diff(dim=1)
    assert basis.cell_ends()[0, [0, -1]].tolist() == [-1, 1]
    assert (widths >= 0.0099 * 2 / len(spacing)).all()
    values = basis(basis.cell_ends().T.float())
    assert values.isfinite().all()
    torch.testing.assert_close(values.sum(-1), torch.ones_like(values[..., 0]))
    values.square().sum().backward()
    assert basis.spacing.grad.isfinite().all()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_gradients_by_input_and_spacing(degree):
    basis = moved(2, degree=degree, grid_size=4)
    x = torch.tensor([[-0.81, 0.43], [0.137, 0.713]], dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, spacing: functional_call(basis, {"spacing": spacing}, (x,)), (x, basis.spacing))


def test_knots_move_to_where_the_function_bends():
    basis = FreeKnotBSpline(1, degree=1, grid_size=2)
    x = torch.linspace(-1, 1, 201).unsqueeze(-1)
    coeff = torch.nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))
    optimizer = torch.optim.Adam([*basis.parameters(), coeff], lr=0.05)
    for _ in range(200):
        loss = (basis(x)[:, 0] @ coeff - (x[:, 0] - 0.4).abs()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-5
    assert abs(basis.cell_ends()[0, 1] - 0.4) < 0.01


@pytest.mark.parametrize("scale", [2.0, 1e4])
@pytest.mark.parametrize("resolution", [5, 7, 23])
def test_refined_knots_contain_the_old_ones(resolution, scale):
    basis = moved(scale=scale)
    finer = basis.refined(resolution).cell_ends()
    assert finer.shape == (3, resolution + 1)
    distance = (basis.cell_ends().unsqueeze(-1) - finer.unsqueeze(1)).abs().amin(-1)
    assert distance.max() < 1e-12


@pytest.mark.parametrize(
    ("arguments", "message"), [({"degree": 0}, "degree must be >= 1, got 0"), ({"grid_size": 1}, "grid_size must be >= 2, got 1")]
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        FreeKnotBSpline(1, **arguments)
