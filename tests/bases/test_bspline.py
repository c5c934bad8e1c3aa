"""B-splines against scipy, and their knots against unpleasant data."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import BSpline as ScipyBSpline

from kanzoo_bases.bspline import BSpline

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def updated(in_features: int = 3, dtype: torch.dtype = torch.float64, **arguments) -> BSpline:
    """A basis whose knots are far from even and differ from input to input."""
    basis = BSpline(in_features, **arguments).to(dtype)
    samples = torch.randn(400, in_features, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 3
    basis.update_grid((samples * torch.arange(1, in_features + 1)).to(dtype))
    return basis


def points(basis: BSpline, count: int = 301, stretch: float = 1.0) -> torch.Tensor:
    """Points of each input's own grid, both ends and all knots among them; `stretch` > 1 reaches out of it."""
    inner = basis.knots[:, basis.degree : basis.degree + basis.grid_size + 1]
    middle, half = (inner[:, -1] + inner[:, 0]) / 2, (inner[:, -1] - inner[:, 0]) / 2
    spread = middle + stretch * half * torch.linspace(-1, 1, count, dtype=inner.dtype).unsqueeze(1)
    return torch.cat([spread if stretch > 1 else spread.clamp(inner[:, 0], inner[:, -1]), inner.T])


def exact_knots(basis: BSpline) -> np.ndarray:
    """The knots in float64: evenly spaced ones without the rounding of the buffer, which the basis does not read then."""
    if basis._moved or not basis.degree:
        return basis.knots.double().numpy()
    (low, high), steps = basis.domain, np.arange(-basis.degree, basis.grid_size + basis.degree + 1)
    return np.tile(low + (high - low) / basis.grid_size * steps, (basis.in_features, 1))


def reference(basis: BSpline, x: torch.Tensor, derivative: int = 0) -> np.ndarray:
    knots, x = exact_knots(basis), x.double().numpy()
    families = [ScipyBSpline(knots[i], np.eye(basis.num_basis), basis.degree, extrapolate=True) for i in range(basis.in_features)]
    return np.stack([family(x[:, i], nu=derivative) for i, family in enumerate(families)], 1)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("grid_size", [1, 2, 5, 20])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5])
def test_equals_scipy_design_matrix(degree, grid_size, dtype):
    for basis in (BSpline(3, degree=degree, grid_size=grid_size).to(dtype), updated(degree=degree, grid_size=grid_size, dtype=dtype)):
        x = points(basis)
        ours = basis(x).double().numpy()
        for i, knots in enumerate(exact_knots(basis)):
            inside = x[:, i].double().numpy().clip(knots[degree], knots[-1 - degree])
            design = ScipyBSpline.design_matrix(inside, knots, degree).toarray()
            np.testing.assert_allclose(ours[:, i], design, rtol=0, atol=TOLERANCE[dtype])


