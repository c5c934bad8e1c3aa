"""Mother wavelets and scaling functions against PyWavelets, and the dyadic family that they make."""

import copy
import functools
import itertools
import math
import pickle

import numpy as np
import pytest
import pywt
import torch
from scipy.integrate import quad

from kanzoo.testing import check_basis
from kanzoo_bases.mother_wavelet import MotherWavelet, ScalingFunction
from kanzoo_bases.wavelet import Wavelet

CLOSED = ["mexh", "morl", *(f"gaus{order}" for order in range(1, 9))]
TABULATED = ["haar", "db1", "db2", "db4", "db38", "sym5", "sym9", "coif2", "bior1.3", "bior2.4", "bior5.5", "rbio2.4"]
UNSOLVABLE = ["dmey", "rbio2.2", "rbio3.1", "rbio3.3"]  # no values at the integers: PyWavelets' table
INTERVAL = ["db2", "db4", "sym5", "coif1", "bior2.4"]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


@pytest.fixture(params=TOLERANCE, ids=["float32", "float64"])
def dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form_equals_pywt(name, dtype):
    z = torch.linspace(-4, 4, 801, dtype=dtype)  # PyWavelets samples the formula at any ends
    wavelet = pywt.ContinuousWavelet(name)
    wavelet.lower_bound, wavelet.upper_bound = -4, 4
    psi, grid = wavelet.wavefun(length=801)
    np.testing.assert_allclose(grid, np.linspace(-4, 4, 801), atol=1e-12)
    ours = MotherWavelet(name)(torch.from_numpy(grid).to(dtype))
    assert ours.dtype == z.dtype
    steepness = np.abs(np.gradient(psi, grid)).max() if dtype == torch.float32 else 1  # the grid is rounded to float32 too
    np.testing.assert_allclose(ours.double().numpy(), psi, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(psi).max(), steepness))


def test_shannon_is_the_real_part_of_the_complex_one_of_pywt(dtype):
    wavelet = pywt.ContinuousWavelet("shan0.5-0.75")
    wavelet.lower_bound, wavelet.upper_bound = -4, 4
    psi, grid = wavelet.wavefun(length=801)
    ours = MotherWavelet("shannon")(torch.from_numpy(grid).to(dtype))
    steepness = np.abs(np.gradient(psi.real, grid)).max() if dtype == torch.float32 else 1
    np.testing.assert_allclose(ours.double().numpy(), math.sqrt(2) * psi.real, rtol=0, atol=2 * TOLERANCE[dtype] * steepness)


