r"""What an optimizer remembers of coefficients, carried over to those of a finer basis.

Let M, `(K, K')`, write the old functions of an input in the new ones, $\phi_k = \sum_j M_{kj}\,\phi'_j$ (in least squares). A loss then has
the gradients $g_k = \sum_j M_{kj}\,g'_j$. So what is a mean of gradients (`exp_avg`, `momentum_buffer`) becomes the smallest solution
$g' = M^+ g$ of this equation, and not what the coefficients become, $c' = M^\top c$. What is a mean of squares (`exp_avg_sq`,
`max_exp_avg_sq`) becomes $v'_j = \sum_k (M^+_{jk})^2\,v_k$, the variance of g' for independent g: never negative. A new function on
which no old one depends has no history: it gets the mean of its edge's v, without which its first steps would be too long. Steps stay.

Parameters inside a basis that have grown, and begin with the old numbers, keep their moments; the new numbers get zero and the mean of v.
Others begin anew.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kanzoo.inspect.layer import KANLayer, flat_edges, shaped_edges

_MEANS = ("exp_avg", "momentum_buffer")
_SQUARES = ("exp_avg_sq", "max_exp_avg_sq")


def check_state(optimizer: Optimizer) -> None:
    """Raise ValueError when an optimizer keeps what cannot be carried over: LBFGS for example."""
    known = {*_MEANS, *_SQUARES, "step"}
    other = sorted({key for state in optimizer.state.values() for key, value in state.items() if value is not None} - known)
    if other:
        name = type(optimizer).__name__
        raise ValueError(f"optimizer must keep nothing but {', '.join(sorted(known))}, got {name} with {', '.join(other)}")


def carry_over(optimizer: Optimizer, layer: KANLayer, before: nn.Parameter, change: Tensor) -> None:
    """Put a layer's new weight in the place of the one before, with its moments.

    Args:
        optimizer: Adam, AdamW, SGD or another that keeps such moments.
        layer: already refined.
        before: its weight before.
        change: M of each input, `(in, K, K')`.
    """
    after = layer.weight
    assert after is not None
    inverse = torch.linalg.pinv(change, rcond=1e-10)  # (in, K', K)
    _replace(optimizer, before, after, lambda value, squares: _mapped(layer, value, inverse, squares))


def carry_over_inner(optimizer: Optimizer, before: nn.Module, after: nn.Module) -> None:
    """Put the parameters of a finer basis that have grown in the place of those of the one before, with the moments of what is the same."""
    old, new = dict(before.named_parameters()), dict(after.named_parameters())
    shared = {id(parameter) for parameter in old.values()} & {id(parameter) for parameter in new.values()}
    for name, parameter in old.items():
        if id(parameter) in shared:
            continue
        grown = new.pop(name)
        begins_alike = torch.equal(grown[_block(parameter)], parameter)
        mapped = partial(_padded, like=grown) if begins_alike else None
        _replace(optimizer, parameter, grown, mapped)
    for group in optimizer.param_groups:  # what came new is trained as what it stands beside
        if shared & set(map(id, group["params"])):
            group["params"] += [parameter for parameter in new.values() if id(parameter) not in shared]
            break


def _replace(optimizer: Optimizer, before: nn.Parameter, after: nn.Parameter, mapped: Callable[[Tensor, bool], Tensor] | None) -> None:
    """Let an optimizer hold another parameter; `mapped` takes a moment, and whether it is one of squares; None lets it begin anew."""
    for group in optimizer.param_groups:
        group["params"][:] = [after if parameter is before else parameter for parameter in group["params"]]
    state = optimizer.state.pop(before, None)
    if state is None or mapped is None:
        return
    optimizer.state[after] = {
        key: mapped(value, key in _SQUARES) if key in (*_MEANS, *_SQUARES) and value is not None else value for key, value in state.items()
    }


def _padded(value: Tensor, squares: bool, like: Tensor) -> Tensor:
    new = torch.full_like(like, float(value.mean()) if squares else 0.0)
    new[_block(value)] = value
    return new


def _block(value: Tensor) -> tuple[slice, ...]:
    """Return where the numbers of a tensor stand in a larger one that begins with it."""
    return tuple(slice(size) for size in value.shape)


def _mapped(layer: KANLayer, stored: Tensor, inverse: Tensor, squares: bool) -> Tensor:
    values = flat_edges(layer, layer.as_coeff(stored)).to(inverse)  # (E, in, K)
    new = torch.einsum("ijk,eik->eij", inverse.square() if squares else inverse, values)
    if squares:
        unknown = inverse.square().sum(-1) <= 1e-12 * inverse.square().sum(-1).amax(-1, keepdim=True)
        new = values.mean(-1, keepdim=True).where(unknown, new)
    return layer.as_weight(shaped_edges(layer, new)).to(stored)
