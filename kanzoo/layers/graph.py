"""Updates of nodes by their neighbours: GCN, GAT, GraphSAGE and GIN, each written once over the factory of layers. Needs PyG."""

import warnings
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import Layers
from kanzoo.layers.linear import KANLinear
from kanzoo.layers.norm import BatchNorm

try:
    with warnings.catch_warnings():
        # PyG 2.8 scripts some of its classes, which torch deprecates: https://github.com/pyg-team/pytorch_geometric/issues/10697
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
        from torch_geometric.nn.conv.gcn_conv import gcn_norm
        from torch_geometric.utils import add_self_loops, remove_self_loops, scatter, softmax
except ImportError as error:
    # The command line shows the message of what a plug-in raises on import, and not its hint.
    raise InvalidInput(f"networks on graphs must have PyG, got {error}: pip install 'kanzoo[graph]'") from error

UpdateName = Literal["gcn", "gat", "sage", "gin"]


class GraphUpdate(nn.Module, ABC):
    """New features of each node from its own and those of its neighbours.

    The layers of the factory bend each node's features first and mix them then; what is bent is summed over neighbours. A KAN and its
    baseline are the same class with another factory. Edges go from `edge_index[0]` to `edge_index[1]`; a graph without any is allowed.
    """

    @abstractmethod
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Map features `(nodes, in)`, dense or sparse, and edges `(2, edges)` to `(nodes, out)`."""


class Centered(nn.Module):
    r"""A layer of the factory less what it gives for zero, $f(x) - f(0)$: what may be mixed over neighbours.

    In a sum over inputs all constants are one number, which is the business of a bias. Mixed, they would tell of a node's degree, and
    of 1,433 inputs that are nearly all zero they would drown the few that are not: one step of Adam moves 1,433 constants at once.
    A bias that the layer adds last cancels and is taken away. An ordinary linear layer is not changed otherwise.

    Args:
        layer: of a factory.
        in_features: its inputs.
    """

    def __init__(self, layer: nn.Module, in_features: int) -> None:
        super().__init__()
        self.layer, self.in_features = layer, in_features
        for part in _parts(layer):
            if isinstance(part, KANLinear | nn.Linear):
                part.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(nodes, in)`, dense or sparse, to `(nodes, out)`."""
        y: Tensor = self.layer(x)
        at_zero = torch.zeros(1, self.in_features, dtype=x.dtype, device=x.device)
        for part in _parts(self.layer):
            at_zero = part.forward(at_zero)  # past the hooks: what a grid update watches is x
        return y - at_zero


def _parts(layer: nn.Module) -> list[nn.Module]:
    """Return what a layer does, step by step."""
    return [inner for part in layer for inner in _parts(part)] if isinstance(layer, nn.Sequential) else [layer]


class GCN(GraphUpdate):
    r"""Graph convolution, $y = \hat A f(x) + b$, with $\hat A = D^{-1/2}(A + I)D^{-1/2}$ and one layer f of the factory, `Centered`.

    Args:
        layers: the factory.
        in_features: features of a node.
        out_features: new features of a node.
        first: whether it sees the raw data.
        last: whether it gives the network's outputs.

    Reference:
        Kipf and Welling, Semi-supervised classification with graph convolutional networks, arXiv:1609.02907; with KAN layers:
        Bresson et al., KAGNNs, arXiv:2406.18380.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> update = GCN(PlainLayers(), 3, 2, first=True)
        >>> update(torch.zeros(4, 3), torch.tensor([[0, 1], [1, 0]])).shape
        torch.Size([4, 2])
    """

    def __init__(self, layers: Layers, in_features: int, out_features: int, *, first: bool = False, last: bool = False) -> None:
        super().__init__()
        self.linear = Centered(layers.linear(in_features, out_features, first=first, last=last), in_features)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Map features `(nodes, in)`, dense or sparse, and edges `(2, edges)` to `(nodes, out)`."""
        h = self.linear(x)
        (source, target), weight = gcn_norm(edge_index, None, len(h), dtype=h.dtype)
        return scatter_nodes(weight.unsqueeze(-1) * h[source], target, len(h), "sum") + self.bias


class GAT(GraphUpdate):
    r"""Graph attention: $y_v = b + \sum_{u \in N(v) \cup \{v\}} \alpha_{vu} f(x_u)$ in each of several heads, joined; f is `Centered`.

    $\alpha_{v\cdot}$ is the softmax over u of $\mathrm{LeakyReLU}_{0.2}(a_s^\top f(x_u) + a_t^\top f(x_v))$, with vectors a of each head.

    Args:
        layers: the factory.
        in_features: features of a node.
        out_features: new features of a node, of all heads together.
        first: whether it sees the raw data.
        last: whether it gives the network's outputs.
        heads: number of heads, a divisor of `out_features`.
        dropout: probability with which a neighbour is left out.

    Raises:
        ValueError: `heads` is no divisor of `out_features`.

    Reference:
        Veličković et al., Graph attention networks, arXiv:1710.10903.
    """

    def __init__(
        self,
        layers: Layers,
        in_features: int,
        out_features: int,
        *,
        first: bool = False,
        last: bool = False,
        heads: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if heads < 1 or out_features % heads:
            raise ValueError(f"heads must be a divisor of out_features, got {heads} and {out_features}")
        self.heads, self.dropout = heads, dropout
        self.linear = Centered(layers.linear(in_features, out_features, first=first, last=last), in_features)
        self.bias = nn.Parameter(torch.zeros(out_features))
        bound = (6 / (heads + out_features // heads)) ** 0.5  # Glorot, as in PyG
        start = torch.rand(2, heads, out_features // heads, generator=layers.generator)
        self.attention = nn.Parameter((2 * start - 1) * bound)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Map features `(nodes, in)`, dense or sparse, and edges `(2, edges)` to `(nodes, out)`."""
        h = self.linear(x).unflatten(-1, (self.heads, -1))
        source, target = add_self_loops(remove_self_loops(edge_index)[0], num_nodes=len(h))[0]
        of_source, of_target = (h * self.attention.unsqueeze(1)).sum(-1)  # (nodes, heads) each
        score = F.leaky_relu(of_source[source] + of_target[target], 0.2)
        share = F.dropout(softmax(score, target, num_nodes=len(h)), self.dropout, self.training)
        return scatter_nodes(share.unsqueeze(-1) * h[source], target, len(h), "sum").flatten(-2) + self.bias


