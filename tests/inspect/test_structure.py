import math

import pytest
import torch

from kanzoo.inspect import separability, symmetry
from kanzoo.models import KAN
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev


def points(count=200, variables=4, seed=0):
    return torch.rand(count, variables, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5


#: Functions of x_0, x_1 | x_2, x_3, and which separations of these groups they have.
FUNCTIONS = {
    "sum": (lambda a, b, c, d: (a * b).sin() + c.exp() * d, {"additive", "general"}),
    "product": (lambda a, b, c, d: (a + b).exp() * (1 + c * d), {"multiplicative", "general"}),
    "one factor": (lambda a, b, c, d: (a + b) * torch.ones_like(c), {"additive", "multiplicative", "general"}),
    "of a sum": (lambda a, b, c, d: (1 + a * b + c * d**2).sqrt(), {"general"}),
    "none": (lambda a, b, c, d: (a * c).sin() + b * d + a, set()),
    "constant": (lambda a, b, c, d: 0 * a + 3, {"additive", "multiplicative", "general"}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", ["additive", "multiplicative", "general"])
def test_separability_of_functions(name, kind):
    function, holds = FUNCTIONS[name]
    verdict = separability(lambda x: function(*x.T), points(), [0, 1], [2, 3], kind=kind, tolerance=1e-3)
    assert verdict.holds == (kind in holds)
    assert verdict.error < 1e-12 if verdict.holds else verdict.error > 5e-3


def test_errors_have_no_units():
    function = FUNCTIONS["none"][0]
    scale = torch.tensor([10.0, 0.1, 3.0, 7.0], dtype=torch.float64)
    for kind in ("additive", "multiplicative", "general"):
        x = points()
        one = separability(lambda x: function(*x.T), x, [0, 1], [2, 3], kind=kind).error
        other = separability(lambda x: 1e3 * function(*(x / scale).T), x * scale, [0, 1], [2, 3], kind=kind).error
        assert other == pytest.approx(one)


def test_additive_error_by_hand():
    """Of f = x y on a grid symmetric about zero, f_xy = 1 and the error is σ_x σ_y / σ_xy = 1."""
    line = torch.linspace(-1, 1, 21, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)
    assert separability(lambda x: x[:, 0] * x[:, 1], x, [0], [1]).error == pytest.approx(1.0)


def test_multiplicative_where_the_function_has_zeros():
    x = points() - 1
    verdict = separability(lambda x: x[:, 0].sin() * x[:, 1] ** 3, x, [0], [1], kind="multiplicative")
    assert verdict.error < 1e-12


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("difference", lambda a, b: a - b),
        ("sum", lambda a, b: a + b),
        ("product", lambda a, b: a * b),
        ("ratio", lambda a, b: a / b),
    ],
)
@pytest.mark.parametrize("asked", ["difference", "sum", "product", "ratio"])
def test_symmetries(kind, function, asked):
    verdict = symmetry(lambda x: (function(x[:, 0], x[:, 2]) * x[:, 1]).cos() + x[:, 3], points(), 0, 2, kind=asked)
    assert verdict.holds == (asked == kind)
    assert (verdict.error < 1e-12) == (asked == kind)
    assert 0 <= verdict.error <= 1


def test_symmetry_in_variables_that_do_not_count():
    assert symmetry(lambda x: x[:, 2], points(), 0, 1).error == 0
    assert symmetry(lambda x: x[:, 0], points(), 0, 1).error == pytest.approx(1)


def test_a_network_of_one_layer_is_additive_and_its_output_is_chosen():
    net = KAN([4, 2], Chebyshev).double()
    assert separability(net, points(), [0, 1], [2, 3], output=1).error < 1e-12
    deep = KAN([4, 3, 2], Chebyshev, generator=torch.Generator().manual_seed(0)).double()
    assert not separability(deep, points(), [0, 1], [2, 3], output=1).holds
    assert separability(deep, points(), [0], [1], output=0).error != separability(deep, points(), [0], [1], output=1).error
    through_one = KAN([4, 1, 1], BSpline, generator=torch.Generator().manual_seed(0)).double()
    assert separability(through_one, points(), [0, 1], [2, 3], kind="general", tolerance=1e-6).holds


def test_works_in_float32_and_under_no_grad():
    x = points().float()
    with torch.no_grad():
        assert separability(lambda x: x[:, 0].exp() + x[:, 1] ** 2, x, [0], [1]).holds
        assert symmetry(lambda x: (x[:, 0] - x[:, 1]).sin(), x, 0, 1, tolerance=1e-5).holds
    assert not x.requires_grad


@pytest.mark.slow
def test_structure_of_a_trained_network():
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(1000, 2, generator=generator, dtype=torch.float64) - 1
    target = ((math.pi * x[:, :1]).sin() + x[:, 1:] ** 2).exp()  # a product of functions of one variable each
    net = KAN([2, 1, 1], BSpline, generator=generator).double()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=300, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        loss = (net(x) - target).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    inner = 0.8 * x[:300]
    assert separability(net, inner, [0], [1], kind="multiplicative", tolerance=0.1).holds
    assert not separability(net, inner, [0], [1], kind="additive", tolerance=0.1).holds


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, x: separability(f, x, [0], [1], kind="odd"), "kind must be one of additive, multiplicative, general, got 'odd'"),
        (lambda f, x: separability(f, x, [0], []), r"first and second must name one variable or more, got \[0\] and \[\]"),
        (lambda f, x: separability(f, x, [0, 1], [1]), r"variables must be different ones of 0 ... 3, got \[0, 1, 1\]"),
        (lambda f, x: symmetry(f, x, 0, 4), r"variables must be different ones of 0 ... 3, got \[0, 4\]"),
        (lambda f, x: symmetry(f, x, 0, 1, kind="odd"), "kind must be one of sum, difference, product, ratio, got 'odd'"),
        (lambda f, x: symmetry(f, x[:0], 0, 1), r"x must be one or more points \(N, in\), got shape \(0, 4\)"),
        (lambda f, x: symmetry(lambda x: x.sum(), x, 0, 1), "function must give one finite number"),
        (lambda f, x: symmetry(lambda x: x[:, 0].log() * torch.inf, x, 0, 1), "function must give one finite number"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(lambda x: x[:, 0], points())
