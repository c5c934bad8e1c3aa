import copy
from functools import partial

import pytest
import torch
from torch import nn

from kanzoo.inspect import convert
from kanzoo.inspect.layer import edge_values
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN, ConvKAN
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.wav_kan import WavKAN

NAMES = sorted(plugins("basis"))
#: Families to convert to, fine enough for smooth functions, and how near a network then comes on its data.
FINE = {
    "bspline": ({"grid_size": 40}, 2e-2),
    "chebyshev": ({"degree": 40}, 5e-3),
    "fourier": ({"degree": 20}, 2e-2),
    "gaussian_rbf": ({"grid_size": 40}, 2e-3),
    "jacobi": ({"degree": 40}, 1e-2),
    "wavelet": ({"levels": 6}, 3e-1),
}
#: More of them, to which smooth functions are converted.
LOCAL = {
    "finite_element": ({"grid_size": 20}, 2e-3),
    "free_knot_bspline": ({"grid_size": 20}, 5e-4),
    "piecewise_linear": ({"grid_size": 40}, 5e-3),
    "relu": ({"grid_size": 20}, 2e-2),
    "rswaf": ({"grid_size": 20}, 2e-2),
    "sinc": ({"grid_size": 12}, 1e-2),
}
#: Families whose random functions have kinks.
KINKED = {"finite_element", "piecewise_linear"}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1, dtype=torch.float32):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def fine(name):
    return partial(find("basis", name).load(), **FINE[name][0])


def relative(new, old):
    return ((new - old).square().mean().sqrt() / old.square().mean().sqrt()).item()


@pytest.mark.parametrize("source", [name for name in NAMES if name not in KINKED])
@pytest.mark.parametrize("target", FINE)
@pytest.mark.parametrize("squash", ["tanh", "layernorm"])
def test_every_family_to_every_family(source, target, squash):
    net, x = KAN([3, 5, 2], find("basis", source).load(), squash=squash, generator=generator()), normal(300, 3)
    state = copy.deepcopy(net.state_dict())
    y = net(x)
    new, report = convert(net, fine(target), x)
    assert type(new[0].expansion.basis) is find("basis", target).load()
    assert relative(new(x), y) < FINE[target][1]
    assert all(found.rms.shape == (layer.out_features, layer.in_features) for layer, found in zip(net, report.values(), strict=True))
    assert all((found.rms <= found.maximum).all() for found in report.values())
    assert torch.equal(new[1].residual_weight, net[1].residual_weight)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())  # the network given is as before


@pytest.mark.parametrize("target", LOCAL)
@pytest.mark.parametrize("squash", ["tanh", "layernorm"])
def test_polynomials_to_local_families(target, squash):
    net, x = KAN([3, 5, 2], Chebyshev, squash=squash, generator=generator()), normal(300, 3)
    options, tolerance = LOCAL[target]
    new, _ = convert(net, partial(find("basis", target).load(), **options), x)
    assert relative(new(x), net(x)) < tolerance


@pytest.mark.parametrize("source", sorted(KINKED))
@pytest.mark.parametrize("squash", ["tanh", "layernorm"])
def test_kinks_at_even_cells_are_kept_by_elements_on_the_same_cells(source, squash):
    net, x = KAN([3, 5, 2], partial(find("basis", source).load(), grid_size=4), squash=squash, generator=generator()), normal(300, 3)
    new, _ = convert(net, partial(find("basis", "finite_element").load(), grid_size=8, degree=3), x)
    assert relative(new(x), net(x)) < 1e-5


@pytest.mark.parametrize("residual", ["silu", "none"])
def test_report_tells_the_differences_of_edges(residual):
    layer, x = KANLinear(3, 2, Chebyshev, residual=residual, generator=generator()).double(), normal(100, 3, dtype=torch.float64)
    new, report = convert(layer, partial(Fourier, degree=2), x)
    with torch.no_grad():
        old_values, new_values = edge_values(layer, x), edge_values(new, x)
        bare = old_values - nn.functional.silu(x).unsqueeze(-1) * layer.residual_weight.T if residual == "silu" else old_values
        # The constant of an edge is in the bias: the difference less its part of it, which least squares make nearly the mean.
        difference = new_values - old_values
        rms = (difference - difference.mean(0)).square().mean(0).sqrt() / bare.std(0, correction=0)
    torch.testing.assert_close(report[""].rms, rms.T, rtol=2e-2, atol=0)
    assert (report[""].rms > 1e-3).all()


