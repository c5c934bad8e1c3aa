"""Legendre, Gegenbauer and Gram polynomials, Hermite and Laguerre functions, against scipy and numpy."""

import numpy as np
import pytest
import torch
from numpy.polynomial import legendre
from scipy.special import (
    eval_gegenbauer,
    eval_genlaguerre,
    eval_hermite,
    eval_laguerre,
    eval_legendre,
    factorial,
    roots_gegenbauer,
    roots_hermite,
    roots_laguerre,
    roots_legendre,
)

from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.gegenbauer import Gegenbauer
from kanzoo_bases.gram import Gram
from kanzoo_bases.hermite import Hermite
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.laguerre import Laguerre
from kanzoo_bases.legendre import Legendre

ALPHA = 0.75
HALF = 8.0  # half of the default length of Laguerre
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])


def hermite_function(n, x):
    return eval_hermite(n, x) * np.exp(-x * x / 2) / np.sqrt(2.0**n * factorial(n) * np.sqrt(np.pi))


def gram_series(num_points, degree):
    """Return Legendre coefficients, one column a Gram polynomial, by orthogonal elimination on the points."""
    x = -1 + (2 * np.arange(1, num_points + 1) - 1) / num_points
    r = np.linalg.qr(legendre.legvander(x, degree), mode="r")
    series = np.linalg.inv(r) * np.sqrt(num_points)
    return series * np.sign(series.diagonal())


def gram(n, x, num_points=101):
    return legendre.legval(x, gram_series(num_points, n)[:, n])


def gram_slope(n, x):
    return legendre.legval(x, legendre.legder(gram_series(101, n)[:, n]))


def laguerre_slope(n, x):
    t = HALF * (1 + x)
    return HALF * np.exp(-t / 2) * (-eval_laguerre(n, t) / 2 - (eval_genlaguerre(n - 1, 1, t) if n else 0))


#: A basis, its lowest degree, its function of degree n, and the derivative of that.
FAMILIES = {
    "legendre": (Legendre(1), 1, eval_legendre, lambda n, x: legendre.legval(x, legendre.legder(np.eye(9)[n]))),
    "gegenbauer": (
        Gegenbauer(1, alpha=ALPHA),
        1,
        lambda n, x: eval_gegenbauer(n, ALPHA, x),
        lambda n, x: 2 * ALPHA * eval_gegenbauer(n - 1, ALPHA + 1, x),
    ),
    "gram": (Gram(1), 1, gram, gram_slope),
    "hermite": (
        Hermite(1),
        0,
        hermite_function,
        lambda n, x: x * hermite_function(n, x) - np.sqrt(2 * (n + 1)) * hermite_function(n + 1, x),
    ),
    "laguerre": (Laguerre(1), 0, lambda n, x: eval_laguerre(n, HALF * (1 + x)) * np.exp(-HALF * (1 + x) / 2), laguerre_slope),
}
families = pytest.mark.parametrize(("basis", "lowest", "function", "slope"), FAMILIES.values(), ids=FAMILIES)


def values(basis, points):
    return basis(torch.from_numpy(points).unsqueeze(-1))[:, 0].numpy()


@PRECISIONS
@families
def test_equals_an_independent_evaluation(basis, lowest, function, slope, dtype, tolerance):
    x = torch.linspace(*basis.domain, 1001, dtype=dtype).unsqueeze(-1)
    expected = np.stack([function(n, x[:, 0].double().numpy()) for n in range(lowest, 9)], -1)
    size = np.abs(expected).max(0).clip(1)
    np.testing.assert_allclose(basis(x)[:, 0].double().numpy() / size, expected / size, rtol=0, atol=tolerance)


