"""Temporal KAN: a long short-term memory whose output gate listens to recurrent KAN layers."""

import torch
from torch import Tensor, nn

from kanzoo.layers.factory import Layers, PlainLayers
from kanzoo.layers.recurrent import Recurrent, RecurrentCell, State


class TKANCell(RecurrentCell):
    r"""One step of a temporal KAN; its state is `(h, c, m)`: `(batch, hidden)` twice, and the memories `(batch, num_layers, memory)`.

    Each of L layers $\phi_l$ of a factory sees the input and its own memory, and the output gate sees what all of them give:

    $$u_l = \phi_l(W_l x + b_l + V_l m_l),\quad m_l' = A_l m_l + B_l u_l,\quad o = \sigma(W_o [u_1, \dots, u_L] + b_o)$$

    $$i, f = \sigma(W_{if} x + U_{if} h + b_{if}),\quad n = \tanh(W_n x + U_n h + b_n),\quad c' = f \odot c + i \odot n,\quad
    h' = o \odot \tanh(c')$$

    All but the $\phi_l$ is linear; its weights begin as those of `nn.Linear`.

    Args:
        layers: the factory of the $\phi_l$.
        in_features: of an input.
        hidden_features: of the output.
        num_layers: L.
        memory_features: of each memory; as many as hidden ones when None.

    Raises:
        ValueError: a size is below 1.

    Reference:
        Genet and Inzirillo, TKAN: Temporal Kolmogorov-Arnold networks, arXiv:2405.07344.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> h, c, m = TKANCell(KANLayers(Chebyshev), 3, 5, num_layers=2, memory_features=4)(torch.zeros(6, 3))
        >>> h.shape, c.shape, m.shape
        (torch.Size([6, 5]), torch.Size([6, 5]), torch.Size([6, 2, 4]))
    """

    def __init__(
        self, layers: Layers, in_features: int, hidden_features: int, *, num_layers: int = 3, memory_features: int | None = None
    ) -> None:
        super().__init__()
        memory = hidden_features if memory_features is None else memory_features
        if min(in_features, hidden_features, num_layers, memory) < 1:
            raise ValueError(
                "in_features, hidden_features, num_layers and memory_features must be >= 1, "
                f"got {in_features}, {hidden_features}, {num_layers} and {memory}"
            )
        self.hidden_features, self.num_layers, self.memory_features = hidden_features, num_layers, memory
        plain = PlainLayers(generator=layers.generator)
        self.of_input = plain.linear(in_features, 3 * hidden_features + num_layers * memory, first=True)
        self.of_hidden = plain.linear(hidden_features, 3 * hidden_features, first=True)
        self.layers = nn.ModuleList(layers.linear(memory, memory) for _ in range(num_layers))
        bound = memory**-0.5
        start = torch.rand(3, num_layers, memory, memory, generator=layers.generator)
        self.recall, self.keep, self.write = (nn.Parameter(part) for part in (2 * start - 1) * bound)  # V, A, B
        self.output_gate = plain.linear(num_layers * memory, hidden_features, first=True)

    def initial(self, x: Tensor) -> State:
        """Return h = c = 0 and m = 0."""
        zeros = x.new_zeros(len(x), self.hidden_features)
        return zeros, zeros, x.new_zeros(len(x), self.num_layers, self.memory_features)

    def of_inputs(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to the inputs' part of the gates i, f and n, and of what the layers see."""
        given: Tensor = self.of_input(x)
        return given

    def step(self, given: Tensor, state: State) -> State:
        """Return `(h', c', m')`."""
        h, c, m = state
        gates, seen = torch.split(given, [3 * self.hidden_features, self.num_layers * self.memory_features], -1)
        i, f, n = (gates + self.of_hidden(h)).chunk(3, -1)
        seen = torch.unflatten(seen, -1, (self.num_layers, -1)) + _each(self.recall, m)
        u = torch.stack([layer(part) for layer, part in zip(self.layers, seen.unbind(-2), strict=True)], -2)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(n)
        h = torch.sigmoid(self.output_gate(u.flatten(-2))) * torch.tanh(c)
        return h, c, _each(self.keep, m) + _each(self.write, u)


def _each(weight: Tensor, x: Tensor) -> Tensor:
    """Multiply the vectors `(batch, L, memory)` by the matrices `(L, memory, memory)`, each by its own."""
    return torch.einsum("lij,blj->bli", weight, x)


class TKAN(Recurrent):
    """A `TKANCell` along time: `(batch, time, in_features)` to outputs `(batch, time, hidden)` and the last state `(h, c, m)`.

    Arguments as in `TKANCell`.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> outputs, state = TKAN(KANLayers(Chebyshev), 3, 5)(torch.zeros(2, 7, 3))
        >>> outputs.shape, len(state)
        (torch.Size([2, 7, 5]), 3)
    """

    def __init__(
        self, layers: Layers, in_features: int, hidden_features: int, *, num_layers: int = 3, memory_features: int | None = None
    ) -> None:
        super().__init__(TKANCell(layers, in_features, hidden_features, num_layers=num_layers, memory_features=memory_features))
