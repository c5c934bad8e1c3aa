"""Conversion: the same network with another basis."""

import copy
import sys
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from kanzoo.basis import BasisFactory, is_edge_factory
from kanzoo.inspect.fit import MOST_ROWS, OFF_SAMPLE_WEIGHT, extrema, finite_rows, max_rows
from kanzoo.inspect.layer import (
    BUDGET,
    KANLayer,
    edges_at_input,
    expansion_of,
    flat_edges,
    kan_layers,
    layer_inputs,
    num_inputs,
    shaped_edges,
    spread_rows,
    squash_of,
)
from kanzoo.layers import KANLinear
from kanzoo.layers.conv_transpose import KANConvTranspose
from kanzoo.layers.expansion import Expansion, refit
from kanzoo.layers.squash import SquashInto

_Model = TypeVar("_Model", bound=nn.Module)


@dataclass(frozen=True)
class Conversion:
    """How far the edge functions of a layer are from what they were, on the samples.

    Both are relative to the standard deviation of the edge function, or to a millionth of the layer's largest root mean square where
    an edge is nearly constant.

    Attributes:
        maximum: largest difference, `(out, in)` or `(out, in/groups, *kernel_size)`.
        rms: root mean square of the difference, of the same shape.
    """

    maximum: Tensor
    rms: Tensor


@torch.no_grad()
def convert(model: _Model, basis: BasisFactory, *inputs: Any) -> tuple[_Model, dict[str, Conversion]]:
    r"""Return a copy of a network, or of one layer, with another basis in every KAN layer, and how near its edge functions are.

    What is fitted, in float64 by least squares on what each layer sees and (with little weight) on points of the domain, is
    $\varphi_{oi}(s(x))$ with the squash of the same kind into the domain of each basis, plus a constant, which goes to the layer's bias:
    so a family without constants takes over from one that has them. A layer without a bias gets one, but where constants cancel
    (in networks on graphs); in a transposed convolution, whose constants are not one number, none is fitted. The residual branch, the
    mask of cut edges and all else are as they were. The functions of an `EdgeBasis` are sampled; a convolution with one keeps its
    dense layers over the patches.

    Args:
        model: a network, or one layer.
        basis: a `Basis` class or a partial of one.
        inputs: what the network is called with.

    Raises:
        TypeError: `basis` makes an `EdgeBasis`, whose parameters no least squares can find.
        ValueError: a layer sees no finite row.

    Example:
        >>> from functools import partial
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.bspline import BSpline
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net, x = KAN([2, 5, 1], basis=partial(Chebyshev, degree=3)), torch.rand(100, 2)
        >>> same, report = convert(net, BSpline, x)
        >>> bool((same(x) - net(x)).abs().max() < 1e-4), report["0"].rms.shape
        (True, torch.Size([5, 2]))
    """
    if is_edge_factory(basis):
        raise TypeError("basis must make a Basis, got an EdgeBasis")
    seen = layer_inputs(model, *inputs, max_rows=MOST_ROWS)
    result = copy.deepcopy(model)
    centered = _centered(result)
    return result, {name: _convert(layer, basis, seen[name], layer in centered) for name, layer in kan_layers(result).items()}


def _convert(layer: KANLayer, basis: BasisFactory, x: Tensor, centered: bool) -> Conversion:
    squash, weight = squash_of(layer), layer.weight
    assert weight is not None
    with torch.random.fork_rng(devices=[]):
        outside = "linear" if layer.expansion is None else layer.expansion.extrapolate
        expansion = Expansion(num_inputs(layer), basis, squash.kind, outside)
    if squash.norm is not None and expansion.squash.norm is not None:
        expansion.squash.norm.load_state_dict(squash.norm.state_dict())
    expansion.to(weight.device, weight.dtype)
    num_old = edges_at_input(layer) if layer.expansion is None else expansion_of(layer).basis.num_basis
    x = finite_rows(spread_rows(x, max_rows(layer, max(num_old, expansion.basis.num_basis))))
    if not len(x):
        raise ValueError("inputs must give each layer one or more finite rows, got none")
    old, new = _places(squash, expansion.squash, x, 4 * max(num_old, expansion.basis.num_basis))
    old_values, coeff = _functions(layer, old)
    new_values = copy.deepcopy(expansion.basis).cpu().double()(new)
    has_constant = not isinstance(layer, KANConvTranspose)
    new_values = torch.cat([new_values, new_values.new_ones(*new_values.shape[:-1], int(has_constant))], -1)
    importance = old.new_full((len(old), 1, 1), OFF_SAMPLE_WEIGHT)
    importance[: len(x)] = 1
    fitted = refit(importance * old_values, importance * new_values, coeff)
    report = _compare(layer, old_values[: len(x)], coeff, new_values[: len(x)], fitted)
    layer.set_expansion(expansion, shaped_edges(layer, fitted[..., : expansion.basis.num_basis].to(weight)))
    if has_constant and not centered:
        _add_to_bias(layer, fitted[..., -1].to(weight))
    return report


