"""Removal of what cut edges leave idle: a smaller network that gives the same numbers."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.inspect.layer import edge_values, squash_of
from kanzoo.inspect.stack import DenseStack, Select, dense_stack
from kanzoo.layers import KANLinear
from kanzoo.models import DenseNet

_Model = TypeVar("_Model", bound=nn.Sequential)
_Basis = TypeVar("_Basis", Basis, EdgeBasis)


@torch.no_grad()
def shrink(model: _Model) -> _Model:
    """Return a copy of a stack of dense KAN layers without the nodes and inputs that its masks have made idle; its output is the same.

    A node without edges to it is a constant, its bias; what its own edges make of it is added to the biases of the next layer (a layer
    without a bias gets one), and so on. A node without edges from it is not needed. What the first layer does not look at is
    left out by a `Select` in front: the network takes the same inputs. Outputs stay. Before a layer with the squash `layernorm`,
    which looks at all its inputs, all nodes stay.

    Raises:
        ValueError: the model is no such stack, or no path of edges leads from an input to an output.

    Example:
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net = KAN([2, 5, 1], basis=Chebyshev)
        >>> net[1].mask_edges(torch.tensor([[True, False, False, True, False]]))
        >>> shrink(net).widths
        (2, 2, 1)
    """
    result = copy.deepcopy(model)
    stack = dense_stack(result)
    masks = [edge_mask(layer).clone() for layer in stack.layers]
    _fold_constants(stack, masks)
    needed = [torch.ones(stack.widths[-1], dtype=torch.bool, device=masks[-1].device)]
    for layer, mask in zip(reversed(stack.layers), reversed(masks), strict=True):
        mask &= needed[0].unsqueeze(1)
        needed.insert(0, mask.any(0) if squash_of(layer).norm is None else torch.ones_like(mask[0]))
    if not all(bool(mask.any()) for mask in masks):
        raise ValueError("masks must leave a path of edges from an input to an output, got none")
    kept = [part.nonzero().flatten() for part in needed]
    first = 0 if stack.select is None else 1
    for place, layer in enumerate(stack.layers):
        result[first + place] = _smaller(layer, kept[place + 1], kept[place], masks[place])
    _select(result, stack, kept[0])
    if isinstance(result, DenseNet):
        result.widths = dense_stack(result).widths
    return result


def edge_mask(layer: KANLinear) -> Tensor:
    """Return which edges of a layer are there, `(out, in)`."""
    if layer.edge_mask is not None:
        return layer.edge_mask
    return torch.ones(layer.out_features, layer.in_features, dtype=torch.bool, device=layer.weight.device)


def add_to_bias(layer: KANLinear, values: Tensor) -> None:
    """Add `(out,)` to the bias of a layer, which is made if there is none."""
    if layer.bias is None:
        if values.any():
            layer.bias = nn.Parameter(values.clone())
    else:
        layer.bias.add_(values)


def _fold_constants(stack: DenseStack, masks: list[Tensor]) -> None:
    """Cut, in `masks`, the edges that start from constant nodes, and add what they give to the biases of their layer."""
    constant = torch.zeros_like(masks[0][0])
    value = torch.zeros(stack.widths[0]).to(stack.layers[0].weight)
    for layer, mask in zip(stack.layers, masks, strict=True):
        if squash_of(layer).norm is None and constant.any():
            given = edge_values(layer, value.unsqueeze(0))[0]
            add_to_bias(layer, given[constant].sum(0))
            mask &= ~constant
        constant = ~mask.any(1)
        value = torch.zeros_like(layer.weight.flatten()[0]).expand(layer.out_features) if layer.bias is None else layer.bias


def _select(model: nn.Sequential, stack: DenseStack, kept: Tensor) -> None:
    """Let the network look at these of the first layer's inputs only."""
    if len(kept) == stack.widths[0]:
        return
    if stack.select is not None:
        model[0] = Select(stack.select.index[kept].tolist(), stack.in_features).to(kept.device)
    else:
        model.insert(0, Select(kept.tolist(), stack.in_features).to(kept.device))


def _smaller(layer: KANLinear, outputs: Tensor, inputs: Tensor, mask: Tensor) -> KANLinear:
    """Return a layer with these outputs and inputs of another."""
    coeff = layer.coeff[outputs][:, inputs]
    new = copy.deepcopy(layer)
    new.out_features, new.in_features = len(outputs), len(inputs)
    if new.expansion is not None:
        new.expansion.basis = select_features(new.expansion.basis, "in_features", inputs)
        new.set_expansion(new.expansion, coeff)
    else:
        assert new.edge is not None
        new.edge = select_features(select_features(new.edge, "in_features", inputs), "out_features", outputs)
        new.weight = nn.Parameter(new.as_weight(coeff), layer.weight.requires_grad)
    if layer.residual_weight is not None:
        new.residual_weight = nn.Parameter(layer.residual_weight[outputs][:, inputs].clone(), layer.residual_weight.requires_grad)
    if layer.bias is not None:
        new.bias = nn.Parameter(layer.bias[outputs].clone(), layer.bias.requires_grad)
    mask = mask[outputs][:, inputs]
    new.mask_edges(None if mask.all() else mask)
    return new


def select_features(basis: _Basis, argument: str, index: Tensor) -> _Basis:
    """Return a basis for some of the inputs, or outputs, of another, with their knots, centers and parameters.

    Which dimension of a parameter or buffer counts inputs (or outputs) is seen from that of a basis made for fewer of them.

    Args:
        basis: the other basis.
        argument: `in_features`, or of an `EdgeBasis` `out_features`.
        index: which of them.

    Raises:
        TypeError: a parameter or buffer depends on their number in another way than by one dimension of that size.
    """
    count = getattr(basis, argument)
    if len(index) == count:
        return basis
    new = basis.remade(**{argument: len(index)})
    like = next((value for value in basis.state_dict().values() if isinstance(value, Tensor) and value.is_floating_point()), None)
    if like is not None:
        new.to(like.device, like.dtype)
    old_values, new_values = ({**dict(part.named_parameters()), **dict(part.named_buffers())} for part in (basis, new))
    chosen = {name: _chosen(basis, name, value, new_values[name].shape, count, index) for name, value in old_values.items()}
    saved = basis.state_dict()
    new.load_state_dict({name: chosen.get(name, value) for name, value in saved.items()})
    for name in new_values.keys() - saved.keys():  # buffers that are not saved
        new_values[name].copy_(chosen[name])
    for name, parameter in new.named_parameters():
        parameter.requires_grad_(basis.get_parameter(name).requires_grad)
    return new.train(basis.training)


def _chosen(basis: nn.Module, name: str, value: Tensor, shape: torch.Size, count: int, index: Tensor) -> Tensor:
    """Return a part of a parameter or buffer whose shape is another for fewer inputs."""
    differ = [place for place, (old, new) in enumerate(zip(value.shape, shape, strict=False)) if old != new]
    if not differ and value.shape == shape:
        return value
    if len(differ) != 1 or value.ndim != len(shape) or (value.shape[differ[0]], shape[differ[0]]) != (count, len(index)):
        rule = f"must have one dimension for the {count} features of the basis or none"
        raise TypeError(f"{name!r} of {type(basis).__name__} {rule}, got {tuple(value.shape)} and for {len(index)} {tuple(shape)}")
    return value.index_select(differ[0], index)
