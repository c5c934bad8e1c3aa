from functools import partial

import pytest

from kanzoo.facts import measure
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN


@pytest.mark.parametrize("degree", [1, 3, 8])
def test_coefficients_and_products_of_a_polynomial(degree: int) -> None:
    facts = measure(partial(Chebyshev, degree=degree))
    assert facts.num_basis == facts.parameters == degree
    products = 2 * degree
    assert products <= facts.operations <= products + 10 * degree / 64  # the recurrence is shared by 64 outputs


def test_a_spline_tells_order_and_support() -> None:
    facts = measure(partial(BSpline, degree=2, grid_size=6))
    assert (facts.order, facts.support, facts.domain, facts.parameters) == (3, "local", (-1.0, 1.0), 8.0)


def test_an_edge_basis_has_its_parameters_on_each_edge() -> None:
    facts = measure(WavKAN)
    assert facts.parameters == 3  # weight, shift and scale
    assert facts.operations > 20  # an exponential on each edge
    assert facts.support == ""
