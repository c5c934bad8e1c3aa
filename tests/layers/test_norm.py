from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kanzoo.layers.factory import KANLayers, PlainLayers
from kanzoo.layers.norm import BatchNorm, LayerNorm
from kanzoo.models import ConvNet, DenseNet, num_parameters
from kanzoo_bases.chebyshev import Chebyshev

FACTORIES = {"kan": partial(KANLayers, Chebyshev), "plain": PlainLayers}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def kinds(model, wanted):
    """Return the kinds of the modules of a network in order: `N` a normalisation of those wanted, `L` a layer."""
    names = {"KANLinear": "L", "KANConv2d": "L", "Linear": "L", "Conv2d": "L"} | {one.__name__: "N" for one in wanted}
    return "".join(names.get(type(part).__name__, "") for part in model.modules())


@pytest.mark.parametrize(("norm_at", "order"), [("between", "LNLNL"), ("before", "NLNLNL"), ("after", "LNLNLN")])
@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("factory", FACTORIES)
def test_where_a_network_is_normalised(factory, norm, norm_at, order):
    layers = FACTORIES[factory](norm=norm, norm_at=norm_at)
    net = DenseNet(layers, [6, 5, 4, 3])
    assert kinds(net, {LayerNorm if norm == "layer" else BatchNorm}) == order
    sizes = {"between": [5, 4], "before": [6, 5, 4], "after": [5, 4, 3]}[norm_at]
    assert num_parameters(net)["norm"] == 2 * sum(sizes)
    assert net(torch.randn(7, 6)).shape == (7, 3)


@pytest.mark.parametrize(("norm_at", "order"), [("between", "LNALNAL"), ("before", "NLNALNAL"), ("after", "LNALNALN")])
def test_an_activation_stands_before_each_layer_but_the_first_behind_the_normalisation(norm_at, order):
    layers = KANLayers(Chebyshev, activation="silu", norm="batch", norm_at=norm_at)
    net, x = DenseNet(layers, [6, 5, 4, 3]), torch.randn(7, 6)
    leaves = {"KANLinear": "L", "BatchNorm": "N", "SiLU": "A"}
    assert "".join(leaves.get(type(part).__name__, "") for part in net.modules()) == order
    y = x
    for part in net.modules():
        if type(part).__name__ in leaves:
            y = F.silu(y) if isinstance(part, nn.SiLU) else part(y)
    torch.testing.assert_close(net(x), y)
    conv = ConvNet(layers, 1, (8, 8), [4, 4], [10])
    assert sum(isinstance(part, nn.SiLU) for part in conv.modules()) == 2
    with pytest.raises(ValueError, match="activation must be one of none, silu, got 'relu'"):
        KANLayers(Chebyshev, activation="relu")


def test_without_a_norm_nothing_is_wrapped():
    assert kinds(DenseNet(KANLayers(Chebyshev, norm_at="after"), [6, 5, 3]), {LayerNorm, BatchNorm}) == "LL"


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("factory", FACTORIES)
def test_convolutions_are_normalised_by_channels(factory, norm, dimensions):
    conv = FACTORIES[factory](norm=norm, norm_at="before").convolution(f"conv{dimensions}d", 4, 3, 3)
    made, layer = conv
    assert isinstance(made, nn.GroupNorm if norm == "layer" else BATCH_NORMS[dimensions - 1])
    x = 2 * torch.randn(5, 4, *[6] * dimensions) + 1
    places = tuple(range(2, 2 + dimensions))
    axes = (1, *places) if norm == "layer" else (0, *places)
    expected = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(made(x), expected)
    torch.testing.assert_close(conv(x), layer(expected))


@pytest.mark.parametrize("norm_at", ["between", "before", "after"])
@pytest.mark.parametrize("factory", FACTORIES)
def test_a_network_of_convolutions_is_normalised_too(factory, norm_at):
    net = ConvNet(FACTORIES[factory](norm="layer", norm_at=norm_at), 1, (8, 8), [4, 4], [10])
    assert kinds(net, {nn.GroupNorm, LayerNorm}) == {"between": "LNLNL", "before": "NLNLNL", "after": "LNLNLN"}[norm_at]
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("cls", [LayerNorm, BatchNorm])
def test_any_leading_dimensions_and_sparse_rows(cls):
    norm, x = cls(3), torch.randn(4, 5, 3)
    torch.testing.assert_close(norm(x), norm(x.reshape(-1, 3)).view_as(x))
    rows = torch.eye(4, 3)
    torch.testing.assert_close(norm(rows.to_sparse()), norm(rows))
    plain = F.layer_norm(x, (3,)) if cls is LayerNorm else F.batch_norm(x.reshape(-1, 3), None, None, training=True).view_as(x)
    torch.testing.assert_close(cls(3)(x), plain)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"norm": "instance"}, "norm must be one of none, layer, batch, got 'instance'"),
        ({"norm_at": "inside"}, "norm_at must be one of between, before, after, got 'inside'"),
    ],
)
def test_unknown_kinds_name_the_rule(factory, wrong, message):
    with pytest.raises(ValueError, match=message):
        FACTORIES[factory](**wrong)