def test_derivatives_of_shannon_at_its_center():
    """The first vanishes, the second is -(π/2)²/3 - (3π/2)²: quotients of vanishing numbers would lose both."""
    z = torch.tensor([0.0, 1e-5, -1e-3], requires_grad=True)
    (slope,) = torch.autograd.grad(MotherWavelet("shannon")(z).sum(), z, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), z)
    second = -((math.pi / 2) ** 2) / 3 - (3 * math.pi / 2) ** 2
    torch.testing.assert_close(slope.detach(), second * z.detach(), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(bend, torch.full((3,), second), rtol=1e-4, atol=0)


def meyer(z):
    """Meyer's wavelet by adaptive quadrature of its spectrum."""

    def integral(low, wave):
        def spectrum(omega):
            u = omega / low - 1
            return wave(math.pi / 2 * u**4 * (35 - 84 * u + 70 * u**2 - 20 * u**3)) / math.pi

        return quad(spectrum, low, 2 * low, weight="cos", wvar=z, epsabs=1e-12)[0]

    return integral(2 * math.pi / 3, math.sin) + integral(4 * math.pi / 3, math.cos)


def test_meyer_equals_quadrature_and_is_even(dtype):
    z = torch.tensor([0.0, 0.1, 0.5, 0.74, 1.0, 2.3, 7.7, 15.9], dtype=dtype)
    expected = [meyer(float(place)) for place in z]
    for sign in (1, -1):
        np.testing.assert_allclose(MotherWavelet("meyer")(sign * z).double().numpy(), expected, rtol=0, atol=1e-5)
    assert not MotherWavelet("meyer")(torch.tensor([-16.1, 16.1, 1e30], dtype=dtype)).any()


def test_meyer_is_near_the_finite_filter_of_pywt():
    """PyWavelets' `dmey` approximates it, with the other sign; the place of its middle is not documented."""
    _, psi, grid = pywt.Wavelet("dmey").wavefun(level=8)
    center = grid[np.abs(psi).argmax()]
    ours = MotherWavelet("meyer")(torch.from_numpy(grid - center)).numpy()
    assert np.abs(ours + psi).max() < 0.03 * np.abs(psi).max()


def support(name):
    """First and last index of the synthesis filter's coefficients."""
    nonzero = np.flatnonzero(pywt.Wavelet(name).rec_lo)
    return int(nonzero[0]), int(nonzero[-1])


@pytest.mark.parametrize("name", TABULATED)
def test_tables_obey_the_two_scale_relation(name, dtype):
    wavelet, (first, last) = pywt.Wavelet(name), support(name)
    mother, scaling = MotherWavelet(name), ScalingFunction(name)
    assert scaling.width == last - first
    assert 2 * mother.center == wavelet.rec_len - 1
    z = torch.arange(512 * wavelet.rec_len, dtype=dtype) / 512
    low = np.array(wavelet.rec_lo)
    tolerance = 2 * TOLERANCE[dtype] + 4 * abs(low[::2].sum() - low[1::2].sum())  # PyWavelets has sym5 to 1e-12 only
    for function, filter in ((lambda z: scaling(z - first), low), (mother, wavelet.rec_hi)):
        refined = math.sqrt(2) * sum(tap * scaling(2 * z - k - first).double() for k, tap in enumerate(filter))
        torch.testing.assert_close(function(z).double(), refined, rtol=0, atol=tolerance)
    total = scaling(torch.arange(scaling.width, dtype=dtype) + 0.375 * torch.ones(2, 1, dtype=dtype)).sum(-1)
    torch.testing.assert_close(total, torch.ones(2, dtype=dtype), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", TABULATED)
def test_tables_are_those_of_pywt_but_for_its_shift(name):
    """PyWavelets' cascade ends up to the filter's length in steps beside the function, and its biorthogonal ones may be mirrored."""
    *_, phi, psi, grid = pywt.Wavelet(name).wavefun(level=10)
    first, steps = support(name)[0], pywt.Wavelet(name).rec_len - 1
    phi, psi, grid = phi[::7], psi[::7], grid[::7]
    around = torch.from_numpy(grid).unsqueeze(-1) + torch.arange(-steps, steps + 1) / 1024
    for ours, theirs in ((ScalingFunction(name).double()(around - first), phi), (MotherWavelet(name).double()(around), psi)):
        lowest, highest = ours.amin(-1).numpy(), ours.amax(-1).numpy()
        beside = [np.maximum(lowest - sign * theirs, sign * theirs - highest).max() for sign in (1, -1)]
        assert min(beside) < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("name", UNSOLVABLE)
def test_table_is_that_of_pywt_where_there_are_no_exact_values(name, dtype):
    *_, phi, psi, grid = pywt.Wavelet(name).wavefun(level=10)
    places = torch.from_numpy(grid).to(dtype)
    first, last = support(name)
    inside = (places >= first) & (places <= last)
    for ours, theirs in ((MotherWavelet(name)(places), psi), (ScalingFunction(name)(places - first)[inside], phi[inside])):
        np.testing.assert_allclose(ours.double().numpy(), theirs, rtol=0, atol=TOLERANCE[dtype] * np.abs(theirs).max())


def test_tables_are_known_functions():
    z = torch.linspace(-0.5, 3.5, 4 * 1024 + 1, dtype=torch.float64)
    hat = (1 - (z - 1).abs()).clamp(min=0)
    torch.testing.assert_close(ScalingFunction("bior2.4")(z), hat, rtol=0, atol=1e-6)
    assert ScalingFunction("haar")(torch.tensor([-1e-3, 0.0, 0.5, 0.999, 1.0])).tolist() == [0, 1, 1, 1, 0]
    root = math.sqrt(3)
    torch.testing.assert_close(ScalingFunction("db2")(torch.tensor([1.0, 2.0])), torch.tensor([1 + root, 1 - root]) / 2)


@pytest.mark.parametrize("name", ["haar", "db4", "bior2.4", "dmey"])
def test_table_is_interpolated_linearly(name, dtype):
    mother = MotherWavelet(name)
    between = (torch.arange(1024 * 3, dtype=dtype) + 0.25) / 1024
    expected = np.interp(between.double(), np.arange(len(mother.table)) / 1024, mother.table.double())
    np.testing.assert_allclose(mother(between).double().numpy(), expected, rtol=0, atol=2 * TOLERANCE[dtype])


@pytest.mark.parametrize("name", [*CLOSED, "meyer", "haar", "db4", "sym5", "coif2", "bior2.4"])
def test_has_zero_mean_and_for_orthogonal_ones_unit_norm(name):
    z = torch.linspace(-20, 20, 40 * 2048 + 1, dtype=torch.float64)
    psi = MotherWavelet(name)(z)
    ramp = 2**-11 if name == "haar" else 0  # its jumps are a step wide
    assert abs(torch.trapezoid(psi, z)) < 2e-5 + ramp  # morl has 1e-5 by its definition
    if name not in ("morl", "bior2.4"):
        assert torch.trapezoid(psi**2, z).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["haar", "db4", "dmey"])
def test_table_is_zero_outside_and_knows_its_middle(name):
    mother = MotherWavelet(name)
    width = 2 * mother.center
    assert width == pywt.Wavelet(name).rec_len - 1
    z = torch.tensor([-1e30, -1e3, -1e-3, width + 1e-2, 1e3, 1e30], requires_grad=True)
    psi = mother(z)
    psi.sum().backward()
    assert torch.equal(psi, torch.zeros(6))
    assert torch.equal(z.grad, torch.zeros(6))
    assert mother(torch.tensor([torch.nan])).isnan().all()


@pytest.mark.parametrize("name", ["cmor", "cgau1", "shan", "fbsp", "db0", "xyz", ""])
def test_refuses_complex_and_unknown_wavelets(name):
    with pytest.raises(ValueError, match=f"wavelet must be .*, got '{name}'"):
        Wavelet(1, wavelet=name)


def test_names_near_wavelets():
    with pytest.raises(ValueError, match="mexh"):
        MotherWavelet("mexhat")


@pytest.mark.parametrize(("levels", "shifts"), [(1, 1), (3, 1), (2, 3)])
@pytest.mark.parametrize("name", ["mexh", "gaus3", "haar", "db4", "bior1.3", "bior2.4"])
def test_equals_the_formula(name, levels, shifts, dtype):
    low, high = -1.0, 3.0
    basis = Wavelet(1, wavelet=name, levels=levels, shifts=shifts, domain=(low, high))
    x = torch.linspace(low, high, 129)
    u = (x - low) / (high - low)
    mother = basis.mother
    expected = [2 ** (j / 2) * mother(2**j * u * shifts - m - 0.5 + mother.center) for j in range(levels) for m in range(shifts * 2**j)]
    if name not in CLOSED:
        first, last = support(name)
        scaling, length = ScalingFunction(name), last - first + 1
        coarse = [scaling(shifts * u - m) for m in range(2 - length, shifts)]
        expected = (coarse[:-1] if length == 2 else coarse) + expected
        assert basis.num_basis == shifts * 2**levels + length - 2 - (length == 2)
    else:
        assert basis.num_basis == shifts * (2**levels - 1)
    torch.testing.assert_close(basis(x.unsqueeze(-1))[:, 0], torch.stack(expected, -1), rtol=0, atol=5 * TOLERANCE[dtype])


def test_haar_is_orthonormal():
    basis = Wavelet(1, wavelet="haar", levels=4)
    x = (torch.arange(256, dtype=torch.float64) + 0.5) / 128 - 1
    values = basis(x.unsqueeze(-1))[:, 0]
    torch.testing.assert_close(values.T @ values / 256, torch.eye(15, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shifts", [1, 2])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["mexh", "morl", "gaus1", "gaus2", "haar", "sym4", *INTERVAL])
def test_functions_are_independent(name, levels, shifts):
    basis = Wavelet(1, wavelet=name, levels=levels, shifts=shifts).double()
    values = basis(torch.linspace(-1, 1, 500, dtype=torch.float64).unsqueeze(-1))[:, 0]
    assert torch.linalg.matrix_rank(values / values.norm(dim=0), rtol=1e-9) == basis.num_basis


def fit_errors(name, levels, frequency, shifts=1):
    """Root mean square errors of the best fits to exp(sin(frequency x)) by the family and the constant."""
    x = 2 * (torch.arange(1500, dtype=torch.float64).unsqueeze(-1) + math.sqrt(0.5)) / 1501 - 1
    target, errors = torch.exp(torch.sin(frequency * x)), []
    for level in levels:
        values = Wavelet(1, wavelet=name, levels=level, shifts=shifts).double()(x)[:, 0]
        design = torch.cat([torch.ones_like(x), values], 1)
        fitted = design @ torch.linalg.lstsq(design, target, driver="gelsd").solution
        errors.append((fitted - target).square().mean().sqrt().item())
    return errors


@pytest.mark.parametrize(("name", "factor"), [("mexh", 0.2), ("haar", 0.7)])
def test_error_falls_with_levels(name, factor):
    errors = fit_errors(name, range(2, 6), 3)
    assert all(finer < factor * coarser for coarser, finer in itertools.pairwise(errors)), errors


@pytest.mark.parametrize(("name", "order"), [("db2", 2), ("db4", 4), ("sym5", 5), ("coif1", 2), ("bior2.4", 2)])
def test_error_falls_with_the_order_of_the_scaling_function(name, order, dtype):
    for shifts in (1, 2):
        errors = fit_errors(name, range(1, 6), math.pi, shifts)
        assert all(finer < coarser for coarser, finer in itertools.pairwise(errors)), errors
        assert math.log2(errors[-2] / errors[-1]) == pytest.approx(order, abs=0.5), errors


def test_reproduces_polynomials_up_to_the_ends():
    """The scaling functions of db4 hold cubics."""
    basis = Wavelet(1, wavelet="db4", levels=1, shifts=4)
    x = (torch.arange(1025, dtype=torch.float64) / 512 - 1).unsqueeze(-1)  # points of the table
    values = basis.double()(x)[:, 0, : basis.num_scaling]
    for power in range(4):
        fitted = values @ torch.linalg.lstsq(values, x**power, driver="gelsd").solution
        torch.testing.assert_close(fitted, x**power, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_tabulated_family_keeps_the_contract():
    check_basis(functools.partial(Wavelet, wavelet="db4"))


@pytest.mark.parametrize("name", [*CLOSED, "haar", "db4"])
def test_is_finite_at_the_ends_and_far_away(name):
    x = torch.tensor([[0.0], [-1.0], [1.0], [1e3], [-1e3]], requires_grad=True)
    values = Wavelet(1, wavelet=name)(x)
    values.sum().backward()
    assert values.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["mexh", "morl", "gaus4", "db4"])
def test_gradients(name):
    basis = Wavelet(2, wavelet=name, levels=2).double()
    x = torch.tensor([[-0.913, 0.3171], [0.0111, 0.9317]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(basis, x, eps=1e-7)
    if name in CLOSED:
        assert torch.autograd.gradgradcheck(basis, x)


def test_both_layouts_agree_for_every_batch_shape():
    basis = Wavelet(3)
    for shape in [(), (0,), (1,), (2, 5)]:
        x = torch.full((*shape, 3), 0.3)
        assert basis(x).shape == (*shape, 3, 7)
        assert torch.equal(basis.features(x).transpose(-1, -2), basis(x))


@pytest.mark.parametrize("name", ["mexh", "db4"])
def test_survives_state_dict_pickle_deepcopy_and_export(name):
    basis = Wavelet(3, wavelet=name)
    x = torch.linspace(-1, 1, 30).reshape(10, 3)
    expected = basis(x)
    loaded = Wavelet(3, wavelet=name)
    loaded.load_state_dict(basis.state_dict())
    exported = torch.export.export(basis, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    for copied in (loaded, copy.deepcopy(basis), pickle.loads(pickle.dumps(basis)), exported):
        assert torch.equal(copied(x), expected)
    assert torch.equal(exported(x[:5]), expected[:5])
