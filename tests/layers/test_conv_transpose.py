import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from torch import nn
from torch.nn import functional as F

from kanzoo.basis import ColumnBasis, EdgeBasis
from kanzoo.layers import KANConvTranspose1d, KANConvTranspose2d
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

KINDS = {1: KANConvTranspose1d, 2: KANConvTranspose2d}
SIZES = {1: (4,), 2: (3, 2)}


class Identity(ColumnBasis):
    resolution, support, reference = "degree", "global", "none"

    def __init__(self, in_features: int, *, degree: int = 1) -> None:
        super().__init__(in_features, degree, (-1.0, 1.0))

    def columns(self, x):
        return [x]


class Wave(EdgeBasis):
    reference = "none"

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, (-1.0, 1.0))
        rate = torch.arange(1.0, 1 + in_features * out_features).view(out_features, in_features)
        self.rate = nn.Parameter(rate / rate.numel())

    def forward(self, x):
        return torch.sin(3 * self.rate * x.unsqueeze(-2) + 0.3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=1, dtype=torch.float64):
    return 2 * torch.rand(shape, generator=generator(seed), dtype=dtype) - 1


@st.composite
def geometries(draw, dimensions):
    def each(low, high):
        return draw(st.tuples(*(st.integers(low, high) for _ in range(dimensions))))

    kernel, stride, dilation = each(1, 3), each(1, 3), each(1, 2)
    return {
        "kernel_size": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": tuple(draw(st.integers(0, (d * (k - 1)) // 2)) for k, d in zip(kernel, dilation, strict=True)),
        "output_padding": tuple(draw(st.integers(0, step - 1)) for step in stride),
        "groups": draw(st.sampled_from([1, 2])),
        "bias": draw(st.booleans()),
    }


def make(dimensions, basis, **options):
    layer = KINDS[dimensions](4, 6, basis=basis, generator=generator(), **options).double()
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(uniform(6))
    return layer


def scattered(layer, x, function):
    """The definition by plain loops: `function(output, input, point of the kernel, x)` of each input pixel, added where it lands."""
    geometry = zip(x.shape[2:], layer.stride, layer.padding, layer.dilation, layer.kernel_size, layer.output_padding, strict=True)
    size = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, s, p, d, k, extra in geometry]
    y = x.new_zeros(len(x), layer.out_channels, *size)
    if layer.bias is not None:
        y = y + layer.bias.view(-1, *(1 for _ in size))
    y = y.detach().clone()
    per_out, per_in = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    for out, inner in itertools.product(range(layer.out_channels), range(per_in)):
        channel = out // per_out * per_in + inner
        for point in itertools.product(*map(range, layer.kernel_size)):
            values = function(out, inner, point, x[:, channel])
            for place in itertools.product(*map(range, x.shape[2:])):
                landing = [
                    i * s + q * d - p for i, s, q, d, p in zip(place, layer.stride, point, layer.dilation, layer.padding, strict=True)
                ]
                if all(0 <= where < length for where, length in zip(landing, size, strict=True)):
                    y[(slice(None), out, *landing)] += values[(slice(None), *place)]
    return y


