"""Networks of the further baselines, in every topology."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest
import torch
from torch import nn

from kanzoo.errors import InvalidInput
from kanzoo.layers import FourierFeatures, NodeActivation, PowerLayer
from kanzoo.layers.control import FourierFeatureLayers, NodeLayers, PowerLayers, SineLayers
from kanzoo.layers.factory import ConvName, KANLayers, Layers, PlainLayers
from kanzoo.layers.graph import UpdateName
from kanzoo.models import ConvNet, DenseNet, num_parameters, update_grid
from kanzoo.models.graph import GraphNet
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN

FACTORIES: dict[str, Callable[..., Layers]] = {
    "nodes": partial(NodeLayers, BSpline),
    "siren": SineLayers,
    "fourier_features": FourierFeatureLayers,
    "power_mlp": PowerLayers,
}
UPDATES = get_args(UpdateName)
EDGES = torch.tensor([[0, 1, 1, 2, 4], [1, 0, 2, 1, 3]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 1) -> torch.Tensor:
    return 2 * torch.rand(shape, generator=generator(seed)) - 1


def dense(layers: Layers) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    return DenseNet(layers, [3, 5, 4, 2]), (uniform(7, 3),)


def conv(layers: Layers) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    return ConvNet(layers, 1, (8, 9), [3, 4], [5, 2]), (uniform(7, 1, 8, 9),)


def graph(layers: Layers, update: UpdateName = "gcn", **options) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:  # type: ignore[no-untyped-def]
    return GraphNet(layers, [3, 4, 2], update=update, **options), (uniform(6, 3), EDGES)


NETWORKS = {"dense": dense, "conv": conv} | {update: partial(graph, update=update) for update in UPDATES}
PAIRS = [(name, kind) for name in FACTORIES for kind in NETWORKS if name != "fourier_features" or kind == "dense"]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_every_topology_learns(name: str, kind: str) -> None:
    network, inputs = NETWORKS[kind](FACTORIES[name](generator=generator()))
    y = network(*inputs)
    assert y.shape == (len(inputs[0]), 2)
    y.square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_generator_is_the_only_source_of_chance(name: str, kind: str) -> None:
    state = torch.get_rng_state()
    one, two, other = (NETWORKS[kind](FACTORIES[name](generator=generator(seed)))[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    for (key, a), (_, b) in zip(one.state_dict().items(), two.state_dict().items(), strict=True):
        assert torch.equal(a, b), key
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_learnt_activations_begin_as_the_baseline(kind: str, norm: str) -> None:
    options = {"norm": norm, "generator": generator()}
    network, inputs = NETWORKS[kind](NodeLayers(BSpline, **options))  # type: ignore[arg-type]
    options["generator"] = generator()
    baseline, _ = NETWORKS[kind](PlainLayers(**options))  # type: ignore[arg-type]
    assert torch.equal(network.eval()(*inputs), baseline.eval()(*inputs))


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_gives_the_outputs_of_a_power_mlp_is_linear(kind: str) -> None:
    network, inputs = NETWORKS[kind](PowerLayers(generator=generator()))
    layers = [part for part in network.modules() if isinstance(part, PowerLayer)]
    outer = [part for part in network.modules() if isinstance(part, nn.Linear) and not any(part in layer.children() for layer in layers)]
    assert layers
    assert outer
    assert all(layer.mixing.bias is not None for layer in layers)  # inside the power it is no constant that cancels
    weight, y = outer[-1].weight.detach().clone(), [network(*inputs).detach()]
    for factor in (2, 3):  # where the last layer is linear, equal steps of its weights are equal steps of the outputs
        outer[-1].weight.data = factor * weight
        y.append(network(*inputs).detach())
    if kind != "gat":  # whose weights are in the attention too
        torch.testing.assert_close(y[2] - y[1], y[1] - y[0])


@pytest.mark.parametrize("update", UPDATES)
def test_readouts_of_graphs_are_linear_in_a_power_mlp(update: UpdateName) -> None:
    network = graph(PowerLayers(generator=generator()), update, pool="sum")[0]
    assert [type(part) for part in network.readouts] == [nn.Linear, nn.Linear]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", get_args(ConvName))
def test_convolutions_have_one_function_a_channel(name: ConvName) -> None:
    later = getattr(NodeLayers(Chebyshev, generator=generator()), name)(2, 3, 3)
    assert later(uniform(2, 2, *(5,) * int(name[-2]))).shape[:2] == (2, 3)
    assert later[0].coeff.shape == (2, 8)


def test_a_convolution_behind_fourier_features_is_plain_but_for_the_first() -> None:
    layers = FourierFeatureLayers(generator=generator())
    assert [type(part) for part in layers.conv2d(2, 3, 3)] == [nn.SiLU, nn.Conv2d]  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="followed by a dense layer, got a network that begins with conv2d"):
        conv(layers)
    with pytest.raises(InvalidInput, match="followed by a dense layer, got a network that begins with a graph"):
        graph(layers)


def test_parameters_by_role() -> None:
    network = dense(NodeLayers(BSpline))[0]
    weights, biases = 3 * 5 + 5 * 4 + 4 * 2, 5 + 4 + 2
    assert num_parameters(network) == {"coefficients": 8 * 9, "residual": 9, "plain": weights, "bias": biases}
    assert num_parameters(dense(SineLayers())[0]) == {"plain": weights, "bias": biases}
    assert num_parameters(dense(FourierFeatureLayers(features=10))[0]) == {"plain": weights - 15 + 50, "bias": biases}


def test_width_scales_hidden_layers_alone() -> None:
    for name, factory in FACTORIES.items():
        network = DenseNet(factory(width=2, generator=generator()), [3, 5, 2])
        assert network.widths == (3, 10, 2), name
        assert network(uniform(4, 3)).shape == (4, 2), name


def test_what_the_weights_of_a_siren_bring_to_its_sines_has_unit_variance() -> None:
    network = DenseNet(SineLayers(generator=generator()), [2, *[256] * 6])
    x = network[0](uniform(1000, 2))
    for sine, linear in list(network)[1:]:
        bent = sine(x)
        assert float((30 * nn.functional.linear(bent, linear.weight)).detach().std()) == pytest.approx(1, rel=0.15)
        x = linear(bent)


def test_first_weights_of_a_siren() -> None:
    layer = SineLayers(generator=generator()).linear(400, 300, first=True)
    assert isinstance(layer, nn.Linear)
    assert float(layer.weight.detach().std()) == pytest.approx(1 / 400 / 3**0.5, rel=0.02)
    later = SineLayers(omega=7.0, generator=generator()).conv2d(40, 30, 5)[1]  # type: ignore[index]
    assert float(later.weight.detach().std()) == pytest.approx((2 / 1000) ** 0.5 / 7, rel=0.02)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_grids_of_activations_follow_the_data(kind: str, norm: str) -> None:
    network, inputs = NETWORKS[kind](NodeLayers(BSpline, norm=norm, generator=generator()))  # type: ignore[arg-type]
    activations = [part for part in network.modules() if isinstance(part, NodeActivation)]
    seen: dict[NodeActivation, list[int]] = {part: [] for part in activations}
    for part in activations:
        part.update_grid = lambda x, part=part: (seen[part].append(len(x)), NodeActivation.update_grid(part, x))  # type: ignore[method-assign,misc]
    before = network.eval()(*inputs)
    assert update_grid(network, *inputs) == len(activations) > 0
    assert all(rows == [len(inputs[0])] for rows in seen.values())  # once each, and by the data, not by a zero beside them
    assert any(part.expansion.basis._moved for part in activations)
    torch.testing.assert_close(network(*inputs), before)


def test_the_factories_have_the_same_methods() -> None:
    public = [
        {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")} for kind in (KANLayers, NodeLayers)
    ]
    assert public[0] == public[1]


def test_errors_name_the_rule() -> None:
    with pytest.raises(ValueError, match="parameters inside an edge, got WavKAN"):
        NodeLayers(WavKAN)
    with pytest.raises(ValueError, match="omega must be > 0, got 0"):
        SineLayers(omega=0)
    with pytest.raises(ValueError, match="num_features must be an even number >= 2, got 3"):
        FourierFeatureLayers(features=3)
    for factory in FACTORIES.values():
        with pytest.raises(ValueError, match="norm must be one of"):
            factory(norm="other")


def test_printed() -> None:
    assert "NodeActivation(\n      5, dimensions=0" in repr(dense(NodeLayers(BSpline))[0])
    assert isinstance(dense(FourierFeatureLayers())[0][0][0], FourierFeatures)  # type: ignore[index]
