import math
from functools import partial

import numpy as np
import pytest
import torch

from kanzoo.inspect import edge_functions, edge_magnitudes, kan_layers, layer_inputs
from kanzoo.inspect.plot import gallery
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN
from kanzoo_bases.chebyshev import Chebyshev


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parts(axes):
    """Return what a title tells: input, index of the edge, score."""
    edge, score = axes.get_title().split("   ")
    source, rest = edge.split(" → ")
    return int(source), tuple(int(number) for number in rest.replace("(", "").replace(",", "").replace(")", "").split()), float(score)


def curve(axes):
    return next(line for line in axes.lines if line.get_gid() == "edge")


def test_a_dense_layer_has_its_best_edges_in_order():
    layer, x = KANLinear(3, 4, Chebyshev, generator=generator()), torch.randn(200, 3, generator=generator(1))
    scores, seen = edge_magnitudes(layer, x)[""], edge_functions(layer, x)
    figure = gallery(layer, x, most=7)
    assert len(figure.axes) == 7
    shown = [parts(axes) for axes in figure.axes]
    assert [score for *_, score in shown] == pytest.approx(scores.flatten().sort(descending=True).values[:7].tolist(), rel=6e-3)
    for axes, (source, (target,), score) in zip(figure.axes, shown, strict=True):
        assert score == pytest.approx(float(scores[target, source]), rel=6e-3)
        np.testing.assert_array_equal(curve(axes).get_ydata(), seen.curves[:, source, target])
        np.testing.assert_array_equal(curve(axes).get_xdata(), seen.points[:, source])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_told_by_channels_and_place(groups):
    layer = KANConv2d(4, 6, (3, 2), partial(Chebyshev, degree=3), groups=groups, generator=generator())
    x = torch.randn(4, 4, 7, 7, generator=generator(1))
    scores, seen = edge_magnitudes(layer, x)[""], edge_functions(layer, x)
    table = seen.shaped(seen.curves[17])
    figure = gallery(layer, x, most=16)
    assert len(figure.axes) == 16
    for axes in figure.axes:
        channel, (target, row, column), score = parts(axes)
        source = channel - (target // (6 // groups)) * (4 // groups)
        assert score == pytest.approx(float(scores[target, source, row, column]), rel=6e-3)
        assert curve(axes).get_ydata()[17] == pytest.approx(float(table[target, source, row, column]), rel=1e-5)
    pixels = x.movedim(1, -1).reshape(-1, 4)
    assert [axes.get_title() for axes in gallery(layer, pixels, most=16).axes] == [axes.get_title() for axes in figure.axes]


def test_layers_of_a_graph_network_are_shown():
    pytest.importorskip("torch_geometric")
    from torch_geometric.utils import to_undirected

    from kanzoo.layers.factory import KANLayers
    from kanzoo.layers.graph import GCN

    net = GCN(KANLayers(Chebyshev, generator=generator()), 3, 2)
    x, edges = torch.randn(6, 3, generator=generator(1)), to_undirected(torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]))
    seen = layer_inputs(net, x, edges)
    for name, layer in kan_layers(net).items():
        assert len(gallery(layer, seen[name]).axes) == layer.in_features * layer.out_features


def test_the_density_is_that_of_the_data():
    layer = KANLinear(1, 1, Chebyshev, generator=generator())
    x = torch.rand(3000, 1, generator=generator(1)).sqrt()
    (axes,) = gallery(layer, x).axes
    values, edges, _ = next(patch for patch in axes.patches if patch.get_gid() == "density").get_data()
    share = np.asarray(values) / np.sum(values)
    np.testing.assert_allclose(share, np.diff(np.asarray(edges) ** 2), atol=0.006)  # P(sqrt(u) < t) = t^2
    assert edges[0] == pytest.approx(float(x.min()))
    assert edges[-1] == pytest.approx(float(x.max()))
    low, high = axes.get_ylim()
    assert np.min(curve(axes).get_ydata()) > low + max(values) * (high - low)  # the curve does not cross it


def test_cut_edges_are_left_out():
    layer, x = KANLinear(2, 3, Chebyshev, generator=generator()), torch.randn(50, 2, generator=generator(1))
    mask = torch.tensor([[True, False], [False, True], [False, False]])
    layer.mask_edges(mask)
    assert {(target[0], source) for source, target, _ in map(parts, gallery(layer, x).axes)} == {(0, 0), (1, 1)}
    layer.mask_edges(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="layer must have an edge that is not cut, got none"):
        gallery(layer, x)


def test_a_constant_input_is_drawn_as_a_point():
    (axes,) = gallery(KANLinear(1, 1, Chebyshev, generator=generator()), torch.full((9, 1), 1e5)).axes
    assert curve(axes).get_marker() == "o"
    assert all(math.isfinite(end) for end in (*axes.get_xlim(), *axes.get_ylim()))


def test_what_does_not_fit_is_refused():
    x = torch.randn(9, 2, generator=generator())
    with pytest.raises(ValueError, match="most must be >= 1, got 0"):
        gallery(KANLinear(2, 1, Chebyshev), x, most=0)
    with pytest.raises(ValueError, match="layernorm"):
        gallery(KAN([2, 1], Chebyshev, squash="layernorm")[0], x)
    with pytest.raises(ValueError, match="x must be one or more rows"):
        gallery(KANLinear(2, 1, Chebyshev), x[:0])
