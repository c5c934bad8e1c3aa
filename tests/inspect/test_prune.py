import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kanzoo.inspect import attribution, edge_magnitudes, prune
from kanzoo.inspect.prune import _widest_path
from kanzoo.models import KAN, MLP
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

NAMES = sorted(plugins("basis"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def make(widths=(4, 6, 2), basis=Chebyshev, **options):
    return KAN(list(widths), basis, generator=generator(), **options).double()


def masked(net, masks):
    for layer, mask in zip(net, masks, strict=True):
        layer.mask_edges(mask)
    return net


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("by", ["attribution", "std", "mean_abs"])
def test_a_threshold_cuts_what_scores_less(name, by):
    net, x = make(basis=find("basis", name).load()), normal(60, 4)
    scores = attribution(net, x).edges if by == "attribution" else list(edge_magnitudes(net, x, metric=by).values())
    threshold = torch.cat([score.flatten() for score in scores]).median().item()
    small, report = prune(net, x, threshold=threshold, by=by, keep_means=False)
    masked(net, [score >= threshold for score in scores])
    torch.testing.assert_close(small(x), net(x), rtol=1e-9, atol=1e-9)
    assert report.edges == (36, sum(int((score >= threshold).sum()) for score in scores)) or report.widths[0] != report.widths[1]
    assert report.parameters == (sum(p.numel() for p in net.parameters()), sum(p.numel() for p in small.parameters()))


def test_a_share_cuts_that_many():
    net, x = make(), normal(60, 4)
    scores = [torch.arange(24.0).view(4, 6).T, torch.arange(12.0).view(2, 6) + 50]  # each node keeps an edge to it
    for share in (0.0, 0.25, 0.5):
        _, report = prune(net, x, sparsity=share, by=scores)
        assert report.edges[1] == 36 - round(36 * share)


def test_means_of_cut_edges_stay():
    net, x = make(), normal(500, 4)
    with torch.no_grad():
        for layer in net:
            layer.coeff[..., 1] += 3  # T_2 has a mean
    y = net(x)
    bare, kept = (prune(net, x, sparsity=0.4, keep_means=keep)[0](x) for keep in (False, True))
    assert (kept - y).square().mean() < 0.5 * (bare - y).square().mean()
    one, _ = prune(make([2, 1]), x[:, :2], sparsity=0.5)
    torch.testing.assert_close(one(x[:, :2]).mean(0), make([2, 1])(x[:, :2]).mean(0))


def test_exact_function_of_few_inputs_is_found():
    """Edges that give nothing go first, by every score, and nothing changes."""
    net, x = make([5, 4, 1]), normal(100, 5)
    with torch.no_grad():
        for stored in (net[0].coeff, net[0].residual_weight):
            stored[:, [0, 3]] = 0
        for stored in (net[1].coeff, net[1].residual_weight):
            stored[:, 2] = 0
    for by in ("attribution", "std", "mean_abs"):
        small, report = prune(net, x, threshold=1e-12, by=by)
        assert report.inputs == [1, 2, 4]
        assert report.widths == ((5, 4, 1), (3, 3, 1))
        torch.testing.assert_close(small(x), net(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("parts", ["edges", "nodes", "inputs"])
@pytest.mark.parametrize("how", [{"threshold": 1e9}, {"sparsity": 0.999}])
@pytest.mark.parametrize("by", ["attribution", "std"])
def test_something_is_always_left(parts, how, by):
    net, x = make([4, 6, 5, 2]), normal(60, 4)
    small, report = prune(net, x, parts=parts, by=by, **how)
    least = {"edges": (1, 1, 1), "nodes": (4, 1, 1), "inputs": (1, 6, 5)}[parts]
    assert report.widths[1] == (*least, 2)
    assert small(x).isfinite().all()
    assert small(x).std() > 0


def test_the_path_that_stays_is_the_widest():
    scores = [torch.rand(3, 4, generator=generator(1)), torch.rand(3, 3, generator=generator(2)), torch.rand(2, 3, generator=generator(3))]
    present = [torch.rand(score.shape, generator=generator(4 + place)) > 0.3 for place, score in enumerate(scores)]

    def width(path):
        return min(score[edge].item() if mask[edge] else -1.0 for score, mask, edge in zip(scores, present, path, strict=True))

    best = max(width([(b, a), (c, b), (d, c)]) for a, b, c, d in itertools.product(range(4), range(3), range(3), range(2)))
    assert width(_widest_path(scores, present)) == best > 0


def test_nodes_are_cut_whole():
    net, x = make([3, 5, 4, 2]), normal(60, 3)
    order = torch.cat(attribution(net, x).nodes[1:-1]).argsort()
    small, report = prune(net, x, parts="nodes", sparsity=3 / 9, keep_means=False)
    first = 5 - sum(int(node) < 5 for node in order[:3])
    assert report.widths[1] == (3, first, 6 - first, 2)
    for node in order[:3].tolist():
        level, place = (0, node) if node < 5 else (1, node - 5)
        incoming, outgoing = net[level].edge_mask, net[level + 1].edge_mask
        incoming = torch.ones(net[level].out_features, net[level].in_features).bool() if incoming is None else incoming.clone()
        outgoing = torch.ones(net[level + 1].out_features, net[level + 1].in_features).bool() if outgoing is None else outgoing.clone()
        incoming[place], outgoing[:, place] = False, False
        net[level].mask_edges(incoming)
        net[level + 1].mask_edges(outgoing)
    torch.testing.assert_close(small(x), net(x), rtol=1e-9, atol=1e-9)
    assert all(layer.edge_mask is None for layer in small)


def test_inputs_are_cut_and_the_network_still_takes_all():
    net, x = make([6, 4, 1]), normal(60, 6)
    worst = attribution(net, x).inputs.argsort()[:2]
    small, report = prune(net, x, parts="inputs", sparsity=2 / 6)
    assert set(report.inputs) == set(range(6)) - set(worst.tolist())
    changed = x.clone()
    changed[:, worst] = 99.0
    assert torch.equal(small(changed), small(x))
    small, report = prune(small, x, parts="inputs", sparsity=0.5)  # pruned once more
    assert len(report.inputs) == 2
    assert report.widths[0][0] == 4


@pytest.mark.parametrize("direction", ["max", "min"])
def test_bisection_cuts_as_much_as_the_loss_allows(direction):
    net, x = make([4, 8, 1]), normal(200, 4)
    y = net(x).detach()
    sign = 1 if direction == "min" else -1
    calls = []

    def score(model):
        calls.append(model)
        return sign * (model(x) - y).square().mean().sqrt().item()

    loss = 0.2 * y.std().item()
    small, report = prune(net, x, score=score, max_loss=loss, direction=direction)
    assert abs(score(small)) <= loss
    assert report.edges[1] < report.edges[0]
    assert len(calls) <= 9
    # One edge more is too much where bisection stopped.
    cut = next(n for n in range(41) if prune(net, x, sparsity=n / 40)[1].edges == report.edges)
    worse = [prune(net, x, sparsity=(cut + more) / 40)[0] for more in range(1, 4) if cut + more < 40]
    assert any(abs(score(model)) > loss for model in worse)
    everything, _ = prune(net, x, score=lambda model: 1.0, direction=direction)
    assert everything[-1].in_features == 1
    nothing, report = prune(net, x, score=lambda model: float("nan") if model is not net else 1.0, direction=direction)
    assert report.edges == (40, 40)
    torch.testing.assert_close(nothing(x), y)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=3, max_size=4),
    name=st.sampled_from(NAMES),
    parts=st.sampled_from(["edges", "nodes", "inputs"]),
    shares=st.lists(st.floats(0, 0.95), min_size=1, max_size=3),
    by=st.sampled_from(["attribution", "std", "mean_abs"]),
)
def test_pruned_networks_are_pruned_again(widths, name, parts, shares, by):
    net, x = make(widths, find("basis", name).load()), normal(20, widths[0])
    edges = None
    for share in shares:
        net, report = prune(net, x, parts=parts, sparsity=share, by=by)
        assert edges is None or report.edges[0] == edges
        assert 1 <= report.edges[1] <= report.edges[0]
        assert net(x).shape == (20, widths[-1])
        assert net(x).isfinite().all()
        edges = report.edges[1]


def test_layernorm_takes_masks_alone():
    net, x = make([3, 5, 2], BSpline, squash="layernorm"), normal(60, 3)
    small, report = prune(net, x, sparsity=0.8)
    assert report.widths == ((3, 5, 2), (3, 5, 2))
    assert report.edges == (25, 5)
    assert small(x).isfinite().all()
    for parts in ("nodes", "inputs"):
        with pytest.raises(ValueError, match=f"parts must be 'edges' before a layer with the squash 'layernorm'.*got '{parts}'"):
            prune(net, x, parts=parts, sparsity=0.5)


def test_global_random_state_and_the_network_given_stay():
    net, x = make(), normal(30, 4)
    state, before = torch.get_rng_state(), [p.clone() for p in net.parameters()]
    prune(net, x, sparsity=0.7)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))
    assert all(layer.edge_mask is None for layer in net)


