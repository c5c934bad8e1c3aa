"""What speed rests on and no clock can spoil: operators a step, and the sizes of what they make."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from kanzoo.basis import BasisFactory
from kanzoo.kernels.build import library
from kanzoo.models import KAN, MLP
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.wavelet import Wavelet


class Counter(TorchDispatchMode):
    """Counts operators that compute, and the bytes of what they make."""

    def __init__(self) -> None:
        super().__init__()
        self.operators, self.bytes = 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if not function.is_view and "detach" not in str(function):
            self.operators += 1
            made = result if isinstance(result, tuple | list) else [result]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in made if isinstance(tensor, torch.Tensor))
        return result


def step(net: nn.Module, x: torch.Tensor) -> Counter:
    net(x).sum().backward()  # what is done once is done
    net.zero_grad()
    with Counter() as counter:
        net(x).sum().backward()
    return counter


def kan(widths: list[int], basis: BasisFactory) -> nn.Module:
    return KAN(widths, basis, generator=torch.Generator().manual_seed(0))


# Operators of one step of [2, 5, 1], measured with torch 2.14, and a fifth more.
@pytest.mark.parametrize(
    ("make", "most"),
    [
        (partial(kan, [2, 5, 1], GaussianRBF), 67),
        (partial(kan, [2, 5, 1], Chebyshev), 146),
        (partial(kan, [2, 5, 1], Jacobi), 191),
        (partial(kan, [2, 5, 1], Fourier), 158),
        (partial(kan, [2, 5, 1], Wavelet), 98),
        (partial(kan, [2, 5, 1], BSpline), 221),
        (partial(MLP, [2, 5, 1]), 14),
    ],
    ids=["gaussian_rbf", "chebyshev", "jacobi", "fourier", "wavelet", "bspline", "mlp"],
)
def test_operators_of_a_small_step(make: Callable[[], nn.Module], most: int) -> None:
    counter = step(make(), torch.linspace(-0.9, 0.9, 200).view(100, 2))
    assert counter.operators <= most


@pytest.mark.skipif(library() is None, reason="needs a C++ compiler")
def test_a_finer_grid_costs_its_coefficients_alone() -> None:
    def made(grid_size: int) -> Counter:
        return step(kan([64, 64], partial(BSpline, grid_size=grid_size)), torch.rand(256, 64) * 2 - 1)

    coarse, fine = made(20), made(120)
    assert fine.operators == coarse.operators
    coefficients = 64 * 64 * 100 * 4  # bytes by which their gradient grows
    assert fine.bytes - coarse.bytes <= 3 * coefficients


def test_a_wide_step_makes_few_copies_of_its_features() -> None:
    features = 256 * 784 * 8 * 4  # bytes
    for basis in (GaussianRBF, Chebyshev):
        assert step(kan([784, 16], basis), torch.rand(256, 784) * 2 - 1).bytes < 6 * features
