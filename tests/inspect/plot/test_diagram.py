import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from kanzoo.inspect import Select, attribution, edge_functions, layer_inputs, prune
from kanzoo.inspect.plot import diagram
from kanzoo.inspect.plot.network import MAX_EDGES, network
from kanzoo.layers import KANLinear
from kanzoo.models import KAN, MLP
from kanzoo.registry import find, plugins
from kanzoo_bases.chebyshev import Chebyshev


def make(widths=(2, 5, 1), basis=Chebyshev, **options):
    return KAN(list(widths), basis, generator=torch.Generator().manual_seed(0), **options)


def data(columns=2, rows=80):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(1))


def curves(figure):
    """Return the drawn edge functions by (layer, output, input)."""
    named = {line.get_gid(): line for line in figure.axes[0].lines if line.get_gid()}
    return {tuple(map(int, gid.split("-")[1:])): line for gid, line in named.items()}


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", sorted(plugins("basis")))
def test_each_edge_is_drawn_with_its_function(name):
    net, x = make(basis=find("basis", name).load()), data()
    drawn = curves(diagram(net, x))
    assert set(drawn) == {(0, o, i) for o in range(5) for i in range(2)} | {(1, 0, i) for i in range(5)}
    seen = layer_inputs(net, x)
    for (layer, target, source), line in drawn.items():
        known = edge_functions(net[layer], seen[str(layer)], num_points=len(line.get_ydata())).curves[:, source, target].numpy()
        assert np.corrcoef(known, line.get_ydata())[0, 1] == pytest.approx(1, abs=1e-4)
        assert np.all(np.diff(line.get_xdata()) > 0)


def test_cut_edges_are_not_drawn():
    net, x = make(), data()
    mask = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0]]).bool()
    net[0].mask_edges(mask)
    drawn = curves(diagram(net, x))
    assert {key[1:] for key in drawn if key[0] == 0} == {tuple(edge) for edge in mask.nonzero().tolist()}
    assert len(drawn) == int(mask.sum()) + 5


def test_a_pruned_network_has_the_names_of_the_inputs_that_it_uses():
    net, x = make([4, 5, 1]), data(4)
    scores = [torch.ones(5, 4), torch.ones(1, 5)]
    scores[0][:, [0, 2]] = 0
    small, report = prune(net, x, threshold=0.5, by=scores)
    assert isinstance(small[0], Select)
    figure = diagram(small, x, names=["a", "b", "c", "d"], outputs=["out"])
    assert texts(figure) == ["b", "d", "out"]
    assert len(curves(figure)) == report.edges[1] == 15
    assert texts(diagram(small, x)) == ["x2", "x4", "y"]


def test_opacity_grows_with_the_score():
    net, x = make(), data()
    scores = attribution(net, x).edges
    drawn = sorted((float(scores[layer][o, i]), line.get_alpha()) for (layer, o, i), line in curves(diagram(net, x)).items())
    opacities = [opacity for _, opacity in drawn]
    assert opacities == sorted(opacities)
    assert len(set(opacities)) == 15
    assert opacities[-1] == 1
    assert opacities[0] > 0.1
    own = [torch.zeros(5, 2), torch.zeros(1, 5)]
    own[0][3, 1] = 7
    drawn = {key: line.get_alpha() for key, line in curves(diagram(net, x, scores=own)).items()}
    assert drawn.pop((0, 3, 1)) == 1
    assert set(drawn.values()) == {0.12}


def test_scores_that_are_all_zero_are_drawn_faintly():
    assert {line.get_alpha() for line in curves(diagram(make([1, 1]), data(1), scores=[torch.zeros(1, 1)])).values()} == {0.12}


def test_labels_stand_above_their_edges():
    net, x = make(), data()
    figure = diagram(net, x, labels={(0, 3, 1): "sin($x) <b>", (1, 0, 2): "x²"})
    label = next(text for text in figure.axes[0].texts if text.get_text() == "sin($x) <b>")
    line = curves(figure)[0, 3, 1]
    assert label.get_position()[0] == pytest.approx(np.mean(line.get_xdata()))
    assert label.get_position()[1] > np.max(line.get_ydata())
    assert "x²" in texts(figure)


