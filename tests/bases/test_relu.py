"""ReLU-KAN's bumps against the formula of the paper."""

from functools import partial

import numpy as np
import pytest
import torch

from kanzoo.inspect import refine
from kanzoo.inspect.shrink import select_features
from kanzoo.models import KAN, num_parameters
from kanzoo_bases.relu import ReLUKAN


def moved(in_features: int = 3, dtype: torch.dtype = torch.float64, **arguments) -> ReLUKAN:
    """Bumps whose ends are far from even and differ from input to input."""
    basis, generator = ReLUKAN(in_features, **arguments).to(dtype), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return basis


def paper(x: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return (np.maximum(end - x, 0) * np.maximum(x - start, 0)) ** 2 * 16 / (end - start) ** 4


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (0.0, 1.0), (-3.0, 7.0)])
@pytest.mark.parametrize(("grid_size", "overlap"), [(1, 1), (5, 3), (20, 2)])
def test_starts_as_in_the_paper(grid_size, overlap, domain, dtype, tolerance):
    basis = ReLUKAN(1, grid_size=grid_size, overlap=overlap, domain=domain)
    low, high = domain
    x = torch.linspace(low - 1, high + 1, 501, dtype=dtype).unsqueeze(-1)
    start = low + (high - low) / grid_size * np.arange(-overlap, grid_size)
    expected = paper(x.double().numpy(), start, start + (high - low) / grid_size * (overlap + 1))
    np.testing.assert_allclose(basis(x).detach()[:, 0].double().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_equals_the_formula_wherever_the_ends_are(dtype, tolerance):
    basis = moved(dtype=dtype, domain=(-3.0, 1.0))
    start, end = (part.detach().double().numpy() for part in basis.ends())
    assert (end > start).all()
    x = torch.linspace(-5, 3, 401, dtype=dtype).unsqueeze(-1).expand(-1, 3)
    expected = paper(x.double().numpy()[:, None], start, end)
    np.testing.assert_allclose(basis.features(x).detach().double().numpy(), expected, rtol=0, atol=tolerance)


def test_gradients_of_ends_that_have_moved():
    basis, x = moved(2), torch.linspace(-0.93, 0.91, 8, dtype=torch.float64).reshape(4, 2).requires_grad_()

    def evaluate(x, shift, stretch):
        return torch.func.functional_call(basis, {"shift": shift, "stretch": stretch}, (x,))

    assert torch.autograd.gradcheck(evaluate, (x, basis.shift, basis.stretch))


def test_is_zero_outside_its_ends_and_one_in_the_middle():
    basis = moved()
    start, end = basis.ends()
    values = torch.stack(
        [basis.features(point)[k] for k, row in enumerate(torch.stack([start, end, (start + end) / 2], 1)) for point in row]
    )
    expected = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).repeat(8).unsqueeze(-1).expand(-1, 3)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-12)


def test_ends_are_parameters_of_the_basis_and_follow_their_inputs():
    assert num_parameters(KAN([2, 3, 1], ReLUKAN))["basis"] == 2 * 8 * (2 + 3)
    basis, x = moved(8), torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(5, 8)  # as many inputs as functions
    kept = torch.tensor([1, 4, 6])
    assert torch.equal(select_features(basis, "in_features", kept)(x[:, kept]), basis(x)[:, kept])


@pytest.mark.parametrize("frozen", [False, True])
def test_refined_networks_train_on_with_new_ends(frozen):
    net = KAN([2, 3, 1], partial(ReLUKAN, grid_size=5), generator=torch.Generator().manual_seed(0))
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for layer in net:
        layer.expansion.basis.shift.requires_grad_(not frozen)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

    def step():
        optimizer.zero_grad()
        loss = (net(x) - x.prod(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    before = [step() for _ in range(30)]
    report = refine(net, 10, x, optimizer=optimizer)
    assert all(found.residual < 1e-6 for found in report.values())
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {id(p) for p in net.parameters()}
    levels = [level for layer in net for level in layer.expansion.basis.levels]
    assert all(level.shift.requires_grad is not frozen for level in levels)
    after = [step() for _ in range(30)]
    assert after[-1] < before[-1]
    assert all(bool(level.shift.any()) is not frozen for level in levels)


@pytest.mark.parametrize("arguments", [{"grid_size": 0}, {"overlap": 0}])
def test_refuses_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be >= 1, got 0"):
        ReLUKAN(1, **arguments)
