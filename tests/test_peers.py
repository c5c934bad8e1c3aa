"""Layers of packages on PyPI with their weights in ours: the outputs agree, or the original's fault is shown."""

import warnings
from functools import partial

import pytest
import torch
from scipy.special import eval_jacobi
from torch.nn import functional as F

from kanzoo.layers import KANLinear
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.fractional_jacobi import FractionalJacobi
from kanzoo_bases.piecewise_linear import PiecewiseLinear
from kanzoo_bases.rational_jacobi import RationalJacobi
from kanzoo_bases.skan import SKAN


def inputs(rows=50, features=6, scale=1.0):
    return scale * torch.randn(rows, features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def theirs(make):
    """Build a layer of another package in float64; what it draws and warns of stays its own."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        return make().double()


@pytest.mark.parametrize("package", ["flashkan", "inkan"])
def test_cubic_splines_beside_silu(package, monkeypatch):
    module = pytest.importorskip(package)
    if package == "flashkan":
        import flashkan.layer
        from flashkan.basis import bspline_basis_eager

        monkeypatch.setattr(flashkan.layer, "bspline_basis", bspline_basis_eager)  # as it is without its compiler
        layer = theirs(lambda: module.KANLayer(6, 4, grid_size=7))
    else:
        layer = theirs(lambda: module.KANLayer(6, 4, grid_size=7, compile_basis=False))
    ours = KANLinear(6, 4, basis=partial(BSpline, grid_size=7), squash="none", extrapolate="basis", bias=False).double()
    with torch.no_grad():
        ours.coeff.copy_(layer.spline_weight.view_as(ours.coeff))
        ours.residual_weight.copy_(layer.base_weight)
    torch.testing.assert_close(ours(inputs()), layer(inputs()), rtol=1e-5, atol=1e-5)


def test_kanditioned_is_hats_that_go_on_as_lines():
    layer = theirs(lambda: pytest.importorskip("KANditioned").KANLayer(6, 4, "random_normal", num_control_points=9, impl="embedding"))
    hats = partial(PiecewiseLinear, grid_size=8, domain=(-2, 2))
    ours = KANLinear(6, 4, basis=hats, squash="none", residual="none", bias=False).double()
    coeff = torch.randn(4, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours.coeff.copy_(coeff)
        layer.kan_weight.copy_(coeff.permute(1, 2, 0))
    x = inputs(scale=2.0)
    assert (x.abs() > 2).any()
    torch.testing.assert_close(ours(x), layer(x), rtol=1e-5, atol=1e-5)


def test_unikan_is_one_number_an_edge():
    layer = theirs(lambda: pytest.importorskip("unikan").SKANLinear_pure(6, 4, bias=False))
    ours = KANLinear(6, 4, basis=SKAN, squash="none", residual="none", bias=False, extrapolate="basis").double()
    with torch.no_grad():
        ours.edge.rate.copy_(layer.nodes[0].weight[0])
        ours.weight.fill_(1)
    torch.testing.assert_close(ours(inputs()), layer(inputs()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_fkan_is_a_jacobi_polynomial_of_a_power_of_the_sigmoid(degree):
    block = theirs(lambda: pytest.importorskip("fkan.torch").FractionalJacobiNeuralBlock(degree))
    basis = FractionalJacobi(1, degree=degree, gamma=torch.sigmoid(block.gamma).item()).double()
    x = inputs(features=1)
    share = 1e-3  # ours keeps the power away from 0 by this share of the interval
    place = 2 * (x.sigmoid() - share) / (1 - share) - 1
    torch.testing.assert_close(basis(place)[:, :, degree - 1], block(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6])
def test_rkan_is_a_jacobi_polynomial_of_the_mapped_line_but_for_its_first(degree):
    block = theirs(lambda: pytest.importorskip("rkan.torch").JacobiRKAN(degree))
    length = F.softplus(block.iota).item()
    x = inputs(features=1)
    ours = RationalJacobi(1, degree=degree, length=length).double()(x)[:, :, degree - 1]
    if degree > 1:
        torch.testing.assert_close(ours, block(x), rtol=1e-5, atol=1e-5)
        return
    # P_1(y) = y (a + b + 2) / 2 + (a - b) / 2, and the original, which is a = b = 1, has y - 1 for y.
    y = x / (x**2 + length**2).sqrt()
    torch.testing.assert_close(ours, torch.from_numpy(eval_jacobi(1, 1, 1, y.numpy())), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(block(x), ours - 2, rtol=1e-5, atol=1e-5)
