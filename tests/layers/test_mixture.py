import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanzoo.layers import KANLinear, MixtureOfExperts, load_balance
from kanzoo.layers.factory import KANLayers, PlainLayers
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def make(*bases):
    shared = generator()
    return MixtureOfExperts([KANLayers(basis, generator=shared) for basis in bases], 3, 2).double()


def test_equals_the_weighted_sum():
    layer, x = make(BSpline, Chebyshev, WavKAN), normal(5, 4, 3)
    scores = (x.unsqueeze(-2) * layer.gate.weight).sum(-1) + layer.gate.bias
    shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
    expected = sum(shares[..., place, None] * expert(x) for place, expert in enumerate(layer.experts))
    torch.testing.assert_close(layer(x), expected)
    y, gates = layer.with_gates(x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(gates, shares)
    torch.testing.assert_close(gates.sum(-1), torch.ones_like(gates[..., 0]))


def test_experts_have_the_bases_of_their_factories():
    layer = MixtureOfExperts([KANLayers(BSpline), KANLayers(Chebyshev), PlainLayers()], 3, 2, first=True)
    assert [type(expert) for expert in layer.experts] == [KANLinear, KANLinear, torch.nn.Linear]
    assert [type(expert.expansion.basis) for expert in layer.experts[:2]] == [BSpline, Chebyshev]


def test_a_gate_that_decides_leaves_one_expert():
    layer, x = make(BSpline, Chebyshev), normal(7, 3)
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.gate.bias.copy_(torch.tensor([0.0, 1000.0]))
    torch.testing.assert_close(layer(x), layer.experts[1](x))


@given(scores=st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_load_balance_is_the_squared_coefficient_of_variation(scores):
    gates = torch.softmax(torch.tensor(scores, dtype=torch.float64), -1)
    mean = gates.mean(0)
    expected = mean.var(correction=0) / mean.mean().square()
    torch.testing.assert_close(load_balance(gates.unsqueeze(1)), expected)
    assert -1e-12 <= float(load_balance(gates)) <= 2


def test_load_balance_teaches_the_gate():
    layer, x = make(BSpline, Chebyshev, WavKAN), normal(64, 3)
    with torch.no_grad():
        layer.gate.bias.copy_(torch.tensor([3.0, 0.0, 0.0]))
    optimizer = torch.optim.Adam(layer.gate.parameters(), lr=0.1)
    before = float(load_balance(layer.with_gates(x)[1].detach()))
    for _ in range(60):
        optimizer.zero_grad()
        load_balance(layer.with_gates(x)[1]).backward()
        optimizer.step()
    assert float(load_balance(layer.with_gates(x)[1].detach())) < 0.01 * before


def test_experts_are_checked():
    with pytest.raises(ValueError, match="experts must be one or more factories, got none"):
        MixtureOfExperts([], 3, 2)
