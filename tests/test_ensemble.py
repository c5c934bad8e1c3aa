"""Members of an ensemble are trained exactly as if each were alone."""

import copy

import pytest
import torch
from torch import nn

from kanzoo.basis import BasisFactory
from kanzoo.ensemble import Ensemble
from kanzoo.models import KAN, MLP
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.wav_kan import WavKAN
from kanzoo_bases.wavelet import Wavelet

# torch.func's own, in torch 2.14
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

ALL = [BSpline, GaussianRBF, Chebyshev, Jacobi, Fourier, Wavelet, WavKAN]


def networks(basis: BasisFactory | None, count: int = 3) -> list[nn.Module]:
    generator = torch.Generator().manual_seed(0)
    make = (lambda: MLP([2, 5, 1], generator=generator)) if basis is None else (lambda: KAN([2, 5, 1], basis, generator=generator))
    return [make() for _ in range(count)]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("basis", [*ALL, None])
def test_each_member_is_trained_as_if_alone(basis: BasisFactory | None, shared: bool) -> None:
    models = networks(basis)
    alone = copy.deepcopy(models)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(*([] if shared else [3]), 40, 2, generator=generator) * 1.8 - 0.9
    y = torch.sin(3 * x[..., :1]) * x[..., 1:]
    ensemble = Ensemble(models)
    together = torch.optim.Adam(ensemble.parameters(), lr=1e-2)
    for _ in range(20):
        together.zero_grad()
        (ensemble(x, shared=shared) - y).square().mean((-2, -1)).sum().backward()
        together.step()
    for index, model in enumerate(alone):
        own_x, own_y = (x, y) if shared else (x[index], y[index])
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            (model(own_x) - own_y).square().mean().backward()
            optimizer.step()
    for member, single in zip(ensemble.members(), alone, strict=True):
        for (name, mine), (_, other) in zip(member.named_parameters(), single.named_parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=1e-5, msg=name)


def test_buffers_are_each_members_own() -> None:
    models = networks(BSpline)
    for index, model in enumerate(models):
        assert isinstance(model, KAN)
        model.update_grid(torch.randn(200, 2, generator=torch.Generator().manual_seed(index)))
    x = torch.linspace(-0.9, 0.9, 20).view(10, 2)
    torch.testing.assert_close(Ensemble(models)(x), torch.stack([model(x) for model in models]))


def test_refuses_networks_that_differ() -> None:
    with pytest.raises(ValueError, match="models must be one or more networks of the same parameters"):
        Ensemble([KAN([2, 5, 1], Chebyshev), KAN([2, 6, 1], Chebyshev)])
    with pytest.raises(ValueError, match="one or more"):
        Ensemble([])
