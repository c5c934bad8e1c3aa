import math

import pytest
import torch

from kanzoo.errors import InvalidInput
from kanzoo.initial import check_formula, initial_std
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("0.1", 0.1),
        ("2", 2.0),
        ("1 / (fan_in * (K + 1))", 1 / (30 * 9)),
        ("sqrt(2 / (fan_in*K + fan_out))", math.sqrt(2 / 260)),
        (" fan_out ** -0.5 - 0.1 ", 20**-0.5 - 0.1),
    ],
)
def test_a_formula_is_that_of_python(formula, value):
    assert initial_std(formula, 30, 20, 8) == pytest.approx(value, rel=1e-15)


WRONG = "|fast|K +|K.real|__import__('os')|sqrt(1, 2)|sqrt(x=2)|True|1 if K else 2|K // 2|'a'|1/0|9**9**9|sqrt(-1)|-0.1|0|K - 8|1e400|\x00"


@pytest.mark.parametrize("formula", [*WRONG.split("|"), "1 + " * 60 + "1"])
def test_what_is_no_positive_number_is_refused(formula):
    with pytest.raises(InvalidInput, match=r"^init must be a formula of fan_in, fan_out, K and numbers .* > 0, got"):
        initial_std(formula, 30, 20, 8)
    with pytest.raises(InvalidInput, match=r"^model\.init must be a formula"):
        check_formula(formula)


def deviation(values):
    return float(values.detach().square().mean().sqrt())


@pytest.mark.parametrize("basis", [Chebyshev, WavKAN])
def test_coefficients_begin_as_large_as_the_formula_says(basis):
    layer = KANLinear(60, 50, basis, init="3 / (fan_in * K) + fan_out", generator=torch.Generator().manual_seed(0))
    num_basis = layer.coeff.shape[-1]
    scale = layer.expansion.basis.initial_scale() if layer.expansion else torch.ones(1)
    for k in range(num_basis):
        assert deviation(layer.coeff[..., k]) == pytest.approx(float(scale[k]) * (3 / (60 * num_basis) + 50), rel=0.05)


def test_a_kernel_counts_its_points():
    conv = KANConv2d(6, 40, 3, Chebyshev, init="fan_in / fan_out", generator=torch.Generator().manual_seed(0))
    assert deviation(conv.coeff[..., 0]) == pytest.approx(6 * 9 / 40, rel=0.05)


@pytest.mark.parametrize("layer", [KANLinear(50, 40, Chebyshev, init="0.1"), KANConv2d(2, 40, 5, Chebyshev, init="0.1")])
def test_residual_weights_begin_as_those_of_a_linear_layer(layer):
    weights, bound = layer.residual_weight.detach(), 50**-0.5
    assert weights.abs().max() <= bound
    assert deviation(weights) == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_the_global_random_state_stays():
    state = torch.get_rng_state()
    KANLinear(3, 2, Chebyshev, init="0.1", generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)
