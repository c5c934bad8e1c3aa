"""Many graphs in a few tensors, from which those of a batch are taken."""

import torch
from torch import Tensor, nn

from kanzoo_tasks.data.graph import Graphs


class PackedGraphs(nn.Module):
    """Graphs as buffers, which follow the task to its device and are not part of its state.

    Args:
        graphs: the arrays; nodes of each graph are counted from 0.
        allow_sparse: keep features as a sparse matrix where fewer than 5 % of them are not zero.
    """

    x: Tensor
    edges: Tensor
    first_node: Tensor
    first_edge: Tensor

    def __init__(self, graphs: Graphs, *, allow_sparse: bool = False) -> None:
        super().__init__()
        x = torch.from_numpy(graphs.x)
        if allow_sparse and int(x.count_nonzero()) < 0.05 * x.numel():
            x = x.to_sparse(layout=torch.sparse_coo).coalesce()
        self.register_buffer("x", x, persistent=False)
        for name in ("edges", "first_node", "first_edge"):
            self.register_buffer(name, torch.from_numpy(getattr(graphs, name).copy()), persistent=False)

    def pick(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the graphs of a batch as one: features `(nodes, in)`, edges `(2, edges)` and the graph of each node, from 0 on."""
        node, batch, place = _ranges(self.first_node, index)
        edge, owner, _ = _ranges(self.first_edge, index)
        return self.x[node], self.edges[:, edge] + place[owner], batch


def _ranges(first: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return all items of the chosen ranges in turn, the range of each, and the place at which each range begins."""
    begin, size = first[index], first[index + 1] - first[index]
    place = size.cumsum(0) - size
    owner = torch.arange(len(index), device=index.device).repeat_interleave(size)
    return torch.arange(len(owner), device=index.device) + (begin - place)[owner], owner, place
