"""Attention and transformer blocks whose projections and feed-forward parts are layers of a factory."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.layers.factory import Layers, PlainLayers


class KANAttention(nn.Module):
    r"""Self-attention of several heads, whose projections are layers of a factory.

    $$y = o\big([\ldots, \mathrm{softmax}(Q_h K_h^\top / \sqrt{d})\,V_h, \ldots]\big),\quad [Q, K, V] = p(x)$$

    with d features a head and two layers: o, and p, which gives queries, keys and values of all heads, so that a basis is evaluated once.

    Args:
        layers: the factory.
        features: of an element of a sequence.
        heads: number of heads, a divisor of `features`.
        causal: whether an element sees itself and those before it only.

    Raises:
        ValueError: `heads` is no divisor of `features`.

    Reference:
        Vaswani et al., Attention is all you need, arXiv:1706.03762.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> KANAttention(KANLayers(Chebyshev), 8, 2, causal=True)(torch.zeros(4, 10, 8)).shape
        torch.Size([4, 10, 8])
    """

    def __init__(self, layers: Layers, features: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        if heads < 1 or features < 1 or features % heads:
            raise ValueError(f"heads must be a divisor of features, got {heads} and {features}")
        self.heads, self.causal = heads, causal
        self.projection = layers.linear(features, 3 * features)
        self.output = layers.linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, time, features)` to the same shape."""
        split = torch.unflatten(self.projection(x), -1, (3, self.heads, -1))  # (*batch, time, 3, heads, d)
        query, key, value = (part.transpose(-2, -3) for part in split.unbind(-3))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        y: Tensor = self.output(mixed.transpose(-2, -3).flatten(-2))
        return y

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"heads={self.heads}, causal={self.causal}"


class TransformerBlock(nn.Module):
    r"""A pre-norm transformer block: $h = x + \mathrm{attention}(\mathrm{norm}_1(x))$, $y = h + \mathrm{net}(\mathrm{norm}_2(h))$.

    The network is two layers of a factory, a KAN or an MLP by it; the norms are layer normalisations.

    Args:
        layers: the factory of the network.
        features: of an element of a sequence.
        heads: number of heads, a divisor of `features`.
        hidden_features: width between the network's layers, which the factory may scale; four times `features` when None.
        causal: whether an element sees itself and those before it only.
        projections: the factory of the attention's layers; ordinary linear ones from the generator of `layers` when None.

    Raises:
        ValueError: `heads` is no divisor of `features`; `hidden_features` is below 1.

    Reference:
        Xiong et al., On layer normalization in the transformer architecture, arXiv:2002.04745.

    Example:
        >>> from kanzoo.layers.factory import KANLayers
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> TransformerBlock(KANLayers(Chebyshev), 8, 2, hidden_features=16)(torch.zeros(4, 10, 8)).shape
        torch.Size([4, 10, 8])
    """

    def __init__(
        self,
        layers: Layers,
        features: int,
        heads: int,
        *,
        hidden_features: int | None = None,
        causal: bool = False,
        projections: Layers | None = None,
    ) -> None:
        super().__init__()
        hidden = 4 * features if hidden_features is None else hidden_features
        if hidden < 1:
            raise ValueError(f"hidden_features must be >= 1, got {hidden}")
        plain = PlainLayers(activation=nn.Identity, generator=layers.generator)
        self.attention = KANAttention(plain if projections is None else projections, features, heads, causal=causal)
        hidden = layers.scaled(hidden)
        self.net = nn.Sequential(layers.linear(features, hidden, first=True), layers.linear(hidden, features, last=True))
        self.attention_norm, self.net_norm = nn.LayerNorm(features), nn.LayerNorm(features)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, time, features)` to the same shape."""
        x = x + self.attention(self.attention_norm(x))
        y: Tensor = x + self.net(self.net_norm(x))
        return y