class GraphSAGE(GraphUpdate):
    r"""GraphSAGE with the mean: $y_v = b + f(x_v) + \frac{1}{|N(v)|} \sum_{u \in N(v)} g(x_u)$; a lonely node has no sum.

    The layers f and g are `Centered`.

    Args:
        layers: the factory.
        in_features: features of a node.
        out_features: new features of a node.
        first: whether it sees the raw data.
        last: whether it gives the network's outputs.

    Reference:
        Hamilton et al., Inductive representation learning on large graphs, arXiv:1706.02216.
    """

    def __init__(self, layers: Layers, in_features: int, out_features: int, *, first: bool = False, last: bool = False) -> None:
        super().__init__()
        self.own = Centered(layers.linear(in_features, out_features, first=first, last=last), in_features)
        self.neighbours = Centered(layers.linear(in_features, out_features, first=first, last=last), in_features)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Map features `(nodes, in)`, dense or sparse, and edges `(2, edges)` to `(nodes, out)`."""
        own: Tensor = self.own(x)
        source, target = edge_index
        return own + scatter_nodes(self.neighbours(x)[source], target, len(own), "mean") + self.bias


class GIN(GraphUpdate):
    r"""Graph isomorphism update, $y_v = \mathrm{net}\big((1 + \epsilon) x_v + \sum_{u \in N(v)} x_u\big)$ with a trainable $\epsilon$.

    The network is an MLP, or a KAN, of two layers, each behind a batch normalisation where `norm` is set: it brings sums into the
    domain of a basis.

    Args:
        layers: the factory.
        in_features: features of a node.
        out_features: new features of a node, and width of the network's hidden layer.
        first: whether it sees the raw data.
        last: whether it gives the network's outputs.
        norm: whether to normalise what each layer of the network sees.

    Reference:
        Xu et al., How powerful are graph neural networks?, arXiv:1810.00826.
    """

    def __init__(
        self, layers: Layers, in_features: int, out_features: int, *, first: bool = False, last: bool = False, norm: bool = False
    ) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(()))
        before = (BatchNorm(in_features), BatchNorm(out_features)) if norm else (nn.Identity(), nn.Identity())
        self.net = nn.Sequential(
            before[0],
            layers.linear(in_features, out_features, first=first),
            before[1],
            layers.linear(out_features, out_features, last=last),
        )

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Map features `(nodes, in)`, dense or sparse, and edges `(2, edges)` to `(nodes, out)`; sums of sparse ones are dense."""
        x = x if x.layout is torch.strided else x.to_dense()
        source, target = edge_index
        mixed: Tensor = self.net((1 + self.epsilon) * x + scatter_nodes(x[source], target, len(x), "sum"))
        return mixed


def scatter_nodes(values: Tensor, place: Tensor, count: int, how: Literal["sum", "mean"]) -> Tensor:
    """Add up, or average, rows of `values` by their place: `(rows, *)` to `(count, *)`, zero where nothing is."""
    result: Tensor = scatter(values, place, 0, count, how)
    return result
