import inspect
from functools import partial
from typing import get_args

import pytest
import torch
from torch import nn

from kanzoo import layers as kan
from kanzoo.layers.factory import ConvName, KANLayers, PlainLayers
from kanzoo_bases.chebyshev import Chebyshev

KINDS = {
    "conv1d": (kan.KANConv1d, nn.Conv1d, (9,)),
    "conv2d": (kan.KANConv2d, nn.Conv2d, (9, 8)),
    "conv3d": (kan.KANConv3d, nn.Conv3d, (5, 4, 6)),
    "conv_transpose1d": (kan.KANConvTranspose1d, nn.ConvTranspose1d, (9,)),
    "conv_transpose2d": (kan.KANConvTranspose2d, nn.ConvTranspose2d, (9, 8)),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_names_are_all_there():
    assert set(KINDS) == set(get_args(ConvName))


@pytest.mark.parametrize("name", KINDS)
def test_both_factories_make_layers_of_one_shape(name):
    ours, plain, size = KINDS[name]
    options = {"stride": 2, "padding": 1} | ({"output_padding": 1} if "transpose" in name else {})
    made = getattr(KANLayers(partial(Chebyshev, degree=3), squash="clamp", residual="none", generator=generator()), name)(
        2, 3, 4, **options
    )
    assert type(made) is ours
    assert (made.stride, made.padding) == ((2,) * len(size), (1,) * len(size))
    assert (made.residual, made.expansion.squash.kind, made.coeff.shape[-1]) == ("none", "clamp", 3)
    first, later = (getattr(PlainLayers(generator=generator()), name)(2, 3, 4, **options, first=first) for first in (True, False))
    assert type(first) is plain
    assert [type(part) for part in later] == [nn.SiLU, plain]
    x = torch.zeros(2, 2, *size)
    assert made(x).shape == first(x).shape == later(x).shape


@pytest.mark.parametrize("name", KINDS)
def test_baselines_start_as_torch_does(name):
    _, plain, _ = KINDS[name]
    state = torch.get_rng_state()
    made = getattr(PlainLayers(generator=generator()), name)(20, 30, 4, first=True)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = plain(20, 30, 4)
    for ours, expected in zip(made.parameters(), theirs.parameters(), strict=True):
        assert ours.shape == expected.shape
        assert float(ours.detach().abs().max()) == pytest.approx(float(expected.detach().abs().max()), rel=0.1)


@pytest.mark.parametrize("name", KINDS)
def test_a_typo_is_refused(name):
    for factory in (KANLayers(Chebyshev), PlainLayers()):
        with pytest.raises(TypeError, match="strid"):
            getattr(factory, name)(2, 3, 4, strid=2)


def test_the_factories_have_the_same_methods():
    public = {name for name, _ in inspect.getmembers(KANLayers, inspect.isfunction) if not name.startswith("_")}
    assert public == {name for name, _ in inspect.getmembers(PlainLayers, inspect.isfunction) if not name.startswith("_")}