def test_a_plain_sequential():
    net, x = nn.Sequential(*make()), normal(30, 4)
    small, report = prune(net, x, sparsity=0.5)
    assert type(small) is nn.Sequential
    assert report.edges == (36, 18)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of threshold, sparsity and score must be given, got none"),
        ({"threshold": 0.1, "sparsity": 0.5}, "must be given, got threshold and sparsity"),
        ({"threshold": -1}, "threshold must be >= 0, got -1"),
        ({"sparsity": 1.0}, "sparsity must be >= 0 and < 1, which would leave nothing, got 1.0"),
        ({"score": len, "max_loss": -1.0}, "max_loss must be >= 0, got -1.0"),
        ({"score": len, "direction": "up"}, "direction must be min or max, got 'up'"),
        ({"sparsity": 0.5, "parts": "layers"}, "parts must be one of edges, nodes, inputs, got 'layers'"),
        ({"sparsity": 0.5, "by": "max"}, "metric must be one of std, mean_abs, got 'max'"),
        ({"sparsity": 0.5, "by": [torch.ones(2, 2)]}, "by must be finite scores of the shapes"),
        ({"sparsity": 0.5, "model": MLP([4, 3, 1])}, "model must be a stack of KANLinear"),
        ({"sparsity": 0.5, "model": KAN([4, 1], Chebyshev), "parts": "nodes"}, "of a network without hidden nodes, got 'nodes'"),
    ],
)
def test_refuses(arguments, message):
    model = arguments.pop("model", None) or KAN([4, 3, 1], Chebyshev)
    with pytest.raises(ValueError, match=message):
        prune(model, torch.rand(5, 4), **arguments)
