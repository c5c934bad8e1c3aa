import pytest
import torch
from torch import nn

from kanzoo.inspect import Select, attribution, edge_magnitudes
from kanzoo.inspect.layer import edge_values
from kanzoo.layers import KANLinear
from kanzoo.models import KAN, MLP, ConvKAN
from kanzoo.registry import find, plugins
from kanzoo_bases.chebyshev import Chebyshev

NAMES = sorted(plugins("basis"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "layernorm"])
def test_magnitudes_of_edges(name, squash):
    net, x = KAN([3, 4, 2], find("basis", name).load(), squash=squash, generator=generator()).double(), normal(50, 3)
    values = edge_values(net[1], net[0](x))
    torch.testing.assert_close(edge_magnitudes(net, x)["1"], values.std(0, correction=0).T)
    torch.testing.assert_close(edge_magnitudes(net, x, metric="mean_abs")["1"], values.abs().mean(0).T)


def test_magnitudes_do_not_depend_on_chunks(monkeypatch):
    net, x = KAN([3, 4, 2], Chebyshev, generator=generator()).double(), normal(50, 3)
    whole = edge_magnitudes(net, x)
    monkeypatch.setattr("kanzoo.inspect.layer.BUDGET", 100)
    parts = edge_magnitudes(net, x)
    torch.testing.assert_close(parts, whole)


def test_magnitudes_of_a_convolution():
    net = ConvKAN(2, (6, 6), channels=[4], widths=[3], basis=Chebyshev)
    found = edge_magnitudes(net, torch.rand(3, 2, 6, 6))
    assert {name: tuple(scores.shape) for name, scores in found.items()} == {"0": (4, 2, 3, 3), "4": (3, 36)}


def test_attribution_equals_the_recurrence():
    net, x = KAN([3, 4, 2], Chebyshev, generator=generator()).double(), normal(80, 3)
    weights = torch.tensor([1.0, 0.25])
    found = attribution(net, x, outputs=weights)
    score = weights.double()
    for place in (1, 0):
        layer = net[place]
        seen = x if place == 0 else net[0](x)
        edge = edge_values(layer, seen).std(0, correction=0).T
        node = layer(seen).std(0, correction=0)
        expected = score[:, None] * edge / node[:, None]
        torch.testing.assert_close(found.edges[place], expected.detach())
        score = expected.sum(0).detach()
        torch.testing.assert_close(found.nodes[place], score)
    assert torch.equal(found.inputs, found.nodes[0])


def test_of_one_edge_a_node_the_scores_go_through():
    """Where each node has one edge to it, E = N, and the score of an output arrives at its input undiminished."""
    net = KAN([3, 3, 3], Chebyshev, generator=generator()).double()
    for layer in net:
        layer.mask_edges(torch.eye(3, dtype=torch.bool).roll(1, 0))
    found = attribution(net, normal(60, 3), outputs=torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(found.inputs, torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))


def test_idle_constant_and_cancelling_parts():
    net, x = KAN([3, 3, 1], Chebyshev, generator=generator()).double(), normal(60, 3)
    net[0].mask_edges(torch.tensor([[True, True, False], [False, False, False], [True, True, False]]))
    with torch.no_grad():
        net[1].weight.view(1, -1, 3)[..., 2] = 0
        net[1].residual_weight[:, 2] = 0
        for stored in (net[0].coeff, net[0].residual_weight):
            stored[0, 1] = -stored[0, 0]
    x[:, 1] = x[:, 0]  # the edges to node 0 cancel each other but for rounding
    found = attribution(net, x)
    assert all(score.isfinite().all() for score in (*found.edges, *found.nodes))
    assert found.nodes[1][1] == found.nodes[1][2] == found.inputs[2] == 0


def test_columns_that_are_not_used_score_nothing():
    net = nn.Sequential(Select([0, 2], 4), *KAN([2, 3, 1], Chebyshev)).double()
    found = attribution(net, normal(30, 4))
    assert found.inputs.shape == (4,)
    assert ((found.inputs > 0) == torch.tensor([True, False, True, False])).all()


def test_refuses():
    net = KAN([2, 3, 1], Chebyshev)
    with pytest.raises(ValueError, match="metric must be one of std, mean_abs, got 'max'"):
        edge_magnitudes(net, torch.rand(5, 2), metric="max")
    with pytest.raises(ValueError, match=r"outputs must have the shape \(1,\), got \(2,\)"):
        attribution(net, torch.rand(5, 2), outputs=torch.ones(2))
    for other in (MLP([2, 3, 1]), nn.Sequential(KANLinear(2, 1, Chebyshev), nn.Tanh()), net[0]):
        with pytest.raises(ValueError, match="model must be a stack of KANLinear"):
            attribution(other, torch.rand(5, 2))
