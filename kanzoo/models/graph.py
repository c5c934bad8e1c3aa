"""Networks on graphs: GraphKAN, and the baseline GNN of the same shape. Needs PyG."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Generator, Tensor, nn

from kanzoo.basis import BasisFactory
from kanzoo.errors import InvalidInput
from kanzoo.layers import sparse
from kanzoo.layers.control import FourierFeatureLayers
from kanzoo.layers.expansion import Residual
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.layers.graph import GAT, GCN, GIN, GraphSAGE, GraphUpdate, UpdateName, scatter_nodes
from kanzoo.layers.norm import BatchNorm
from kanzoo.layers.squash import Squash
from kanzoo.models.dense import check_widths
from kanzoo.models.grid import update_grid

Pool = Literal["none", "sum", "mean"]


class GraphNet(nn.Module):
    """A stack of updates from a factory; it tells something of each node, or with `pool` of each graph.

    Without a pool, each pair of widths is an update. With one, `[in, hidden…]` are: the features of each stage, the raw ones too, are
    pooled over each graph, and one layer a stage maps them to `out`, which are added up, as in the paper of GIN. `norm` sets a batch
    normalisation before every layer but those that see raw features of single nodes.

    Args:
        layers: the factory.
        widths: `[in, hidden…, out]`; the factory may scale the hidden ones.
        update: `gcn`, `gat`, `sage` or `gin`.
        pool: `none`, `sum` or `mean` over the nodes of a graph.
        norm: whether to normalise over the batch.
        dropout: probability with which what an update, or a readout, sees is dropped; in `gat` neighbours too.
        heads: of the hidden updates of `gat`; the last one of nodes has one.

    Raises:
        ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        layers: Layers,
        widths: Sequence[int],
        *,
        update: UpdateName = "gcn",
        pool: Pool = "none",
        norm: bool = False,
        dropout: float = 0.0,
        heads: int = 1,
    ) -> None:
        super().__init__()
        if isinstance(layers, FourierFeatureLayers):
            raise InvalidInput("Fourier features must be followed by a dense layer, got a network that begins with a graph")
        for name, value, allowed in (("update", update, get_args(UpdateName)), ("pool", pool, get_args(Pool))):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be >= 0 and < 1, got {dropout}")
        first, *hidden, last = check_widths(widths, "widths", 2)
        heads = heads if update == "gat" else 1
        if heads < 1 or any(width % heads for width in hidden):
            raise ValueError(f"heads must be a divisor of the hidden widths {hidden}, got {heads}")
        hidden = [heads * layers.scaled(width // heads) for width in hidden]
        self.widths, self.pool, self.dropout = (first, *hidden, last), pool, dropout
        stages = (first, *hidden) if pool != "none" else self.widths
        self.updates, self.norms = nn.ModuleList(), nn.ModuleList()
        for index, (fan_in, fan_out) in enumerate(pairwise(stages)):
            is_last = pool == "none" and index == len(stages) - 2
            ends = {"first": index == 0, "last": is_last}
            if update == "gat":
                own_heads = 1 if is_last else heads
                made: GraphUpdate = GAT(layers, fan_in, fan_out, **ends, heads=own_heads, dropout=dropout)
            elif update == "gin":
                made = GIN(layers, fan_in, fan_out, **ends, norm=norm)
            else:
                made = (GCN if update == "gcn" else GraphSAGE)(layers, fan_in, fan_out, **ends)
            self.updates.append(made)
            # GIN normalises its sums itself.
            self.norms.append(BatchNorm(fan_in) if norm and index and update != "gin" else nn.Identity())
        pooled = () if pool == "none" else stages
        self.readout_norms = nn.ModuleList(BatchNorm(width) if norm else nn.Identity() for width in pooled)
        self.readouts = nn.ModuleList(layers.linear(width, last, first=index == 0, last=True) for index, width in enumerate(pooled))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None, num_graphs: int | None = None) -> Tensor:
        """Map nodes to `(nodes, out)`, or with a pool graphs to `(graphs, out)`.

        Args:
            x: features `(nodes, in)`; without a pool they may be sparse.
            edge_index: `(2, edges)`, from row 0 to row 1.
            batch: graph of each node, `(nodes,)`; None is one graph.
            num_graphs: number of graphs, the highest of `batch` and one when None.
        """
        stages = [x]
        for norm, update in zip(self.norms, self.updates, strict=True):
            seen = sparse.dropout(norm(stages[-1]), 0.0 if self.pool != "none" else self.dropout, self.training)
            stages.append(update(seen, edge_index))
        if self.pool == "none":
            return stages[-1]
        batch = edge_index.new_zeros(len(x)) if batch is None else batch
        num_graphs = int(batch.max()) + 1 if num_graphs is None else num_graphs
        logits = []
        for features, norm, readout in zip(stages, self.readout_norms, self.readouts, strict=True):
            pooled = norm(scatter_nodes(features, batch, num_graphs, self.pool))
            logits.append(readout(sparse.dropout(pooled, self.dropout, self.training)))
        return torch.stack(logits).sum(0)

    def update_grid(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> None:
        """Let every adaptive grid follow what it sees when the network is fed a graph, layer by layer."""
        update_grid(self, x, edge_index, batch)


class GraphKAN(GraphNet):
    """A Kolmogorov-Arnold network on graphs; arguments as in `GraphNet` and `KAN`.

    Reference:
        Bresson et al., KAGNNs: Kolmogorov-Arnold networks meet graph learning, arXiv:2406.18380.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> GraphKAN([5, 8, 2], basis=Chebyshev, update="gin", pool="sum")(torch.zeros(3, 5), path).shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        widths: Sequence[int],
        basis: BasisFactory,
        *,
        update: UpdateName = "gcn",
        pool: Pool = "none",
        norm: bool = False,
        dropout: float = 0.0,
        heads: int = 1,
        squash: Squash = "tanh",
        residual: Residual = "silu",
        extrapolate: Extrapolate = "linear",
        generator: Generator | None = None,
    ) -> None:
        layers = KANLayers(basis, squash=squash, residual=residual, extrapolate=extrapolate, generator=generator)
        super().__init__(layers, widths, update=update, pool=pool, norm=norm, dropout=dropout, heads=heads)


class GNN(GraphNet):
    """The baseline of `GraphKAN`: ordinary linear layers with SiLU between them; arguments as in `GraphNet`."""

    def __init__(
        self,
        widths: Sequence[int],
        *,
        update: UpdateName = "gcn",
        pool: Pool = "none",
        norm: bool = False,
        dropout: float = 0.0,
        heads: int = 1,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(PlainLayers(generator=generator), widths, update=update, pool=pool, norm=norm, dropout=dropout, heads=heads)
