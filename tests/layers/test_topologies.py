"""What holds for every kind of layer beside the dense one and the convolution of images, which have tests of their own."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn

from kanzoo.layers import (
    KANGRU,
    KANLSTM,
    TKAN,
    KANAttention,
    KANConv1d,
    KANConv3d,
    KANConvTranspose1d,
    KANConvTranspose2d,
    MixtureOfExperts,
    RevIN,
    TransformerBlock,
)
from kanzoo.layers.factory import KANLayers
from kanzoo.models import num_parameters, update_grid
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN


class Normalized(nn.Module):
    """A layer of a factory between the two halves of a `RevIN`."""

    def __init__(self, layers):
        super().__init__()
        self.norm, self.layer = RevIN(4), layers.linear(4, 4)

    def forward(self, x):
        return self.norm(x, self.layer)


def convolution(name):
    return lambda layers: getattr(layers, name)(4, 6, 3, stride=2, padding=1)


MAKERS = {
    KANConv1d: (convolution("conv1d"), (2, 4, 9)),
    KANConv3d: (convolution("conv3d"), (2, 4, 5, 4, 6)),
    KANConvTranspose1d: (convolution("conv_transpose1d"), (2, 4, 9)),
    KANConvTranspose2d: (convolution("conv_transpose2d"), (2, 4, 5, 6)),
    KANGRU: (lambda layers: KANGRU(layers, 4, 5), (2, 3, 4)),
    KANLSTM: (lambda layers: KANLSTM(layers, 4, 5), (2, 3, 4)),
    TKAN: (lambda layers: TKAN(layers, 4, 5, num_layers=2, memory_features=3), (2, 3, 4)),
    KANAttention: (lambda layers: KANAttention(layers, 4, 2, causal=True), (2, 3, 4)),
    TransformerBlock: (lambda layers: TransformerBlock(layers, 4, 2, hidden_features=6, projections=layers), (2, 3, 4)),
    MixtureOfExperts: (lambda layers: MixtureOfExperts([layers, layers], 4, 3), (2, 3, 4)),
    RevIN: (Normalized, (2, 3, 4)),
}
kinds = pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(kind, basis=Chebyshev, seed=0):
    maker, shape = MAKERS[kind]
    return maker(KANLayers(basis, generator=generator(seed))), torch.randn(shape, generator=generator(1))


def output(layer, x):
    y = layer(x)
    return y[0] if isinstance(y, tuple) else y


@kinds
@pytest.mark.parametrize("basis", [Chebyshev, BSpline, WavKAN])
def test_generator_is_the_only_source_of_chance(kind, basis):
    before = torch.get_rng_state()
    (one, x), (same, _), (other, _) = make(kind, basis), make(kind, basis), make(kind, basis, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(output(one, x), output(same, x))
    assert not torch.equal(output(one, x), output(other, x))


@kinds
@pytest.mark.parametrize("basis", [BSpline, WavKAN])
def test_copies_and_state_dict(kind, basis):
    (layer, x), (fresh, _) = make(kind, basis), make(kind, basis, seed=1)
    fresh.load_state_dict(layer.state_dict())
    for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(output(other, x), output(layer, x))


@kinds
@pytest.mark.parametrize("basis", [Chebyshev, WavKAN])
def test_parameter_counts_sum_to_the_total(kind, basis):
    layer, _ = make(kind, basis)
    assert sum(num_parameters(layer).values()) == sum(parameter.numel() for parameter in layer.parameters())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (KANConv3d, {"coefficients": 8 * 24 * 27, "residual": 24 * 27, "bias": 6}),
        (KANConvTranspose2d, {"coefficients": 8 * 24 * 9, "residual": 24 * 9, "bias": 6}),
        (KANLSTM, {"coefficients": 8 * 20 * (4 + 5), "residual": 20 * (4 + 5), "bias": 40}),
        (
            TKAN,
            {
                "coefficients": 8 * 2 * 9,
                "residual": 2 * 9,
                "bias": 2 * 3 + (15 + 6) + 15 + 5,
                "plain": 4 * (15 + 6) + 5 * 15 + 6 * 5 + 3 * 2 * 9,
            },
        ),
        (TransformerBlock, {"coefficients": 8 * (4 * 12 + 16 + 48), "residual": 4 * 12 + 16 + 48, "bias": 12 + 4 + 6 + 4, "norm": 16}),
        (MixtureOfExperts, {"coefficients": 8 * 24, "residual": 24, "bias": 6 + 2, "plain": 8}),
        (RevIN, {"coefficients": 8 * 16, "residual": 16, "bias": 4, "norm": 8}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_parameter_counts_equal_the_formula(kind, expected):
    assert num_parameters(make(kind)[0]) == expected


@kinds
@pytest.mark.parametrize("basis", [Chebyshev, BSpline])
def test_autocast_keeps_two_digits(kind, basis):
    layer, x = make(kind, basis)
    exact = output(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        y = output(layer, x)
    difference = float((y.float() - exact).detach().norm() / exact.detach().norm())
    assert 0 < difference < 0.05


@kinds
def test_grids_follow_data_and_the_output_stays(kind):
    layer, x = make(kind, BSpline)
    before = output(layer, x).detach()
    knots = [value.clone() for name, value in layer.state_dict().items() if name.endswith("knots")]
    assert update_grid(layer, x) == len(knots) > 0
    moved = [value for name, value in layer.state_dict().items() if name.endswith("knots")]
    assert all(not torch.equal(old, new) for old, new in zip(knots, moved, strict=True))
    assert float((output(layer, x).detach() - before).norm() / before.norm()) < 0.2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # of torch's compiler
@kinds
def test_compile(kind):
    torch.compiler.reset()
    layer, x = make(kind)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(output(compiled, x), output(layer, x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@kinds
def test_export(kind):
    layer, x = make(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own future
        program = torch.export.export(layer.eval(), (x,)).module()
    torch.testing.assert_close(output(program, x), output(layer, x))
