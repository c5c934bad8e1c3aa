import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from kanzoo.basis import EdgeBasis
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.layers.factory import KANLayers, PlainLayers
from kanzoo.models import CNN, KAN, MLP, ConvKAN, ConvNet, DenseNet, num_parameters, update_grid
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

NAMES = sorted(plugins("basis"))


class Wave(EdgeBasis):
    reference = "none"

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, (-1.0, 1.0))
        self.rate = nn.Parameter(torch.ones(out_features, in_features))
        self.phase = nn.Parameter(torch.zeros(out_features, in_features))

    def forward(self, x):
        return torch.sin(self.rate * x.unsqueeze(-2) + self.phase)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=1):
    return 2 * torch.rand(shape, generator=generator(seed)) - 1


def builders():
    options = {"generator": generator()}
    return {
        "KAN": lambda: KAN([3, 5, 2], Chebyshev, generator=generator()),
        "MLP": lambda: MLP([3, 5, 2], **options),
        "ConvKAN": lambda: ConvKAN(1, (8, 9), [4, 6], [5, 2], Chebyshev, generator=generator()),
        "CNN": lambda: CNN(1, (8, 9), [4, 6], [5, 2], generator=generator()),
    }


@pytest.mark.parametrize("name", ["KAN", "MLP"])
@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
def test_dense_shapes(name, batch):
    assert builders()[name]()(uniform(*batch, 3)).shape == (*batch, 2)


@pytest.mark.parametrize("name", ["ConvKAN", "CNN"])
@pytest.mark.parametrize("batch", [1, 3])
def test_conv_shapes(name, batch):
    net = builders()[name]().eval()
    assert net(uniform(batch, 1, 8, 9)).shape == (batch, 2)


@pytest.mark.parametrize("basis", NAMES)
def test_every_basis_makes_both_networks(basis):
    made = find("basis", basis).load()
    assert KAN([2, 3, 1], made, generator=generator())(uniform(4, 2)).isfinite().all()
    assert ConvKAN(1, (6, 6), [2], [3], made, generator=generator())(uniform(4, 1, 6, 6)).isfinite().all()


def test_layers_of_a_kan_and_of_its_baseline():
    net, plain = KAN([3, 5, 2], Chebyshev), MLP([3, 5, 2])
    assert [type(layer) for layer in net] == [KANLinear, KANLinear]
    assert [type(layer) for layer in plain] == [nn.Linear, nn.Sequential]
    assert [type(part) for part in plain[1]] == [nn.SiLU, nn.Linear]
    assert net.widths == plain.widths == (3, 5, 2)


def test_options_reach_the_layers():
    net = KAN([3, 5, 2], partial(Chebyshev, degree=2), squash="layernorm", residual="none")
    for layer in net:
        assert layer.residual_weight is None
        assert layer.expansion.squash.kind == "layernorm"
        assert layer.coeff.shape[-1] == 2
    conv = ConvKAN(1, (8, 8), [4], [2], Chebyshev, squash="clamp", residual="identity", kernel_size=5)
    assert isinstance(conv[0], KANConv2d)
    assert conv[0].kernel_size == (5, 5)
    assert conv[0].padding == (2, 2)
    assert {conv[0].residual, conv[-1].residual} == {"identity"}


@pytest.mark.parametrize("widths", [[], [3], [3, 0], [3, -1, 2]])
@pytest.mark.parametrize("make", [lambda widths: KAN(widths, Chebyshev), MLP])
def test_widths_are_checked(widths, make):
    with pytest.raises(ValueError, match="widths must be 2 or more integers >= 1, got") as caught:
        make(widths)
    assert str(widths) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, (8, 8), [], [2]), r"channels must be 1 or more integers >= 1, got \[\]"),
        ((1, (8, 8), [4], []), r"widths must be 1 or more integers >= 1, got \[\]"),
        ((1, (8, 8), [4, 0], [2]), r"channels must be 1 or more integers >= 1, got \[4, 0\]"),
        ((1, (8, 8), [4, 4, 4, 4], [2]), r"channels must be of length <= 3 for the image size \(8, 8\), got \[4, 4, 4, 4\]"),
    ],
)
def test_conv_sizes_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        CNN(*arguments)
    with pytest.raises(ValueError, match=message):
        ConvKAN(*arguments, Chebyshev)


