"""Recurrent networks whose gates are layers of a factory: GRU and LSTM."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from kanzoo.layers.factory import Layers

State = tuple[Tensor, ...]


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrent network.

    Attributes:
        hidden_features: of the output.
    """

    hidden_features: int

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """Map the input `(batch, in_features)` and the state before, zeros when None, to the state after; its first part is the output."""
        return self.step(self.of_inputs(x), self.initial(x) if state is None else state)

    @abstractmethod
    def initial(self, x: Tensor) -> State:
        """Return the state of zeros for inputs `(batch, …)`."""

    @abstractmethod
    def of_inputs(self, x: Tensor) -> Tensor:
        """Return what a step needs of inputs `(*batch, in_features)`, `(*batch, numbers)`: it does not depend on the state."""

    @abstractmethod
    def step(self, given: Tensor, state: State) -> State:
        """Return the state after a step from `of_inputs` of its input, `(batch, numbers)`, and the state before."""


class Recurrent(nn.Module):
    """A cell applied along time; what does not depend on the state is computed for all steps at once.

    Args:
        cell: one step.
    """

    def __init__(self, cell: RecurrentCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map `(batch, time, in_features)` and the state before, zeros when None, to outputs `(batch, time, hidden)` and the last state.

        Raises:
            ValueError: x is no batch of series, or there is no step.
        """
        if x.ndim != 3 or not x.shape[1]:
            raise ValueError(f"x must be (batch, time, in_features) with time >= 1, got shape {tuple(x.shape)}")
        state = self.cell.initial(x) if state is None else state
        outputs = []
        for given in self.cell.of_inputs(x).unbind(1):
            state = self.cell.step(given, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1), state


class GatedCell(RecurrentCell):
    """A cell with gates g(x) + f(h), two layers of a factory.

    Args:
        layers: the factory.
        in_features: of an input.
        hidden_features: of the output.
        first: whether it sees the raw data.

    Raises:
        ValueError: a size is below 1.
    """

    num_gates: ClassVar[int]

    def __init__(self, layers: Layers, in_features: int, hidden_features: int, *, first: bool = False) -> None:
        super().__init__()
        if min(in_features, hidden_features) < 1:
            raise ValueError(f"in_features and hidden_features must be >= 1, got {in_features} and {hidden_features}")
        self.hidden_features = hidden_features
        self.input_gates = layers.linear(in_features, self.num_gates * hidden_features, first=first)
        self.state_gates = layers.linear(hidden_features, self.num_gates * hidden_features)

    def of_inputs(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to the inputs' part of the gates, `(*batch, gates·hidden)`."""
        gates: Tensor = self.input_gates(x)
        return gates


class KANGRUCell(GatedCell):
    r"""One step of a gated recurrent unit with layers g and f of a factory; its state is `(h,)`, `(batch, hidden)`.

    $$r, z = \sigma(g_{rz}(x) + f_{rz}(h)),\quad n = \tanh(g_n(x) + r \odot f_n(h)),\quad h' = (1 - z) \odot n + z \odot h$$

    Arguments as in `GatedCell`.

    Reference:
        Cho et al., Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078, in the variant of `torch.nn.GRU`.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> (h,) = KANGRUCell(KANLayers(Chebyshev), 3, 5)(torch.zeros(2, 3))
        >>> h.shape
        torch.Size([2, 5])
    """

    num_gates = 3

    def initial(self, x: Tensor) -> State:
        """Return h = 0."""
        return (x.new_zeros(len(x), self.hidden_features),)

    def step(self, given: Tensor, state: State) -> State:
        """Return `(h',)`."""
        (h,) = state
        input_r, input_z, input_n = given.chunk(3, -1)
        state_r, state_z, state_n = self.state_gates(h).chunk(3, -1)
        r, z = torch.sigmoid(input_r + state_r), torch.sigmoid(input_z + state_z)
        n = torch.tanh(input_n + r * state_n)
        return (n + z * (h - n),)


class KANLSTMCell(GatedCell):
    r"""One step of a long short-term memory with layers g and f of a factory; its state is `(h, c)`, `(batch, hidden)` each.

    $$i, j, o = \sigma(g_{ijo}(x) + f_{ijo}(h)),\quad n = \tanh(g_n(x) + f_n(h)),\quad c' = j \odot c + i \odot n,\quad
    h' = o \odot \tanh(c')$$

    with the input gate i, the forget gate j and the output gate o, stored in the order i, j, n, o. Arguments as in `GatedCell`.

    Reference:
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9, 1997, with the forget gate of Gers et al., 2000.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> h, c = KANLSTMCell(KANLayers(Chebyshev), 3, 5)(torch.zeros(2, 3))
        >>> h.shape, c.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    num_gates = 4

    def initial(self, x: Tensor) -> State:
        """Return h = c = 0."""
        zeros = x.new_zeros(len(x), self.hidden_features)
        return zeros, zeros

    def step(self, given: Tensor, state: State) -> State:
        """Return `(h', c')`."""
        h, c = state
        i, j, n, o = (given + self.state_gates(h)).chunk(4, -1)
        c = torch.sigmoid(j) * c + torch.sigmoid(i) * torch.tanh(n)
        return torch.sigmoid(o) * torch.tanh(c), c


class KANGRU(Recurrent):
    """A `KANGRUCell` along time: `(batch, time, in_features)` to outputs `(batch, time, hidden)` and the last state `(h,)`.

    Arguments as in `GatedCell`; it sees the raw data unless `first` is false.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> outputs, (h,) = KANGRU(KANLayers(Chebyshev), 3, 5)(torch.zeros(2, 7, 3))
        >>> outputs.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    def __init__(self, layers: Layers, in_features: int, hidden_features: int, *, first: bool = True) -> None:
        super().__init__(KANGRUCell(layers, in_features, hidden_features, first=first))


class KANLSTM(Recurrent):
    """A `KANLSTMCell` along time: `(batch, time, in_features)` to outputs `(batch, time, hidden)` and the last state `(h, c)`.

    Arguments as in `GatedCell`; it sees the raw data unless `first` is false.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> outputs, (h, c) = KANLSTM(KANLayers(Chebyshev), 3, 5)(torch.zeros(2, 7, 3))
        >>> bool((outputs[:, -1] == h).all())
        True
    """

    def __init__(self, layers: Layers, in_features: int, hidden_features: int, *, first: bool = True) -> None:
        super().__init__(KANLSTMCell(layers, in_features, hidden_features, first=first))
