"""Classification of nodes and of graphs, with any of four networks."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Lt
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from kanzoo.layers.factory import Layers
from kanzoo.models.graph import GraphNet
from kanzoo.signature import checked
from kanzoo.task import Batch, Data, Task
from kanzoo_tasks.data import graph_sources
from kanzoo_tasks.packed_graphs import PackedGraphs


class Graph(Task):
    """Tell the class of a node or of a graph; the score is the accuracy on the test part.

    A sample is the number of a node or of a graph: the graphs themselves stay in one place, and `inputs` looks them up.

    Args:
        dataset: nodes of `karate` (34 members of a club), `sbm` (300 nodes, drawn by the seed), `cora` or `citeseer` (citations, with
            the public split: the seed decides the initial network alone); or graphs of `mutag` (188, inside grakel), `proteins`
            (1,113) or `nci1` (4,110), in ten folds: seeds 0 to 9 are one complete cross-validation, 10 to 19 the next.
        network: `gcn`, `gat`, `sage` or `gin`.
        hidden: widths of the hidden layers.
        pool: how the nodes of a graph are added up, `sum` or `mean`.
        norm: whether to normalise over the batch what hidden layers see.
        dropout: probability with which an input of a layer is dropped; with sets of graphs, an input of a readout.
        heads: of `gat`.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> task = Graph(dataset="karate", network="gcn", hidden=[4])
        >>> task.prepare(PlainLayers(), seed=1)
        >>> task(*task.inputs(task.data.test[:3])).shape
        torch.Size([34, 2])
    """

    score = "accuracy"
    direction = "max"
    sources = "kanzoo_tasks.data.graph_sources:graph_sources"

    @checked
    def __init__(
        self,
        *,
        dataset: Literal["karate", "cora", "citeseer", "sbm", "mutag", "proteins", "nci1"] = "karate",
        network: Literal["gcn", "gat", "sage", "gin"] = "gcn",
        hidden: list[Annotated[int, Ge(1)]] = [16],  # noqa: B006  the schema's default, copied below
        pool: Literal["sum", "mean"] = "sum",
        norm: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.5,
        heads: Annotated[int, Ge(1)] = 1,
    ) -> None:
        super().__init__()
        graph_sources.check_heads(network, hidden, heads)
        self.dataset: graph_sources.Name = dataset
        self.network: Literal["gcn", "gat", "sage", "gin"] = network
        self.pool: Literal["sum", "mean"] = pool
        self.hidden, self.norm, self.dropout, self.heads = list(hidden), norm, dropout, heads
        self.of_nodes = dataset in graph_sources.OF_NODES
        self.official_split = dataset in ("cora", "citeseer")

    def load(self, data_dir: Path | None, seed: int) -> Data:
        """Return numbers of nodes or of graphs `(samples,)` and classes `(samples,)`; the graphs lie in `self.graphs`."""
        graphs, parts = graph_sources.read(self.dataset, data_dir, seed)
        self.graphs = PackedGraphs(graphs, allow_sparse=self.of_nodes)
        self.num_classes = int(graphs.y.max()) + 1
        return Data(*(TensorDataset(torch.from_numpy(part.x), torch.from_numpy(part.y)) for part in parts))

    def build_model(self, layers: Layers) -> nn.Module:
        """Return updates from the features of a node over `hidden` to a logit of each class; with sets of graphs, and readouts."""
        return GraphNet(
            layers,
            [self.graphs.x.shape[1], *self.hidden, self.num_classes],
            update=self.network,
            pool="none" if self.of_nodes else self.pool,
            norm=self.norm,
            dropout=self.dropout,
            heads=self.heads,
        )

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return features and edges: of the one graph whose nodes are samples, or of the batch's graphs with the graph of each node."""
        return (self.graphs.x, self.graphs.edges) if self.of_nodes else self.graphs.pick(batch[0])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cross entropy; prediction is logits."""
        index, y = batch
        logits = self(*self.inputs(batch))
        logits = logits[index] if self.of_nodes else logits
        return nn.functional.cross_entropy(logits, y), logits, y

    def metrics(self) -> MetricCollection:
        """Return the accuracy over all samples."""
        return MetricCollection({"accuracy": MulticlassAccuracy(self.num_classes, average="micro")})
