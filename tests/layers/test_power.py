"""The layer of PowerMLP, dense, sparse and convolutional."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kanzoo.layers import PowerLayer
from kanzoo.layers.control import PowerLayers
from kanzoo.models import DenseNet, num_parameters
from kanzoo.operations import operations


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def layer_of(power: int = 3) -> PowerLayer:
    made = PowerLayers(power=power, generator=generator()).linear(4, 3).double()
    assert isinstance(made, PowerLayer)
    nn.init.normal_(made.mixing.bias, generator=generator())  # type: ignore[arg-type]
    return made


def numbers(layer: PowerLayer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found = layer.state_dict()
    return found["mixing.weight"], found["mixing.bias"], found["residual.weight"]


@pytest.mark.parametrize("power", [1, 2, 3, 5])
def test_each_output_is_a_power_where_its_mixture_is_positive_beside_a_sum_of_silu(power: int) -> None:
    layer, x = layer_of(power), normal(6, 4)
    weight, bias, residual = numbers(layer)
    for y, sample in zip(layer(x).detach(), x, strict=True):
        for o in range(3):
            mixed = float(sum(weight[o, i] * sample[i] for i in range(4)) + bias[o])
            branch = float(sum(residual[o, i] * sample[i] / (1 + (-sample[i]).exp()) for i in range(4)))
            assert float(y[o]) == pytest.approx((mixed**power if mixed > 0 else 0) + branch, abs=1e-12)


def test_a_cube_has_two_continuous_derivatives_where_it_begins() -> None:
    layer = PowerLayer(nn.Linear(1, 1), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), (1.0, 0.0, 0.0), strict=True):
            parameter.fill_(value)
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    y = layer(x)
    for expected in (3.0, 6.0):  # of 3x² and 6x
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        assert y.detach().flatten().tolist() == [0.0, expected]


def test_a_sparse_matrix_gives_what_the_dense_one_gives() -> None:
    layer, x = layer_of(), F.dropout(normal(8, 4), 0.7)
    torch.testing.assert_close(layer(x.to_sparse()), layer(x))


def test_a_convolution_is_the_dense_layer_on_every_patch() -> None:
    conv = PowerLayers(generator=generator()).conv2d(2, 3, 3, stride=2, padding=1).double()
    assert isinstance(conv, PowerLayer)
    weight, bias, residual = numbers(conv)
    x = normal(2, 2, 7, 6)
    patches = F.unfold(x, 3, padding=1, stride=2)
    mixed = weight.flatten(1) @ patches + bias[:, None]
    expected = mixed.relu() ** 3 + residual.flatten(1) @ F.silu(patches)
    torch.testing.assert_close(conv(x), expected.view(2, 3, 4, 3))


def test_weights_begin_as_glorot_has_it_and_biases_at_zero() -> None:
    weight, bias, residual = numbers(PowerLayers(generator=generator()).linear(300, 200, first=True))  # type: ignore[arg-type]
    kernel, _, branch = numbers(PowerLayers(generator=generator()).conv2d(20, 30, 5))  # type: ignore[arg-type]
    for parameter, fans in ((weight, 500), (residual, 500), (kernel, 50 * 25), (branch, 50 * 25)):
        bound = (6 / fans) ** 0.5
        assert float(parameter.abs().max()) == pytest.approx(bound, rel=0.01)
        assert float(parameter.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not bias.any()
    assert not torch.equal(weight, residual)


def test_the_last_layer_is_the_baselines_and_all_are_counted() -> None:
    widths = [5, 7, 4, 3]
    net = DenseNet(PowerLayers(generator=generator()), widths)
    assert type(net[-1]) is nn.Linear
    assert float(net[-1].weight.detach().abs().max()) <= 4**-0.5
    *hidden, (fan_in, fan_out) = pairwise(widths)
    assert sum(num_parameters(net).values()) == sum((2 * n + 1) * m for n, m in hidden) + (fan_in + 1) * fan_out


def test_operations_are_two_products_a_cube_and_a_branch() -> None:
    mixing, branch, cube, silu = 2 * 4 * 3, 2 * 4 * 3, 3 * (1 + 3), 4 * 12
    assert operations(layer_of(), normal(1, 4)) == mixing + branch + cube + silu + 3


def test_errors_and_print() -> None:
    for make in (lambda: PowerLayers(power=0), lambda: PowerLayer(nn.Linear(1, 1), nn.Linear(1, 1), power=0)):
        with pytest.raises(ValueError, match="power must be >= 1, got 0"):
            make()
    assert "power=2" in repr(layer_of(2))
