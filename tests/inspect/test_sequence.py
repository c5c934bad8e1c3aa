"""Any order of grid updates, refinements, conversions and prunings leaves a network that gives the same numbers, and is none the worse."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kanzoo.inspect import convert, kan_layers, prune, refine
from kanzoo.inspect.stack import dense_stack
from kanzoo.models import KAN
from kanzoo.registry import find

#: Resolutions to begin with, and one step of refinement.
FAMILIES = {
    "bspline": ({"grid_size": 4}, 3),
    "chebyshev": ({"degree": 4}, 2),
    "fourier": ({"degree": 2}, 1),
    "free_knot_bspline": ({"grid_size": 4}, 3),
    "gaussian_rbf": ({"grid_size": 6}, 5),
    "jacobi": ({"degree": 4}, 2),
    "piecewise_linear": ({"grid_size": 4}, 3),
    "wavelet": ({"levels": 2}, 1),
}

#: Families whose grid moves by an update, and those whose grid is no longer even after a refinement.
ADAPTIVE = {"bspline", "piecewise_linear"}
UNEVEN = {*ADAPTIVE, "free_knot_bspline"}

#: How well a family of few functions follows random coefficients over other knots. Of hats the change is smaller than the function, no
#: more; a family without knots that move changes nothing.
ROUGHLY = {"bspline": 0.3, "piecewise_linear": 1.0}


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def size(values):
    return values.square().mean().sqrt()


@st.composite
def samples(draw, width):
    """Return samples, some of them constant, doubled or fewer than functions."""
    x = normal(draw(st.integers(1, 40)), width, seed=draw(st.integers(0, 99)))
    if draw(st.booleans()):
        x[:, draw(st.integers(0, width - 1))] = draw(st.sampled_from([0.0, -1.0, 0.3, 5.0]))
    return x.repeat(draw(st.integers(1, 3)), 1)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_order_keeps_the_function(data):
    widths = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4), "widths")
    name = data.draw(st.sampled_from(sorted(FAMILIES)), "basis")
    squash = data.draw(st.sampled_from(["tanh", "layernorm", "clamp"]), "squash")
    options, step = FAMILIES[name]
    net = KAN(widths, partial(find("basis", name).load(), **options), squash=squash, generator=torch.Generator().manual_seed(1))
    x = data.draw(samples(widths[0]), "x")
    moved = False
    for _ in range(data.draw(st.integers(1, 4), "steps")):
        act = data.draw(st.sampled_from(["update_grid", "refine", "prune", "convert"]), "act")
        before = net(x).detach()
        bound = ROUGHLY.get(name, 1e-6)
        basis = dense_stack(net).layers[0].expansion.basis
        if act == "update_grid":
            net.update_grid(x)
            moved = moved or name in ADAPTIVE
        elif act == "refine":
            moved = moved or name in UNEVEN  # old knots stay, so new ones are not even
            report = refine(net, basis.constructed_with()[basis.resolution] + step, x)
            bound = 1e-4
            assert all(found.residual < 1e-5 for found in report.values())
        elif act == "prune":
            net, report = prune(net, x, threshold=1e-7)
            bound = 1e-3
            assert min(report.widths[1]) >= 1
        else:
            net, report = convert(net, partial(type(basis), **_arguments(basis)), x)
            bound, moved = ROUGHLY.get(name, 0.3) if moved else 1e-3, False
            assert all(found.rms.isfinite().all() for found in report.values())
        after = net(x).detach()
        assert after.isfinite().all()
        assert size(after - before) < bound * size(before).clamp_min(0.1), act
        assert all(parameter.isfinite().all() for parameter in net.parameters())
        assert all(layer.weight.numel() for layer in kan_layers(net).values())


def _arguments(basis):
    return {name: value for name, value in basis.constructed_with().items() if name != "in_features"}
