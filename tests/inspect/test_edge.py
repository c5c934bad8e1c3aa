import numpy as np
import pytest
import torch

from kanzoo.inspect import edge_functions, layer_inputs
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN
from kanzoo.registry import find, plugins

NAMES = sorted(plugins("basis"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def load(name):
    return find("basis", name).load()


def samples(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("residual", ["silu", "none"])
def test_curves_equal_the_layer_along_one_input(name, residual):
    layer = KANLinear(3, 2, load(name), residual=residual, generator=generator()).double()
    x = samples(50, 3)
    found = edge_functions(layer, x, num_points=20)
    torch.testing.assert_close(found.points[[0, -1]], torch.stack([x.amin(0), x.amax(0)]))
    for i in range(3):
        torch.testing.assert_close(found.curves[:, i], layer.edge_functions(found.points[:, i])[:, i], rtol=1e-12, atol=1e-12)
    assert found.domain == (layer.edge or layer.expansion.basis).domain


@pytest.mark.parametrize("name", NAMES)
def test_slopes_equal_finite_differences(name):
    layer = KANLinear(2, 3, load(name), generator=generator()).double()
    layer.mask_edges(torch.tensor([[True, False], [True, True], [False, True]]))
    found = edge_functions(layer, samples(40, 2), num_points=31)
    step = 1e-6
    above, below = (torch.stack([layer.edge_functions(found.points[:, i] + shift)[:, i] for i in range(2)], 1) for shift in (step, -step))
    torch.testing.assert_close(found.slopes, (above - below).detach() / (2 * step), rtol=1e-5, atol=1e-6)


def test_quantiles_equal_numpy():
    layer = KANLinear(2, 1, load("chebyshev")).double()
    x = samples(53, 2)
    found = edge_functions(layer, x, num_quantiles=11)
    np.testing.assert_allclose(found.quantiles.numpy(), np.quantile(x.numpy(), np.linspace(0, 1, 11), axis=0), rtol=1e-12)


def test_density_sums_to_one_and_follows_the_data():
    layer = KANLinear(3, 1, load("chebyshev")).double()
    x = torch.stack([torch.linspace(0, 1, 1001) ** 2, torch.linspace(-1, 1, 1001), torch.zeros(1001)], 1).double()
    share, ends = edge_functions(layer, x, num_quantiles=1001).density(bins=4)
    torch.testing.assert_close(share.sum(0), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(share[:, 1], torch.full((4,), 0.25, dtype=torch.float64))
    torch.testing.assert_close(share[0, 0], torch.tensor(0.5, dtype=torch.float64), atol=1e-3, rtol=0)  # u² < 1/4
    torch.testing.assert_close(ends[:, 1], torch.linspace(-1, 1, 5).double())


def test_edges_of_a_convolution():
    layer = KANConv2d(4, 6, (2, 3), load("bspline"), groups=2, generator=generator()).double()
    x = samples(3, 4, 5, 5)
    found = edge_functions(layer, x, num_points=9)
    assert found.curves.shape == (9, 4, 18)
    assert found.shaped(found.curves[4]).shape == (6, 2, 2, 3)
    assert torch.equal(edge_functions(layer, layer_inputs(layer, x)[""], num_points=9).curves, found.curves)
    point = found.points[4]
    branch = torch.nn.functional.silu(point)
    basis = layer.expansion(point.unsqueeze(0))[0]  # (K, in)
    edge = layer.coeff[4, 1, 1, 2] @ basis[:, 3] + layer.residual_weight[4, 1, 1, 2] * branch[3]  # of the second group
    torch.testing.assert_close(found.shaped(found.curves[4])[4, 1, 1, 2], edge.detach())


def test_a_constant_input_has_one_point():
    layer = KANLinear(2, 1, load("bspline"))
    found = edge_functions(layer, torch.tensor([[0.5, 0.0], [0.5, 1.0]]), num_points=5)
    assert torch.equal(found.points[:, 0], torch.full((5,), 0.5))
    assert found.slopes.isfinite().all()


def test_layers_of_a_network_under_no_grad():
    net = KAN([2, 3, 1], load("gaussian_rbf"), generator=generator())
    with torch.no_grad():
        seen = layer_inputs(net, torch.rand(20, 2))
        found = edge_functions(net[1], seen["1"])
    assert found.slopes.abs().sum() > 0
    assert not found.slopes.requires_grad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_points": 1}, "num_points and num_quantiles must be >= 2, got 1 and 65"),
        ({"x": torch.zeros(0, 2)}, "x must be one or more rows of finite numbers, got 0 rows"),
        ({"x": torch.full((1, 2), torch.nan)}, "and 2 such numbers"),
        ({"layer": KANLinear(2, 1, load("chebyshev"), squash="layernorm")}, "squash that is elementwise, got 'layernorm'"),
        ({"layer": KANConv2d(2, 1, 1, load("chebyshev")), "x": torch.zeros(2, 2, 2)}, "x must be images"),
    ],
)
def test_refuses(change, message):
    layer, x = KANLinear(2, 1, load("chebyshev")), torch.rand(5, 2)
    with pytest.raises(ValueError, match=message):
        edge_functions(**{"layer": layer, "x": x, **change})
