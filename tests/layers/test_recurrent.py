from functools import partial

import pytest
import torch
from torch import nn

from kanzoo.layers import KANGRU, KANLSTM, TKAN, KANGRUCell, KANLinear, KANLSTMCell
from kanzoo.layers.factory import KANLayers, PlainLayers
from kanzoo.models import update_grid
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

SEQUENCES = {"gru": KANGRU, "lstm": KANLSTM, "tkan": TKAN}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1, dtype=torch.float32):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def linear_layers():
    return PlainLayers(activation=nn.Identity, generator=generator())


@pytest.mark.parametrize(("kind", "plain"), [(KANGRU, nn.GRU), (KANLSTM, nn.LSTM)])
@pytest.mark.parametrize("given_state", [False, True])
def test_equals_torch_when_the_factory_makes_linear_layers(kind, plain, given_state):
    net = kind(linear_layers(), 3, 5).double()
    with torch.random.fork_rng(devices=[]):
        theirs = plain(3, 5, batch_first=True).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(net.cell.input_gates.weight)
        theirs.bias_ih_l0.copy_(net.cell.input_gates.bias)
        theirs.weight_hh_l0.copy_(net.cell.state_gates[1].weight)
        theirs.bias_hh_l0.copy_(net.cell.state_gates[1].bias)
    x = normal(4, 11, 3, dtype=torch.float64)
    state, their_state = None, None
    if given_state:
        parts = tuple(normal(4, 5, seed=seed, dtype=torch.float64) for seed in range(2, 3 if kind is KANGRU else 4))
        lifted = tuple(part.unsqueeze(0) for part in parts)
        state, their_state = parts, lifted[0] if kind is KANGRU else lifted
    outputs, last = net(x, state)
    expected, expected_last = theirs(x, their_state)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    expected_last = (expected_last,) if kind is KANGRU else expected_last
    for part, expected_part in zip(last, expected_last, strict=True):
        torch.testing.assert_close(part, expected_part[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_series_may_be_cut_and_its_state_carried_over(name):
    net, x = SEQUENCES[name](KANLayers(Chebyshev, generator=generator()), 3, 5), normal(4, 9, 3)
    outputs, last = net(x)
    early, state = net(x[:, :4])
    late, final = net(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([early, late], 1), outputs)
    for part, expected in zip(final, last, strict=True):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_cell_is_one_step(name):
    net, x = SEQUENCES[name](KANLayers(Chebyshev, generator=generator()), 3, 5), normal(4, 3, 3)
    state = None
    for step in range(3):
        state = net.cell(x[:, step], state)
    torch.testing.assert_close(net(x)[0][:, -1], state[0])
    torch.testing.assert_close(net.cell(x[:, 0]), net.cell(x[:, 0], net.cell.initial(x[:, 0])))


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_past_does_not_see_the_future_and_series_do_not_see_each_other(name):
    net, x = SEQUENCES[name](KANLayers(Chebyshev, generator=generator()), 3, 5), normal(4, 6, 3)
    changed = x.clone()
    changed[1, 3] += 1
    before, after = net(x)[0], net(changed)[0]
    same = torch.ones(4, 6, dtype=torch.bool)
    same[1, 3:] = False
    torch.testing.assert_close(after[same], before[same])
    assert ((after - before)[1, 3:].abs().amax(-1) > 0).all()


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("basis", [Chebyshev, partial(BSpline, grid_size=3)])
def test_gradients_through_fifty_steps_are_finite_and_reach_every_parameter(name, basis):
    net = SEQUENCES[name](KANLayers(basis, generator=generator()), 3, 5)
    x = (3 * normal(2, 50, 3)).requires_grad_()
    outputs, _ = net(x)
    outputs[:, -1].square().sum().backward()
    assert x.grad.isfinite().all()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_does_not_depend_on_the_state_is_computed_once(name):
    net = SEQUENCES[name](KANLayers(Chebyshev, generator=generator()), 3, 5)
    calls = []
    first = net.cell.of_input if name == "tkan" else net.cell.input_gates
    first.register_forward_hook(lambda layer, given, result: calls.append(tuple(given[0].shape)))
    net(normal(4, 20, 3))
    assert calls == [(4, 20, 3)]


@pytest.mark.parametrize("kind", [KANGRU, KANLSTM])
def test_a_grid_follows_the_states_of_all_steps_at_once(kind):
    net, x = kind(KANLayers(BSpline, generator=generator()), 3, 5), normal(4, 9, 3)
    outputs, _ = net(x)
    seen = {}
    for name in ("input_gates", "state_gates"):
        net.cell.get_submodule(name).update_grid = lambda rows, name=name: seen.setdefault(name, []).append(rows)
    assert update_grid(net, x) == 2
    assert {name: len(calls) for name, calls in seen.items()} == {"input_gates": 1, "state_gates": 1}
    torch.testing.assert_close(seen["input_gates"][0], x.flatten(0, 1))
    states = torch.cat([torch.zeros(4, 1, 5), outputs[:, :-1]], 1).transpose(0, 1).flatten(0, 1)
    torch.testing.assert_close(seen["state_gates"][0], states)


def test_gates_are_layers_of_the_factory():
    cell = KANLSTMCell(KANLayers(Chebyshev), 3, 5, first=True)
    assert isinstance(cell.input_gates, KANLinear)
    assert (cell.input_gates.in_features, cell.input_gates.out_features) == (3, 20)
    plain = KANGRUCell(PlainLayers(), 3, 5)
    assert [type(part) for part in plain.input_gates] == [nn.SiLU, nn.Linear]


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("shape", [(4, 3), (4, 0, 3), (4, 2, 2, 3)])
def test_inputs_are_checked(name, shape):
    with pytest.raises(ValueError, match=r"x must be \(batch, time, in_features\) with time >= 1, got shape"):
        SEQUENCES[name](KANLayers(Chebyshev), 3, 5)(torch.zeros(shape))


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("sizes", [(0, 5), (3, 0)])
def test_sizes_are_checked(name, sizes):
    with pytest.raises(ValueError, match=f"must be >= 1, got {sizes[0]}(, | and ){sizes[1]}"):
        SEQUENCES[name](KANLayers(Chebyshev), *sizes)
