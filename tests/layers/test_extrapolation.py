"""What edge functions do outside the domain."""

from functools import partial

import pytest
import torch

from kanzoo.basis import EdgeBasis
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

BASES = {name: basis for name in sorted(plugins("basis")) if not issubclass(basis := find("basis", name).load(), EdgeBasis)}


def layer(basis, kind="linear", in_features=2, out_features=9, **options):
    generator = torch.Generator().manual_seed(0)
    options = {"squash": "none", "residual": "none", "extrapolate": kind, "generator": generator} | options
    return KANLinear(in_features, out_features, basis, **options).double()


def ends(made):
    low, high = made.expansion.basis.domain
    return torch.full((1, 2), low, dtype=torch.float64), torch.full((1, 2), high, dtype=torch.float64)


@pytest.mark.parametrize("name", BASES)
def test_linear_goes_on_as_the_tangent_at_the_ends(name):
    made = layer(BASES[name])
    for end, sign in zip(ends(made), (-1, 1), strict=True):
        inside = (end - sign * 1e-9).requires_grad_()
        value = made(inside)
        slope = torch.autograd.functional.jacobian(made, inside)[0, :, 0]
        for step in (0.1, 3.0, 100.0):
            outside = (end + sign * step).requires_grad_()
            expected = value + sign * step * slope.sum(-1)
            torch.testing.assert_close(made(outside), expected, rtol=1e-6, atol=1e-5)
            torch.testing.assert_close(torch.autograd.functional.jacobian(made, outside)[0, :, 0], slope, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("kind", ["linear", "clamp", "zero", "error", "basis"])
def test_inside_nothing_changes(name, kind):
    made = layer(BASES[name], kind)
    low, high = made.expansion.basis.domain
    x = torch.linspace(low, high, 14, dtype=torch.float64).view(7, 2)
    torch.testing.assert_close(made(x), layer(BASES[name], kind, squash="clamp")(x))
    torch.testing.assert_close(made.edge_functions(x[:, 0]), layer(BASES[name], squash="clamp").edge_functions(x[:, 0]))


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, partial(BSpline, grid_size=20)])
def test_clamp_stays_and_zero_vanishes(basis):
    low, high = ends(layer(basis))
    for end, outside in ((low, low - 2), (high, high + 2)):
        assert torch.equal(layer(basis, "clamp")(outside), layer(basis)(end))
        assert not layer(basis, "zero", bias=False)(outside).any()


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("squash", ["none", "standardize"])
def test_basis_is_the_basis_on_the_whole_line(name, squash):
    made = layer(BASES[name], "basis", squash=squash, in_features=3, out_features=40)
    x = 3 * torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    place = torch.nn.functional.layer_norm(x, (3,)) if squash == "standardize" else x
    values = made.expansion.basis.everywhere(place)
    expected = torch.einsum("nki,oik->no", values, made.coeff) + made.bias
    torch.testing.assert_close(made(x), expected, equal_nan=True)  # a fractional power is not defined on the whole line
    inside = x.clamp(*made.expansion.basis.domain)
    torch.testing.assert_close(made.expansion.basis.everywhere(inside), made.expansion.basis.features(inside))


def test_a_spline_on_a_fine_grid_vanishes_outside_too():
    made = layer(partial(BSpline, grid_size=200), "basis", out_features=64, bias=False)
    assert not made.is_local
    assert layer(partial(BSpline, grid_size=200), out_features=64).is_local
    assert not made(torch.full((1, 2), 1.1, dtype=torch.float64)).any()


def test_error_names_the_domain_and_the_first_input_outside():
    x = torch.tensor([[0.5, -0.5], [1.5, -3.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"inputs must be in the domain \[-1, 1\], got 1.5 and 1 more outside"):
        layer(Chebyshev, "error")(x)


def test_unknown_kind_names_the_rule():
    with pytest.raises(ValueError, match="extrapolate must be one of linear, clamp, zero, error, basis, got 'cubic'"):
        layer(Chebyshev, "cubic")


@pytest.mark.parametrize(("grid_size", "share"), [(5, 0.15), (30, 0.05)])
def test_a_moved_grid_counts_not_the_domain(grid_size, share):
    made = layer(partial(BSpline, grid_size=grid_size))
    x = torch.linspace(-4, 4, 400, dtype=torch.float64).view(200, 2)
    before = made(x)
    made.update_grid(x)
    assert (made.expansion.basis.interval()[1] >= 3.9).all()
    assert (made(x) - before).abs().max() < share * before.abs().max()  # as far as the new grid can follow two tangents
    inside = made(torch.full((1, 2), 3.5, dtype=torch.float64))
    assert not torch.allclose(inside, made(torch.full((1, 2), 1.0, dtype=torch.float64)))


def test_a_convolution_goes_on_too():
    conv = KANConv2d(2, 3, 1, Chebyshev, squash="none", residual="none", generator=torch.Generator().manual_seed(0)).double()
    value = {x: conv(torch.full((1, 2, 1, 1), x, dtype=torch.float64)).flatten() for x in (1.0, 2.0, 3.0)}
    torch.testing.assert_close(value[3.0] - value[2.0], value[2.0] - value[1.0])


def test_a_network_trains_outside():
    made = layer(BSpline, in_features=1, out_features=1).float()
    x = torch.linspace(-3, 3, 50).unsqueeze(1)
    optimizer = torch.optim.LBFGS(made.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (made(x) - 2 * x).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert closure() < 1e-6
