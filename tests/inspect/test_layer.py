from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kanzoo.inspect import kan_layers, layer_inputs
from kanzoo.inspect.layer import edge_values, flat_edges, in_chunks, num_inputs, rows_of, shaped_edges
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN, MLP, ConvKAN
from kanzoo.registry import find, plugins

NAMES = sorted(plugins("basis"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def load(name):
    return find("basis", name).load()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "layernorm", "clamp", "none"])
@pytest.mark.parametrize("residual", ["silu", "none"])
def test_edges_add_up_to_the_dense_layer(name, squash, residual):
    layer = KANLinear(3, 4, load(name), squash=squash, residual=residual, generator=generator()).double()
    layer.mask_edges(torch.rand(4, 3, generator=generator()) > 0.3)
    x = normal(7, 3)
    torch.testing.assert_close(edge_values(layer, x).sum(1) + layer.bias, layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["bspline", "chebyshev"])
@pytest.mark.parametrize("groups", [1, 2])
def test_edges_add_up_to_the_convolution(name, groups):
    layer = KANConv2d(4, 6, (2, 3), load(name), padding=(1, 0), stride=2, groups=groups, generator=generator()).double()
    x = normal(2, 4, 5, 6)
    y = layer(x) - layer.bias[:, None, None]
    values = edge_values(layer, rows_of(layer, x))  # (pixels, in, E)
    padded = F.pad(x, (0, 0, 1, 1))
    values = values.view(2, *padded.shape[-2:], 4, 6 // groups, 2, 3)
    expected = torch.zeros_like(y)
    for out in range(6):
        group, place = divmod(out, 6 // groups)
        for channel in range(group * 4 // groups, (group + 1) * 4 // groups):
            for row in range(2):
                for column in range(3):
                    plane = values[..., channel, place, row, column]
                    expected[:, out] += plane[:, row : row + 2 * y.shape[2] - 1 : 2, column : column + 2 * y.shape[3] - 1 : 2]
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


def test_edges_keep_their_shape():
    layer = KANConv2d(4, 6, (2, 3), load("chebyshev"), groups=2)
    values = normal(6, 2, 2, 3, 5)
    assert flat_edges(layer, values).shape == (3 * 2 * 3, 4, 5)
    assert torch.equal(shaped_edges(layer, flat_edges(layer, values)), values)


def test_chunks_are_all_rows():
    layer = KANLinear(300, 300, load("chebyshev"))
    x = torch.zeros(100, 300)
    parts = in_chunks(layer, x)
    assert len(parts) == 3
    assert sum(map(len, parts)) == 100


def test_layer_inputs_are_what_layers_see():
    net = KAN([3, 5, 2], load("chebyshev"), generator=generator())
    x = torch.rand(4, 6, 3)
    seen = layer_inputs(net, x)
    assert torch.equal(seen["0"], x.view(-1, 3))
    torch.testing.assert_close(seen["1"], net[0](x).view(-1, 5))
    few = layer_inputs(net, x, max_rows=5)["0"]
    assert torch.equal(few, x.view(-1, 3)[[0, 6, 12, 17, 23]])


def test_modes_hooks_and_random_state_stay():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), KAN([3, 2, 1], load("bspline")))
    net[0].eval()
    x, mean = torch.rand(9, 3), net[0].running_mean.clone()
    modes, state = [part.training for part in net.modules()], torch.get_rng_state()
    layer_inputs(net, x)
    assert [part.training for part in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(net[0].running_mean, mean)
    assert not any(part._forward_pre_hooks for part in net.modules())
    with pytest.raises(RuntimeError):
        layer_inputs(net, torch.rand(9, 4))
    assert [part.training for part in net.modules()] == modes
    assert not any(part._forward_pre_hooks for part in net.modules())


def test_pixels_and_patches():
    net = ConvKAN(2, (6, 6), channels=[3], widths=[2], basis=load("chebyshev"))
    seen = layer_inputs(net, torch.rand(4, 2, 6, 6))
    assert {name: tuple(rows.shape) for name, rows in seen.items()} == {"0": (4 * 8 * 8, 2), "4": (4, 27)}
    edge = KANConv2d(2, 4, 3, load("wav_kan"), groups=2)
    assert {name: num_inputs(layer) for name, layer in kan_layers(edge).items()} == {"patches.0": 9, "patches.1": 9}
    assert layer_inputs(edge, torch.rand(1, 2, 5, 5))["patches.1"].shape == (9, 9)


def test_graph_and_sparse_inputs():
    pytest.importorskip("torch_geometric")
    from kanzoo.models.graph import GraphKAN

    net = GraphKAN([5, 4, 2], partial(load("bspline"), grid_size=3), update="sage")
    x, edges = torch.eye(6, 5), torch.tensor([[0, 1, 2], [1, 2, 3]])
    seen = layer_inputs(net, x.to_sparse(), edges)
    assert list(seen) == [f"updates.{layer}.{part}.layer" for layer in range(2) for part in ("own", "neighbours")]
    assert torch.equal(seen["updates.0.own.layer"], x)


def test_a_network_without_kan_layers_is_refused():
    with pytest.raises(ValueError, match="model must have a KAN layer, got MLP"):
        kan_layers(MLP([2, 3, 1]))


def test_a_layer_that_is_not_called_is_refused():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = KANLinear(2, 2, load("chebyshev"))

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match="inputs must reach every KAN layer"):
        layer_inputs(Idle(), torch.rand(3, 2))
