"""Convolutions of signals and volumes; those of images, with all options, have `test_conv.py`."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from kanzoo.basis import ColumnBasis, EdgeBasis
from kanzoo.layers import KANConv1d, KANConv2d, KANConv3d, KANLinear
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

KINDS = {1: KANConv1d, 3: KANConv3d}
SIZES = {1: (9,), 3: (4, 5, 6)}


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


def each(low, high, dimensions):
    return st.one_of(st.integers(low, high), st.tuples(*(st.integers(low, high) for _ in range(dimensions))))


@st.composite
def geometries(draw, dimensions):
    return {
        "kernel_size": draw(each(1, 3, dimensions)),
        "stride": draw(each(1, 2, dimensions)),
        "padding": draw(each(0, 2, dimensions)),
        "dilation": draw(each(1, 2, dimensions)),
        "groups": draw(st.sampled_from([1, 2])),
        "bias": draw(st.booleans()),
    }


def fits(layer):
    """Whether the dilated kernel is not larger than the padded input."""
    sizes = zip(SIZES[layer.dimensions], layer.padding, layer.dilation, layer.kernel_size, strict=True)
    return all(size + 2 * padding >= dilation * (kernel - 1) + 1 for size, padding, dilation, kernel in sizes)


def make(dimensions, basis, **options):
    return KINDS[dimensions](4, 6, basis=basis, generator=generator(), **options).double()


def patches(layer, x):
    """Cut out what the kernel sees by plain loops: `(batch, *places, channels, points)`."""
    padded = F.pad(x, [size for size in reversed(layer.padding) for _ in range(2)])
    geometry = list(zip(padded.shape[2:], layer.kernel_size, layer.stride, layer.dilation, strict=True))
    counts = [(size - dilation * (kernel - 1) - 1) // stride + 1 for size, kernel, stride, dilation in geometry]
    found = torch.stack(
        [
            torch.stack(
                [
                    padded[(..., *(p * s + q * d for p, q, (_, _, s, d) in zip(place, point, geometry, strict=True)))]
                    for point in itertools.product(*map(range, layer.kernel_size))
                ],
                -1,
            )
            for place in itertools.product(*map(range, counts))
        ],
        1,
    )
    return found.view(len(x), *counts, layer.in_channels, -1)


def by_patches(layer, x, dense_of):
    """The convolution as dense layers over patches, group by group."""
    parts = patches(layer, x).chunk(layer.groups, -2)
    return torch.cat([dense_of(group)(part.flatten(-2)) for group, part in enumerate(parts)], -1).movedim(-1, 1)


@pytest.mark.parametrize("dimensions", [1, 3])
@settings(max_examples=12, deadline=None)
@given(data=st.data(), basis=st.sampled_from([Chebyshev, BSpline]), residual=st.sampled_from(["silu", "identity", "none"]))
def test_equals_a_dense_layer_over_patches(dimensions, data, basis, residual):
    layer = make(dimensions, basis, residual=residual, **data.draw(geometries(dimensions)))
    if not fits(layer):
        return
    x, outputs = 2 * uniform(2, 4, *SIZES[dimensions]), 6 // layer.groups

    def dense(group):
        rows = slice(group * outputs, (group + 1) * outputs)
        made = KANLinear(4 // layer.groups * layer.points, outputs, basis, residual=residual, bias=False, generator=generator()).double()
        with torch.no_grad():
            made.coeff.copy_(layer.coeff[rows].flatten(1, -2))
            if residual != "none":
                made.residual_weight.copy_(layer.residual_weight[rows].flatten(1))
        return made

    expected = by_patches(layer, x, dense)
    torch.testing.assert_close(layer(x), expected, rtol=1e-11, atol=1e-11)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(uniform(6))
        shifted = expected + layer.bias.view(-1, *(1 for _ in range(dimensions)))
        torch.testing.assert_close(layer(x), shifted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dimensions", [1, 3])
@settings(max_examples=12, deadline=None)
@given(data=st.data(), residual=st.sampled_from(["silu", "none"]))
def test_edge_basis_is_applied_to_patches(dimensions, data, residual):
    layer = make(dimensions, Wave, residual=residual, **data.draw(geometries(dimensions)))
    if fits(layer):
        x = uniform(2, 4, *SIZES[dimensions])
        torch.testing.assert_close(layer(x), by_patches(layer, x, lambda group: layer.patches[group]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dimensions", "plain"), [(1, nn.Conv1d), (3, nn.Conv3d)])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_equals_an_ordinary_convolution_when_the_basis_is_the_identity(dimensions, plain, data):
    geometry = data.draw(geometries(dimensions))
    layer = make(dimensions, Identity, squash="none", residual="none", **geometry)
    if not fits(layer):
        return
    with torch.random.fork_rng(devices=[]):
        torch_layer = plain(4, 6, **geometry).double()
    with torch.no_grad():
        torch_layer.weight.copy_(layer.weight)
        if geometry["bias"]:
            layer.bias.copy_(uniform(6))
            torch_layer.bias.copy_(layer.bias)
    x = uniform(2, 4, *SIZES[dimensions])
    torch.testing.assert_close(layer(x), torch_layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("basis", [BSpline, Wave])
def test_a_signal_is_an_image_of_one_row(basis):
    signal = KANConv1d(4, 6, 3, basis, stride=2, padding=1, generator=generator())
    image = KANConv2d(4, 6, (1, 3), basis, stride=(1, 2), padding=(0, 1), generator=generator())
    x = uniform(2, 4, 9, dtype=torch.float32)
    torch.testing.assert_close(signal(x), image(x.unsqueeze(2)).squeeze(2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(plugins("basis")))
@pytest.mark.parametrize("dimensions", [1, 3])
def test_every_basis_serves_and_gradients_reach_every_parameter(name, dimensions):
    layer = KINDS[dimensions](4, 6, 2, find("basis", name).load(), groups=2, padding=1, generator=generator())
    layer(uniform(2, 4, *SIZES[dimensions], dtype=torch.float32)).square().sum().backward()
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("dimensions", [1, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_grid_update_keeps_the_function(dimensions, groups):
    layer = KINDS[dimensions](4, 6, 2, BSpline, padding=1, groups=groups, generator=generator())
    basis = layer.expansion.basis
    centers = torch.stack([basis.knots[0, k + 1 : k + 1 + basis.degree].mean(-1) for k in range(basis.num_basis)])
    with torch.no_grad():  # the edges are linear functions, which every grid holds
        layer.coeff.copy_(layer.coeff[..., :1] * centers + layer.coeff[..., 1:2])
    x = uniform(6, 4, *SIZES[dimensions], dtype=torch.float32).pow(3)
    before, knots = layer(x).detach(), basis.knots.clone()
    layer.update_grid(x)
    assert not torch.equal(knots, basis.knots)
    torch.testing.assert_close(layer(x).detach(), before, rtol=0, atol=1e-5 * float(before.abs().max()))


@pytest.mark.parametrize("dimensions", [1, 3])
def test_coeff_is_a_view(dimensions):
    layer = KINDS[dimensions](4, 6, 3, Chebyshev, groups=2)
    kernel = (3,) * dimensions
    assert layer.weight.shape == (6, 8 * 2, *kernel)
    assert layer.coeff.shape == (6, 2, *kernel, 8)
    assert layer.points == math.prod(kernel)
    torch.testing.assert_close(layer.as_weight(layer.coeff), layer.weight.detach())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (KANConv1d, {"kernel_size": 0}, "kernel_size must be one integer >= 1, got 0"),
        (KANConv1d, {"stride": (1, 1)}, r"stride must be one integer >= 1, got \(1, 1\)"),
        (KANConv3d, {"padding": (1, 1)}, r"padding must be one or three integers >= 0, got \(1, 1\)"),
        (KANConv3d, {"groups": 3}, "in_channels and out_channels must be multiples of groups, got 4, 6 and 3"),
    ],
)
def test_errors_name_rule_and_value(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(4, 6, **{"kernel_size": 2, "basis": Chebyshev, **options})
