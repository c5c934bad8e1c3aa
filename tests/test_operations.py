from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kanzoo.kernels.context import plain_operators
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.operations import DIVISION, TRANSCENDENTAL, operations
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.gaussian_rbf import GaussianRBF


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_a_product_counts_as_in_torchs_own_counter(rows: int, columns: int, outputs: int) -> None:
    assert operations(torch.mm, torch.ones(rows, columns), torch.ones(columns, outputs)) == 2 * rows * columns * outputs


def test_what_is_elementwise_counts_each_value() -> None:
    x = torch.ones(7)
    assert operations(lambda x: x * x - 1, x) == 2 * 7
    assert operations(torch.div, x, x) == DIVISION * 7
    assert operations(torch.sin, x) == TRANSCENDENTAL * 7
    assert operations(lambda x: x**2, x) == 7
    assert operations(lambda x: x**4, x) == 3 * 7
    assert operations(lambda x: x**0.3, x) == (2 * TRANSCENDENTAL + 1) * 7
    assert operations(lambda x: x.clamp(-1, 1), x) == 2 * 7


def test_moving_numbers_is_free() -> None:
    x = torch.ones(4, 5)
    assert operations(lambda x: x.T.contiguous().view(-1)[::2].clone(), x) == 0
    assert operations(lambda x: torch.where(x > 0, x, 0.0), x) == x.numel()  # the comparison
    assert operations(lambda x: torch.stack([x, x]).gather(0, torch.zeros(1, 4, 5, dtype=torch.int64)), x) == 0


def test_a_reduction_counts_what_it_reads() -> None:
    assert operations(torch.sum, torch.ones(3, 8)) == 24


def test_a_layer_counts_its_basis_products_and_residual() -> None:
    rows, wide, out = 10, 6, 4
    layer, x = KANLinear(wide, out, Chebyshev, residual="none"), torch.randn(rows, wide)
    basis = operations(layer.expansion, x)
    assert operations(layer, x) == basis + 2 * rows * wide * layer.coeff.shape[-1] * out + rows * out  # and the bias
    smaller = KANLinear(wide, out, partial(Chebyshev, degree=5), residual="none")
    assert operations(smaller, x) < operations(layer, x)


def test_a_gaussian_counts_its_exponentials() -> None:
    """Torch's counter sees none of them."""
    assert operations(GaussianRBF(3, grid_size=8), torch.zeros(5, 3)) >= 5 * 3 * 8 * TRANSCENDENTAL


def test_the_cost_of_a_local_basis_does_not_grow_with_its_grid() -> None:
    x = torch.rand(32, 16)
    layers = [KANLinear(16, 16, partial(BSpline, grid_size=size), squash="none") for size in (50, 200)]
    costs = [operations(layer, x) for layer in layers]
    with plain_operators():
        dense = operations(layers[1], x)
    assert costs[1] <= dense
    wider = KANLinear(16, 32, partial(BSpline, grid_size=200), squash="none")
    per_output = (operations(wider, x) - costs[1]) / 16 - 32 - 2 * 32 * 16  # without the sum of both branches, and the residual
    basis = wider.expansion.basis
    assert per_output / (2 * 32 * 16) in (basis.num_local, basis.num_basis)  # with the kernel, and without
    if costs[1] < dense:  # where a compiler made the kernel
        assert costs[1] == costs[0]


def test_a_convolution_counts_every_place() -> None:
    layer = KANConv2d(2, 3, 3, Chebyshev, residual="none", bias=False)
    image = torch.randn(1, 2, 8, 8)
    assert operations(layer, image) == operations(layer.expansion, torch.randn(64, 2)) + 2 * 36 * 9 * 2 * 8 * 3


def test_nothing_is_changed() -> None:
    state = torch.get_rng_state()
    network = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    state = torch.get_rng_state()
    operations(network.eval(), torch.ones(2, 3, requires_grad=True))
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())
