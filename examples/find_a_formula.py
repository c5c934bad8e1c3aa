"""Measure a pendulum's period, T = 2 pi sqrt(l / g), and a falling body's energy, m (v^2 / 2 + 9.81 h): which formulas made them?"""

from functools import partial

import torch

from kanzoo.inspect.formula import discover
from kanzoo_bases.bspline import BSpline

torch.manual_seed(0)
basis = partial(BSpline, grid_size=12)

length, gravity = (1 + torch.rand(600, 2, dtype=torch.float64)).unbind(1)
period = 2 * torch.pi * (length / gravity).sqrt()
found = discover(torch.stack([length, gravity], 1), period.unsqueeze(1), ["l", "g"], basis=basis)
print("T =", found.outputs[0].expression)

mass, speed, height = (1 + torch.rand(600, 3, dtype=torch.float64)).unbind(1)
energy = mass * (speed**2 / 2 + 9.81 * height)
found = discover(torch.stack([mass, speed, height], 1), energy.unsqueeze(1), ["m", "v", "h"], basis=basis)
print("E =", found.outputs[0].expression, "  relative error", f"{found.outputs[0].error:.0e}")
print(found.outputs[0].latex)
