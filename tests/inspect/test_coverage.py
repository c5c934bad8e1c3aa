from functools import partial

import pytest
import torch

from kanzoo.inspect import coverage
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import KAN
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN


@pytest.mark.parametrize("basis", [Chebyshev, partial(WavKAN, domain=(-1.0, 1.0))])
@pytest.mark.parametrize("squash", ["tanh", "clamp", "none"])
def test_counts_what_is_in_the_domain(basis, squash):
    x = torch.tensor([[-1.0, 0.0], [1.5, 1.0], [torch.nan, -2.0]])
    assert coverage(KANLinear(2, 3, basis, squash=squash), x) == {"": pytest.approx(3 / 6)}


def test_layernorm_counts_what_is_normalised():
    x = torch.zeros(1, 10)
    x[0, 0] = 1e6  # (x - mean) / std is 3 for this one and -1/3 for the others
    assert coverage(KANLinear(10, 1, Chebyshev, squash="layernorm"), x) == {"": pytest.approx(0.9)}


def test_names_every_layer():
    net = KAN([2, 3, 1], Chebyshev, residual="none")
    with torch.no_grad():
        net[0].bias.fill_(100.0)
    assert coverage(net, torch.rand(20, 2)) == {"0": 1.0, "1": 0.0}


def test_a_moved_grid_counts_where_nothing_is_squashed():
    layer, x = KANLinear(1, 1, BSpline, squash="none"), torch.linspace(-3, 3, 101).unsqueeze(1)
    before = coverage(layer, x)[""]
    layer.update_grid(x)
    assert (before, coverage(layer, x)[""]) == (pytest.approx(33 / 101), 1.0)


def test_padded_pixels_count():
    layer = KANConv2d(1, 1, 1, Chebyshev, padding=1)
    assert coverage(layer, torch.full((1, 1, 1, 1), 5.0)) == {"": pytest.approx(8 / 9)}