@pytest.mark.parametrize("dimensions", [1, 2])
@settings(max_examples=10, deadline=None)
@given(data=st.data(), residual=st.sampled_from(["silu", "none"]))
def test_equals_the_definition(dimensions, data, residual):
    layer = make(dimensions, Chebyshev, residual=residual, **data.draw(geometries(dimensions)))
    x = uniform(2, 4, *SIZES[dimensions])

    def function(out, inner, point, values):
        coeff = layer.coeff[(out, inner, *point)].detach()
        angle = torch.acos(torch.tanh(values))
        result = sum(c * torch.cos(n * angle) for n, c in enumerate(coeff, 1))  # T_n(cos t) = cos(n t)
        return result if residual == "none" else result + layer.residual_weight[(out, inner, *point)].detach() * F.silu(values)

    torch.testing.assert_close(layer(x).detach(), scattered(layer, x, function), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dimensions", [1, 2])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_edge_basis_equals_the_definition(dimensions, data):
    layer = make(dimensions, Wave, **data.draw(geometries(dimensions)))
    x, per_out = uniform(2, 4, *SIZES[dimensions]), 6 // layer.groups

    def function(out, inner, point, values):
        dense = layer.patches[out // per_out]
        flat = 0
        for where, length in zip(point, layer.kernel_size, strict=True):
            flat = flat * length + where
        row = out % per_out * layer.points + flat
        wave = torch.sin(3 * dense.edge.rate[row, inner] * torch.tanh(values) + 0.3)
        return (dense.weight[row, inner] * wave + dense.residual_weight[row, inner] * F.silu(values)).detach()

    torch.testing.assert_close(layer(x).detach(), scattered(layer, x, function), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("dimensions", "plain"), [(1, nn.ConvTranspose1d), (2, nn.ConvTranspose2d)])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_equals_an_ordinary_transposed_convolution_when_the_basis_is_the_identity(dimensions, plain, data):
    geometry = data.draw(geometries(dimensions))
    layer = make(dimensions, Identity, squash="none", residual="none", **geometry)
    with torch.random.fork_rng(devices=[]):
        torch_layer = plain(4, 6, **geometry).double()
    groups = geometry["groups"]
    with torch.no_grad():
        torch_layer.weight.copy_(torch.cat([part.transpose(0, 1) for part in layer.weight.chunk(groups)]))
        if geometry["bias"]:
            torch_layer.bias.copy_(layer.bias)
    x = uniform(2, 4, *SIZES[dimensions])
    torch.testing.assert_close(layer(x), torch_layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(plugins("basis")))
@pytest.mark.parametrize("dimensions", [1, 2])
def test_every_basis_serves_and_gradients_reach_every_parameter(name, dimensions):
    layer = KINDS[dimensions](4, 6, 3, find("basis", name).load(), groups=2, stride=2, generator=generator())
    layer(uniform(2, 4, *SIZES[dimensions], dtype=torch.float32)).square().sum().backward()
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", ["bspline", "chebyshev", "wav_kan"])
@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_unit_output_variance_over_the_domain(name, kernel):
    outputs, stride, size = 1000, 2, 7
    layer = KANConvTranspose1d(2, outputs, kernel, find("basis", name).load(), stride=stride, squash="none", generator=generator())
    domain = layer.patches[0].edge.domain if layer.patches is not None else layer.expansion.basis.domain
    nodes, weights = leggauss(30)
    with torch.no_grad():
        inside = slice(kernel, -kernel)
        rows = [layer(torch.full((1, 2, size), (sum(domain) + x * (domain[1] - domain[0])) / 2))[0, :, inside] for x in nodes]
    power = torch.stack([row.square() for row in rows])  # (nodes, outputs, places)
    reached = power.sum((0, 1)) > 0  # a kernel smaller than the stride leaves holes
    variance = weights @ power[..., reached].mean((1, 2)).numpy() / 2
    assert variance == pytest.approx(1.0, abs=4 * (2 / outputs) ** 0.5)


@pytest.mark.parametrize("groups", [1, 2])
def test_grid_update_keeps_the_function(groups):
    layer = KANConvTranspose2d(4, 6, 3, BSpline, stride=2, padding=1, groups=groups, generator=generator())
    basis = layer.expansion.basis
    centers = torch.stack([basis.knots[0, k + 1 : k + 1 + basis.degree].mean(-1) for k in range(basis.num_basis)])
    with torch.no_grad():  # the edges are linear functions, which every grid holds
        layer.coeff.copy_(layer.coeff[..., :1] * centers + layer.coeff[..., 1:2])
    x = uniform(6, 4, 5, 5, dtype=torch.float32).pow(3)
    before, knots = layer(x).detach(), basis.knots.clone()
    layer.update_grid(x)
    assert not torch.equal(knots, basis.knots)
    torch.testing.assert_close(layer(x).detach(), before, rtol=0, atol=1e-5 * float(before.abs().max()))


def test_bias_is_one_number_a_channel_for_every_basis():
    for basis in (Chebyshev, Wave):
        layer = KANConvTranspose2d(4, 6, 2, basis, generator=generator())
        assert layer.bias.shape == (6,)
        assert KANConvTranspose2d(4, 6, 2, basis, bias=False).bias is None
        assert not any(name.endswith("bias") for name, _ in layer.named_parameters() if name != "bias")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 2, "stride": 2}, r"output_padding must be less than the stride \(2, 2\), got 2"),
        ({"output_padding": (0, 1)}, r"output_padding must be less than the stride \(1, 1\), got \(0, 1\)"),
        ({"output_padding": -1}, "output_padding must be one or two integers >= 0, got -1"),
        ({"kernel_size": (1, 2, 3)}, "kernel_size must be one or two integers >= 1"),
        ({"groups": 3}, "must be multiples of groups"),
    ],
)
def test_errors_name_rule_and_value(options, message):
    with pytest.raises(ValueError, match=message):
        KANConvTranspose2d(4, 6, **{"kernel_size": 2, "basis": Chebyshev, **options})


def test_it_is_told_when_printed():
    layer = KANConvTranspose2d(4, 6, 2, Chebyshev, stride=2, output_padding=1)
    assert repr(layer).startswith("KANConvTranspose2d(\n  4, 6, kernel_size=(2, 2), stride=(2, 2)")
    assert "output_padding=(1, 1)" in repr(layer)
