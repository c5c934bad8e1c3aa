"""What the tools share: the KAN layers of a network, what they see, and their edges in one layout, dense or convolutional."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.layers import KANLinear
from kanzoo.layers.convolution import KANConvolution
from kanzoo.layers.expansion import Expansion, residual_branch
from kanzoo.layers.sparse import sample_rows
from kanzoo.layers.squash import SquashInto
from kanzoo.models.grid import evaluating

KANLayer = KANLinear | KANConvolution

#: Numbers that a tool holds at once where it can choose how many.
BUDGET = 1 << 22


def kan_layers(model: nn.Module) -> dict[str, KANLayer]:
    """Return the KAN layers of a network by name; the empty name is the network itself.

    A convolution with an `EdgeBasis` counts as the dense layers over its patches.

    Raises:
        ValueError: there is none.

    Example:
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> list(kan_layers(KAN([2, 5, 1], basis=Chebyshev)))
        ['0', '1']
    """
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, KANLinear) or (isinstance(module, KANConvolution) and module.patches is None)
    }
    if not found:
        raise ValueError(f"model must have a KAN layer, got {type(model).__name__}")
    return found


@torch.no_grad()
def layer_inputs(model: nn.Module, *inputs: Any, max_rows: int | None = None) -> dict[str, Tensor]:
    """Return what each KAN layer sees when a network is called in evaluation mode, `(N, in)` by the names of `kan_layers`.

    Of a convolution these are the pixels, `(N, channels)`, and where it pads its input the padded ones too. The network's modes are as
    before afterwards.

    Args:
        model: a network, or one layer.
        inputs: what it is called with.
        max_rows: most rows to keep of one call of a layer, evenly spread; all when None. Of a sparse matrix 1,024 when None.
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in kan_layers(model)}

    def watch(name: str, layer: KANLayer) -> Any:
        return layer.register_forward_pre_hook(lambda _, given: seen[name].append(rows_of(layer, given[0], max_rows)))

    hooks = [watch(name, layer) for name, layer in kan_layers(model).items()]
    try:
        with evaluating(model):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    unused = [name for name, parts in seen.items() if not parts]
    if unused:
        raise ValueError(f"inputs must reach every KAN layer, got none at {unused}")
    return {name: torch.cat(parts) for name, parts in seen.items()}


def rows_of(layer: KANLayer, x: Tensor, max_rows: int | None = None) -> Tensor:
    """Return the input of a layer as a matrix `(N, in)`, pixels of a convolution, of which at most `max_rows` evenly spread rows."""
    if x.layout is not torch.strided:
        return sample_rows(x, max_rows or 1024)
    rows = x.reshape(-1, layer.in_features) if isinstance(layer, KANLinear) else layer.pixels(x)
    return spread_rows(rows, max_rows)


def spread_rows(x: Tensor, max_rows: int | None) -> Tensor:
    """Return at most so many rows of a matrix, evenly spread over it; all when None."""
    if max_rows is None or len(x) <= max_rows:
        return x
    return x[torch.linspace(0, len(x) - 1, max_rows, dtype=torch.float64).round().long().to(x.device)]


def num_inputs(layer: KANLayer) -> int:
    """Return the number of inputs, or of input channels."""
    return layer.in_features if isinstance(layer, KANLinear) else layer.in_channels


def expansion_of(layer: KANLayer) -> Expansion:
    """Return the squash and basis of a layer.

    Raises:
        TypeError: the basis is an `EdgeBasis`.
    """
    if layer.expansion is None:
        assert isinstance(layer, KANLinear)
        raise TypeError(f"basis must be a Basis, got the EdgeBasis {type(layer.edge).__name__}")
    return layer.expansion


def basis_of(layer: KANLayer) -> Basis | EdgeBasis:
    """Return the basis of a layer, of either kind."""
    if layer.expansion is not None:
        return layer.expansion.basis
    assert isinstance(layer, KANLinear)
    assert layer.edge is not None
    return layer.edge


def squash_of(layer: KANLayer) -> SquashInto:
    """Return the squash of a layer."""
    if layer.expansion is not None:
        return layer.expansion.squash
    assert isinstance(layer, KANLinear)
    return layer.squash


def flat_edges(layer: KANLayer, values: Tensor) -> Tensor:
    """Flatten values of edges, `(out, in, *rest)` or `(out, in/groups, *kernel, *rest)`, to `(E, in, *rest)`: E edges at each input.

    Of a dense layer nothing changes, E = out. Of a convolution E = out/groups · points of the kernel.
    """
    if isinstance(layer, KANLinear):
        return values
    split, rest = torch.unflatten(values, 0, (layer.groups, -1)), 3 + layer.dimensions  # (groups, out/groups, in/groups, *kernel, *rest)
    return split.permute(1, *range(3, rest), 0, 2, *range(rest, split.ndim)).flatten(0, layer.dimensions).flatten(1, 2)


def shaped_edges(layer: KANLayer, values: Tensor) -> Tensor:
    """Undo `flat_edges`."""
    if isinstance(layer, KANLinear):
        return values
    split = torch.unflatten(torch.unflatten(values, 1, (layer.groups, -1)), 0, (-1, *layer.kernel_size))
    rest = 3 + layer.dimensions  # (out/groups, *kernel, groups, in/groups, *rest)
    return split.permute(rest - 2, 0, rest - 1, *range(1, rest - 2), *range(rest, split.ndim)).flatten(0, 1)


def edge_values(layer: KANLayer, x: Tensor) -> Tensor:
    r"""Return what each edge gives, $\varphi_{oi}(x_{ni})$ with its residual, for inputs `(N, in)`: `(N, in, E)`; cut edges give zero.

    Differentiable, and right for the squash `layernorm` too, where an edge sees all inputs of a row.
    """
    if layer.expansion is not None:
        table = torch.einsum("nki,eik->nie", layer.expansion(x), flat_edges(layer, layer.coeff))
    else:
        assert isinstance(layer, KANLinear)
        assert layer.edge is not None
        table = (layer.weight * layer.edge(squash_of(layer)(x))).transpose(1, 2)
    if layer.residual_weight is not None:
        weight = flat_edges(layer, layer.residual_weight)
        table = table + residual_branch(layer.residual, x).unsqueeze(-1) * weight.T
    mask = layer.edge_mask if isinstance(layer, KANLinear) else None
    return table if mask is None else table * mask.T


def in_chunks(layer: KANLayer, x: Tensor) -> Sequence[Tensor]:
    """Split inputs `(N, in)` by rows, so that `edge_values` of each part stay within `BUDGET` numbers."""
    return torch.split(x, max(1, BUDGET // (num_inputs(layer) * edges_at_input(layer))))


def edges_at_input(layer: KANLayer) -> int:
    """Return E of `flat_edges`."""
    if isinstance(layer, KANLinear):
        return layer.out_features
    return layer.out_channels // layer.groups * layer.points
