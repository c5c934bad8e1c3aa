"""Mixtures against their members alone."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from kanzoo.inspect import basis_figures, refine
from kanzoo.inspect.shrink import select_features
from kanzoo.layers import KANLinear
from kanzoo.models import KAN, num_parameters
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.mixture import Mixture

NAMES = ("bspline", "chebyshev", "fourier")


def moved(in_features=2, **options):
    """Weights that all differ."""
    basis = Mixture(in_features, bases=NAMES, **options).double()
    with torch.no_grad():
        basis.logits.copy_(torch.linspace(-1, 2, basis.logits.numel()).view_as(basis.logits))
    return basis


@pytest.mark.parametrize("per", ["layer", "input"])
def test_is_the_members_side_by_side(per):
    basis, x = moved(per=per), torch.linspace(-1, 1, 40, dtype=torch.float64).view(20, 2)
    weights = torch.from_numpy(softmax(basis.logits.detach().numpy(), axis=0)).view(3, 1, -1, 1)
    members = BSpline(2).double()(x), Chebyshev(2)(x), Fourier(2)(torch.pi * x)
    expected = torch.cat([weight * values for weight, values in zip(weights, members, strict=True)], -1)
    torch.testing.assert_close(basis(x), expected, rtol=0, atol=1e-6)  # Fourier's domain ends at π in float64, knots are float32


def test_default_in_float32_equals_numpy():
    x = torch.linspace(-1, 1, 201).unsqueeze(-1)
    found = Mixture(1)(x)[:, 0, -8:].detach().double().numpy()
    angles = np.pi * x.double().numpy() * np.arange(1, 5)
    np.testing.assert_allclose(found, np.stack([np.cos(angles), np.sin(angles)], -1).reshape(201, -1) / 2, rtol=0, atol=1e-6)


def test_weights_are_convex_and_begin_alike():
    assert Mixture(3, bases=NAMES).figures() == pytest.approx(dict.fromkeys(NAMES, 1 / 3))
    weights = moved(per="input").weights
    assert weights.shape == (3, 2)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(0), torch.ones(2, dtype=torch.float64))


def test_figures_are_means_over_the_inputs():
    basis = moved(per="input")
    assert basis.figures() == pytest.approx(dict(zip(NAMES, basis.weights.mean(-1).tolist(), strict=True)))


@pytest.mark.parametrize("squash", ["clamp", "none"])
def test_members_give_the_same_variance_at_first(squash):
    layer = KANLinear(
        32, 200, lambda size: Mixture(size, bases=NAMES), squash=squash, residual="none", generator=torch.Generator().manual_seed(0)
    )
    x = 2 * torch.rand(300, 32, generator=torch.Generator().manual_seed(1)) - 1
    features, coeff = layer.expansion(x), layer.coeff
    parts = torch.split(torch.arange(layer.coeff.shape[-1]), [member.num_basis for member in layer.expansion.basis.members.values()])
    shares = [torch.einsum("nki,oik->no", features[:, part], coeff[..., part]).square().mean().item() for part in parts]
    assert shares == pytest.approx([1 / 3] * 3, rel=0.15)
    assert layer(x).square().mean().item() == pytest.approx(1, rel=0.1)


def test_options_go_to_their_member():
    basis = Mixture(2, bases=NAMES, options={"bspline": {"grid_size": 9}, "fourier": {"degree": 1}})
    assert [member.num_basis for member in basis.members.values()] == [12, 8, 2]
    assert basis.num_basis == 22


def test_places_are_those_of_all_members():
    ends = Mixture(2, bases=("bspline", "fourier"), options={"bspline": {"domain": (0.0, 4.0), "grid_size": 4}}).cell_ends()
    torch.testing.assert_close(ends.unique(dim=1), torch.linspace(-1, 1, 5).expand(2, -1))
    assert (ends.diff() >= 0).all()


def test_cut_inputs_keep_their_functions():
    basis, x = moved(3, per="input"), torch.linspace(-1, 1, 60, dtype=torch.float64).view(20, 3)
    cut = select_features(basis, "in_features", torch.tensor([2, 0]))
    assert torch.equal(cut(x[:, [2, 0]]), basis(x)[:, [2, 0]])


def test_training_finds_the_member_that_the_data_are_of():
    """A kink-free wave of three periods: eight sines hold it, four cubic pieces do not."""
    x = torch.linspace(-1, 1, 200).unsqueeze(-1)
    layer = KANLinear(1, 1, Mixture, squash="clamp", residual="none", generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(100):
        loss = (layer(x) - torch.sin(3 * torch.pi * x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    figures = basis_figures(layer)[""]
    assert figures["fourier"] > 0.6 > figures["bspline"]


def test_figures_name_the_layers_of_a_network():
    net = KAN([2, 5, 1], Mixture)
    assert basis_figures(net) == {name: {"bspline": 0.5, "fourier": 0.5} for name in ("0", "1")}
    assert basis_figures(KAN([2, 5, 1], Chebyshev)) == {}
    assert num_parameters(net)["basis"] == 4


def test_has_no_resolution():
    with pytest.raises(TypeError, match="basis must have a resolution, got Mixture"):
        refine(KAN([2, 3, 1], Mixture), 20)


def test_refuses_bases_that_it_cannot_mix():
    with pytest.raises(ValueError, match="bases must be different, got"):
        Mixture(1, bases=("fourier", "fourier"))
    with pytest.raises(ValueError, match="bases must be of length >= 2"):
        Mixture(1, bases=("fourier",))
    with pytest.raises(ValueError, match="bases must have no parameters of each edge, got 'wav_kan'"):
        Mixture(1, bases=("fourier", "wav_kan"))
    with pytest.raises(ValueError, match="unknown basis 'furier'"):
        Mixture(1, bases=("bspline", "furier"))
    with pytest.raises(ValueError, match="options must be of the bases bspline, fourier, got jacobi"):
        Mixture(1, options={"jacobi": {"degree": 3}})
    with pytest.raises(ValueError, match=r"options\.fourier must be of the arguments degree, smooth, got degre"):
        Mixture(1, options={"fourier": {"degre": 3}})
    with pytest.raises(ValueError, match=r"options\.fourier\.degree must be >= 1, got 0"):
        Mixture(1, options={"fourier": {"degree": 0}})
