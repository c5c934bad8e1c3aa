"""Families at several resolutions: what they contain, how well they are told apart, and how they fit."""

import copy
import pickle
from functools import partial

import pytest
import torch

from kanzoo.inspect import prune, refine
from kanzoo.models import KAN
from kanzoo.nested import Nested, nested
from kanzoo_bases.bsrbf import BSRBF
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.relu import ReLUKAN
from kanzoo_bases.rswaf import RSWAF

GRIDS = [(8, 15), (8, 16), (8, 32), (8, 50), (8, 15, 32, 50)]


def gaussians(grids, in_features=1):
    return Nested(in_features, family=GaussianRBF, argument="grid_size", coarser=grids[:-1], finest=grids[-1])


def spread_points(basis):
    return torch.linspace(*basis.domain, 1001, dtype=torch.float64).unsqueeze(-1)


@pytest.mark.parametrize("grids", GRIDS)
def test_functions_are_those_of_the_levels(grids):
    basis = gaussians(grids)
    x = spread_points(basis)
    every = torch.cat([GaussianRBF(1, grid_size=grid)(x) for grid in grids], -1)[:, 0]
    ours = basis(x)[:, 0]
    assert ours.shape[1] == grids[-1]
    found = [int((every - column.unsqueeze(1)).abs().amax(0).argmin()) for column in ours.T]
    assert torch.equal(every[:, found], ours)
    assert len(set(found)) == len(found)
    assert found[: grids[0]] == list(range(grids[0]))


@pytest.mark.parametrize("grids", GRIDS)
def test_functions_are_told_apart_and_fit_as_well_as_an_even_grid(grids):
    """Gaussians as wide as the first are not: from 8 to 32 centers their condition number is 10^15."""
    basis, even = gaussians(grids), GaussianRBF(1, grid_size=grids[-1])
    x = spread_points(basis)
    values, plain = basis(x)[:, 0], even(x)[:, 0]
    assert torch.linalg.cond(values) < 200
    for target in (torch.sin(4.7 * x), (x - 0.6).abs(), torch.exp(-75 * (x - 0.8) ** 2)):
        errors = [torch.linalg.norm(family @ torch.linalg.lstsq(family, target).solution - target) for family in (values, plain)]
        assert errors[0] < 1.2 * errors[1]


def test_gradients_and_layouts():
    basis = gaussians((3, 6), in_features=2)
    x = torch.linspace(-2.5, 2.5, 6, dtype=torch.float64).reshape(3, 2).requires_grad_()
    assert torch.autograd.gradcheck(basis, x)
    assert torch.autograd.gradgradcheck(basis, x)
    for shape in [(), (0,), (2, 5)]:
        x = torch.ones(*shape, 2)
        assert basis(x).shape == (*shape, 2, 6)
        assert torch.equal(basis.features(x).transpose(-1, -2), basis(x))
    assert torch.equal(basis.everywhere(5 * torch.ones(4, 2)), basis.features(5 * torch.ones(4, 2)))


def test_what_is_trained_inside_is_shared_and_what_is_frozen_stays_frozen():
    basis = ReLUKAN(2, grid_size=4)
    basis.stretch.requires_grad_(False)
    finer = nested(basis, 6).refined(9)
    assert isinstance(finer, Nested)
    assert [level.grid_size for level in finer.levels] == [4, 6, 9]
    assert finer.levels[0] is basis
    assert all(level.shift.requires_grad and not level.stretch.requires_grad for level in finer.levels)
    assert finer.refined(9) is finer


def test_of_a_family_on_the_whole_line_each_level_is():
    basis, x = BSRBF(1, grid_size=3), torch.tensor([[-9.0], [0.2], [2.0]])
    finer = nested(basis, 5)
    assert torch.equal(finer.everywhere(x)[:, : basis.num_basis], basis.everywhere(x))
    assert not torch.equal(finer.everywhere(x), finer.features(x))
    assert set(finer.cell_ends()[0].tolist()) == {*basis.cell_ends()[0].tolist(), *finer.levels[1].cell_ends()[0].tolist()}


@pytest.mark.parametrize("family", [GaussianRBF, partial(RSWAF, trainable_width=True), ReLUKAN])
def test_a_refined_network_is_copied_saved_and_pruned(family):
    net, x = KAN([3, 4, 1], family, generator=torch.Generator().manual_seed(0)), torch.rand(100, 3)
    refine(net, 20, x)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    y = net(x)
    assert torch.equal(copy.deepcopy(net)(x), y)
    assert torch.equal(pickle.loads(pickle.dumps(net))(x), y)
    other = KAN([3, 4, 1], family)
    refine(other, 20)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), y)
    small, found = prune(net, x, sparsity=0.3, parts="inputs")
    assert len(found.inputs) == 2
    assert small[1].expansion.basis.coarser == net[1].expansion.basis.coarser
    assert small(x).isfinite().all()


@pytest.mark.parametrize(("coarser", "finest"), [((5,), 5), ((8, 6), 9), ((5,), 4)])
def test_refuses_resolutions_that_do_not_rise(coarser, finest):
    with pytest.raises(ValueError, match="coarser and finest must rise, got "):
        Nested(1, family=GaussianRBF, argument="grid_size", coarser=coarser, finest=finest)
