from functools import partial

import pytest
import torch
from torch import Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.inspect.formula.descent import descend, forward, relative_error, residual_and_jacobian
from kanzoo.inspect.formula.fit import Fit
from kanzoo.inspect.formula.library import power
from kanzoo.inspect.formula.mult import Multiply
from kanzoo.inspect.formula.symbolic import SymbolicLayer, numeric_layer
from kanzoo.layers.linear import KANLinear
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.wav_kan import WavKAN

BASES: list[BasisFactory] = [partial(BSpline, grid_size=4), partial(Chebyshev, degree=4), GaussianRBF, WavKAN]


def network(basis: BasisFactory) -> list[nn.Module]:
    """Return layers with numerical edges, a formula, a cut edge and a product."""
    generator = torch.Generator().manual_seed(0)
    first = numeric_layer(KANLinear(2, 3, basis, generator=generator))
    first = first.replaced(1, 0, Fit(power(2), 1.0, 0.5, 2.0, 0.1, 1.0, 3, (False, True))).replaced(2, 1, None)
    return [first, Multiply([[0, 1], [2]]), numeric_layer(KANLinear(2, 1, basis, generator=generator))]


@pytest.mark.parametrize("basis", BASES, ids=["bspline", "chebyshev", "gaussian_rbf", "wav_kan"])
def test_jacobian_is_the_derivative(basis: BasisFactory) -> None:
    stack = network(basis)
    x = torch.rand(7, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    y = torch.zeros(7, 1, dtype=torch.float64)
    with torch.no_grad():
        _, jacobian = residual_and_jacobian(stack, x, y)
        pairs = [pair for layer in stack if isinstance(layer, SymbolicLayer) for pair in layer.numbers()]
        columns: list[Tensor] = []
        step = 1e-6
        for tensor, mask in pairs:
            for place in mask.nonzero().tolist():
                here = tuple(place)
                tensor[here] += step
                up = forward(stack, x)
                tensor[here] -= 2 * step
                columns.append((up - forward(stack, x))[:, 0] / (2 * step))
                tensor[here] += step
    torch.testing.assert_close(jacobian, torch.stack(columns, 1), rtol=1e-5, atol=1e-7)


def test_a_linear_problem_is_solved_at_once() -> None:
    x = torch.rand(200, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    stack: list[nn.Module] = [numeric_layer(KANLinear(1, 1, partial(Chebyshev, degree=9), generator=torch.Generator().manual_seed(0)))]
    y = torch.exp(x)
    error = descend(stack, x, y, 40)
    assert error < 1e-6
    assert relative_error(stack, x, y) == pytest.approx(error, rel=1e-3)


def test_steps_never_raise_the_error_and_x_stays() -> None:
    stack = network(BASES[0])
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kept, y = x.clone(), forward(stack, x).detach() + torch.sin(3 * x[:, :1]) * x[:, 1:]
    errors = [relative_error(stack, x, y)]
    for _ in range(5):
        errors.append(descend(stack, x, y, 12))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]
    assert torch.equal(x, kept)
    assert not x.requires_grad
