"""Stacks of layers: KAN and ConvKAN, and the baselines MLP and CNN of the same shapes. Needs torch alone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Generator, Tensor, nn

from kanzoo.basis import AdaptiveBasis, Basis, BasisFactory, EdgeBasis
from kanzoo.layers.conv import KANConv2d
from kanzoo.layers.expansion import Residual
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.squash import Squash

Role = Literal["coefficients", "basis", "residual", "bias", "norm", "plain"]


def _check_widths(widths: Sequence[int], name: str, least: int) -> tuple[int, ...]:
    if len(widths) < least or any(width < 1 for width in widths):
        raise ValueError(f"{name} must be {least} or more integers >= 1, got {list(widths)}")
    return tuple(widths)


class DenseNet(nn.Sequential):
    """A stack of dense layers from a factory.

    Args:
        layers: the factory.
        widths: `[in, hidden…, out]`; the factory may scale the hidden ones.
    """

    def __init__(self, layers: Layers, widths: Sequence[int]) -> None:
        first, *hidden, last = _check_widths(widths, "widths", 2)
        self.widths = (first, *map(layers.scaled, hidden), last)
        pairs = pairwise(self.widths)
        super().__init__(*(layers.linear(fan_in, fan_out, first=index == 0) for index, (fan_in, fan_out) in enumerate(pairs)))

    def update_grid(self, x: Tensor) -> None:
        """Let every adaptive grid follow what it sees when the network is fed `x`, layer by layer."""
        update_grid(self, x)


class ConvNet(nn.Sequential):
    """Convolutions from a factory, each with batch normalisation and max pooling by two; then dense layers over the flat map.

    Args:
        layers: the factory.
        in_channels: channels of the image.
        image_size: height and width in pixels.
        channels: output channels of each convolution.
        widths: `[hidden…, out]` of the dense layers.
        kernel_size: height and width of each kernel; the image keeps its size (padding kernel_size // 2).
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        *,
        kernel_size: int = 3,
    ) -> None:
        all_channels = (in_channels, *map(layers.scaled, _check_widths(channels, "channels", 1)))
        height, width = image_size
        parts: list[nn.Module] = []
        for index, (fan_in, fan_out) in enumerate(pairwise(all_channels)):
            parts.append(layers.conv2d(fan_in, fan_out, kernel_size, padding=kernel_size // 2, first=index == 0))
            parts += [nn.BatchNorm2d(fan_out), nn.MaxPool2d(2)]
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise ValueError(f"channels must be at most log2 of the image size {image_size}, got {list(channels)}")
        parts.append(nn.Flatten())
        *hidden, last = _check_widths(widths, "widths", 1)
        dense = (all_channels[-1] * height * width, *map(layers.scaled, hidden), last)
        parts += [layers.linear(fan_in, fan_out) for fan_in, fan_out in pairwise(dense)]
        super().__init__(*parts)

    def update_grid(self, x: Tensor) -> None:
        """Let every adaptive grid follow what it sees when the network is fed `x`, layer by layer."""
        update_grid(self, x)


class KAN(DenseNet):
    """A Kolmogorov-Arnold network of dense layers.

    Args:
        widths: `[in, hidden…, out]`.
        basis: a class, or a `functools.partial` of one.
        squash: map of inputs into the basis's domain: `tanh`, `layernorm`, `clamp`, `none`.
        residual: `silu`, `identity` or `none`.
        generator: source of the initial coefficients; torch's global one when None.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756.

    Example:
        >>> from functools import partial
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KAN([2, 5, 1], basis=partial(Chebyshev, degree=4))(torch.zeros(10, 2)).shape
        torch.Size([10, 1])
    """

    def __init__(
        self,
        widths: Sequence[int],
        basis: BasisFactory,
        *,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        generator: Generator | None = None,
    ) -> None:
        super().__init__(KANLayers(basis, squash=squash, residual=residual, generator=generator), widths)


class MLP(DenseNet):
    """The baseline of `KAN`: linear layers with SiLU between them.

    Args:
        widths: `[in, hidden…, out]`.
        generator: source of the initial weights; torch's global one when None.
    """

    def __init__(self, widths: Sequence[int], *, generator: Generator | None = None) -> None:
        super().__init__(PlainLayers(generator=generator), widths)


class ConvKAN(ConvNet):
    """A convolutional KAN; arguments as in `ConvNet` and `KAN`.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net = ConvKAN(1, (28, 28), channels=[4, 8], widths=[10], basis=Chebyshev)
        >>> net(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        basis: BasisFactory,
        *,
        kernel_size: int = 3,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        generator: Generator | None = None,
    ) -> None:
        layers = KANLayers(basis, squash=squash, residual=residual, generator=generator)
        super().__init__(layers, in_channels, image_size, channels, widths, kernel_size=kernel_size)


class CNN(ConvNet):
    """The baseline of `ConvKAN`: ordinary convolutions with SiLU between them; arguments as in `ConvNet`."""

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        widths: Sequence[int],
        *,
        kernel_size: int = 3,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(PlainLayers(generator=generator), in_channels, image_size, channels, widths, kernel_size=kernel_size)


@torch.no_grad()
def update_grid(model: nn.Module, x: Tensor) -> int:
    """Let every adaptive grid of a network follow the inputs that its layer sees, from the first layer to the last.

    Args:
        model: any network that holds KAN layers.
        x: a batch of its inputs.

    Returns:
        The number of layers whose grid moved: 0 when no basis is adaptive.
    """
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, KANLinear | KANConv2d) and layer.expansion is not None and isinstance(layer.expansion.basis, AdaptiveBasis)
    ]
    hooks = [layer.register_forward_pre_hook(lambda module, inputs: module.update_grid(inputs[0])) for layer in layers]
    modes = [(module, module.training) for module in model.modules()]  # a part may be frozen in evaluation mode
    try:
        model.eval()
        model(x)
    finally:
        for module, training in modes:
            module.training = training
        for hook in hooks:
            hook.remove()
    return len(layers)


def num_parameters(model: nn.Module) -> dict[Role, int]:
    """Count trainable parameters by role: coefficients, basis (inside it), residual, bias, norm, plain; roles without any are left out.

    Example:
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
    if isinstance(owner, nn.LayerNorm | nn.modules.batchnorm._BatchNorm):
        return "norm"
    if name == "bias":
        return "bias"
    if isinstance(owner, KANLinear | KANConv2d):
        return "residual" if name == "residual_weight" else "coefficients"
    return "plain"
