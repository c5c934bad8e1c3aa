"""Bessel, Fibonacci and Lucas polynomials, and powers: against their explicit sums, in exact integers."""

from math import comb, factorial

import numpy as np
import pytest
import torch
from numpy.polynomial import Polynomial

from kanzoo_bases.bessel import Bessel
from kanzoo_bases.fibonacci import Fibonacci
from kanzoo_bases.lucas import Lucas
from kanzoo_bases.taylor import Taylor


def bessel(n):
    return [factorial(n + k) // (factorial(n - k) * factorial(k) * 2**k) for k in range(n + 1)]


def fibonacci(n):
    """Return the coefficients of $F_{n+1}$, of degree n."""
    return [comb((n + k) // 2, k) if (n - k) % 2 == 0 else 0 for k in range(n + 1)]


def lucas(n):
    return [2 * n * comb((n + k) // 2, k) // (n + k) if (n - k) % 2 == 0 else 0 for k in range(n + 1)]


def power(n):
    return [0] * n + [1]


#: A family, and the integer coefficients of its polynomial of degree n, the lowest first.
FAMILIES = {"bessel": (Bessel, bessel), "fibonacci": (Fibonacci, fibonacci), "lucas": (Lucas, lucas), "taylor": (Taylor, power)}
families = pytest.mark.parametrize(("family", "coefficients"), FAMILIES.values(), ids=FAMILIES)


def normalised(coefficients, n):
    return Polynomial([c / sum(coefficients(n)) for c in coefficients(n)])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("degree", [1, 2, 8])
@families
def test_equals_the_explicit_sum_divided_by_its_value_at_one(family, coefficients, degree, dtype, tolerance):
    x = torch.linspace(-1, 1, 1001, dtype=dtype).unsqueeze(-1)
    points = x[:, 0].double().numpy()
    expected = np.stack([normalised(coefficients, n)(points) for n in range(1, degree + 1)], -1)
    np.testing.assert_allclose(family(1, degree=degree)(x)[:, 0].double().numpy(), expected, rtol=0, atol=tolerance)
    assert np.abs(expected).max() <= 1


@pytest.mark.parametrize("point", [1, 2, 3, -2, -3])
@families
def test_gives_the_integer_sequences(family, coefficients, point):
    sizes = torch.tensor([sum(coefficients(n)) for n in range(1, 9)], dtype=torch.float64)
    found = (family(1)(torch.tensor([float(point)], dtype=torch.float64))[0] * sizes).round().long().tolist()
    assert found == [sum(c * point**k for k, c in enumerate(coefficients(n))) for n in range(1, 9)]


def test_at_one_and_two_the_sequences_are_those_of_the_books():
    at_one = {name: [sum(coefficients(n)) for n in range(1, 9)] for name, (_, coefficients) in FAMILIES.items()}
    assert at_one["bessel"] == [2, 7, 37, 266, 2431, 27007, 353522, 5329837]  # OEIS A001515
    assert at_one["fibonacci"] == [1, 2, 3, 5, 8, 13, 21, 34]
    assert at_one["lucas"] == [1, 3, 4, 7, 11, 18, 29, 47]


@families
def test_derivatives_up_to_the_ends(family, coefficients):
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    for n, column in enumerate(family(1).columns(x), 1):
        (gradient,) = torch.autograd.grad(column.sum(), x, retain_graph=True)
        expected = normalised(coefficients, n).deriv()(x.detach()[:, 0].numpy())
        np.testing.assert_allclose(gradient[:, 0].numpy(), expected, rtol=0, atol=1e-13 * n)


def test_lucas_polynomials_are_sums_of_fibonacci_polynomials():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1)
    ours = Fibonacci(1)(x) * torch.tensor([sum(fibonacci(n)) for n in range(1, 9)])  # F_2 ... F_9
    theirs = Lucas(1)(x) * torch.tensor([sum(lucas(n)) for n in range(1, 9)])  # L_n = F_{n+1} + F_{n-1}
    torch.testing.assert_close(theirs[..., 2:], ours[..., 2:] + ours[..., :-2], rtol=0, atol=1e-12)


def test_bessel_polynomials_of_high_degree_stay_of_order_one():
    x = torch.linspace(-1, 1, 201).unsqueeze(-1)
    assert Bessel(1, degree=100)(x).abs().max() <= 1 + 1e-5  # y_100(1) has 187 digits
