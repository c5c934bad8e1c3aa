"""Grid updates of a whole network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import AdaptiveBasis
from kanzoo.layers.activation import NodeActivation
from kanzoo.layers.convolution import KANConvolution
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.recurrent import Recurrent


@torch.no_grad()
def update_grid(model: nn.Module, *inputs: Any) -> int:
    """Let every adaptive grid of a network follow the inputs that its layer sees, from the first layer to the last.

    Those of a `Recurrent` follow what they see at all steps together, at the end.

    Args:
        model: any network that holds KAN layers, or learnt activations of nodes.
        inputs: what it is called with, a batch of `x` for most networks.

    Returns:
        The number of layers whose grid moved: 0 when no basis is adaptive.
    """
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, KANLinear | KANConvolution | NodeActivation)
        and layer.expansion is not None
        and isinstance(layer.expansion.basis, AdaptiveBasis)
    ]
    repeated = {part for outer in model.modules() if isinstance(outer, Recurrent) for part in outer.modules()}
    seen: dict[KANLinear | KANConvolution | NodeActivation, list[Tensor]] = {}

    def follow(layer: KANLinear | KANConvolution | NodeActivation, given: tuple[Tensor]) -> None:
        if layer in repeated:
            seen.setdefault(layer, []).append(given[0].flatten(0, -2))
        else:
            layer.update_grid(given[0])

    hooks = [layer.register_forward_pre_hook(follow) for layer in layers]
    try:
        with evaluating(model):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for layer, parts in seen.items():
        layer.update_grid(torch.cat(parts))
    return len(layers)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each part back into its own afterwards: one may be frozen there."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
