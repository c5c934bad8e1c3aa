"""Lagrange finite elements against scipy's interpolation."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.interpolate import BarycentricInterpolator, lagrange

from kanzoo.derivative import derivatives
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.finite_element import FiniteElement

#: Gauss–Lobatto nodes on [-1, 1], Abramowitz & Stegun, table 25.6.
NODES = {
    1: [-1, 1],
    2: [-1, 0, 1],
    3: [-1, -1 / math.sqrt(5), 1 / math.sqrt(5), 1],
    4: [-1, -math.sqrt(3 / 7), 0, math.sqrt(3 / 7), 1],
    5: [-1, -math.sqrt((7 + 2 * math.sqrt(7)) / 21), -math.sqrt((7 - 2 * math.sqrt(7)) / 21)],
}
NODES[5] += [-node for node in reversed(NODES[5])]


def nodes(basis: FiniteElement) -> np.ndarray:
    """All K nodes in the domain, in rising order."""
    ends = np.linspace(*basis.domain, basis.grid_size + 1)
    inner = [(a + b) / 2 + (b - a) / 2 * np.array(NODES[basis.degree][:-1]) for a, b in itertools.pairwise(ends)]
    return np.append(np.concatenate(inner), ends[-1])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize("grid_size", [1, 2, 5])
@pytest.mark.parametrize("degree", NODES)
def test_interpolates_on_each_cell_like_scipy(degree, grid_size, domain, dtype, tolerance):
    basis = FiniteElement(1, degree=degree, grid_size=grid_size, domain=domain)
    place = nodes(basis)
    coeff = np.random.default_rng(0).normal(size=basis.num_basis) / 4
    for cell in range(grid_size):
        own = slice(degree * cell, degree * (cell + 1) + 1)
        low, high = place[own][[0, -1]]
        x = torch.linspace(low, high, 43, dtype=torch.float64)[:-1].to(dtype).unsqueeze(-1)
        expected = BarycentricInterpolator(place[own], coeff[own])(x[:, 0].double().numpy())
        np.testing.assert_allclose(basis(x)[:, 0].double().numpy() @ coeff, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("degree", NODES)
def test_derivatives_equal_those_of_scipy(degree):
    basis = FiniteElement(1, degree=degree, grid_size=1)
    x = torch.linspace(-1, 1, 31, dtype=torch.float64).unsqueeze(-1)
    found = derivatives(lambda x: basis(x)[:, 0], x)[:, 0].detach()
    units = [lagrange(NODES[degree], unit).deriv()(x[:, 0].numpy()) for unit in np.eye(degree + 1)]
    np.testing.assert_allclose(found.numpy(), np.stack(units, 1), rtol=0, atol=1e-10)


@pytest.mark.parametrize("degree", NODES)
def test_is_one_at_its_node_zero_at_the_others_and_sums_to_one(degree):
    basis = FiniteElement(1, degree=degree, grid_size=4).double()
    values = basis(torch.tensor(nodes(basis)).unsqueeze(-1))[:, 0]
    torch.testing.assert_close(values, torch.eye(basis.num_basis, dtype=torch.float64), rtol=0, atol=1e-13)
    x = torch.linspace(-1.5, 1.5, 301, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(basis(x).sum(-1), torch.ones_like(x), rtol=0, atol=1e-10)
    assert (basis(x) != 0).sum(-1).max() == degree + 1


def test_of_degree_one_are_the_splines_of_degree_one():
    x = torch.linspace(-1.2, 1.2, 301).unsqueeze(-1)
    torch.testing.assert_close(FiniteElement(1, degree=1, grid_size=7)(x), BSpline(1, degree=1, grid_size=7)(x), rtol=0, atol=1e-6)


def test_both_ends_belong_to_their_cells():
    values = FiniteElement(1)(torch.tensor([[-1.0], [1.0]]))[:, 0]
    assert torch.equal(values, torch.eye(9)[[0, -1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degree": 0}, "degree must be >= 1 and <= 5, got 0"),
        ({"degree": 6}, "degree must be >= 1 and <= 5, got 6"),
        ({"grid_size": 0}, "grid_size must be >= 1, got 0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        FiniteElement(1, **arguments)
