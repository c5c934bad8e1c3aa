"""The maximal-overlap transform against PyWavelets' stationary one."""

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kanzoo.layers import MODWT

ORTHOGONAL = ["haar", "db2", "db4", "db10", "sym5", "coif2"]


def normal(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def transform(name, levels, dtype=torch.float64):
    return MODWT(pywt.Wavelet(name).dec_lo, levels).to(dtype) if dtype == torch.float32 else exact(name, levels)


def exact(name, levels):
    """A transform whose taps are not rounded to float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return MODWT(pywt.Wavelet(name).dec_lo, levels)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", ORTHOGONAL)
def test_equals_pywt_but_for_its_shift(name, dtype, tolerance):
    """PyWavelets puts a filter's middle at t, this its first tap: (2^j - 1) L / 2 places apart on level j."""
    x, levels = normal(2, 64), 4
    *details, smooth = transform(name, levels, dtype)(x.to(dtype)).double().unbind(-2)
    theirs = pywt.swt(x.numpy(), name, level=levels, norm=True, trim_approx=True, axis=-1)
    half = pywt.Wavelet(name).dec_len // 2
    for level, (ours, expected) in enumerate(zip((*details, smooth), (*theirs[:0:-1], theirs[0]), strict=True), 1):
        shift = (2 ** min(level, levels) - 1) * half
        np.testing.assert_allclose(ours.roll(-shift, -1).numpy(), expected, rtol=0, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(ORTHOGONAL), levels=st.integers(1, 5), length=st.integers(1, 70), shift=st.integers(0, 70))
def test_inverse_energy_and_shifts_for_any_length(name, levels, length, shift):
    modwt, x = exact(name, levels), normal(3, length)
    bands = modwt(x)
    assert bands.shape == (3, levels + 1, length)
    torch.testing.assert_close(modwt.inverse(bands), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(bands.square().sum((-2, -1)), x.square().sum(-1), rtol=1e-10, atol=0)
    torch.testing.assert_close(modwt(x.roll(shift, -1)), bands.roll(shift, -1), rtol=0, atol=1e-12)


def test_haar_is_half_a_difference_and_half_a_sum():
    x = torch.tensor([1.0, 4.0, 2.0, 8.0])
    detail, smooth = MODWT(pywt.Wavelet("haar").dec_lo, 1)(x)
    torch.testing.assert_close(detail.abs(), torch.tensor([7.0, 3.0, 2.0, 6.0]) / 2)
    torch.testing.assert_close(smooth, torch.tensor([9.0, 5.0, 6.0, 10.0]) / 2)


def test_a_constant_has_no_details():
    bands = exact("db4", 3)(torch.full((20,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(bands, torch.tensor([[0.0], [0.0], [0.0], [5.0]], dtype=torch.float64).expand(-1, 20), rtol=0, atol=1e-10)


def test_keeps_leading_dimensions_and_dtype():
    modwt = MODWT(pywt.Wavelet("db2").dec_lo, 2)
    for shape in [(), (0,), (5,), (2, 3)]:
        for dtype in (torch.float32, torch.float64):
            bands = modwt(normal(*shape, 9, dtype=dtype))
            assert bands.shape == (*shape, 3, 9)
            assert modwt.inverse(bands).shape == (*shape, 9)
            assert bands.dtype == modwt.inverse(bands).dtype == dtype


def test_gradients_both_ways():
    modwt, x = exact("db2", 2), normal(2, 7).requires_grad_()
    assert torch.autograd.gradcheck(modwt, x)
    assert torch.autograd.gradcheck(modwt.inverse, modwt(x).detach().requires_grad_())


def test_refuses_what_is_no_orthogonal_filter():
    with pytest.raises(ValueError, match="levels must be >= 1, got 0"):
        MODWT(pywt.Wavelet("haar").dec_lo, 0)
    with pytest.raises(ValueError, match=r"taps must be an even number of numbers, got the shape \(3,\)"):
        MODWT([0.5, 0.5, 0.5], 1)
    for name in ("bior2.2", "dmey"):
        with pytest.raises(ValueError, match="taps must be orthonormal to their even shifts"):
            MODWT(pywt.Wavelet(name).dec_lo, 1)
    with pytest.raises(ValueError, match=r"bands must have the shape \(\*batch, 3, time\), got \(2, 9\)"):
        MODWT(pywt.Wavelet("haar").dec_lo, 2).inverse(torch.zeros(2, 9))