@pytest.mark.parametrize("widths", [[1, 1], [2, 5, 1], [4, 5, 1], [3, 2, 2, 3], [8, 8, 3]])
def test_nothing_overlaps_or_leaves_the_picture(widths):
    long = "a rather long name of a quantity"
    net, x = make(widths), data(widths[0])
    keys = [(layer, 0, i) for layer, module in enumerate(net) for i in range(module.in_features)]
    figure = diagram(net, x, names=[long] * widths[0], outputs=[long] * widths[-1], labels=dict.fromkeys(keys, long))
    figure.draw_without_rendering()
    renderer, page = figure._get_renderer(), figure.bbox
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    boxes += [line.get_window_extent(renderer) for line in curves(figure).values()]
    for place, one in enumerate(boxes):
        assert page.x0 <= one.x0 <= one.x1 <= page.x1
        assert page.y0 <= one.y0 <= one.y1 <= page.y1
        assert not any(one.overlaps(other) for other in boxes[:place])


def test_flat_functions_and_constant_inputs_are_flat_lines():
    net, x = make(residual="none"), data()
    with torch.no_grad():
        net[0].coeff[1, 0] = 0
    x[:, 1] = 2.5
    drawn = curves(diagram(net, x))
    assert np.ptp(drawn[0, 1, 0].get_ydata()) == 0
    assert np.ptp(drawn[0, 2, 1].get_ydata()) == 0
    assert np.ptp(drawn[0, 2, 0].get_ydata()) > 0.1


def test_a_sequence_of_layers_is_drawn_too():
    net = nn.Sequential(Select([1], 2), KANLinear(1, 2, partial(Chebyshev, degree=3)), KANLinear(2, 1, Chebyshev))
    assert len(curves(diagram(net, data()))) == 4


def test_nothing_is_changed():
    net, x = make(), data()
    state, copy, random = {key: value.clone() for key, value in net.state_dict().items()}, x.clone(), torch.get_rng_state()
    diagram(net.train(), x)
    assert net.training
    assert torch.equal(x, copy)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_large_networks_are_refused_until_they_are_pruned():
    net, x = make([MAX_EDGES + 1, 1]), data(MAX_EDGES + 1)
    with pytest.raises(ValueError, match=r"1 \.\.\. 96 edges .*most=24, or show one layer with gallery, got 97"):
        diagram(net, x)
    mask = torch.ones(1, MAX_EDGES + 1)
    mask[0, 5] = 0
    net[0].mask_edges(mask)
    assert len(network(net, x).edges) == MAX_EDGES
    net[0].mask_edges(0 * mask)
    with pytest.raises(ValueError, match="not cut to be drawn as a network, got none"):
        diagram(net, x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["a"]}, "names must be 2 texts, got 1"),
        ({"outputs": ["a", "b"]}, "outputs must be 1 texts, got 2"),
        (
            {"scores": [torch.ones(2, 5), torch.ones(1, 5)]},
            r"scores must have the shapes \[\(5, 2\), \(1, 5\)\], got \[\(2, 5\), \(1, 5\)\]",
        ),
        ({"scores": [torch.ones(5, 2), -torch.ones(1, 5)]}, "scores must be finite and >= 0, got -1.0 among them"),
        ({"scores": [torch.full((5, 2), torch.nan), torch.ones(1, 5)]}, "scores must be finite and >= 0"),
        ({"labels": {(0, 1, 2): "x"}}, r"labels must be of edges \(layer, output, input\) that are not cut, got \(0, 1, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        diagram(make(), data(), **arguments)


def test_other_networks_and_data_are_refused():
    with pytest.raises(ValueError, match="model must be a stack of KANLinear"):
        diagram(MLP([2, 5, 1]), data())
    with pytest.raises(ValueError, match="layernorm"):
        diagram(make(squash="layernorm"), data())
    with pytest.raises(ValueError, match="x must be one or more rows"):
        diagram(make(), data(rows=0))


@pytest.mark.slow
def test_the_tools_do_without_matplotlib_and_the_pictures_without_pyplot():
    code = """
import sys, kanzoo.inspect
assert not {"matplotlib", "kanzoo.inspect.plot"} & set(sys.modules)
import kanzoo.inspect.plot
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
