"""A network that is fitted, refined and fitted again: its error falls in steps, nearly as fast as cubic splines allow."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from kanzoo.inspect import refine
from kanzoo.models import KAN
from kanzoo_bases.bspline import BSpline

GRIDS = (3, 5, 10, 20, 50)


def target(x):
    return ((math.pi * x[:, :1]).sin() + x[:, 1:] ** 2).exp()


def fit(net, x, steps):
    for _ in range(2):  # begun again, LBFGS forgets curvature of long ago
        optimizer = torch.optim.LBFGS(
            net.parameters(),
            max_iter=steps // 2,
            max_eval=100 * steps,
            history_size=100,
            line_search_fn="strong_wolfe",
            tolerance_grad=0,
            tolerance_change=0,
        )

        def closure(optimizer=optimizer):
            optimizer.zero_grad()
            loss = (net(x) - target(x)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)


def rmse(net, x):
    with torch.no_grad():
        return (net(x) - target(x)).square().mean().sqrt().item()


def slope(errors):
    return np.polyfit(np.log(GRIDS[: len(errors)]), np.log(errors), 1)[0]


def begin(seed, x):
    """Return a network with three cells, the grid of whose second layer has found the range of the hidden node."""
    basis = partial(BSpline, grid_size=GRIDS[0], grid_uniformity=1.0)
    net = KAN([2, 1, 1], basis, squash="none", residual="none", generator=torch.Generator().manual_seed(seed)).double()
    for _ in range(3):
        net.update_grid(x)
        fit(net, x, 60)
    fit(net, x, 16 * GRIDS[0])
    return net


def go_on(net, x, grid_size):
    before = rmse(net, x)
    refine(net, grid_size, x)
    assert rmse(net, x) == pytest.approx(before, rel=1e-6)  # no step up
    net.update_grid(x)
    fit(net, x, 16 * grid_size)


@pytest.mark.slow
def test_error_falls_with_the_third_power_of_the_grid():
    generator = torch.Generator().manual_seed(0)
    x, unseen = (2 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1 for count in (1000, 2000))
    runs = []
    for seed in (1, 2, 3):  # LBFGS is caught here and there, as all who fit KANs find: the best of some starts counts
        net = begin(seed, x)
        errors = [(rmse(net, x), rmse(net, unseen))]
        for grid_size in GRIDS[1:4]:
            go_on(net, x, grid_size)
            errors.append((rmse(net, x), rmse(net, unseen)))
        runs.append((errors, net))
    errors, net = min(runs, key=lambda run: run[0][-1][0])
    assert slope([seen for seen, _ in errors]) < -3  # from 3 to 20 cells
    assert slope([held_out for _, held_out in errors]) < -3
    go_on(net, x, GRIDS[4])
    errors.append((rmse(net, x), rmse(net, unseen)))
    assert slope([seen for seen, _ in errors]) < -3  # and on to 50
    assert slope([held_out for _, held_out in errors]) < -3