@families
def test_derivatives_up_to_the_ends(basis, lowest, function, slope):
    x = torch.linspace(*basis.domain, 101, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    for n, column in enumerate(basis.columns(x), lowest):
        (gradient,) = torch.autograd.grad(column.sum(), x, retain_graph=True)
        expected = slope(n, x.detach()[:, 0].numpy())
        np.testing.assert_allclose(gradient[:, 0].numpy(), expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("basis", "rule"),
    [(Legendre(1), roots_legendre(20)), (Gegenbauer(1, alpha=ALPHA), roots_gegenbauer(20, ALPHA))],
    ids=["legendre", "gegenbauer"],
)
def test_is_orthogonal_to_itself_and_to_the_constant(basis, rule):
    nodes, weights = rule
    functions = np.concatenate([np.ones((20, 1)), values(basis, nodes)], 1)
    gram = functions.T * weights @ functions
    size = np.sqrt(gram.diagonal())
    np.testing.assert_allclose(gram / np.outer(size, size), np.eye(9), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("degree", "num_points"), [(8, 101), (8, 9), (1, 2)])
def test_gram_is_orthonormal_on_its_points(degree, num_points):
    points = -1 + (2 * np.arange(1, num_points + 1) - 1) / num_points
    functions = values(Gram(1, degree=degree, num_points=num_points), points)
    np.testing.assert_allclose(functions.T @ functions / num_points, np.eye(degree), rtol=0, atol=1e-10)
    np.testing.assert_allclose(functions.mean(0), 0, atol=1e-12)


def test_gram_becomes_legendre_on_many_points():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1)
    size = torch.sqrt(2 * torch.arange(1.0, 9, dtype=torch.float64) + 1)
    torch.testing.assert_close(Gram(1, num_points=10**7)(x), size * Legendre(1)(x), rtol=0, atol=1e-10)


def test_hermite_functions_are_orthonormal_over_the_line():
    nodes, weights = roots_hermite(20)  # for the weight exp(-x²)
    functions = values(Hermite(1), nodes)
    np.testing.assert_allclose(functions.T * (weights * np.exp(nodes * nodes)) @ functions, np.eye(9), rtol=0, atol=1e-12)


def test_laguerre_functions_are_orthonormal_over_the_half_line():
    nodes, weights = roots_laguerre(20)  # for the weight exp(-t)
    functions = values(Laguerre(1), nodes / HALF - 1)
    np.testing.assert_allclose(functions.T * (weights * np.exp(nodes)) @ functions, np.eye(9), rtol=0, atol=1e-12)


def test_gegenbauer_has_the_special_cases():
    x = torch.linspace(-1, 1, 201, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(Gegenbauer(1, alpha=0.5)(x), Legendre(1)(x), rtol=0, atol=1e-13)
    second_kind, first_kind = Gegenbauer(1)(x), Chebyshev(1)(x)  # 2 T_n = U_n - U_{n-2}
    torch.testing.assert_close(second_kind[..., 2:] - second_kind[..., :-2], 2 * first_kind[..., 2:], rtol=0, atol=1e-12)
    torch.testing.assert_close(Legendre(1)(x), Jacobi(1, alpha=0.0, beta=0.0)(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("degree", [40, 200])
def test_high_degrees_do_not_blow_up(degree):
    for basis, bound in ((Legendre(1, degree=degree), 1), (Hermite(1, degree=degree), 0.76), (Laguerre(1, degree=degree), 1)):
        x = torch.linspace(*basis.domain, 501).unsqueeze(-1)
        assert basis(x).abs().max() <= bound + 1e-5


def test_initial_scale_is_damped_only_when_smooth():
    torch.testing.assert_close(Hermite(1, degree=3).initial_scale(), torch.tensor([1, 1, 1 / 4, 1 / 9]))
    torch.testing.assert_close(Legendre(1, degree=3).initial_scale(), torch.tensor([1, 1 / 4, 1 / 9]))
    assert torch.equal(Hermite(1, degree=3, smooth=False).initial_scale(), torch.ones(4))


def test_gram_refuses_as_many_degrees_as_points():
    with pytest.raises(ValueError, match="degree must be < num_points = 9, got 9"):
        Gram(1, degree=9, num_points=9)


def test_gegenbauer_refuses_an_exponent_for_which_all_vanish():
    with pytest.raises(ValueError, match="alpha must be > 0, got 0"):
        Gegenbauer(1, alpha=0.0)
