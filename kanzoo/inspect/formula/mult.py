"""Layers without functions on edges: products of nodes, and a fixed change of units."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Multiply(nn.Module):
    r"""Multiply groups of nodes, $y_g = \prod_{i \in g} x_i$: the multiplication nodes that may follow a KAN layer.

    Args:
        groups: positions of the factors of each product; one position alone is passed on.

    Raises:
        ValueError: there is no group, one is empty, or the positions are not 0 ... n-1, each once.

    Reference:
        Liu et al., KAN 2.0: Kolmogorov-Arnold networks meet science, arXiv:2408.10205.

    Example:
        >>> Multiply([[0, 1], [2]])(torch.tensor([2.0, 3.0, 5.0]))
        tensor([6., 5.])
    """

    def __init__(self, groups: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.groups = tuple(tuple(group) for group in groups)
        positions = sorted(position for group in self.groups for position in group)
        if not self.groups or not all(self.groups) or positions != list(range(len(positions))):
            raise ValueError(f"groups must hold each of the positions 0 ... n-1 once, got {[list(group) for group in self.groups]}")
        self.in_features, self.out_features = len(positions), len(self.groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to `(*batch, groups)`."""
        return torch.stack([_product([x[..., position] for position in group]) for group in self.groups], -1)

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"{[list(group) for group in self.groups]}"


class Affine(nn.Module):
    """Change units, $(x - center) / scale$, by fixed numbers.

    Args:
        center: one number a feature.
        scale: one number a feature, none of them 0.

    Raises:
        ValueError: the lengths differ, or a scale is 0.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        if center.shape != scale.shape or center.ndim != 1 or not bool((scale != 0).all()):
            raise ValueError(f"center and scale must have one shape (features,) and no scale may be 0, got {center} and {scale}")
        self.register_buffer("center", center.detach().clone())
        self.register_buffer("scale", scale.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, features)` to the same shape."""
        return (x - self.center) / self.scale


def _product(factors: list[Tensor]) -> Tensor:
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return product
