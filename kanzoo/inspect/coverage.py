"""How much of what a layer sees lies where its basis is meant to be used."""

from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import Basis
from kanzoo.inspect.layer import KANLayer, basis_of, kan_layers, layer_inputs, squash_of


@torch.no_grad()
def coverage(model: nn.Module, *inputs: Any) -> dict[str, float]:
    r"""Return the share of each KAN layer's inputs that lie in the domain before they are squashed, by the layer's name.

    Where the squash is `layernorm` the normalised inputs count, halved as the squash does: $|\mathrm{LayerNorm}(x)/2| \le 1$ is inside;
    where it is `standardize` they count as they are. With it, or without a squash, a grid that was moved beyond the domain counts as a part
    of it. What is not finite is outside.

    Args:
        model: any network that holds KAN layers, or one layer.
        inputs: what it is called with.

    Example:
        >>> from kanzoo.layers import KANLinear
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> coverage(KANLinear(1, 2, basis=Chebyshev), torch.tensor([[-3.0], [-1.0], [0.5], [2.0]]))
        {'': 0.5}
    """
    layers = kan_layers(model)
    return {name: float(_inside(layers[name], x).double().mean()) for name, x in layer_inputs(model, *inputs).items()}


def _inside(layer: KANLayer, x: Tensor) -> Tensor:
    squash, basis = squash_of(layer), basis_of(layer)
    low, high = torch.tensor(basis.domain).to(x)
    if squash.kind == "layernorm" and squash.norm is not None:
        x, low, high = squash.norm(x) / 2, low.new_tensor(-1.0), high.new_tensor(1.0)
    elif not squash.is_bounded:
        x = squash(x)
        if isinstance(basis, Basis):
            ends = basis.cell_ends().to(x)
            low, high = ends[:, 0].clamp(max=low), ends[:, -1].clamp(min=high)
    return torch.logical_and(x >= low, x <= high)
