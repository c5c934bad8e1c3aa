"""Regression on graphs: how many cycles has a random graph?"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from kanzoo.layers.factory import Layers
from kanzoo.models.graph import GraphNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Task
from kanzoo_tasks.data.graph import Graphs, check, pack_features
from kanzoo_tasks.data.graph_sources import check_heads
from kanzoo_tasks.data.synthetic_graph import random_graphs
from kanzoo_tasks.packed_graphs import PackedGraphs


class GraphRegression(Task):
    """Count the cycles of random graphs of 8 to 20 nodes; the score is the root mean squared error on the test part, in cycles.

    Counts are exact, by powers of the adjacency matrix. A network that passes messages sees degrees and walks but no cycle as such, so
    it cannot reach zero; how near it comes depends on how well it bends what it sees. Targets are standardised by the training part.

    Args:
        cycle: `triangle` or `square`, cycles of length 3 or 4.
        num_train: graphs for training.
        num_test: graphs for test, and as many for validation.
        network: `gcn`, `gat`, `sage` or `gin`.
        hidden: widths of the hidden layers.
        pool: how the nodes of a graph are added up, `sum` or `mean`.
        norm: whether to normalise over the batch what hidden layers see.
        dropout: probability with which an input of a readout is dropped.
        heads: of `gat`.

    Reference:
        Chen et al., Can graph neural networks count substructures?, arXiv:2002.04025.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = GraphRegression(num_train=20, num_test=10)
        >>> task.prepare(PlainLayers(), seed=1)
        >>> task(*task.inputs(task.data.test[:3])).shape
        torch.Size([3, 1])
    """

    score = "rmse"
    direction = "min"
    sources = "kanzoo_tasks.data.graph_sources:cycle_sources"

    target_mean: Tensor
    target_std: Tensor

    @checked
    def __init__(
        self,
        *,
        cycle: Literal["triangle", "square"] = "triangle",
        num_train: Annotated[int, Ge(10), Le(1_000_000)] = 400,
        num_test: Annotated[int, Ge(10), Le(1_000_000)] = 200,
        network: Literal["gcn", "gat", "sage", "gin"] = "gin",
        hidden: list[Annotated[int, Ge(1)]] = [16, 16],  # noqa: B006  the schema's default, copied below
        pool: Literal["sum", "mean"] = "sum",
        norm: bool = True,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        heads: Annotated[int, Ge(1)] = 1,
    ) -> None:
        super().__init__()
        check_heads(network, hidden, heads)
        self.cycle: Literal["triangle", "square"] = cycle
        self.num_train, self.num_test = num_train, num_test
        self.network: Literal["gcn", "gat", "sage", "gin"] = network
        self.pool: Literal["sum", "mean"] = pool
        self.hidden, self.norm, self.dropout, self.heads = list(hidden), norm, dropout, heads

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return numbers of graphs `(samples,)` and standardised counts `(samples, 1)`; the graphs lie in `self.graphs`."""
        # One generator a part: the test graphs do not depend on the number of the training graphs.
        generators = np.random.default_rng(seed).spawn(3)
        sizes = (self.num_train, self.num_test, self.num_test)
        graphs = _joined([random_graphs(size, self.cycle, generator) for size, generator in zip(sizes, generators, strict=True)])
        self.graphs = PackedGraphs(check(graphs, "cycles"))
        y = torch.from_numpy(graphs.y.astype(np.float32)).unsqueeze(-1)
        mean, std = y[: self.num_train].mean(), y[: self.num_train].std()
        self.register_buffer("target_mean", mean)
        self.register_buffer("target_std", torch.where(std > 0, std, 1.0))
        index = torch.split(torch.arange(len(y)), list(sizes))
        return Data(*(TensorDataset(part, (y[part] - self.target_mean) / self.target_std) for part in index))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return updates and readouts from the degree of a node over `hidden` to one number of a graph."""
        return GraphNet(
            layers,
            [self.graphs.x.shape[1], *self.hidden, 1],
            update=self.network,
            pool=self.pool,
            norm=self.norm,
            dropout=self.dropout,
            heads=self.heads,
        )

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return features and edges of the batch's graphs, and the graph of each node."""
        return self.graphs.pick(batch[0])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean squared error of standardised counts; prediction and target in cycles."""
        y = batch[1]
        prediction = self(*self.inputs(batch))
        loss = nn.functional.mse_loss(prediction, y)
        return loss, prediction * self.target_std + self.target_mean, y * self.target_std + self.target_mean

    def metrics(self) -> MetricCollection:
        """Return root mean squared error, mean absolute error and coefficient of determination."""
        return MetricCollection({"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2Score()})


def _joined(parts: list[Graphs]) -> Graphs:
    edges = [np.split(part.edges, part.first_edge[1:-1], axis=1) for part in parts]
    sizes = [int(size) for part in parts for size in np.diff(part.first_node)]
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y"))
    return pack_features(x, sizes, [own for group in edges for own in group], y)
