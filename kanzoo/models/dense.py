"""Stacks of dense layers: KAN, and the baseline MLP of the same shape."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.layers.expansion import Residual
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.layers.squash import Squash
from kanzoo.models.grid import update_grid


def check_widths(widths: Sequence[int], name: str, least: int) -> tuple[int, ...]:
    """Return the widths; ValueError when there are fewer than `least`, or one is below 1."""
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
        first, *hidden, last = check_widths(widths, "widths", 2)
        self.widths = (first, *map(layers.scaled, hidden), last)
        pairs = pairwise(self.widths)
        end = len(widths) - 2
        super().__init__(*(layers.linear(*pair, first=index == 0, last=index == end) for index, pair in enumerate(pairs)))

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
        extrapolate: what edge functions do outside the domain under the squash `none`, see `KANLinear`.
        generator: source of the initial coefficients; torch's global one when None.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756.

    Example:
        >>> import torch
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
        extrapolate: Extrapolate = "linear",
        generator: Generator | None = None,
    ) -> None:
        super().__init__(KANLayers(basis, squash=squash, residual=residual, extrapolate=extrapolate, generator=generator), widths)


class MLP(DenseNet):
    """The baseline of `KAN`: linear layers with SiLU between them.

    Args:
        widths: `[in, hidden…, out]`.
        generator: source of the initial weights; torch's global one when None.
    """

    def __init__(self, widths: Sequence[int], *, generator: Generator | None = None) -> None:
        super().__init__(PlainLayers(generator=generator), widths)
