"""Grid updates of a whole network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from kanzoo.basis import AdaptiveBasis
from kanzoo.layers.conv import KANConv2d
from kanzoo.layers.linear import KANLinear


@torch.no_grad()
def update_grid(model: nn.Module, *inputs: Any) -> int:
    """Let every adaptive grid of a network follow the inputs that its layer sees, from the first layer to the last.

    Args:
        model: any network that holds KAN layers.
        inputs: what it is called with, a batch of `x` for most networks.

    Returns:
        The number of layers whose grid moved: 0 when no basis is adaptive.
    """
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, KANLinear | KANConv2d) and layer.expansion is not None and isinstance(layer.expansion.basis, AdaptiveBasis)
    ]
    hooks = [layer.register_forward_pre_hook(lambda module, seen: module.update_grid(seen[0])) for layer in layers]
    try:
        with evaluating(model):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
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