def test_the_same_family_is_exact():
    net, x = KAN([2, 3, 1], partial(BSpline, grid_size=4), generator=generator()), normal(100, 2)
    new, report = convert(net, partial(BSpline, grid_size=4), x)
    torch.testing.assert_close(new(x), net(x), rtol=1e-5, atol=1e-6)
    assert report["0"].maximum.max() < 1e-10


def test_constants_go_to_the_bias():
    layer, x = KANLinear(2, 3, BSpline, bias=False, residual="none", squash="clamp"), 0.9 * normal(50, 2).tanh()
    with torch.no_grad():
        layer.coeff.fill_(2.0)  # B-splines sum to one: each edge is the constant 2
    new, report = convert(layer, Chebyshev, x)
    torch.testing.assert_close(new(x), torch.full((50, 3), 4.0))
    torch.testing.assert_close(new.bias.detach(), torch.full((3,), 4.0))
    assert layer.bias is None
    assert report[""].rms.max() < 1e-3


def test_masks_stay_and_cut_edges_leave_no_constant():
    layer, x = KANLinear(2, 2, BSpline, generator=generator()), normal(200, 2)
    layer.mask_edges(torch.tensor([[True, False], [False, True]]))
    new, _ = convert(layer, partial(Chebyshev, degree=30), x)
    assert torch.equal(new.edge_mask, layer.edge_mask)
    torch.testing.assert_close(new(x), layer(x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("source", [BSpline, WavKAN])
def test_convolutions(groups, source):
    layer, x = KANConv2d(2, 4, 3, source, padding=1, groups=groups, generator=generator()), normal(5, 2, 6, 6)
    new, report = convert(layer, fine("chebyshev"), x)
    assert relative(new(x), layer(x)) < 1e-3
    if source is BSpline:
        assert report[""].rms.shape == (4, 2 // groups, 3, 3)


def test_networks_with_other_parts():
    net, x = ConvKAN(1, (8, 8), channels=[3], widths=[2], basis=BSpline, generator=generator()), normal(6, 1, 8, 8)
    net.eval()
    new, _ = convert(net.train(), fine("chebyshev"), x)
    assert new.training
    assert relative(new.eval()(x), net.eval()(x)) < 1e-3


def test_constants_of_graph_layers_cancel():
    pytest.importorskip("torch_geometric")
    from kanzoo.models.graph import GraphKAN

    net, x = GraphKAN([3, 4, 2], BSpline, update="sage", generator=generator()), normal(30, 3)
    edges = torch.randint(0, 30, (2, 90), generator=generator())
    new, _ = convert(net, fine("chebyshev"), x, edges)
    assert relative(new(x, edges), net(x, edges)) < 5e-3
    assert [name for name, _ in new.named_parameters()] == [name for name, _ in net.named_parameters()]


def test_one_input_one_row_and_a_constant():
    for x in (torch.zeros(1, 1), torch.ones(20, 1), torch.tensor([[torch.nan], [0.3]])):
        layer = KANLinear(1, 2, BSpline, generator=generator())
        new, report = convert(layer, Chebyshev, x)
        seen = x[x.isfinite().all(1)]
        torch.testing.assert_close(new(seen), layer(seen), rtol=1e-4, atol=1e-4)
        assert report[""].maximum.isfinite().all()


def test_global_random_state_stays():
    net, x = KAN([2, 3, 1], BSpline), normal(20, 2)
    state = torch.get_rng_state()
    convert(net, Chebyshev, x)
    assert torch.equal(torch.get_rng_state(), state)


def test_refuses():
    net = KAN([2, 3, 1], BSpline)
    with pytest.raises(TypeError, match="basis must make a Basis, got an EdgeBasis"):
        convert(net, partial(WavKAN, wavelet="morl"), torch.rand(5, 2))
    with pytest.raises(ValueError, match="inputs must give each layer one or more finite rows, got none"):
        convert(net, Chebyshev, torch.full((2, 2), torch.nan))


def test_what_is_outside_the_domain_stays_so():
    net = KAN([1, 1], Chebyshev, squash="none", extrapolate="clamp", generator=torch.Generator().manual_seed(0))
    same, _ = convert(net, BSpline, torch.linspace(-1, 1, 50).unsqueeze(1))
    assert same[0].expansion.extrapolate == "clamp"
    one, two = torch.tensor([[5.0]]), torch.tensor([[7.0]])
    assert torch.allclose(same(one) - same(two), net(one) - net(two))
