"""Wav-KAN's edges against their formula."""

import math

import numpy as np
import pytest
import torch

from kanzoo_bases.mother_wavelet import MotherWavelet
from kanzoo_bases.wav_kan import WavKAN


def moved(name: str, dtype: torch.dtype = torch.float64) -> WavKAN:
    """Edges with shifts and scales that all differ."""
    basis = WavKAN(3, 2, wavelet=name).to(dtype)
    with torch.no_grad():
        basis.shift.copy_(torch.linspace(-0.7, 0.9, 6).reshape(2, 3))
        basis.raw_scale.copy_(torch.linspace(-1.0, 2.0, 6).reshape(2, 3))
    return basis


def mexican_hat(z):
    return 2 / (np.sqrt(3) * np.pi**0.25) * (1 - z**2) * np.exp(-(z**2) / 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
def test_equals_the_formula(dtype, tolerance):
    basis = moved("mexh", dtype)
    x = torch.linspace(-2, 2, 303, dtype=dtype).reshape(101, 3)
    shift, raw = basis.shift.detach().double().numpy(), basis.raw_scale.detach().double().numpy()
    expected = mexican_hat((x.double().numpy()[:, None] - shift) / np.log1p(np.exp(raw)))
    np.testing.assert_allclose(basis(x).detach().double().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["mexh", "morl", "gaus1", "meyer", "shannon", "haar", "db4"])
def test_starts_as_the_mother_wavelet_about_zero(name):
    basis = WavKAN(1, 3, wavelet=name)
    torch.testing.assert_close(torch.nn.functional.softplus(basis.raw_scale), torch.ones(3, 1))
    assert torch.equal(basis.shift, torch.zeros(3, 1))
    x = torch.linspace(-2, 2, 37).unsqueeze(-1)
    mother = MotherWavelet(name)
    expected = mother(x + mother.center).unsqueeze(1).expand(-1, 3, -1)
    torch.testing.assert_close(basis(x).detach(), expected, rtol=0, atol=1e-5)


def test_keeps_leading_dimensions():
    for shape in [(), (0,), (1,), (2, 5)]:
        assert WavKAN(3, 2)(torch.zeros(*shape, 3)).shape == (*shape, 2, 3)


@pytest.mark.parametrize("name", ["mexh", "morl", "gaus3", "shannon", "meyer", "db4"])
def test_gradients_to_inputs_and_parameters(name):
    basis = moved(name)
    x = torch.tensor([[-1.13, 0.317, 0.0113], [0.931, 1.713, -0.37]], dtype=torch.float64, requires_grad=True)

    def edges(x, shift, raw_scale):
        return torch.func.functional_call(basis, {"shift": shift, "raw_scale": raw_scale}, (x,))

    inputs = (x, *(parameter.detach().clone().requires_grad_() for parameter in (basis.shift, basis.raw_scale)))
    assert torch.autograd.gradcheck(edges, inputs, eps=1e-7)
    if name not in ("db4", "meyer"):  # tables
        assert torch.autograd.gradgradcheck(edges, inputs)


def test_scale_stays_positive_and_values_finite_wherever_the_parameter_goes():
    basis = WavKAN(1, 1)
    x = torch.tensor([[-1e3], [-1.0], [0.0], [1.0], [1e3]])
    for raw in (-20.0, 0.0, 50.0):
        torch.nn.init.constant_(basis.raw_scale, raw)
        values = basis(x)
        values.sum().backward()
        assert values.isfinite().all()
        assert math.isfinite(basis.raw_scale.grad.item())


def test_parameters_are_one_shift_and_one_scale_an_edge():
    assert {name: tuple(parameter.shape) for name, parameter in WavKAN(3, 2).named_parameters()} == {"shift": (2, 3), "raw_scale": (2, 3)}


def test_refuses_unknown_wavelets():
    with pytest.raises(ValueError, match=r"wavelet must be .*, got 'nope'"):
        WavKAN(1, 1, wavelet="nope")


def test_a_scale_that_a_line_search_sent_to_zero_gives_no_nan():
    basis = WavKAN(2, 3)
    with torch.no_grad():
        basis.raw_scale.fill_(-1e4)
        basis.shift.fill_(1e10)
    x = torch.tensor([[-2.0, 0.5], [0.0, 2.0]], requires_grad=True)
    y = basis(x)
    y.sum().backward()
    for values in (y, x.grad, basis.shift.grad, basis.raw_scale.grad):
        assert values.isfinite().all()
