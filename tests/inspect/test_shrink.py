import copy
import pickle
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.inspect import Select, shrink
from kanzoo.inspect.shrink import select_features
from kanzoo.models import KAN
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN

NAMES = sorted(plugins("basis"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def load(name):
    return find("basis", name).load()


def make(basis, widths, squash="tanh", residual="silu", seed=0):
    """Return a network whose biases, moved knots and inner parameters differ from input to input."""
    net = KAN(widths, basis, squash=squash, residual=residual, generator=generator(seed)).double()
    net.update_grid(normal(100, widths[0], seed=seed + 1))
    with torch.no_grad():
        for layer in net:
            layer.bias.copy_(normal(len(layer.bias), seed=seed + 2))
            for parameter in () if layer.edge is None else layer.edge.parameters():
                parameter.add_(0.3 * normal(*parameter.shape, seed=seed + 3))
    return net


def cut(net, share, seed=0):
    """Cut edges at random but for one path."""
    for place, layer in enumerate(net):
        mask = torch.rand(layer.out_features, layer.in_features, generator=generator(seed + place)) >= share
        mask[0, 0] = True
        layer.mask_edges(mask)
    return net


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "clamp", "none"])
@pytest.mark.parametrize("residual", ["silu", "none"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_output_equals_the_masked_networks(name, squash, residual, share):
    net, x = cut(make(load(name), [4, 6, 5, 2], squash, residual), share), normal(50, 4, seed=9)
    small = shrink(net)
    torch.testing.assert_close(small(x), net(x), rtol=1e-9, atol=1e-9)
    assert sum(p.numel() for p in small.parameters()) <= sum(p.numel() for p in net.parameters())
    assert isinstance(small, KAN)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    name=st.sampled_from(NAMES),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_no_idle_node_is_left(widths, name, share, seed):
    net, x = cut(make(load(name), widths, seed=seed), share, seed), normal(20, widths[0], seed=seed)
    small = shrink(net)
    torch.testing.assert_close(small(x), net(x), rtol=1e-7, atol=1e-7)
    layers = [part for part in small if not isinstance(part, Select)]
    masks = [part.edge_mask if part.edge_mask is not None else torch.ones(part.out_features, part.in_features).bool() for part in layers]
    assert all(mask.any(0).all() for mask in masks)
    assert all(mask.any(1).all() for mask in masks[:-1])
    assert small.widths == (*(part.in_features for part in layers), widths[-1])
    again = shrink(small)
    assert [p.shape for p in again.parameters()] == [p.shape for p in small.parameters()]


def test_constants_pass_through_many_layers():
    net, x = make(Chebyshev, [2, 3, 3, 3, 1]), normal(20, 2)
    net[0].mask_edges(torch.tensor([[True, True], [False, False], [False, False]]))
    net[1].mask_edges(torch.tensor([[True, True, True], [False, True, True], [False, True, False]]))
    net[3].mask_edges(torch.tensor([[True, True, False]]))
    small = shrink(net)
    torch.testing.assert_close(small(x), net(x), rtol=1e-10, atol=1e-10)
    assert small.widths == (2, 1, 1, 2, 1)


def test_layers_without_a_bias_get_one_where_constants_are():
    net, x = make(Chebyshev, [2, 3, 1]), normal(20, 2)
    for layer in net:
        layer.bias = None
    net[0].mask_edges(torch.tensor([[True, True], [False, False], [True, True]]))
    small = shrink(net)
    torch.testing.assert_close(small(x), net(x), rtol=1e-10, atol=1e-10)
    assert small[0].bias is None
    assert small[1].bias is not None  # Chebyshev polynomials of even degree are not zero at zero


def test_inputs_that_are_not_used_and_those_selected_before():
    net, x = make(BSpline, [4, 3, 1]), normal(20, 4)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[:, 1] = False
    net[0].mask_edges(mask)
    small = shrink(net)
    assert small[0].index.tolist() == [0, 2, 3]
    mask = torch.ones(3, 3, dtype=torch.bool)
    mask[:, [0, 2]] = False
    small[1].mask_edges(mask)
    smaller = shrink(small)
    assert smaller[0].index.tolist() == [2]
    torch.testing.assert_close(smaller(x), small(x), rtol=1e-10, atol=1e-10)


def test_nodes_before_a_layernorm_stay():
    net, x = cut(make(BSpline, [3, 5, 4, 2], squash="layernorm"), 0.8), normal(20, 3)
    small = shrink(net)
    torch.testing.assert_close(small(x), net(x), rtol=1e-10, atol=1e-10)
    assert small.widths == (3, 5, 4, 2)


def test_a_network_that_is_not_masked_stays_as_it_is():
    net = make(WavKAN, [3, 4, 2])
    small = shrink(net)
    assert small is not net
    assert all(torch.equal(a, b) for a, b in zip(small.parameters(), net.parameters(), strict=True))
    assert all(layer.edge_mask is None for layer in small)


def test_small_networks_train_are_copied_and_pickled():
    small, x = shrink(cut(make(BSpline, [3, 5, 2]), 0.6)), normal(20, 3)
    optimizer = torch.optim.Adam(small.parameters(), lr=1e-2)
    before = small(x).square().mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        loss = small(x).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < before
    for same in (copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        assert torch.equal(same(x), small(x))
    small.update_grid(x)


def test_the_network_given_and_global_random_state_stay():
    net = cut(make(BSpline, [3, 5, 2]), 0.6)
    state, random = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    shrink(net)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_no_path_is_refused():
    net = make(Chebyshev, [2, 2, 1])
    net[0].mask_edges(torch.tensor([[True, True], [False, False]]))
    net[1].mask_edges(torch.tensor([[False, True]]))
    with pytest.raises(ValueError, match="masks must leave a path of edges from an input to an output, got none"):
        shrink(net)


class Foreign(Basis):
    """State of an input in the last dimension, and some that counts no inputs though it is as long."""

    resolution, support, reference = "degree", "global", "none"

    def __init__(self, in_features, *, degree=3):
        super().__init__(in_features, degree, (-1.0, 1.0))
        self.rate = nn.Parameter(torch.rand(degree, in_features))  # draws, which a basis must not do
        self.register_buffer("shift", torch.zeros(in_features), persistent=False)
        self.register_buffer("shared", torch.arange(3.0))

    def forward(self, x):
        return ((x + self.shift).unsqueeze(-1) * self.rate.T * (1 + self.shared)).sin()


def test_state_of_a_foreign_basis():
    basis = Foreign(3)
    basis.shift.copy_(torch.tensor([1.0, 2.0, 3.0]))
    basis.shared.copy_(torch.tensor([5.0, 6.0, 7.0]))
    basis.rate.requires_grad_(False)
    random = torch.get_rng_state()
    new = select_features(basis, "in_features", torch.tensor([0, 2]))
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(new.rate, basis.rate[:, [0, 2]])
    assert not new.rate.requires_grad
    assert new.shift.tolist() == [1.0, 3.0]
    assert new.shared.tolist() == [5.0, 6.0, 7.0]
    x = torch.rand(4, 3)
    torch.testing.assert_close(new(x[:, [0, 2]]), basis(x)[:, [0, 2]])


class Flat(EdgeBasis):
    reference = "none"

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features, (-1.0, 1.0))
        self.rate = nn.Parameter(torch.ones(in_features * out_features))

    def forward(self, x):
        return x.unsqueeze(-2) * self.rate.view(self.out_features, self.in_features)


def test_state_that_mixes_features_is_refused():
    with pytest.raises(TypeError, match="'rate' of Flat must have one dimension for the 3 features of the basis or none"):
        select_features(Flat(3, 2), "in_features", torch.tensor([0]))


def test_moved_knots_are_those_of_their_inputs():
    basis = BSpline(3)
    basis.update_grid(normal(100, 3).float())
    new = select_features(basis, "in_features", torch.tensor([2]))
    assert torch.equal(new.knots, basis.knots[2:])
    assert new._moved


def test_partial_of_an_edge_basis():
    net = cut(make(partial(WavKAN, wavelet="morl"), [3, 4, 2]), 0.5)
    x = normal(10, 3)
    torch.testing.assert_close(shrink(net)(x), net(x), rtol=1e-10, atol=1e-10)
