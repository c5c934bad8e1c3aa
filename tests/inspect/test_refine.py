import copy
from functools import partial

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline as SciPySpline
from scipy.interpolate import insert
from torch import nn

from kanzoo.basis import Basis
from kanzoo.inspect import refine
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN, ConvKAN
from kanzoo.registry import find
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.wav_kan import WavKAN

#: Families whose finer functions span the coarser ones, with a resolution and a finer one.
NESTED = {
    **{"bspline": (5, 12), "chebyshev": (4, 9), "fourier": (3, 7), "jacobi": (4, 9), "wavelet": (2, 3)},
    **{"bernstein": (4, 9), "fractional_jacobi": (4, 9), "hermite": (4, 9), "rational_jacobi": (4, 9), "sine": (3, 6)},
    **{"free_knot_bspline": (4, 9), "gaussian_rbf": (5, 12), "piecewise_linear": (5, 12)},
    **{"bsrbf": (4, 9), "finite_element": (4, 9), "relu": (4, 9), "rswaf": (5, 12), "sinc": (4, 9)},
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1, dtype=torch.float32):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def family(name, resolution=None):
    cls = find("basis", name).load()
    return partial(cls, **{cls.resolution: resolution or NESTED[name][0]})


def relative(new, old):
    return float((new - old).detach().abs().max() / old.detach().abs().max())


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("squash", ["tanh", "layernorm", "clamp"])
@pytest.mark.parametrize("moved", [False, True])
def test_the_function_of_a_network_stays(name, squash, moved):
    net, x = KAN([3, 5, 2], family(name), squash=squash, generator=generator()), normal(200, 3)
    if moved:
        net.update_grid(x)
    y, unseen = net(x), normal(300, 3, seed=2)
    before = net(unseen)
    report = refine(net, NESTED[name][1], x)
    assert relative(net(x), y) < 1e-6
    assert relative(net(unseen), before) < 1e-5  # the functions stay everywhere, not on the samples alone
    for layer, found in zip(net, report.values(), strict=True):
        basis = layer.expansion.basis
        assert basis.constructed_with()[basis.resolution] == found.after == NESTED[name][1]
        assert layer.coeff.shape[-1] == basis.num_basis == found.num_basis
        assert found.residual < 1e-6
    refine(net, NESTED[name][1] + 1, x)  # and again
    assert relative(net(x), y) < 1e-6


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("groups", [1, 2])
def test_the_function_of_a_convolution_stays(name, groups):
    layer = KANConv2d(2, 4, 3, family(name), padding=1, groups=groups, generator=generator())
    x = normal(4, 2, 6, 6)
    y = layer(x)
    report = refine(layer, NESTED[name][1], x)[""]
    assert relative(layer(x), y) < 1e-6
    assert layer.coeff.shape == (4, 2 // groups, 3, 3, report.num_basis)


def test_elements_on_halved_cells_give_the_same_function():
    net, x = KAN([2, 4, 1], family("finite_element", 3), generator=generator()), normal(200, 2)
    y = net(x)
    assert all(found.residual < 1e-6 for found in refine(net, 6, x).values())
    assert relative(net(x), y) < 1e-6


def test_a_family_that_cannot_span_the_old_one_says_so():
    class Even(GaussianRBF):
        def refined(self, resolution):
            return self.remade(grid_size=resolution)  # narrower Gaussians alone

    net, x = KAN([2, 4, 1], partial(Even, grid_size=8), generator=generator()), normal(200, 2)
    y = net(x)
    report = refine(net, 15, x)
    assert 1e-5 < report["0"].residual < 1e-2
    assert 1e-5 < relative(net(x), y) < 1e-2


@pytest.mark.parametrize("squash", ["tanh", "none"])
@pytest.mark.parametrize("resolutions", [(9,), (15,), (16,), (32,), (50,), (15, 32, 50)])
def test_gaussians_stay_the_same_function_at_the_ends_of_the_domain_and_beyond(squash, resolutions):
    net, x = KAN([2, 4, 1], GaussianRBF, squash=squash, generator=generator()), 4 * normal(300, 2)
    y = net(x)
    for resolution in resolutions:
        assert all(found.residual < 1e-12 for found in refine(net, resolution, x).values())
    assert relative(net(x), y) < 1e-6


def test_networks_with_other_parts_in_training_mode():
    net, x = ConvKAN(1, (8, 8), channels=[3], widths=[2], basis=family("bspline"), generator=generator()), normal(4, 1, 8, 8)
    net.eval()
    y = net(x)
    net.train()
    refine(net, 11, x)
    assert net.training
    net.eval()
    assert relative(net(x), y) < 1e-5


@pytest.mark.parametrize("degree", [0, 1, 3, 5])
@pytest.mark.parametrize(("coarse", "fine"), [(1, 2), (3, 5), (5, 10), (4, 21)])
@pytest.mark.parametrize("moved", [False, True])
def test_finer_knots_contain_the_old_ones_and_coefficients_equal_boehm(degree, coarse, fine, moved):
    layer = KANLinear(
        2, 1, partial(BSpline, degree=degree, grid_size=coarse), squash="none", residual="none", generator=generator()
    ).double()
    if moved:
        layer.update_grid(normal(100, 2, dtype=torch.float64).tanh() ** 3)
    old, coeff = copy.deepcopy(layer.expansion.basis), layer.coeff.detach().clone()
    refine(layer, fine)
    new = layer.expansion.basis
    for i in range(2):
        before, after = old.cell_ends()[i].numpy(), new.cell_ends()[i].numpy()
        assert len(after) == fine + 1
        assert all(np.abs(after - knot).min() < 1e-7 for knot in before)
        assert (np.diff(after) > 0).all()
        # An independent oracle: knots inserted by Boehm's algorithm.
        spline = (old.knots[i].double().numpy(), coeff[0, i].numpy(), degree)
        for knot in after:
            if np.abs(before - knot).min() > 1e-7:
                knots, padded, _ = insert(knot, (spline[0], np.append(spline[1], np.zeros(degree + 1)), degree))
                spline = (knots, padded, degree)
        points = np.linspace(-0.9987, 0.9983, 101)  # at no knot, where degree 0 jumps
        expected = SciPySpline(spline[0], spline[1][: len(spline[0]) - degree - 1], degree)(points)
        got = new(torch.tensor(points)[:, None].expand(-1, 2))[:, i] @ layer.coeff[0, i].detach()
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-5, rtol=0)


