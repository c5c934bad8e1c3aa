"""Parameters of a network by role."""

from typing import Literal, get_args

from torch import nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.layers.activation import NodeActivation
from kanzoo.layers.convolution import KANConvolution
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.revin import RevIN

Role = Literal["coefficients", "basis", "residual", "bias", "norm", "plain"]


def num_parameters(model: nn.Module) -> dict[Role, int]:
    """Count trainable parameters by role: coefficients, basis (inside it), residual, bias, norm, plain; roles without any are left out.

    Example:
        >>> from kanzoo.models.dense import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> num_parameters(KAN([2, 5, 1], basis=Chebyshev))
        {'coefficients': 120, 'residual': 15, 'bias': 6}
    """
    counts: dict[Role, int] = dict.fromkeys(get_args(Role), 0)
    for owner, inside_basis in _walk(model, False):
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.requires_grad:
                counts["basis" if inside_basis else _role(owner, name)] += parameter.numel()
    return {role: count for role, count in counts.items() if count}


def _walk(module: nn.Module, inside_basis: bool) -> list[tuple[nn.Module, bool]]:
    inside_basis = inside_basis or isinstance(module, Basis | EdgeBasis)
    return [(module, inside_basis)] + [pair for child in module.children() for pair in _walk(child, inside_basis)]


def _role(owner: nn.Module, name: str) -> Role:
    if isinstance(owner, nn.LayerNorm | nn.GroupNorm | nn.modules.batchnorm._BatchNorm | RevIN):
        return "norm"
    if name == "bias":
        return "bias"
    if isinstance(owner, KANLinear | KANConvolution | NodeActivation):
        return "residual" if name == "residual_weight" else "coefficients"
    return "plain"