def test_continues_as_polynomials_outside_like_scipy():
    basis = updated()
    x = points(basis, stretch=3.0)
    expected = reference(basis, x)
    np.testing.assert_allclose(basis(x).numpy(), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("derivative", [1, 2])
def test_derivatives_equal_scipy(derivative):
    basis = updated(degree=3)
    x = points(basis)[:301].requires_grad_()  # without the knots, where the third derivative jumps
    expected = reference(basis, x.detach(), derivative)
    for k in range(basis.num_basis):
        value = basis(x)[..., k]
        for _ in range(derivative):
            (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        np.testing.assert_allclose(value.detach().numpy(), expected[..., k], rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_sums_to_one_is_never_negative_and_local(degree):
    basis = updated(degree=degree, grid_size=12)
    values = basis(points(basis))
    torch.testing.assert_close(values.sum(-1), torch.ones_like(values[..., 0]), rtol=0, atol=1e-14)
    assert values.min() >= 0
    assert (values != 0).sum(-1).max() == degree + 1


def test_right_end_belongs_to_the_last_cell():
    for degree in range(4):
        values = BSpline(1, degree=degree)(torch.tensor([1.0]))[0]
        inside = BSpline(1, degree=degree)(torch.tensor([1.0 - 1e-6]))[0]
        torch.testing.assert_close(values, inside, rtol=0, atol=1e-4)


def test_both_layouts_agree_for_every_batch_shape():
    basis = BSpline(3)
    for shape in [(), (0,), (1,), (4,), (2, 5), (2, 0, 5)]:
        x = torch.linspace(-1.2, 1.2, max(1, int(np.prod(shape))) * 3)[: int(np.prod(shape)) * 3].reshape(*shape, 3)
        assert basis(x).shape == (*shape, 3, 8)
        assert basis.features(x).shape == (*shape, 8, 3)
        assert torch.equal(basis.features(x).transpose(-1, -2), basis(x))


def test_gradients():
    basis = updated(2, degree=3, grid_size=4)
    x = (points(basis, count=7, stretch=1.3)[:7] + 0.0123).requires_grad_()
    assert torch.autograd.gradcheck(basis, x)
    assert torch.autograd.gradgradcheck(basis, x)


def test_declares_order_and_num_basis():
    for degree, grid_size in [(0, 1), (3, 5), (2, 10)]:
        basis = BSpline(1, degree=degree, grid_size=grid_size)
        assert (basis.order, basis.num_basis) == (degree + 1, grid_size + degree)
        assert basis.knots.shape == (1, grid_size + 2 * degree + 1)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"degree": -1}, "degree must be >= 0, got -1"), ({"grid_size": 0}, "grid_size must be >= 1")]
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        BSpline(1, **arguments)


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("grid_uniformity", [0.0, 0.02, 1.0])
def test_reproduces_polynomials_after_update(degree, grid_uniformity):
    basis = updated(2, degree=degree, grid_size=6, grid_uniformity=grid_uniformity)
    x = points(basis)
    scaled = x / x.abs().max(0).values
    for i in range(2):
        powers = torch.stack([scaled[:, i] ** power for power in range(degree + 1)], -1)
        values = basis(x)[:, i]
        fitted = values @ torch.linalg.lstsq(values, powers, driver="gelsd").solution
        torch.testing.assert_close(fitted, powers, rtol=0, atol=1e-10)


def test_update_mixes_even_and_quantile_knots():
    samples = torch.rand(101, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).square()
    for uniformity in (0.02, 0.5, 1.0):
        basis = BSpline(2, grid_size=4, grid_uniformity=uniformity).double()
        basis.update_grid(samples)
        low, high = samples.min(0).values.clamp(max=-1), samples.max(0).values.clamp(min=1)
        for i in range(2):
            even = torch.linspace(low[i], high[i], 5, dtype=torch.float64)
            quantiles = torch.quantile(samples[:, i], torch.linspace(0, 1, 5, dtype=torch.float64))
            quantiles[0], quantiles[-1] = low[i], high[i]
            expected = uniformity * even + (1 - uniformity) * quantiles
            torch.testing.assert_close(basis.knots[i, 3:-3], expected)
            step = (high[i] - low[i]) / 4
            torch.testing.assert_close(basis.knots[i, :3], low[i] - step * torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
            torch.testing.assert_close(basis.knots[i, -3:], high[i] + step * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))


def test_update_keeps_the_buffer_and_forgets_no_input():
    basis = BSpline(3)
    before, place = basis.knots.clone(), basis.knots.data_ptr()
    samples = torch.stack([torch.full((50,), 0.3), torch.full((50,), torch.nan), torch.linspace(2, 4, 50)], 1)
    samples[0, 2] = torch.inf
    samples[1, 2] = -torch.inf
    basis.update_grid(samples)
    assert basis.knots.data_ptr() == place
    assert torch.equal(basis.knots[:2], before[:2])
    assert basis.knots[2, [3, -4]].tolist() == pytest.approx([-1.0, 4.0])
    basis.update_grid(torch.empty(0, 3))
    basis.update_grid(torch.zeros(1, 3))