def test_even_knots_stay_even_where_cells_are_halved():
    new = BSpline(1, grid_size=4).refined(12)
    assert not new._moved
    torch.testing.assert_close(new.cell_ends(), torch.linspace(-1, 1, 13).unsqueeze(0))


def test_widest_cells_are_cut_first():
    basis = BSpline(2, degree=1, grid_size=3)
    basis.knots[0].copy_(torch.tensor([-2.0, -1.0, 0.5, 0.75, 1.0, 2.0]))
    basis._moved = True
    torch.testing.assert_close(basis.refined(6).cell_ends()[0], torch.tensor([-1.0, -0.625, -0.25, 0.125, 0.5, 0.75, 1.0]))


def test_wide_constant_and_few_samples():
    x = torch.full((3, 4), 0.25)
    x[:, 1] = torch.tensor([-1e3, 0.0, 1e3])
    net = KAN([4, 3, 1], family("bspline"), generator=generator())
    y = net(x)
    refine(net, 50, x)
    assert relative(net(x), y) < 1e-5


def test_nothing_but_the_domain():
    layer, x = KANLinear(2, 3, family("bspline"), generator=generator()), normal(100, 2)
    y = layer(x)
    report = refine(layer, 9)[""]
    assert relative(layer(x), y) < 1e-6
    assert report.residual < 1e-6


def test_masks_bias_residual_and_other_arguments_stay():
    layer = KANLinear(2, 3, partial(BSpline, degree=2, grid_size=4, domain=(-2.0, 3.0), grid_uniformity=0.5), generator=generator())
    mask = torch.tensor([[True, False], [True, True], [False, True]])
    layer.mask_edges(mask)
    kept = layer.bias, layer.residual_weight
    refine(layer, 8)
    assert (layer.bias, layer.residual_weight) == kept
    assert torch.equal(layer.edge_mask, mask)
    assert layer.expansion.basis.constructed_with() == {
        "in_features": 2,
        "degree": 2,
        "grid_size": 8,
        "domain": (-2.0, 3.0),
        "grid_uniformity": 0.5,
    }


def test_dtype_and_frozen_coefficients_stay():
    layer = KANLinear(2, 3, family("bspline")).double()
    layer.weight.requires_grad_(False)
    refine(layer, 7)
    assert layer.weight.dtype == layer.expansion.basis.knots.dtype == torch.float64
    assert not layer.weight.requires_grad


def test_the_present_resolution_changes_nothing():
    layer, x = KANLinear(2, 3, family("bspline"), generator=generator()), normal(50, 2)
    layer.update_grid(x)
    y, knots = layer(x), layer.expansion.basis.knots.clone()
    refine(layer, 5, x)
    assert torch.equal(layer.expansion.basis.knots, knots)
    assert torch.equal(layer(x), y)


