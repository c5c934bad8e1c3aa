"""On a GPU everything runs unchanged: the numbers of the processor, no waiting for the GPU, and CUDA graphs."""

from collections.abc import Iterator

import pytest
import torch

from kanzoo.basis import BasisFactory
from kanzoo.models import KAN, ConvKAN
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.wav_kan import WavKAN
from kanzoo_bases.wavelet import Wavelet

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]

ALL = [BSpline, GaussianRBF, Chebyshev, Jacobi, Fourier, Wavelet, WavKAN]


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Fail where the processor waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def network(basis: BasisFactory) -> KAN:
    return KAN([5, 32, 3], basis, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("basis", ALL)
def test_numbers_are_those_of_the_processor(basis: BasisFactory) -> None:
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for device in ("cpu", "cuda"):
        net = network(basis).double().to(device)
        y = net(x.to(device))
        results.append([y.cpu(), *(gradient.cpu() for gradient in torch.autograd.grad(y.square().sum(), net.parameters()))])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("basis", ALL)
def test_a_step_never_waits(basis: BasisFactory) -> None:
    net = network(basis).cuda()
    net(torch.zeros(64, 5, device="cuda")).square().sum().backward()


@pytest.mark.parametrize("basis", ALL)
def test_a_forward_pass_can_be_recorded_as_a_graph(basis: BasisFactory) -> None:
    net, x = network(basis).cuda(), torch.zeros(64, 5, device="cuda")
    recorded = torch.cuda.make_graphed_callables(net, (x,))
    y = torch.rand_like(x)
    torch.testing.assert_close(recorded(y), net(y))


@pytest.mark.parametrize("basis", [BSpline, Chebyshev])
def test_convolutions(basis: BasisFactory) -> None:
    net = ConvKAN(1, (8, 8), [4], [3], basis, generator=torch.Generator().manual_seed(0))
    x = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net.cuda()(x.cuda()).cpu(), net.cpu()(x), rtol=1e-3, atol=1e-4)


def test_grid_update() -> None:
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(1))
    on_cpu, on_gpu = network(BSpline), network(BSpline).cuda()
    on_cpu.update_grid(x)
    on_gpu.update_grid(x.cuda())
    torch.testing.assert_close(on_gpu(x.cuda()).cpu(), on_cpu(x), rtol=1e-3, atol=1e-3)
