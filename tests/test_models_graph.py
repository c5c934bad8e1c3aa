import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from kanzoo.layers import KANLinear
from kanzoo.layers.graph import UpdateName
from kanzoo.models import num_parameters
from kanzoo.models.graph import GNN, GraphKAN, GraphNet, Pool
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

UPDATES: list[UpdateName] = ["gcn", "gat", "sage", "gin"]


def three(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return a triangle, a path of four nodes and a lonely node, as one graph."""
    half = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 6]])
    x = torch.randn(8, 5, generator=Generator().manual_seed(seed), dtype=torch.float64)
    return x, torch.cat([half, half.flip(0)], 1), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2])


def networks(update: UpdateName, pool: Pool, **options: object) -> list[GraphNet]:
    made = [
        GraphKAN([5, 8, 4, 3], Chebyshev, update=update, pool=pool, generator=Generator().manual_seed(0), **options),  # type: ignore[arg-type]
        GNN([5, 8, 4, 3], update=update, pool=pool, generator=Generator().manual_seed(0), **options),  # type: ignore[arg-type]
    ]
    return [network.double() for network in made]


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("norm", [False, True])
def test_shapes_and_gradients(update: UpdateName, norm: bool) -> None:
    x, ends, batch = three()
    for pool, rows in (("none", 8), ("sum", 3), ("mean", 3)):
        for network in networks(update, pool, norm=norm, heads=2):  # type: ignore[arg-type]
            y = network(x, ends, batch)
            assert y.shape == (rows, 3)
            (y * torch.randn(y.shape, generator=Generator().manual_seed(0))).sum().backward()
            assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("update", UPDATES)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_renumbered_nodes_give_the_same_graphs(update: UpdateName, seed: int) -> None:
    x, ends, batch = three(seed)
    order = torch.randperm(8, generator=Generator().manual_seed(seed))
    for pool in ("sum", "mean"):
        for network in networks(update, pool, norm=True):  # type: ignore[arg-type]
            network.eval()
            torch.testing.assert_close(
                network(x[order], order.argsort()[ends], batch[order]), network(x, ends, batch), rtol=1e-9, atol=1e-9
            )


@pytest.mark.parametrize("update", UPDATES)
def test_a_batch_is_its_graphs(update: UpdateName) -> None:
    x, ends, batch = three()
    for network in networks(update, "sum", norm=True):
        network.eval()
        whole = network(x, ends, batch)
        torch.testing.assert_close(network(x[:3], ends[:, (ends < 3).all(0)]), whole[:1])
        torch.testing.assert_close(network(x[7:], ends[:, :0]), whole[2:])
        # A graph without nodes at the end of a batch pools to zero.
        assert network(x, ends, batch, 4).shape == (4, 3)


def test_dropout_and_modes() -> None:
    x, ends, batch = three()
    for pool in ("none", "sum"):
        for network in networks("gat", pool, dropout=0.5):  # type: ignore[arg-type]
            with torch.random.fork_rng(devices=[]):
                assert not torch.equal(network(x, ends, batch), network(x, ends, batch))
            network.eval()
            assert torch.equal(network(x, ends, batch), network(x, ends, batch))


def test_one_graph_in_a_training_batch() -> None:
    x, ends, _ = three()
    for update in UPDATES:
        for network in networks(update, "sum", norm=True):
            assert network(x[7:], ends[:, :0]).isfinite().all()


def test_parameters() -> None:
    gcn = GNN([1433, 16, 7])
    assert num_parameters(gcn) == {"bias": 23, "plain": 1433 * 16 + 16 * 7}  # as published: 23,063
    kan = GraphKAN([1433, 16, 7], basis=Chebyshev)
    edges = 1433 * 16 + 16 * 7
    assert num_parameters(kan) == {"coefficients": 8 * edges, "residual": edges, "bias": 23}


def test_widths_are_scaled() -> None:
    from kanzoo.layers.factory import PlainLayers

    assert GraphNet(PlainLayers(width=0.5), [5, 8, 6, 3], update="gat", heads=2).widths == (5, 4, 4, 3)  # multiples of heads
    assert GraphNet(PlainLayers(width=2), [5, 8, 3], heads=3).widths == (5, 16, 3)  # gcn has none


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update": "gnc"}, "update must be one of gcn, gat, sage, gin, got 'gnc'"),
        ({"pool": "max"}, "pool must be one of none, sum, mean, got 'max'"),
        ({"dropout": 1.0}, "dropout must be >= 0 and < 1, got 1.0"),
        ({"update": "gat", "heads": 3}, r"heads must be a divisor of the hidden widths \[8\], got 3"),
        ({"widths": [4]}, r"widths must be 2 or more integers >= 1, got \[4\]"),
    ],
)
def test_wrong_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GNN(**({"widths": [5, 8, 3]} | options))  # type: ignore[arg-type]


def test_grids_follow_what_layers_see() -> None:
    x, ends, batch = three()
    network = GraphKAN([5, 4, 3], BSpline, update="gin", pool="sum", norm=True).double()
    before = [buffer.clone() for name, buffer in network.named_buffers() if name.endswith("knots")]
    network.update_grid(x, ends, batch)
    after = [buffer for name, buffer in network.named_buffers() if name.endswith("knots")]
    assert len(after) == 4  # two layers of the update, two readouts
    assert all((one != two).any() for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("update", UPDATES)
def test_a_grid_sees_what_its_layer_sees_and_no_more(update: UpdateName, monkeypatch: pytest.MonkeyPatch) -> None:
    x, ends, _ = three()
    seen: list[tuple[int, ...]] = []
    own = KANLinear.update_grid

    def watched(layer: KANLinear, x: Tensor) -> None:
        seen.append(tuple(x.shape))
        own(layer, x)

    monkeypatch.setattr(KANLinear, "update_grid", watched)
    for features in (x, (x > 1).double().to_sparse()):
        seen.clear()
        GraphKAN([5, 4, 3], BSpline, update=update).double().update_grid(features, ends)
        assert len(seen) == (2 if update in ("gcn", "gat") else 4)
        assert {rows for rows, _ in seen} == {8}


def test_constructors_leave_the_global_state() -> None:
    before = torch.get_rng_state()
    networks("gat", "sum", norm=True)
    assert torch.equal(before, torch.get_rng_state())


def test_stays_an_ordinary_module() -> None:
    network, (x, ends, batch) = networks("gin", "sum", norm=True)[0], three()
    copy = GraphKAN([5, 8, 4, 3], Chebyshev, update="gin", pool="sum", norm=True).double()
    copy.load_state_dict(network.state_dict())
    torch.testing.assert_close(copy.eval()(x, ends, batch), network.eval()(x, ends, batch))
    assert isinstance(copy, nn.Module)