def test_caller_keeps_its_lists():
    widths, channels = [3, 5, 2], [4, 6]
    KAN(widths, Chebyshev)
    ConvKAN(1, (8, 8), channels, widths, Chebyshev)
    assert (widths, channels) == ([3, 5, 2], [4, 6])


@pytest.mark.parametrize("name", ["KAN", "MLP", "ConvKAN", "CNN"])
def test_generator_is_the_only_source_of_chance(name):
    before = torch.get_rng_state()
    one, two = builders()[name](), builders()[name]()
    assert torch.equal(before, torch.get_rng_state())
    for (key, a), (_, b) in zip(one.state_dict().items(), two.state_dict().items(), strict=True):
        assert torch.equal(a, b), key


def test_baseline_starts_as_torch_does():
    net = MLP([400, 300, 10], generator=generator())
    for linear in (net[0], net[1][1]):
        bound = linear.in_features**-0.5
        for parameter in linear.parameters():
            assert parameter.requires_grad
            assert parameter.abs().max() <= bound
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


@pytest.mark.parametrize("name", ["KAN", "MLP", "ConvKAN", "CNN"])
def test_parameter_counts_sum_to_the_total(name):
    net = builders()[name]()
    assert sum(num_parameters(net).values()) == sum(parameter.numel() for parameter in net.parameters())


def test_parameter_counts_equal_the_formula():
    edges = 3 * 5 + 5 * 2
    assert num_parameters(KAN([3, 5, 2], Chebyshev)) == {"coefficients": 8 * edges, "residual": edges, "bias": 7}
    assert num_parameters(KAN([3, 5, 2], Chebyshev, residual="none")) == {"coefficients": 8 * edges, "bias": 7}
    assert num_parameters(KAN([3, 5, 2], partial(BSpline, degree=3, grid_size=5))) == {
        "coefficients": 8 * edges,
        "residual": edges,
        "bias": 7,
    }
    assert num_parameters(KAN([3, 5, 2], Wave)) == {"coefficients": edges, "basis": 2 * edges, "residual": edges, "bias": 7}
    assert num_parameters(KAN([3, 5, 2], Chebyshev, squash="layernorm"))["norm"] == 2 * (3 + 5)
    assert num_parameters(MLP([3, 5, 2])) == {"plain": edges, "bias": 7}


def test_parameter_counts_of_convolutions():
    kernel, dense = 9 * (4 + 4 * 6), 6 * 2 * 2 * 5 + 5 * 2
    shape = (1, (8, 9), [4, 6], [5, 2])
    assert num_parameters(CNN(*shape)) == {"plain": kernel + dense, "bias": 4 + 6 + 7, "norm": 20}
    expected = {"coefficients": 8 * (kernel + dense), "residual": kernel + dense, "bias": 4 + 6 + 7, "norm": 20}
    assert num_parameters(ConvKAN(*shape, Chebyshev)) == expected


def test_frozen_parameters_are_not_counted():
    net = KAN([3, 5, 2], Chebyshev)
    net[0].requires_grad_(False)
    assert num_parameters(net) == {"coefficients": 8 * 10, "residual": 10, "bias": 2}