class Tilted(Basis):
    """A foreign basis: without `checked`, its resolution positional, with a trainable parameter and a buffer."""

    resolution, support, reference = "count", "global", "none"

    def __init__(self, in_features, count=3, scale=1.0):
        super().__init__(in_features, count, (-1.0, 1.0))
        self.tilt = nn.Parameter(torch.full((in_features,), scale))
        self.register_buffer("powers", torch.arange(1, count + 1))

    def forward(self, x):
        return (x * self.tilt).unsqueeze(-1) ** self.powers


def test_a_foreign_basis_keeps_its_parameters():
    layer, x = KANLinear(2, 3, lambda n: Tilted(n, 4, scale=0.7), generator=generator()), normal(50, 2)
    with torch.no_grad():
        layer.expansion.basis.tilt.copy_(torch.tensor([0.5, 0.9]))
    tilt, y = layer.expansion.basis.tilt, layer(x)
    refine(layer, 6, x)
    assert layer.expansion.basis.tilt is tilt
    assert layer.expansion.basis.constructed_with() == {"in_features": 2, "count": 6, "scale": 0.7}
    assert relative(layer(x), y) < 1e-6


class Renamed(Tilted):
    """A basis with a parameter that only its lowest resolution has."""

    def __init__(self, in_features, count=3):
        super().__init__(in_features, count)
        if count == 3:
            self.lowest = nn.Parameter(torch.zeros(()))


def test_parameters_that_vanish_are_refused():
    with pytest.raises(ValueError, match="parameters of Renamed must stay or grow with count, but 'lowest' does not"):
        refine(KANLinear(2, 3, Renamed), 4)


def test_global_random_state_stays():
    net, x = KAN([2, 3, 1], family("bspline"), generator=generator()), normal(20, 2)
    state = torch.get_rng_state()
    refine(net, 9, x)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("make", [torch.optim.Adam, partial(torch.optim.AdamW, amsgrad=True), partial(torch.optim.SGD, momentum=0.9)])