@settings(max_examples=100, deadline=None)
@given(
    samples=arrays(
        np.float32,
        st.tuples(st.integers(0, 30), st.just(2)),
        elements=st.one_of(
            st.sampled_from([0.0, 1.0, 1.0 + 2**-20, -1e-30, 1e-7, 1e6, 1e30, 3e38, -3e38, np.inf, -np.inf, np.nan]),
            st.floats(-3, 3, width=32),
        ),
    ),
    degree=st.integers(0, 4),
    grid_size=st.integers(1, 12),
    grid_uniformity=st.floats(0, 1),
)
def test_knots_rise_and_values_stay_finite_whatever_the_data(samples, degree, grid_size, grid_uniformity):
    basis = BSpline(2, degree=degree, grid_size=grid_size, grid_uniformity=grid_uniformity)
    basis.update_grid(torch.from_numpy(samples))
    gaps = basis.knots.diff(dim=1)
    assert basis.knots.isfinite().all()
    assert (gaps > 0).all()
    assert (gaps.min(1).values > 0.004 * gaps.max(1).values / grid_size).all()
    values = basis(basis.knots.T[degree : degree + grid_size + 1])
    assert values.isfinite().all()
    torch.testing.assert_close(values.sum(-1), torch.ones_like(values[..., 0]), rtol=0, atol=1e-5)


def test_survives_state_dict_pickle_deepcopy_and_export():
    basis = updated(dtype=torch.float32)
    x = points(basis)
    expected = basis(x)
    loaded = BSpline(3)
    loaded.load_state_dict(basis.state_dict())
    saved = io.BytesIO()
    torch.save(basis.state_dict(), saved)
    saved.seek(0)
    assert torch.equal(torch.load(saved, weights_only=True)["knots"], basis.knots)
    exported = torch.export.export(basis, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    for copied in (loaded, copy.deepcopy(basis), pickle.loads(pickle.dumps(basis)), exported):
        assert torch.equal(copied(x), expected)
    assert torch.equal(exported(x[:5]), expected[:5])


@pytest.mark.slow
def test_compiles_without_graph_breaks():
    basis = updated(dtype=torch.float32)
    compiled = torch.compile(basis, fullgraph=True)
    x = points(basis).requires_grad_()
    weight = torch.linspace(-1, 1, basis.num_basis)
    (expected,) = torch.autograd.grad((basis(x) * weight).sum(), x)
    (gradient,) = torch.autograd.grad((compiled(x) * weight).sum(), x)
    torch.testing.assert_close(compiled(x), basis(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grid_size", [1, 2, 5, 8, 40])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_compiled_features_are_the_same(degree, grid_size):
    basis = BSpline(3, degree=degree, grid_size=grid_size, domain=(-1.0, 3.0))
    compiled = torch.compile(lambda x: basis.features(x), backend="aot_eager")
    x = points(basis)[:301].requires_grad_()
    weight = torch.randn(301, basis.num_basis, 3, generator=torch.Generator().manual_seed(0))
    ours, theirs = compiled(x), basis.features(x)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    if degree > 1:  # of degree 1 the slope jumps at a knot
        gradients = [torch.autograd.grad((weight * y).sum(), x)[0] for y in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=0, atol=2e-6 * grid_size * float(weight.abs().max()))


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("grid_size", [1, 4, 20])
@pytest.mark.parametrize("moved", [False, True])
def test_everywhere_each_spline_is_that_of_scipy_on_its_own_knots(degree: int, grid_size: int, moved: bool) -> None:
    arguments = {"degree": degree, "grid_size": grid_size}
    basis = updated(**arguments) if moved else BSpline(3, **arguments).double()
    x = points(basis, stretch=1.5)
    values = basis.everywhere(x)
    for feature, knots in enumerate(exact_knots(basis)):
        for k in range(basis.num_basis):
            spline = ScipyBSpline.basis_element(knots[k : k + degree + 2], extrapolate=False)
            here = x[:, feature].numpy()
            last = k == basis.num_basis - 1  # of degree 0 no piece but the last has its right end
            expected = np.nan_to_num(spline(here)) * ((here < knots[k + degree + 1]) | last)
            np.testing.assert_allclose(values[:, k, feature], expected, atol=2e-6)  # the buffer of knots has been rounded


def test_everywhere_has_the_slope_of_the_splines() -> None:
    basis = BSpline(1, degree=4, grid_size=3).double()
    x = torch.linspace(-4, 4, 50, dtype=torch.float64)[:, None].requires_grad_()
    assert torch.autograd.gradcheck(basis.everywhere, x)
