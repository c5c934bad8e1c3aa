"""Train a KAN that is too large for its formula, prune it to the edges that matter, refine what is left, and change its basis."""

from functools import partial

import torch

from kanzoo.inspect import EdgeMagnitudes, attribution, convert, prune, refine
from kanzoo.models import KAN, num_parameters
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

torch.manual_seed(0)
x = 2 * torch.rand(1000, 4) - 1  # of four inputs, two count
y = torch.sin(torch.pi * x[:, :1]) + x[:, 1:2] ** 2

net = KAN([4, 5, 1], basis=partial(BSpline, grid_size=5))


def fit(net: torch.nn.Module, steps: int, penalty: float = 0.0) -> float:
    """Fit by Adam with a penalty on the magnitudes of edges; return the root mean squared error."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        with EdgeMagnitudes(net) as magnitudes:
            loss = (net(x) - y).square().mean()
            (loss + penalty * magnitudes.penalty(l1=1.0, entropy=2.0)).backward()
        optimizer.step()
    return float(loss.detach().sqrt())


print(f"trained: RMSE {fit(net, 400, penalty=3e-3):.1e}; scores of the inputs {attribution(net, x).inputs.numpy().round(2)}")
net, pruning = prune(net, x, threshold=0.1)
print(f"pruned to inputs {pruning.inputs}, widths {pruning.widths[1]}, edges {pruning.edges[1]} of {pruning.edges[0]}")
print(f"trained again: RMSE {fit(net, 300):.1e}")
refine(net, 20, x)
print(f"refined to 20 cells and trained: RMSE {fit(net, 300):.1e}, {sum(num_parameters(net).values())} parameters")
polynomial, _ = convert(net, partial(Chebyshev, degree=16), x)
print(f"the same in Chebyshev polynomials: RMSE {fit(polynomial, 1):.1e}")
