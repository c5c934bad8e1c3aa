"""Stacks of dense KAN layers, and the columns that such a stack looks at."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kanzoo.layers import KANLinear


class Select(nn.Module):
    """Keep some columns of the input: the first module of a network that needs no others.

    Args:
        index: columns to keep, in rising order.
        in_features: columns of the input.

    Raises:
        ValueError: there is no column to keep, one is out of range, or they are not in rising order.

    Example:
        >>> Select([0, 2], 3)(torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[1., 3.]])
    """

    index: Tensor

    def __init__(self, index: list[int], in_features: int) -> None:
        super().__init__()
        if not index or index != sorted(set(index)) or index[0] < 0 or index[-1] >= in_features:
            raise ValueError(f"index must be one or more rising integers in 0 ... {in_features - 1}, got {index}")
        self.in_features = in_features
        self.register_buffer("index", torch.tensor(index))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)`, or a sparse matrix, to `(*batch, len(index))`."""
        return x.index_select(-1, self.index)

    def extra_repr(self) -> str:
        """Describe the module in a printed network."""
        return f"{len(self.index)} of {self.in_features}"


@dataclass(frozen=True)
class DenseStack:
    """The parts of a network that is a stack of dense KAN layers.

    Attributes:
        layers: from the first to the last.
        select: what stands before them, or None.
    """

    layers: list[KANLinear]
    select: Select | None

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of inputs of each layer, and of outputs."""
        return (*(layer.in_features for layer in self.layers), self.layers[-1].out_features)

    @property
    def in_features(self) -> int:
        """Columns of the network's input."""
        return self.widths[0] if self.select is None else self.select.in_features

    def all_inputs(self, values: Tensor) -> Tensor:
        """Return values of the first layer's inputs as values of the columns of the network's input: zero where it is not used."""
        if self.select is None:
            return values
        return values.new_zeros(self.in_features).index_copy(0, self.select.index, values)


def dense_stack(model: nn.Module) -> DenseStack:
    """Return the parts of `KAN`, or of an `nn.Sequential` of `KANLinear`, that may begin with `Select`.

    Raises:
        ValueError: the model is no such stack.
    """
    parts = list(model) if isinstance(model, nn.Sequential) else []
    select = parts[0] if parts and isinstance(parts[0], Select) else None
    parts = parts[0 if select is None else 1 :]
    layers = [part for part in parts if isinstance(part, KANLinear)]
    if not layers or len(layers) < len(parts) or len(set(layers)) < len(layers):
        kinds = ", ".join(type(part).__name__ for part in parts) or type(model).__name__
        raise ValueError(f"model must be a stack of KANLinear, each there once, got {kinds}")
    return DenseStack(layers, select)
