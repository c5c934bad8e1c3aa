"""Derivatives by the inputs, against two backward passes and against the derivatives of a formula."""

from functools import partial

import pytest
import torch
from torch import Tensor

from kanzoo.basis import BasisFactory
from kanzoo.differential import compiled_derivatives, derivatives
from kanzoo.models import KAN
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.wav_kan import WavKAN
from kanzoo_bases.wavelet import Wavelet

# torch.func's own, in torch 2.14
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

SMOOTH = [BSpline, partial(BSpline, degree=5), GaussianRBF, Chebyshev, Jacobi, Fourier, Wavelet, WavKAN]


def by_two_backward_passes(net: KAN, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    firsts, seconds = [], []
    for value in net(x).unbind(-1):
        (first,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        columns = [torch.autograd.grad(column.sum(), x, create_graph=True)[0][:, i] for i, column in enumerate(first.unbind(-1))]
        firsts.append(first)
        seconds.append(torch.stack(columns, -1))
    return torch.stack(firsts, 1), torch.stack(seconds, 1)


def network(basis: BasisFactory) -> KAN:
    return KAN([2, 9, 2], basis, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("basis", SMOOTH, ids=str)
def test_equals_two_backward_passes(basis: BasisFactory) -> None:
    net, x = network(basis), torch.rand(7, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1.8 - 0.9
    found = derivatives(net, x)
    first, second = by_two_backward_passes(net, x)
    torch.testing.assert_close(found.value, net(x))
    torch.testing.assert_close(found.first, first)
    torch.testing.assert_close(found.second, second)
    ours = torch.autograd.grad(found.laplacian.square().sum(), list(net.parameters()), allow_unused=True)
    theirs = torch.autograd.grad(second.sum(-1).square().sum(), list(net.parameters()), allow_unused=True)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None and other is not None:
            torch.testing.assert_close(mine, other)


@pytest.mark.slow
@pytest.mark.parametrize("basis", [BSpline, Chebyshev], ids=str)
def test_compiled_equals_eager(basis: BasisFactory) -> None:
    net, x = network(basis), torch.linspace(-0.9, 0.9, 10, dtype=torch.float64).view(5, 2)
    eager, compiled = derivatives(net, x), compiled_derivatives(net)(x)
    torch.testing.assert_close(compiled.second, eager.second)
    ours, theirs = (
        torch.autograd.grad(found.laplacian.square().sum(), net.parameters(), allow_unused=True)[0] for found in (compiled, eager)
    )
    torch.testing.assert_close(ours, theirs)
