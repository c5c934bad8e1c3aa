"""Mixtures of layers with different bases."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kanzoo.layers.factory import Layers, PlainLayers


class MixtureOfExperts(nn.Module):
    r"""Layers of several factories, the experts, weighted by a gate that looks at the input.

    $$y = \sum_e g_e(x)\,f_e(x),\quad g(x) = \mathrm{softmax}(W x + b)$$

    All experts are evaluated. W and b begin as those of `nn.Linear`, from the generator of the first factory.

    Args:
        experts: a factory for each expert.
        in_features: number of inputs.
        out_features: number of outputs.
        first: whether it sees the raw data.

    Raises:
        ValueError: there is no expert.

    Reference:
        Han et al., KAN4TSF: are KAN and KAN-based models effective for time series forecasting?, arXiv:2408.11306.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.bspline import BSpline
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> layer = MixtureOfExperts([KANLayers(BSpline), KANLayers(Chebyshev)], 3, 2)
        >>> y, gates = layer.with_gates(torch.randn(5, 3))
        >>> y.shape, gates.shape
        (torch.Size([5, 2]), torch.Size([5, 2]))
        >>> loss = y.square().mean() + 1e-2 * load_balance(gates)
    """

    def __init__(self, experts: Sequence[Layers], in_features: int, out_features: int, *, first: bool = False) -> None:
        super().__init__()
        if not experts:
            raise ValueError("experts must be one or more factories, got none")
        self.gate = PlainLayers(generator=experts[0].generator).linear(in_features, len(experts), first=True)
        self.experts = nn.ModuleList(layers.linear(in_features, out_features, first=first) for layers in experts)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to `(*batch, out_features)`."""
        return self.with_gates(x)[0]

    def with_gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output `(*batch, out_features)` and the gates `(*batch, experts)`, which add up to one."""
        gates: Tensor = torch.softmax(self.gate(x), -1)
        given = torch.stack([expert(x) for expert in self.experts], -1)  # (*batch, out, experts)
        return (given * gates.unsqueeze(-2)).sum(-1), gates


def load_balance(gates: Tensor) -> Tensor:
    r"""Return how unevenly a batch uses the experts, a term of the loss: the squared coefficient of variation of their mean gates.

    With the mean gate $P_e$ of each of E experts it is $E \sum_e P_e^2 - 1$: zero where all are used alike, E − 1 where one is alone.

    Args:
        gates: `(*batch, experts)`, which add up to one.

    Reference:
        Shazeer et al., Outrageously large neural networks: the sparsely-gated mixture-of-experts layer, arXiv:1701.06538.

    Example:
        >>> load_balance(torch.tensor([[1.0, 0.0], [1.0, 0.0]])), load_balance(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        (tensor(1.), tensor(0.))
    """
    mean = gates.flatten(0, -2).mean(0)
    return mean.numel() * mean.square().sum() - 1
