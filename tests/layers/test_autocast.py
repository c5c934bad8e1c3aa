"""Mixed precision: the basis in float32, the product in bfloat16."""

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

ALL = [BSpline, GaussianRBF, Chebyshev, Jacobi, Fourier, Wavelet, WavKAN]


def relative(found: torch.Tensor, true: torch.Tensor) -> float:
    return float((found.float() - true).detach().norm() / true.detach().norm())


@pytest.mark.parametrize("basis", ALL)
@pytest.mark.parametrize("squash", ["tanh", "layernorm"])
def test_dense_network_keeps_two_digits(basis: BasisFactory, squash) -> None:
    net = KAN([6, 32, 3], basis, squash=squash, generator=torch.Generator().manual_seed(0))
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    seen: list[torch.dtype] = []
    for module in net.modules():
        if type(module) is basis:
            module.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].dtype))
            method = "local" if basis is BSpline else "features"
            if hasattr(module, method):
                original = getattr(module, method)
                setattr(module, method, lambda points, original=original: seen.append(points.dtype) or original(points))
    exact = net(x)
    gradients = torch.autograd.grad(exact.square().sum(), net.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    ours = torch.autograd.grad(y.float().square().sum(), net.parameters())
    assert len(seen) >= 4
    assert set(seen) == {torch.float32}
    assert 0 < relative(y, exact) < 0.03
    assert max(map(relative, ours, gradients)) < 0.1


@pytest.mark.parametrize("basis", [BSpline, Chebyshev])
def test_convolution_keeps_two_digits(basis: BasisFactory) -> None:
    net = ConvKAN(1, (8, 8), [4], [3], basis, generator=torch.Generator().manual_seed(0))
    x = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    assert 0 < relative(y, net(x)) < 0.05
