import math

import pytest
import torch

from kanzoo.inspect import EdgeMagnitudes, edge_entropy
from kanzoo.inspect.layer import edge_values
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN, ConvKAN
from kanzoo.registry import find, plugins
from kanzoo_bases.chebyshev import Chebyshev

NAMES = sorted(plugins("basis"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


@pytest.mark.parametrize("name", NAMES)
def test_magnitudes_are_means_of_absolute_values(name):
    net, x = KAN([3, 4, 2], find("basis", name).load(), generator=generator()).double(), normal(20, 3)
    with EdgeMagnitudes(net) as magnitudes:
        net(x)
    found = magnitudes.magnitudes()
    torch.testing.assert_close(found["0"], edge_values(net[0], x).abs().mean(0).T)
    torch.testing.assert_close(found["1"], edge_values(net[1], net[0](x)).abs().mean(0).T)
    torch.testing.assert_close(magnitudes.penalty(), found["0"].sum() + found["1"].sum())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "layernorm"])
@pytest.mark.parametrize(("l1", "entropy"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_gradient_equals_finite_differences_through_all_layers(name, squash, l1, entropy):
    net, x = KAN([2, 3, 2], find("basis", name).load(), squash=squash, generator=generator()).double(), normal(12, 2)
    net[0].mask_edges(torch.tensor([[True, False], [True, True], [True, True]]))

    def penalty():
        with EdgeMagnitudes(net) as magnitudes:
            net(x)
        return magnitudes.penalty(l1=l1, entropy=entropy)

    parameters = [parameter for parameter in net.parameters() if parameter.numel()]
    gradients = torch.autograd.grad(penalty(), parameters, materialize_grads=True, allow_unused=True)
    for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        direction = normal(*parameter.shape, seed=number)
        start, step = parameter.detach().clone(), 1e-6
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.copy_(start + sign * step * direction)
                values.append(penalty().item())
                parameter.copy_(start)
        expected = (gradient * direction).sum().item()
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_finite_where_edges_are_zero():
    net, x = KAN([3, 4, 2], Chebyshev, generator=generator()), normal(20, 3, dtype=torch.float32)
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].residual_weight.zero_()
        net[1].coeff[0, 1] = 0
        net[1].residual_weight[0, 1] = 0
    with EdgeMagnitudes(net) as magnitudes:
        net(x)
    penalty = magnitudes.penalty(entropy=2.0)
    penalty.backward()
    assert penalty.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)
    assert edge_entropy(magnitudes.magnitudes()["0"]).item() == pytest.approx(math.log(12), rel=1e-5)


def test_entropy_is_of_a_distribution_and_free_of_scale():
    values = normal(4, 5).abs()
    share = values / values.sum()
    assert edge_entropy(values).item() == pytest.approx(-(share * share.log()).sum().item(), rel=1e-3)
    assert edge_entropy(1e-6 * values).item() == pytest.approx(edge_entropy(values).item(), rel=1e-9)
    one = torch.zeros(4, 5)
    one[1, 2] = 3.0
    assert 0 <= edge_entropy(one).item() < 2e-3
    assert edge_entropy(torch.ones(4, 5)).item() == pytest.approx(math.log(20))


def test_penalty_scales_with_what_edges_give():
    """Weights of another basis, or of another scale of it, are not the measure."""
    layer, x = KANLinear(2, 3, Chebyshev, residual="none", generator=generator()).double(), normal(30, 2)

    def l1():
        with EdgeMagnitudes(layer) as magnitudes:
            layer(x)
        return magnitudes.penalty().item()

    before = l1()
    with torch.no_grad():
        layer.weight.mul_(7)
    assert l1() == pytest.approx(7 * before)


def test_few_rows_evenly_spread():
    layer, x = KANLinear(1, 1, Chebyshev, residual="none").double(), torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(1)
    with EdgeMagnitudes(layer, num_rows=3) as magnitudes:
        layer(x)
    torch.testing.assert_close(magnitudes.magnitudes()[""], edge_values(layer, x[[0, 50, 100]]).abs().mean(0).T)


def test_wide_layers_look_at_few_rows():
    layer = KANLinear(1000, 500, Chebyshev)
    with EdgeMagnitudes(layer) as magnitudes:
        layer(normal(64, 1000, dtype=torch.float32))
    assert len(magnitudes._seen[""][0]) == 8
    magnitudes.penalty(entropy=1.0).backward()
    assert layer.weight.grad.isfinite().all()


def test_convolutions_and_repeated_use():
    net = ConvKAN(2, (6, 6), channels=[4], widths=[3], basis=Chebyshev)
    magnitudes = EdgeMagnitudes(net)
    for _ in range(2):
        with magnitudes:
            net(torch.rand(3, 2, 6, 6))
        assert {name: tuple(values.shape) for name, values in magnitudes.magnitudes().items()} == {"0": (4, 2, 3, 3), "4": (3, 36)}
    net(torch.rand(3, 2, 6, 6))
    assert all(len(parts) == 1 for parts in magnitudes._seen.values())
    assert not any(part._forward_pre_hooks for part in net.modules())


def test_an_edge_vanishes_under_the_penalty():
    """y = f(x_0) alone: the edge of x_1, which fits noise, falls well below the other."""
    x = normal(100, 2, dtype=torch.float32)
    y = x[:, :1].sin() + 0.05 * normal(100, 1, seed=3, dtype=torch.float32)

    def share(weight):
        net = KAN([2, 1], Chebyshev, generator=generator())
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
        for _ in range(300):
            with EdgeMagnitudes(net) as magnitudes:
                loss = (net(x) - y).square().mean()
            (loss + weight * magnitudes.penalty(entropy=1.0)).backward()
            optimizer.step()
            optimizer.zero_grad()
        found = magnitudes.magnitudes()["0"][0]
        return (found[1] / found[0]).item()

    assert share(5e-2) < 0.5 * share(0.0)


def test_refuses():
    net = KAN([2, 3, 1], Chebyshev)
    with pytest.raises(ValueError, match="num_rows must be >= 1, got 0"):
        EdgeMagnitudes(net, num_rows=0)
    with pytest.raises(RuntimeError, match="the network must be called inside"):
        EdgeMagnitudes(net).penalty()
    with EdgeMagnitudes(net) as magnitudes:
        net(torch.rand(5, 2))
    with pytest.raises(ValueError, match="l1 and entropy must be >= 0, got -1 and 0"):
        magnitudes.penalty(l1=-1)


def test_convolution_with_an_edge_basis():
    layer = KANConv2d(2, 2, 2, find("basis", "wav_kan").load())
    with EdgeMagnitudes(layer) as magnitudes:
        layer(torch.rand(1, 2, 4, 4))
    assert magnitudes.magnitudes()["patches.0"].shape == (2, 8)
