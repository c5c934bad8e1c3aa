"""Refinement: a higher resolution of every basis, in place, and the function stays."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kanzoo.basis import Basis
from kanzoo.inspect.fit import OFF_SAMPLE_WEIGHT, finite_rows, max_rows, nodes
from kanzoo.inspect.layer import BUDGET, KANLayer, expansion_of, flat_edges, kan_layers, layer_inputs, shaped_edges, spread_rows
from kanzoo.inspect.moments import carry_over, carry_over_inner, check_state
from kanzoo.layers.expansion import refit


@dataclass(frozen=True)
class Refinement:
    """What a refinement did to one layer.

    Attributes:
        before: resolution before.
        after: resolution after.
        num_basis: functions an edge after.
        residual: largest change of an edge function on the samples, or on the domain where there were none, relative to the largest
            value of the layer's edge functions without their residual branch.
    """

    before: int
    after: int
    num_basis: int
    residual: float


@torch.no_grad()
def refine(model: nn.Module, resolution: int, *inputs: Any, optimizer: Optimizer | None = None) -> dict[str, Refinement]:
    r"""Raise the resolution of every basis of a network, or of one layer, in place, so that its function stays.

    Each basis is made again by `Basis.refined`. Where the new family begins with the old one (polynomials, Fourier series, wavelets,
    families at several resolutions at once) its coefficients are the old ones and zeros: nothing changes. Else they are re-fitted in
    float64 on what the layer sees and on points of the domain, which count little (`kanzoo.layers.expansion.refit`): exact up to
    rounding where the new functions span the old ones, as those of B-splines, whose new knots contain the old; else the report tells
    how near they come.

    Args:
        model: a network, or one layer.
        resolution: the new value of the constructor argument that each basis names as its `resolution`.
        inputs: what the network is called with; without any the domain alone counts.
        optimizer: whose groups and moments then belong to the new coefficients, see `kanzoo.inspect.moments`; its steps stay.

    Returns:
        What was done, by the layer's name.

    Raises:
        ValueError: `resolution` is lower than that of a layer; the optimizer keeps what cannot be carried over.
        TypeError: a basis is an `EdgeBasis`, or has no resolution.

    Example:
        >>> from functools import partial
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.bspline import BSpline
        >>> net, x = KAN([2, 5, 1], basis=partial(BSpline, grid_size=3)), torch.rand(100, 2)
        >>> y = net(x)
        >>> report = refine(net, 10, x)
        >>> report["1"].num_basis, bool((net(x) - y).abs().max() < 1e-5 * y.abs().max())
        (13, True)
    """
    layers = kan_layers(model)
    for name, layer in layers.items():
        basis = expansion_of(layer).basis
        if resolution < (now := _resolution(basis)):
            raise ValueError(f"resolution must be >= the present {basis.resolution} {now} of layer {name!r}, got {resolution}")
    if optimizer is not None:
        check_state(optimizer)
    new = {name: _made_finer(layer, resolution) for name, layer in layers.items()}
    seen = {}
    if inputs:
        most = max(max_rows(layer, new[name].num_basis) for name, layer in layers.items())
        seen = layer_inputs(model, *inputs, max_rows=most)
    return {name: _refine(layer, new[name], seen.get(name), optimizer) for name, layer in layers.items()}


def _refine(layer: KANLayer, new: Basis, x: Tensor | None, optimizer: Optimizer | None) -> Refinement:
    expansion, weight = expansion_of(layer), layer.weight
    old, coeff = expansion.basis, flat_edges(layer, layer.coeff).double().cpu()
    spread = nodes(new, new.num_basis)
    points = spread if x is None else torch.cat([finite_rows(expansion.squash(spread_rows(x, max_rows(layer, new.num_basis)))), spread])
    judged = slice(None if len(points) == len(spread) else len(points) - len(spread))
    old_values, new_values = (copy.deepcopy(basis).cpu().double()(points) for basis in (old, new))
    change = _change(old_values, new_values, len(points) - len(spread))
    fitted = torch.einsum("eik,ikj->eij", coeff, change)
    expansion.basis = new
    layer.set_expansion(expansion, shaped_edges(layer, fitted.to(layer.coeff)))
    if optimizer is not None:
        assert weight is not None
        carry_over(optimizer, layer, weight, change)
        carry_over_inner(optimizer, old, new)
    rounded = flat_edges(layer, layer.coeff).double().cpu()
    difference, largest = 0.0, torch.finfo(torch.float64).tiny
    rows = max(1, BUDGET // coeff[..., 0].numel())
    for before, after in zip(torch.split(old_values[judged], rows), torch.split(new_values[judged], rows), strict=True):
        known = torch.einsum("nik,eik->nie", before, coeff)
        difference = max(difference, float((torch.einsum("nik,eik->nie", after, rounded) - known).abs().max()))
        largest = max(largest, float(known.abs().max()))
    return Refinement(_resolution(old), _resolution(new), new.num_basis, difference / largest)


def _change(old: Tensor, new: Tensor, num_samples: int) -> Tensor:
    """Return how the new functions make the old ones, `(in, K, K')`, from their values `(P, in, K)` and `(P, in, K')`, samples first."""
    num_old, num_inputs = old.shape[-1], old.shape[1]
    if num_old <= new.shape[-1] and torch.allclose(new[..., :num_old], old, rtol=1e-9, atol=1e-9):
        return torch.eye(num_old, new.shape[-1], dtype=old.dtype).expand(num_inputs, -1, -1)
    weight = old.new_full((len(old), 1, 1), OFF_SAMPLE_WEIGHT)
    weight[:num_samples] = 1
    unit = torch.eye(num_old, dtype=old.dtype).unsqueeze(1).expand(-1, num_inputs, -1)
    return refit(weight * old, weight * new, unit).transpose(0, 1)


def _made_finer(layer: KANLayer, resolution: int) -> Basis:
    """Return the finer basis on the device and in the dtype of a layer.

    Parameters inside that do not depend on the resolution are the same objects, which an optimizer may hold; others may only have grown.
    """
    old, weight = expansion_of(layer).basis, layer.weight
    assert weight is not None
    new = old.refined(resolution).to(weight.device, weight.dtype)
    if new.domain != old.domain:
        raise ValueError(f"domain of a refined {type(old).__name__} must stay {old.domain}, got {new.domain}")
    finer = dict(new.named_parameters())
    shared = set(map(id, finer.values()))
    for name, parameter in old.named_parameters():
        if id(parameter) in shared:  # under whatever name
            continue
        shape = finer[name].shape if name in finer else None
        if shape == parameter.shape:
            owner, _, leaf = name.rpartition(".")
            setattr(new.get_submodule(owner), leaf, parameter)
        elif shape is None or len(shape) != parameter.ndim or any(now < then for now, then in zip(shape, parameter.shape, strict=True)):
            raise ValueError(f"parameters of {type(old).__name__} must stay or grow with {old.resolution}, but {name!r} does not")
        else:
            finer[name].requires_grad_(parameter.requires_grad)
    return new


def _resolution(basis: Basis) -> int:
    if basis.resolution is None:
        raise TypeError(f"basis must have a resolution, got {type(basis).__name__}")
    return int(basis.constructed_with()[basis.resolution])
