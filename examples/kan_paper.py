"""Find formulas of section 4.1 of arXiv:2404.19756 and its running example from data, as rows of a table; a minute or two."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from kanzoo.inspect.formula import Node, discover
from kanzoo_bases.bspline import BSpline


def draw(count: int, columns: int, low: float = -1.0) -> Tensor:
    """Return evenly distributed inputs in [low, 1], always from seed 0."""
    return low + (1 - low) * torch.rand(count, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def find(truth: str, x: Tensor, y: Tensor, shapes: list[list[Node]] | None = None, seeds: int = 3) -> None:
    """Print what made the data, the shape of the network that was read, and the formula; `seconds` is more than it takes."""
    names: Sequence[str] = ("x", "y") if x.shape[1] == 2 else ("x1", "x2", "x3", "x4")[: x.shape[1]]
    basis = partial(BSpline, grid_size=12)
    found = discover(x, y.unsqueeze(1), names, basis=basis, shapes=shapes, seeds=seeds, samples=len(x), seconds=1200)
    print(f"| {truth} | `{found.shape}` | `{found.expression}` |", flush=True)


x = draw(600, 2)
find("x y", x, x[:, 0] * x[:, 1])
positive = draw(600, 2, low=0.5)
find("x / y", positive, positive[:, 0] / positive[:, 1])
find("exp(sin(πx) + y²)", x, torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2))
x = draw(600, 3)
find("tanh(5 (x1⁴ + x2⁴ + x3⁴ - 1))", x, torch.tanh(5 * ((x**4).sum(1) - 1)))
x = draw(2000, 4)
pairings = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))  # a function of functions of two pairs: which pairs?
pairs = [Node("sum", (Node("sum", tuple(Node("sum", pair) for pair in pairing)),)) for pairing in pairings]
find("√((x1 - x2)² + (x3 - x4)²)", x, ((x[:, 0] - x[:, 1]) ** 2 + (x[:, 2] - x[:, 3]) ** 2).sqrt(), [pairs], seeds=12)
