"""Graphs that need no file: Zachary's karate club, a stochastic block model, and random graphs with the number of their cycles."""

from typing import Literal

import numpy as np

from kanzoo_tasks.data.graph import Array, Graphs, one_graph, pack_features

Cycle = Literal["triangle", "square"]

#: Friends with a lower number of each member from 1 on, members being counted from 0; and whether each joined Mr. Hi (0) or the officer.
_FRIENDS = (
    "0|0 1|0 1 2|0|0|0 4 5|0 1 2 3|0 2|2|0 4 5|0|0 3|0 1 2 3|||5 6|0 1||0 1||0 1||||23 24||2 23 24|2|23 26|1 8|0 24 25 28|"
    "2 8 14 15 18 20 22 23 29 30 31|"
    "8 9 13 14 15 18 19 20 22 23 26 27 28 29 30 31 32"
)
_CLUBS = "0000000001000011001010111111111111"

#: Classes of the block model, nodes of each, features of a node; probability of an edge inside and between classes.
SBM_CLASSES, SBM_NODES, SBM_FEATURES, SBM_INSIDE, SBM_BETWEEN = 4, 75, 16, 0.08, 0.02

#: Nodes of a random graph, and probability of an edge: the lowest and the highest.
CYCLE_NODES, CYCLE_DENSITY = (8, 20), (0.1, 0.5)


def karate() -> Graphs:
    """Return the 34 members of a karate club, who are friends and fell out: which of two clubs does each join? Features are identity.

    Reference:
        Zachary, An information flow model for conflict and fission in small groups, doi:10.1086/jar.33.4.3629752.
    """
    pairs = [(member, int(friend)) for member, friends in enumerate(_FRIENDS.split("|"), 1) for friend in friends.split()]
    half = np.array(pairs).T
    return one_graph(np.eye(len(_CLUBS)), np.concatenate([half, half[::-1]], axis=1), np.array(list(_CLUBS), dtype=np.int64))


def block_model(seed: int) -> Graphs:
    """Return a stochastic block model with noisy features, a Gaussian around a mean of each class; the seed draws all of it.

    Reference:
        Deshpande et al., Contextual stochastic block models, arXiv:1807.09596.
    """
    generator = np.random.default_rng([seed, 2])
    y = np.repeat(np.arange(SBM_CLASSES), SBM_NODES)
    means = generator.standard_normal((SBM_CLASSES, SBM_FEATURES)) / np.sqrt(SBM_FEATURES)
    x = means[y] + generator.standard_normal((len(y), SBM_FEATURES)) / 2
    likely = np.where(y[:, None] == y, SBM_INSIDE, SBM_BETWEEN)
    half = np.stack(np.nonzero(np.triu(generator.random(likely.shape) < likely, 1)))
    return one_graph(x, np.concatenate([half, half[::-1]], axis=1), y)


def random_graphs(count: int, cycle: Cycle, generator: np.random.Generator) -> Graphs:
    """Return random graphs of Erdős and Rényi, each of a size and density of its own, and the number of cycles in each.

    The feature of a node is its degree, in units of the largest possible one.
    """
    degrees, sizes, edges, y = [], [], [], []
    for _ in range(count):
        size = int(generator.integers(CYCLE_NODES[0], CYCLE_NODES[1] + 1))
        half = np.triu(generator.random((size, size)) < generator.uniform(*CYCLE_DENSITY), 1)
        adjacency = (half | half.T).astype(np.int64)
        degrees.append(adjacency.sum(1) / (CYCLE_NODES[1] - 1))
        sizes.append(size)
        edges.append(np.stack(np.nonzero(adjacency)))
        y.append(num_cycles(adjacency, cycle))
    return pack_features(np.concatenate(degrees)[:, None], sizes, edges, np.array(y, dtype=np.float64))


def num_cycles(adjacency: Array, cycle: Cycle) -> int:
    r"""Count cycles of length 3 or 4 by closed walks.

    Triangles are $\mathrm{tr} A^3 / 6$; squares are $(\mathrm{tr} A^4 - 2 \sum_v d_v^2 + \sum_v d_v) / 8$, as the other closed walks
    of length 4 run along one edge or two.

    Args:
        adjacency: symmetric `(nodes, nodes)` of zeros and ones, zeros on the diagonal.
        cycle: `triangle` or `square`.

    Example:
        >>> num_cycles(1 - np.eye(4, dtype=int), "triangle"), num_cycles(1 - np.eye(4, dtype=int), "square")
        (4, 3)
    """
    square = adjacency @ adjacency
    if cycle == "triangle":
        return int((square * adjacency).sum()) // 6
    degree = adjacency.sum(0)
    return int((square * square).sum() - 2 * (degree**2).sum() + degree.sum()) // 8