def _places(old: SquashInto, new: SquashInto, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return samples, then `count` points spread over their range and the domain, as each squash maps them: `(N + count, in)` both."""
    old, new = copy.deepcopy(old).cpu().double(), copy.deepcopy(new).cpu().double()
    part = extrema(count).unsqueeze(1)
    if old.norm is not None:  # no function of one input, but both are the same up to an affine map
        spread = (2 * part - 1).expand(-1, x.shape[1])
        return torch.cat([old(x), old.center + old.half_width * spread]), torch.cat([new(x), new.center + new.half_width * spread])
    low, high = x.amin(0).clamp(max=old.low), x.amax(0).clamp(min=old.high)
    points = torch.cat([x, low + (high - low) * part])
    return old(points), new(points)


def _functions(layer: KANLayer, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return values `(P, in, K)` at squashed inputs and coefficients `(E, in, K)`; of an `EdgeBasis` the edge functions are the basis."""
    if layer.expansion is not None:
        return copy.deepcopy(expansion_of(layer).basis).cpu().double()(inside), flat_edges(layer, layer.coeff).cpu().double()
    assert isinstance(layer, KANLinear)
    assert layer.edge is not None
    values = layer.weight.cpu().double() * copy.deepcopy(layer.edge).cpu().double()(inside)
    unit = torch.eye(layer.out_features, dtype=inside.dtype).unsqueeze(1).expand(-1, layer.in_features, -1)
    return values.transpose(1, 2), unit


def _compare(layer: KANLayer, old: Tensor, coeff: Tensor, new: Tensor, fitted: Tensor) -> Conversion:
    largest, square, total, total_square = (torch.zeros(old.shape[1], len(coeff), dtype=old.dtype) for _ in range(4))
    rows = max(1, BUDGET // largest.numel())
    for before, after in zip(torch.split(old, rows), torch.split(new, rows), strict=True):
        known = torch.einsum("nik,eik->nie", before, coeff)
        difference = torch.einsum("nik,eik->nie", after, fitted) - known
        largest = largest.maximum(difference.abs().amax(0))
        square += difference.square().sum(0)
        total += known.sum(0)
        total_square += known.square().sum(0)
    scale = (total_square / len(old) - (total / len(old)).square()).clamp_min(0).sqrt()
    scale = scale.clamp_min(max(1e-6 * float((total_square / len(old)).sqrt().max()), torch.finfo(scale.dtype).tiny))
    return Conversion(shaped_edges(layer, (largest / scale).T), shaped_edges(layer, ((square / len(old)).sqrt() / scale).T))


def _add_to_bias(layer: KANLayer, constants: Tensor) -> None:
    """Add constants of edges, `(E, in)`, to the bias of a layer, which is made if there is none."""
    if isinstance(layer, KANLinear) and layer.edge_mask is not None:
        constants = constants * layer.edge_mask
    total = shaped_edges(layer, constants).flatten(1).sum(1)
    if layer.bias is None:
        layer.bias = nn.Parameter(total)
    else:
        layer.bias.add_(total)


def _centered(model: nn.Module) -> set[nn.Module]:
    """Return the layers whose constants cancel: those in a `Centered` of `kanzoo.layers.graph`, which is imported if there is one."""
    graph = sys.modules.get("kanzoo.layers.graph")
    return {part for outer in model.modules() if graph and isinstance(outer, graph.Centered) for part in outer.modules()}
