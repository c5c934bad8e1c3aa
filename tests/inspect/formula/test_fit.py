import pytest
import sympy as sp
import torch
from torch import Tensor

from kanzoo.inspect.formula.fit import fit_curves, pareto
from kanzoo.inspect.formula.library import LIBRARY, Candidate

CURVES = 4


def example(candidate: Candidate, seed: int) -> tuple[Tensor, Tensor]:
    """Return points in raw units and values of c f(a x + b) + d, with arguments from the candidate's own grid, not on it."""
    generator = torch.Generator().manual_seed(seed)

    def rand(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(CURVES, generator=generator, dtype=torch.float64)

    grid = candidate.start
    rows = torch.randint(len(grid), (200,), generator=generator)
    t = torch.linspace(-1, 1, 80, dtype=torch.float64).unsqueeze(1).repeat(1, 200)
    values = candidate.function(grid[rows, 0] * t + grid[rows, 1] * 1.03)
    jump = (values.diff(dim=0).abs().amax(0)) / (values.amax(0) - values.amin(0))  # a peak between two samples cannot be found
    usable = (
        ((jump < 0.15) & values.isfinite().all(0) & (values.std(0) > 1e-2) & (values.abs().amax(0) < 1e3) & (grid[rows, 1].abs() < 15))
        .nonzero()
        .squeeze(1)[:CURVES]
    )
    return t[:, usable] * rand(1, 40)[: len(usable)] + rand(-9, 9)[: len(usable)], values[:, usable] * rand(0.5, 5)[: len(usable)] + 2


@pytest.mark.parametrize("candidate", LIBRARY, ids=lambda candidate: candidate.name)
def test_every_candidate_is_found_exactly(candidate: Candidate) -> None:
    points, values = example(candidate, 0)
    for fits in fit_curves(points, values, [candidate]):
        assert 1 - fits[0].r2 < 1e-8


@pytest.mark.parametrize("candidate", LIBRARY, ids=lambda candidate: candidate.name)
def test_a_fit_is_its_numbers(candidate: Candidate) -> None:
    points, values = example(candidate, 1)
    for column, fits in enumerate(fit_curves(points, values, [candidate])):
        fit = fits[0]
        again = fit.c * candidate.function(fit.a * points[:, column] + fit.b) + fit.d
        assert float((again - values[:, column]).abs().max()) < 1e-3 * float(values[:, column].std())


def test_noise_costs_its_own_share() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(-2, 2, 300, dtype=torch.float64).unsqueeze(1)
    y = 3 * torch.sin(2 * x + 0.5) + 0.03 * torch.randn(300, 1, generator=generator, dtype=torch.float64)
    best = fit_curves(x, y)[0][0]
    assert best.candidate.name == "sin"
    assert abs(abs(best.a) - 2) < 1e-2
    assert 1e-5 < 1 - best.r2 < 1e-3


def test_units_do_not_matter() -> None:
    x = torch.linspace(1, 5, 64, dtype=torch.float64).unsqueeze(1)
    for unit in (1e-6, 1.0, 1e6):
        best = fit_curves(unit * x, 7 * torch.sqrt(x))[0]
        assert any(fit.candidate.name == "x^(1/2)" and fit.b == 0 and 1 - fit.r2 < 1e-12 for fit in best)


def test_a_constant_is_a_line_without_slope() -> None:
    x = torch.linspace(0, 1, 20, dtype=torch.float64).unsqueeze(1)
    (fit,) = fit_curves(x, torch.full_like(x, 3.0))[0]
    assert (fit.candidate.name, fit.c, fit.r2) == ("x", 0.0, 1.0)
    assert fit.d == pytest.approx(3.0)


def test_weights_choose_where_it_counts() -> None:
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(1)
    y = torch.where(x > 0, x**2, -x)
    weights = (x > 0).double()
    assert fit_curves(x, y, weights=weights)[0][0].candidate.name in ("x^2", "cosh")


def test_pareto_rises_in_both() -> None:
    x = torch.linspace(0.5, 3, 64, dtype=torch.float64).unsqueeze(1)
    kept = pareto(fit_curves(x, torch.tanh(x - 1))[0])
    assert kept == sorted(kept, key=lambda fit: fit.complexity)
    assert [fit.r2 for fit in kept] == sorted(fit.r2 for fit in kept)
    assert kept[-1].candidate.name == "tanh"


def test_user_candidate() -> None:
    sinc = Candidate("sinc", lambda z: torch.sinc(z / torch.pi), sp.sinc, 3)
    x = torch.linspace(-4, 4, 100, dtype=torch.float64).unsqueeze(1)
    best = fit_curves(x, 2 * torch.sinc(1.3 * x / torch.pi) - 1, [*LIBRARY, sinc])[0][0]
    assert best.candidate is sinc
    assert abs(abs(best.a) - 1.3) < 1e-5


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        fit_curves(torch.zeros(10, 2), torch.zeros(10, 1))
    with pytest.raises(ValueError, match="finite"):
        fit_curves(torch.zeros(10, 1), torch.full((10, 1), torch.nan))
