import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from kanzoo.inspect.layer import layer_inputs
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.layers.graph import GAT, GCN, GIN, GraphSAGE, GraphUpdate
from kanzoo.layers.norm import BatchNorm
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN

UPDATES: list[type[GraphUpdate]] = [GCN, GAT, GraphSAGE, GIN]
FACTORIES: list[Callable[..., Layers]] = [PlainLayers, partial(KANLayers, Chebyshev), partial(KANLayers, WavKAN)]


def graph(nodes: int = 9, edges: int = 20, features: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return a graph whose last node has no neighbour, with a loop on node 0."""
    generator = Generator().manual_seed(seed)
    ends = torch.randint(0, nodes - 1, (2, edges), generator=generator)
    ends = ends[:, ends[0] != ends[1]].unique(dim=1)
    ends = torch.cat([ends, torch.zeros(2, 1, dtype=torch.long)], 1)
    return torch.randn(nodes, features, generator=generator, dtype=torch.float64), ends


def made(update: type[GraphUpdate], layers: Layers | None = None, **options: object) -> GraphUpdate:
    layers = layers or PlainLayers(generator=Generator().manual_seed(0))
    module = update(layers, 4, 6, first=True, **options).double()  # type: ignore[call-arg]
    generator = Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():  # biases too, which begin at zero
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) / 10)
    return module


@pytest.fixture(scope="module")
def pyg() -> object:
    import torch_geometric.nn

    return torch_geometric.nn


def test_gcn_is_pygs(pyg) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = made(GCN), pyg.GCNConv(4, 6).double()
    theirs.lin.weight.data, theirs.bias.data = ours.linear.layer.weight.data, ours.bias.data
    torch.testing.assert_close(ours(*graph()), theirs(*graph()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
def test_gat_is_pygs(pyg, heads: int) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = made(GAT, heads=heads), pyg.GATConv(4, 6 // heads, heads=heads).double()
    theirs.lin.weight.data, theirs.bias.data = ours.linear.layer.weight.data, ours.bias.data
    theirs.att_src.data, theirs.att_dst.data = ours.attention.data.unsqueeze(1)
    torch.testing.assert_close(ours(*graph()), theirs(*graph()), rtol=1e-12, atol=1e-12)


def test_graph_sage_is_pygs(pyg) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = made(GraphSAGE), pyg.SAGEConv(4, 6).double()
    theirs.lin_l.weight.data, theirs.lin_r.weight.data = ours.neighbours.layer.weight.data, ours.own.layer.weight.data
    theirs.lin_l.bias.data = ours.bias.data
    torch.testing.assert_close(ours(*graph()), theirs(*graph()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", [False, True])
def test_gin_is_pygs(pyg, norm: bool) -> None:  # type: ignore[no-untyped-def]
    ours = made(GIN, norm=norm)
    theirs = pyg.GINConv(ours.net, train_eps=True).double()
    theirs.eps.data = ours.epsilon.data
    torch.testing.assert_close(ours(*graph()), theirs(*graph()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("update", UPDATES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(2, 12), edges=st.integers(0, 30))
def test_renumbered_nodes_give_renumbered_results(update: type[GraphUpdate], seed: int, nodes: int, edges: int) -> None:
    x, ends = graph(nodes, edges, seed=seed)
    order = torch.randperm(nodes, generator=Generator().manual_seed(seed))
    place = order.argsort()
    for factory in FACTORIES:
        layer = made(update, factory(generator=Generator().manual_seed(0)))
        shuffled = place[ends][:, torch.randperm(ends.shape[1], generator=Generator().manual_seed(seed))]
        torch.testing.assert_close(layer(x[order], shuffled), layer(x, ends)[order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("update", UPDATES)
def test_nodes_see_themselves_and_their_neighbours_alone(update: type[GraphUpdate]) -> None:
    layer, (x, ends) = made(update, KANLayers(Chebyshev, generator=Generator().manual_seed(0))), graph()
    before = layer(x, ends)
    changed = x.clone()
    changed[2] += 1
    reached = {2, *ends[1][ends[0] == 2].tolist()}
    assert set((layer(changed, ends) != before).any(1).nonzero().flatten().tolist()) <= reached
    # The lonely node does not care for the others.
    torch.testing.assert_close(layer(x[-1:], ends[:, :0]), before[-1:])


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("factory", FACTORIES)
def test_a_graph_without_edges_trains(update: type[GraphUpdate], factory) -> None:  # type: ignore[no-untyped-def]
    layer = made(update, factory(generator=Generator().manual_seed(0)))
    y = layer(graph()[0], torch.zeros(2, 0, dtype=torch.long))
    y.square().sum().backward()
    assert y.shape == (9, 6)
    assert y.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("update", UPDATES)
def test_gradients(update: type[GraphUpdate]) -> None:
    layer, (x, ends) = made(update, KANLayers(Chebyshev, generator=Generator().manual_seed(0))), graph(5, 6)
    torch.autograd.gradcheck(lambda x: layer(x, ends), x.requires_grad_())
    layer(x, ends).square().sum().backward()
    # A bias that cancels would never learn.
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in layer.parameters())


@pytest.mark.parametrize("update", UPDATES)
def test_sparse_features_give_the_same(update: type[GraphUpdate]) -> None:
    x = (torch.rand(30, 4, generator=Generator().manual_seed(0)) < 0.2).double()
    ends = graph(30, 60)[1]
    for factory in FACTORIES:
        layer = made(update, factory(generator=Generator().manual_seed(0)))
        torch.testing.assert_close(layer(x.to_sparse(), ends), layer(x, ends), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("update", UPDATES)
def test_constants_of_edge_functions_do_not_tell_of_degrees(update: type[GraphUpdate]) -> None:
    if update is GIN:
        pytest.skip("GIN mixes features before it bends them")
    layer = made(update, KANLayers(Chebyshev, generator=Generator().manual_seed(0)))
    y = layer(torch.zeros(9, 4, dtype=torch.float64), graph()[1])
    torch.testing.assert_close(y, y[:1].expand_as(y))


def test_constructors_draw_from_their_generator_alone() -> None:
    before = torch.get_rng_state()
    one, two = (GAT(PlainLayers(generator=Generator().manual_seed(3)), 4, 6, heads=2) for _ in range(2))
    assert torch.equal(one.attention, two.attention)
    assert torch.equal(before, torch.get_rng_state())


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"heads must be a divisor of out_features, got 4 and 6"):
        GAT(PlainLayers(), 4, 6, heads=4)


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("norm_at", ["before", "after"])
def test_a_normalised_layer_is_centered_and_watched_on_what_it_sees_alone(norm: str, norm_at: str) -> None:
    update = GCN(KANLayers(Chebyshev, norm=norm, norm_at=norm_at), 3, 4).eval()
    edges = torch.tensor([[0, 1], [1, 2]])
    assert update(torch.zeros(5, 3), edges).abs().max() < 1e-6
    (seen,) = layer_inputs(update, torch.randn(5, 3), edges).values()
    assert seen.shape == (5, 3)


def test_norm_of_one_row_is_that_of_evaluation() -> None:
    norm = BatchNorm(3)
    norm(torch.randn(50, 3) * 2 + 1)
    x = torch.randn(1, 3)
    torch.testing.assert_close(norm(x), norm.eval()(x))
    rows = torch.randn(8, 3)
    torch.testing.assert_close(BatchNorm(3)(rows), nn.BatchNorm1d(3)(rows))


@pytest.mark.slow
def test_kanzoo_needs_no_pyg_and_says_what_does() -> None:
    code = """
import sys
sys.modules["torch_geometric"] = None
import kanzoo.layers, kanzoo.models, kanzoo_tasks.image
from kanzoo.errors import InvalidInput
try:
    import kanzoo.models.graph
except InvalidInput as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("networks on graphs must have PyG, got ")
    assert done.stdout.endswith(": pip install 'kanzoo[graph]'\n")