def linear_edges(net):
    """Make every edge a linear function, by the spline's Greville points: every grid holds it."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, KANLinear | KANConv2d):
                basis = layer.expansion.basis
                centers = torch.stack([basis.knots[:, k + 1 : k + 1 + basis.degree].mean(-1) for k in range(basis.num_basis)], -1)
                if isinstance(layer, KANConv2d):
                    centers = centers[:, None, None]
                layer.coeff.copy_(layer.coeff[..., :1] * centers)
    return net


def test_grid_update_of_a_network_keeps_its_function():
    net = linear_edges(KAN([3, 5, 2], BSpline, generator=generator()))
    x = uniform(300, 3).pow(3)
    before, knots = net(x).detach(), [layer.expansion.basis.knots.clone() for layer in net]
    net.update_grid(x)
    assert all(not torch.equal(old, layer.expansion.basis.knots) for old, layer in zip(knots, net, strict=True))
    torch.testing.assert_close(net(x).detach(), before, rtol=0, atol=1e-5 * float(before.abs().max()))


def test_grid_update_of_a_convolutional_network_keeps_function_and_state():
    net = linear_edges(ConvKAN(1, (8, 8), [4], [2], BSpline, generator=generator()))
    x = uniform(30, 1, 8, 8).pow(3)
    net.eval()
    before = net(x).detach()
    net.train()
    statistics = net[1].running_mean.clone()
    net.update_grid(x)
    assert net.training
    assert net[1].training
    assert torch.equal(statistics, net[1].running_mean)
    net.eval()
    torch.testing.assert_close(net(x).detach(), before, rtol=0, atol=2e-5 * float(before.abs().max()))


def test_grid_update_keeps_the_mode_of_each_part():
    net = ConvKAN(1, (8, 8), [4], [2], BSpline, generator=generator())
    net[1].eval()  # a frozen normalisation
    net.update_grid(uniform(10, 1, 8, 8))
    assert net.training
    assert not net[1].training


def test_grid_update_counts_layers_and_removes_its_hooks():
    net = KAN([3, 5, 2], BSpline)
    assert update_grid(net, uniform(50, 3)) == 2
    assert update_grid(KAN([3, 5, 2], Chebyshev), uniform(50, 3)) == 0
    assert update_grid(MLP([3, 5, 2]), uniform(50, 3)) == 0
    assert update_grid(KAN([3, 5, 2], Wave), uniform(50, 3)) == 0
    knots = net[0].expansion.basis.knots.clone()
    net(3 * uniform(50, 3))
    assert torch.equal(knots, net[0].expansion.basis.knots)
    with pytest.raises(ValueError, match="in_features=3"):
        net.update_grid(uniform(50, 7))
    assert not any(layer._forward_pre_hooks for layer in net)


@pytest.mark.parametrize(
    ("shape", "kinds", "features"),
    [
        ({}, "CBPCBPFL", 5 * 2 * 2),
        ({"batch_norm": False}, "CPCPFL", 5 * 2 * 2),
        ({"padding": "valid", "kernel_size": 2}, "CBPCBPFL", 5 * 1 * 1),
        ({"padding": "valid", "strides": [1, 2]}, "CBCBFL", 5 * 2 * 3),
        ({"strides": [1, 2], "batch_norm": False}, "CCFL", 5 * 4 * 5),
        ({"strides": [2, 2], "padding": "valid"}, "CBCBFL", 5 * 1 * 1),
        ({"average": True}, "CBPCBPAFL", 5),
    ],
)
def test_how_convolutions_are_laid_out(shape, kinds, features):
    letters = {nn.BatchNorm2d: "B", nn.MaxPool2d: "P", nn.AdaptiveAvgPool2d: "A", nn.Flatten: "F"}
    net, x = ConvKAN(1, (8, 10), [4, 5], [3], Chebyshev, **shape), uniform(2, 1, 8, 10)
    assert "".join(letters.get(type(part), "L" if part is net[-1] else "C") for part in net) == kinds
    assert net[-1].in_features == features
    assert net(x).shape == CNN(1, (8, 10), [4, 5], [3], **shape)(x).shape == (2, 3)
    assert [part.padding for part in net if isinstance(part, KANConv2d)] == [(0, 0) if "padding" in shape else (1, 1)] * 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"padding": "full"}, "padding must be one of same, valid, got 'full'"),
        ({"strides": [1]}, r"strides must be one for each of channels \[4, 5\], or none, got \[1\]"),
        ({"strides": [1, 0]}, "stride must be one or two integers >= 1, got 0"),
        ({"padding": "valid", "kernel_size": 5}, r"channels must be of length <= 1 for the image size \(8, 10\)"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        ConvKAN(1, (8, 10), [4, 5], [3], Chebyshev, **shape)


def test_networks_from_any_factory():
    assert DenseNet(KANLayers(Chebyshev), [2, 1])(uniform(4, 2)).shape == (4, 1)
    assert ConvNet(PlainLayers(activation=nn.ReLU), 3, (4, 4), [2], [3])(uniform(4, 3, 4, 4)).shape == (4, 3)


@pytest.mark.slow
def test_layers_need_torch_alone():
    code = (
        "import sys, kanzoo.layers, kanzoo.models, kanzoo.layers.factory; "
        "print({'pytorch_lightning', 'omegaconf', 'mlflow', 'torchmetrics', 'scipy', 'kanzoo_bases'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
