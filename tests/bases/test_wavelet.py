"""Mother wavelets against PyWavelets, and the dyadic family that they make."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import pywt
import torch

from kanzoo_bases.mother_wavelet import MotherWavelet
from kanzoo_bases.wavelet import Wavelet

CLOSED = ["mexh", "morl", *(f"gaus{order}" for order in range(1, 9))]
TABULATED = ["haar", "db1", "db2", "db4", "db38", "sym5", "coif2", "bior2.4", "rbio2.4", "dmey"]
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


@pytest.mark.parametrize("name", TABULATED)
def test_table_equals_pywt(name, dtype):
    *_, psi, grid = pywt.Wavelet(name).wavefun(level=10)
    places = torch.from_numpy(grid).to(dtype)
    np.testing.assert_allclose(MotherWavelet(name)(places).double().numpy(), psi, rtol=0, atol=TOLERANCE[dtype] * np.abs(psi).max())
    between = (grid[1:] + grid[:-1]) / 2
    ours = MotherWavelet(name)(torch.from_numpy(between).to(dtype)).double().numpy()
    np.testing.assert_allclose(ours, np.interp(between, grid, psi), rtol=0, atol=TOLERANCE[dtype] * np.abs(psi).max())


@pytest.mark.parametrize("name", [*CLOSED, "haar", "db4", "sym5", "coif2", "bior2.4"])
def test_has_zero_mean_and_for_orthogonal_ones_unit_norm(name):
    z = torch.linspace(-20, 20, 40 * 2048 + 1, dtype=torch.float64)
    psi = MotherWavelet(name)(z)
    assert abs(torch.trapezoid(psi, z)) < 2e-5  # morl has 1e-5 by its definition
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
@pytest.mark.parametrize("name", ["mexh", "gaus3", "db4"])
def test_equals_the_formula(name, levels, shifts, dtype):
    low, high = -1.0, 3.0
    basis = Wavelet(1, wavelet=name, levels=levels, shifts=shifts, domain=(low, high))
    x = torch.linspace(low, high, 129)
    u = (x - low) / (high - low)
    mother = basis.mother
    expected = [2 ** (j / 2) * mother(2**j * u * shifts - m - 0.5 + mother.center) for j in range(levels) for m in range(shifts * 2**j)]
    assert basis.num_basis == len(expected) == shifts * (2**levels - 1)
    torch.testing.assert_close(basis(x.unsqueeze(-1))[:, 0], torch.stack(expected, -1), rtol=0, atol=5 * TOLERANCE[dtype])


def test_haar_is_orthonormal():
    basis = Wavelet(1, wavelet="haar", levels=4)
    x = (torch.arange(256, dtype=torch.float64) + 0.5) / 128 - 1
    values = basis(x.unsqueeze(-1))[:, 0]
    torch.testing.assert_close(values.T @ values / 256, torch.eye(15, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mexh", "morl", "gaus1", "gaus2", "haar", "db2", "sym4"])
def test_functions_are_independent(name):
    basis = Wavelet(1, wavelet=name)
    values = basis(torch.linspace(-1, 1, 500, dtype=torch.float64).unsqueeze(-1))[:, 0]
    assert torch.linalg.matrix_rank(values, rtol=1e-6) == basis.num_basis


@pytest.mark.parametrize(("name", "factor"), [("mexh", 0.2), ("haar", 0.7)])
def test_error_falls_with_levels(name, factor):
    x = torch.linspace(-1, 1, 1000, dtype=torch.float64).unsqueeze(-1)
    target, errors = torch.exp(torch.sin(3 * x)), []
    for levels in range(2, 6):
        design = torch.cat([torch.ones_like(x), Wavelet(1, wavelet=name, levels=levels)(x)[:, 0]], 1)
        fitted = design @ torch.linalg.lstsq(design, target, driver="gelsd").solution
        errors.append((fitted - target).square().mean().sqrt())
    assert all(finer < factor * coarser for coarser, finer in itertools.pairwise(errors)), errors


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
