"""Every tool that works for convolutions of images works for those of signals and volumes, and for transposed ones."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from kanzoo.inspect import EdgeMagnitudes, convert, coverage, edge_functions, edge_magnitudes, layer_inputs, refine
from kanzoo.inspect.layer import edge_values, edges_at_input, flat_edges, kan_layers, rows_of, shaped_edges
from kanzoo.inspect.plot import gallery
from kanzoo.layers import KANConv1d, KANConv3d, KANConvTranspose1d, KANConvTranspose2d
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.wav_kan import WavKAN

SIZES = {KANConv1d: (9,), KANConv3d: (4, 5, 6), KANConvTranspose1d: (6,), KANConvTranspose2d: (4, 5)}
PADDED = {KANConv1d: (11,), KANConv3d: (6, 7, 8), KANConvTranspose1d: (6,), KANConvTranspose2d: (4, 5)}
kinds = pytest.mark.parametrize("kind", SIZES, ids=lambda kind: kind.__name__)
groups = pytest.mark.parametrize("groups", [1, 2])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(kind, basis=BSpline, groups=1, stride=1):
    kernel = (2, 3, 2)[: kind.dimensions]
    layer = kind(4, 6, kernel, basis, groups=groups, stride=stride, padding=1, generator=generator()).double()
    x = torch.randn(3, 4, *SIZES[kind], generator=generator(1), dtype=torch.float64)
    return layer, x


def relative(found, true):
    return float((found - true).detach().norm() / true.detach().norm())


@kinds
@groups
def test_edges_add_up_to_the_layer(kind, groups):
    layer, x = make(kind, groups=groups, stride=2)
    values = edge_values(layer, rows_of(layer, x))  # (pixels, in, E)
    assert values.shape[-1] == edges_at_input(layer)
    transposed = kind in (KANConvTranspose1d, KANConvTranspose2d)
    size, per_out, per_in = PADDED[kind], 6 // groups, 4 // groups
    values = values.view(3, *size, 4, per_out, *layer.kernel_size)
    y = layer(x).detach() - layer.bias.detach().view(-1, *(1 for _ in size))
    expected = torch.zeros_like(y)
    for out, inner in itertools.product(range(6), range(per_in)):
        channel = out // per_out * per_in + inner
        for point in itertools.product(*map(range, layer.kernel_size)):
            plane = values[(..., channel, out % per_out, *point)].detach()
            for place in itertools.product(*map(range, size if transposed else y.shape[2:])):
                other = [2 * p + q - transposed for p, q in zip(place, point, strict=True)]
                source, target = (place, other) if transposed else (other, place)
                if all(0 <= where < length for where, length in zip(target, y.shape[2:], strict=True)):
                    expected[(slice(None), out, *target)] += plane[(slice(None), *source)]
    torch.testing.assert_close(y, expected, rtol=1e-11, atol=1e-11)


@kinds
@groups
def test_edges_keep_their_shape(kind, groups):
    layer, _ = make(kind, groups=groups)
    values = torch.randn(6, 4 // groups, *layer.kernel_size, 5)
    assert flat_edges(layer, values).shape == (edges_at_input(layer), 4, 5)
    assert torch.equal(shaped_edges(layer, flat_edges(layer, values)), values)


@kinds
def test_layer_inputs_are_pixels(kind):
    layer, x = make(kind)
    net = nn.Sequential(layer)
    assert list(kan_layers(net)) == ["0"]
    assert layer_inputs(net, x)["0"].shape == (3 * torch.Size(PADDED[kind]).numel(), 4)
    edge, x = make(kind, WavKAN, groups=2)
    assert list(kan_layers(edge)) == ["patches.0", "patches.1"]
    assert list(layer_inputs(edge, x)) == ["patches.0", "patches.1"]


@kinds
def test_coverage_counts_pixels(kind):
    layer, x = make(kind)
    pixels = rows_of(layer, x)
    assert coverage(layer, x)[""] == pytest.approx(float((pixels.abs() <= 1).double().mean()))


@kinds
@groups
def test_magnitudes_and_edge_functions(kind, groups):
    layer, x = make(kind, groups=groups)
    shape = (6, 4 // groups, *layer.kernel_size)
    assert edge_magnitudes(layer, x)[""].shape == shape
    with EdgeMagnitudes(layer) as magnitudes:
        layer(x)
    assert magnitudes.magnitudes()[""].shape == shape
    seen = edge_functions(layer, x, num_points=7)
    pixels = edge_functions(layer, rows_of(layer, x), num_points=7)
    torch.testing.assert_close(seen.curves, pixels.curves)
    torch.testing.assert_close(seen.curves, edge_values(layer, seen.points))
    assert seen.shaped(seen.curves[0]).shape == shape
    assert len(gallery(layer, x, most=5).axes) == 5
    with pytest.raises(ValueError, match=r"x must be (signals|images|volumes)"):
        edge_functions(layer, torch.zeros(1, 1, 1, 1, 1, 1))


@kinds
@groups
@pytest.mark.parametrize("basis", [BSpline, Chebyshev])
def test_refinement_keeps_the_function(kind, groups, basis):
    layer, x = make(kind, partial(basis, **{basis.resolution: 4}), groups=groups)
    before = layer(x)
    optimizer = torch.optim.Adam(layer.parameters())
    before.square().mean().backward()
    optimizer.step()
    before = layer(x).detach()
    report = refine(layer, 8, x, optimizer=optimizer)[""]
    assert (report.before, report.after) == (4, 8)
    assert relative(layer(x), before) < 1e-9
    optimizer.zero_grad()
    layer(x).square().mean().backward()
    optimizer.step()


@kinds
@groups
@pytest.mark.parametrize("source", [BSpline, WavKAN])
def test_conversion_keeps_the_function(kind, groups, source):
    layer, x = make(kind, source, groups=groups)
    new, report = convert(layer, partial(GaussianRBF, grid_size=24), x)
    assert relative(new(x), layer(x)) < 1e-2
    if source is BSpline:
        assert report[""].rms.shape == (6, 4 // groups, *layer.kernel_size)


def test_constants_of_a_transposed_convolution_are_no_bias():
    """Chebyshev polynomials leave the constant out, and the bias cannot give it: fewer functions meet at a border than inside."""
    layer = KANConvTranspose2d(4, 6, 2, partial(BSpline, grid_size=5), residual="none", generator=generator()).double()
    x = torch.randn(3, 4, 4, 5, generator=generator(1), dtype=torch.float64)
    same, _ = convert(layer, partial(BSpline, grid_size=5), x)
    assert relative(same(x), layer(x)) < 1e-9
    new, report = convert(layer, partial(Chebyshev, degree=20), x)
    assert torch.equal(new.bias, layer.bias)
    before, after = (edge_values(net, rows_of(net, x)).detach() for net in (layer, new))
    error = (after - before).square().mean(0).sqrt() / before.std(0, correction=0)
    torch.testing.assert_close(report[""].rms, shaped_edges(layer, error.T), rtol=1e-6, atol=1e-9)
