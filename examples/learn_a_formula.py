"""Learn exp(sin(pi x1) + x2^2) with a KAN of five hidden units and full-batch LBFGS, let the knots follow the data, print the error."""

from functools import partial

import torch

from kanzoo.models import KAN, num_parameters
from kanzoo_bases.bspline import BSpline

torch.manual_seed(0)
x = 2 * torch.rand(2000, 2) - 1
y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)
train, test = slice(0, 1000), slice(1000, None)

net = KAN([2, 5, 1], basis=partial(BSpline, degree=3, grid_size=5))
optimizer = torch.optim.LBFGS(net.parameters(), line_search_fn="strong_wolfe")


def closure() -> torch.Tensor:
    """Return the training loss, its gradients filled in."""
    optimizer.zero_grad()
    loss = (net(x[train]) - y[train]).square().mean()
    loss.backward()
    return loss


for step in range(20):
    if step == 5:
        net.update_grid(x[train])
    optimizer.step(closure)

with torch.no_grad():
    rmse = (net(x[test]) - y[test]).square().mean().sqrt().item()
print(f"{sum(num_parameters(net).values())} parameters, test RMSE {rmse:.2e} (targets spread {y.std().item():.2f})")
assert rmse < 0.05 * y.std()