@pytest.mark.parametrize("name", ["bspline", "chebyshev", "sine"])
@pytest.mark.parametrize("layer_kind", ["linear", "conv"])
def test_optimizer_goes_on_with_the_new_coefficients(make, name, layer_kind):
    if layer_kind == "linear":
        net, x = KAN([2, 4, 1], family(name), generator=generator()), normal(64, 2)
    else:
        first = KANConv2d(2, 4, 2, family(name), groups=2, generator=generator())
        net, x = nn.Sequential(first, KANConv2d(4, 1, 2, family(name), generator=generator())), normal(4, 2, 5, 5)
    optimizer = make(net.parameters(), lr=1e-3)

    def steps(net, optimizer, count):
        losses = []
        for _ in range(count):
            optimizer.zero_grad()
            loss = (net(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    steps(net, optimizer, 20)
    unrefined = copy.deepcopy((net, optimizer))
    refine(net, NESTED[name][1], x, optimizer=optimizer)
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {id(p) for p in net.parameters()}
    assert set(optimizer.state) == set(net.parameters())
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if key == "step":
                assert value == 20
            elif value is not None:
                assert value.shape == parameter.shape
                assert value.isfinite().all()
                assert not key.endswith("sq") or (value >= 0).all()
    assert max(steps(net, optimizer, 5)) < 1.2 * max(steps(*unrefined, 5))


def test_numbers_inside_a_basis_that_have_grown_keep_their_moments():
    layer, x = KANLinear(2, 3, family("sine"), generator=generator()), normal(50, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(x).sin().sum().backward()
    optimizer.step()
    old = layer.expansion.basis.frequency
    before = {key: value.clone() for key, value in optimizer.state[old].items()}
    refine(layer, 6, x, optimizer=optimizer)
    grown = layer.expansion.basis.frequency
    assert grown.requires_grad
    after = optimizer.state[grown]
    assert old not in optimizer.state
    assert torch.equal(grown[:3], old)
    assert torch.equal(after["exp_avg"], torch.cat([before["exp_avg"], torch.zeros(3)]))
    assert torch.equal(after["exp_avg_sq"], torch.cat([before["exp_avg_sq"], before["exp_avg_sq"].mean().expand(3)]))
    assert after["step"] == before["step"]


def test_numbers_inside_a_basis_that_are_other_ones_begin_anew():
    layer, x = KANLinear(2, 3, family("free_knot_bspline"), generator=generator()), normal(50, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(x).sin().sum().backward()
    optimizer.step()
    old = dict(layer.expansion.basis.named_parameters())
    refine(layer, 9, x, optimizer=optimizer)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in layer.expansion.basis.named_parameters():
        assert parameter.shape != old[name].shape
        assert id(parameter) in held
        assert not optimizer.state.get(parameter)
        assert old[name] not in optimizer.state


def test_numbers_inside_a_basis_that_do_not_train_stay_so():
    layer = KANLinear(2, 3, family("sine"))
    layer.expansion.basis.frequency.requires_grad_(False)
    refine(layer, 6)
    assert layer.expansion.basis.frequency.shape == (6,)
    assert not layer.expansion.basis.frequency.requires_grad


def test_numbers_inside_a_basis_may_not_shrink():
    class Narrowing(Chebyshev):
        def __init__(self, in_features, *, degree=3):
            super().__init__(in_features, degree=degree)
            self.tilt = nn.Parameter(torch.ones(10 - degree))

    with pytest.raises(ValueError, match="parameters of Narrowing must stay or grow with degree, but 'tilt' does not"):
        refine(KANLinear(2, 1, Narrowing), 5)


def test_means_of_gradients_are_carried_over_by_the_chain_rule():
    """Of nested families, the old gradient is the new one seen through the old functions: c' = Mᵀ c gives g = M g'."""
    layer, x = KANLinear(3, 2, family("bspline"), generator=generator()).double(), normal(200, 3, dtype=torch.float64)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-9, momentum=0.9)
    layer(x).sin().sum().backward()
    optimizer.step()
    before = layer.as_coeff(optimizer.state[layer.weight]["momentum_buffer"]).clone()
    fine = copy.deepcopy(layer)
    refine(fine, 10)
    refine(layer, 10, optimizer=optimizer)
    moved = layer.as_coeff(optimizer.state[layer.weight]["momentum_buffer"])
    # M from unit coefficients: each old function in the new ones.
    change = torch.stack([_in_the_finer_basis(k) for k in range(8)])  # (K, K')
    torch.testing.assert_close(torch.einsum("kj,oij->oik", change, moved), before, rtol=1e-6, atol=1e-8)
    true = torch.autograd.grad(fine(x).sin().sum(), fine.weight)[0]
    seen = torch.einsum("kj,oij->oik", change, fine.as_coeff(true))
    torch.testing.assert_close(seen, before, rtol=1e-6, atol=1e-6)


def _in_the_finer_basis(k):
    layer = KANLinear(1, 1, family("bspline")).double()
    with torch.no_grad():
        layer.coeff.zero_()
        layer.coeff[0, 0, k] = 1
    refine(layer, 10)
    return layer.coeff[0, 0].detach()


def test_functions_without_history_get_the_mean_square_of_their_edge():
    layer = KANLinear(1, 1, family("chebyshev"))
    optimizer = torch.optim.Adam(layer.parameters())
    layer(normal(9, 1)).sum().backward()
    optimizer.step()
    before = {key: value.clone() for key, value in optimizer.state[layer.weight].items()}
    refine(layer, 6, optimizer=optimizer)
    after = optimizer.state[layer.weight]
    torch.testing.assert_close(after["exp_avg"][0, :4], before["exp_avg"][0])
    assert torch.equal(after["exp_avg"][0, 4:], torch.zeros(2))
    torch.testing.assert_close(after["exp_avg_sq"][0, :4], before["exp_avg_sq"][0])
    torch.testing.assert_close(after["exp_avg_sq"][0, 4:], before["exp_avg_sq"].mean().expand(2))


def test_lower_resolutions_edge_bases_and_unknown_optimizers_are_refused():
    net = KAN([2, 3, 1], Chebyshev)
    weight = net[0].weight
    with pytest.raises(ValueError, match="resolution must be >= the present degree 8 of layer '0', got 7"):
        refine(net, 7)
    with pytest.raises(TypeError, match="basis must be a Basis, got the EdgeBasis WavKAN"):
        refine(KAN([2, 3, 1], WavKAN), 9)
    optimizer = torch.optim.LBFGS(net.parameters())
    optimizer.step(lambda: net(torch.rand(5, 2)).sum())
    net(torch.rand(5, 2)).square().sum().backward()

    def closure():
        optimizer.zero_grad()
        loss = net(torch.rand(5, 2)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with pytest.raises(ValueError, match=r"optimizer must keep nothing but .*, got LBFGS with "):
        refine(net, 9, optimizer=optimizer)
    assert net[0].weight is weight  # nothing has changed
