import copy
import pickle
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from torch import nn
from torch.nn import functional as F

from kanzoo.basis import ColumnBasis, EdgeBasis
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

NAMES = sorted(plugins("basis"))
GEOMETRIES = st.fixed_dictionaries(
    {
        "kernel_size": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "padding": st.one_of(st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2))),
        "dilation": st.one_of(st.integers(1, 2), st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "groups": st.sampled_from([1, 2]),
        "bias": st.booleans(),
    }
)


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


def make(basis=Chebyshev, in_channels=4, out_channels=6, kernel_size=3, **options):
    return KANConv2d(in_channels, out_channels, kernel_size, basis, **{"generator": generator(), **options})


def pair(value):
    return (value, value) if isinstance(value, int) else value


def unfolded(x, kernel_size, stride, padding, dilation):
    """Patches `(batch, rows, columns, channels, points)` by plain loops over the kernel."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(pair, (kernel_size, stride, padding, dilation))
    padded = F.pad(x, (pw, pw, ph, ph))
    height, width = padded.shape[-2] - dh * (kh - 1), padded.shape[-1] - dw * (kw - 1)
    parts = [padded[..., r * dh : r * dh + height : sh, c * dw : c * dw + width : sw] for r in range(kh) for c in range(kw)]
    return torch.stack(parts, -1).permute(0, 2, 3, 1, 4)


def reference(layer, basis, x, residual, squash, geometry):
    """The convolution as a `KANLinear` over unfolded patches, group by group, with the weights mapped."""
    patches = unfolded(x, geometry["kernel_size"], geometry["stride"], geometry["padding"], geometry["dilation"])
    groups, outputs = geometry["groups"], layer.out_channels // geometry["groups"]
    results = []
    for group, part in enumerate(patches.chunk(groups, -2)):
        part = part.flatten(-2)
        dense = KANLinear(part.shape[-1], outputs, basis, squash=squash, residual=residual, bias=geometry["bias"]).double()
        rows = slice(group * outputs, (group + 1) * outputs)
        with torch.no_grad():
            dense.coeff.copy_(layer.coeff[rows].flatten(1, 3))
            if residual != "none":
                dense.residual_weight.copy_(layer.residual_weight[rows].flatten(1))
            if geometry["bias"]:
                dense.bias.copy_(layer.bias[rows])
        results.append(dense(part))
    return torch.cat(results, -1).movedim(-1, 1)


@settings(max_examples=40, deadline=None)
@given(
    geometry=GEOMETRIES,
    basis=st.sampled_from([Chebyshev, partial(Chebyshev, degree=3), BSpline]),
    residual=st.sampled_from(["silu", "identity", "none"]),
    squash=st.sampled_from(["tanh", "clamp", "none"]),
)
def test_equals_a_dense_layer_over_patches(geometry, basis, residual, squash):
    with torch.random.fork_rng(devices=[]):
        layer = make(basis, residual=residual, squash=squash, **geometry).double()
        if layer.bias is not None:
            layer.bias.data.copy_(uniform(6))
        x = 2 * uniform(2, 4, 7, 6)
        torch.testing.assert_close(layer(x), reference(layer, basis, x, residual, squash, geometry), rtol=1e-11, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(geometry=GEOMETRIES)
def test_equals_an_ordinary_convolution_when_the_basis_is_the_identity(geometry):
    layer = make(Identity, squash="none", residual="none", **geometry).double()
    with torch.random.fork_rng(devices=[]):
        plain = nn.Conv2d(4, 6, **geometry).double()
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
        if geometry["bias"]:
            layer.bias.copy_(uniform(6))
            plain.bias.copy_(layer.bias)
    x = uniform(2, 4, 7, 6)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-13, atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(geometry=GEOMETRIES, residual=st.sampled_from(["silu", "none"]))
def test_edge_basis_is_applied_to_patches(geometry, residual):
    layer = make(Wave, residual=residual, squash="tanh", **geometry).double()
    x = uniform(2, 4, 7, 6)
    patches = unfolded(x, geometry["kernel_size"], geometry["stride"], geometry["padding"], geometry["dilation"])
    results = []
    for dense, part in zip(layer.patches, patches.chunk(geometry["groups"], -2), strict=True):
        part = part.flatten(-2)
        y = torch.einsum("oi,...oi->...o", dense.weight, torch.sin(3 * dense.edge.rate * part.tanh().unsqueeze(-2) + 0.3))
        if residual == "silu":
            y = y + F.silu(part) @ dense.residual_weight.T
        results.append(y)
    torch.testing.assert_close(layer(x), torch.cat(results, -1).movedim(-1, 1), rtol=1e-11, atol=1e-11)


def test_layernorm_is_over_the_channels():
    layer = make(Identity, 4, 4, 1, squash="layernorm", residual="none", bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(4)[:, :, None, None])
    x = uniform(2, 4, 5, 5)
    expected = torch.tanh(0.5 * F.layer_norm(x.movedim(1, -1), (4,))).movedim(-1, 1)
    torch.testing.assert_close(layer(x), expected)


def test_coeff_is_a_view():
    layer = make(groups=2)
    assert layer.weight.shape == (6, 8 * 2, 3, 3)
    assert layer.coeff.shape == (6, 2, 3, 3, 8)
    with torch.no_grad():
        layer.coeff[4, 1, 2, 0, 5] = 7.0
    assert layer.weight[4, 5 * 2 + 1, 2, 0] == 7.0
    with pytest.raises(TypeError, match="patches"):
        _ = make(Wave).coeff


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "layernorm", "clamp", "none"])
def test_gradients_reach_every_parameter(name, squash):
    layer = make(find("basis", name).load(), squash=squash, groups=2)
    layer(uniform(2, 4, 5, 5, dtype=torch.float32)).square().sum().backward()
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("residual", ["silu", "none"])
def test_unit_output_variance_over_the_domain(name, residual):
    outputs = 4000
    layer = make(find("basis", name).load(), 2, outputs, residual=residual, squash="none")
    domain = layer.patches[0].edge.domain if layer.patches is not None else layer.expansion.basis.domain
    nodes, weights = leggauss(40)  # Gauss: exact for polynomials up to degree 79
    with torch.no_grad():
        points = [(sum(domain) + x * (domain[1] - domain[0])) / 2 for x in nodes]
        variance = [float(layer(torch.full((1, 2, 3, 3), point)).square().mean()) for point in points]
    assert weights @ variance / 2 == pytest.approx(1.0, abs=3 * (2 / outputs) ** 0.5)  # three deviations of a mean of squares


@pytest.mark.parametrize("basis", [Chebyshev, Wave])
def test_generator_is_the_only_source_of_chance(basis):
    before = torch.get_rng_state()
    one, same, other = (make(basis, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    x = uniform(1, 4, 5, 5, dtype=torch.float32)
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
def test_copies_and_state_dict(basis):
    layer, x = make(basis, groups=2), uniform(2, 4, 5, 5, dtype=torch.float32)
    if basis is BSpline:
        layer.update_grid(uniform(3, 4, 6, 6, seed=4, dtype=torch.float32))
    fresh = make(basis, groups=2, generator=generator(9))
    fresh.load_state_dict(layer.state_dict())
    for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), layer(x))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("padding", [0, 1])
def test_grid_update_keeps_the_function(groups, padding):
    layer = make(BSpline, 4, 8, (3, 2), groups=groups, padding=padding)
    basis, per_group = layer.expansion.basis, 4 // groups
    centers = torch.stack([basis.knots[:, k + 1 : k + 1 + basis.degree].mean(-1) for k in range(basis.num_basis)], -1)
    slope, offset = (uniform(8, per_group, 3, 2, 1, seed=seed, dtype=torch.float32) for seed in (5, 6))
    with torch.no_grad():  # the edges are linear functions, which every grid holds
        for row in range(8):
            first = row // (8 // groups) * per_group
            layer.coeff[row] = slope[row] * centers[first : first + per_group, None, None] + offset[row]
    # Each channel has a spread of its own, so that a channel taken for another would show.
    x = uniform(6, 4, 7, 7, dtype=torch.float32) * torch.tensor([0.1, 0.3, 0.6, 0.9])[:, None, None]
    before, knots = layer(x).detach(), basis.knots.clone()
    layer.update_grid(x)
    assert all(not torch.equal(old, new) for old, new in zip(knots, basis.knots, strict=True))
    torch.testing.assert_close(layer(x).detach(), before, rtol=0, atol=1e-5 * float(before.abs().max()))


def test_grid_update_of_a_fixed_basis_is_refused():
    x = uniform(1, 4, 5, 5, dtype=torch.float32)
    with pytest.raises(TypeError, match="Chebyshev has no grid"):
        make().update_grid(x)
    with pytest.raises(TypeError, match="has no grid"):
        make(Wave).update_grid(x)


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
def test_export(basis):
    layer, x = make(basis, padding=1).eval(), uniform(2, 4, 5, 5, dtype=torch.float32)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), layer(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # of torch's compiler
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(backend):
    torch.compiler.reset()
    layer, x = make(padding=1), uniform(2, 4, 5, 5, dtype=torch.float32)
    torch.testing.assert_close(torch.compile(layer, backend=backend, fullgraph=True)(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 3}, "in_channels and out_channels must be multiples of groups, got 4, 6 and 3"),
        ({"groups": 0}, "must be multiples of groups"),
        ({"in_channels": 0}, "must be multiples of groups"),
        ({"kernel_size": 0}, "kernel_size must be one or two integers >= 1, got 0"),
        ({"stride": (1, 0)}, r"stride must be one or two integers >= 1, got \(1, 0\)"),
        ({"padding": -1}, "padding must be one or two integers >= 0, got -1"),
        ({"dilation": (1, 1, 1)}, "dilation must be one or two integers"),
        ({"residual": "relu"}, "residual must be one of"),
    ],
)
@pytest.mark.parametrize("basis", [Chebyshev, Wave])
def test_errors_name_rule_and_value(options, message, basis):
    with pytest.raises(ValueError, match=message):
        make(**{"basis": basis, **options})
