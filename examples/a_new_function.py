"""Find exp(J0(20 x) + y²), arXiv:2404.19756: a KAN is pruned to its smallest shape, and one edge has no name until it is given one."""

from functools import partial

import scipy.special
import sympy
import torch

from kanzoo.inspect import EdgeMagnitudes, prune
from kanzoo.inspect.formula import LIBRARY, Candidate, as_stack, descend, read_formula
from kanzoo.models import KAN
from kanzoo_bases.fourier import Fourier

x = 2 * torch.rand(1500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
y = torch.exp(torch.from_numpy(scipy.special.j0(20 * x[:, :1].numpy())) + x[:, 1:] ** 2)

seed = torch.Generator().manual_seed(2)
net = KAN([2, 5, 1], basis=partial(Fourier, degree=20), residual="identity", generator=seed).double()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(600):
    optimizer.zero_grad()
    with EdgeMagnitudes(net) as magnitudes:
        loss = (net(x) - y).square().mean()
        (loss + 1e-2 * magnitudes.penalty(l1=1.0, entropy=2.0)).backward()
    optimizer.step()
net, pruning = prune(net, x, threshold=0.05)
print(f"widths {pruning.widths[0]}, pruned to {pruning.widths[1]}")

stack = as_stack(net)
descend(stack, x, y, 50, ridge=1e-9)
for edge in read_formula(stack, x, y, ["x", "y"], seconds=0).choices:
    print(f"layer {edge.layer}, input {edge.input}: {edge.name if edge.r2 > 0.99 else 'no candidate'}, r² {edge.r2:.2f}")

angles = torch.pi * (torch.arange(32, dtype=torch.float64) + 0.5) / 32  # J0(z) is the mean of cos(z sin t) over t
scales = torch.cartesian_prod(torch.arange(1.0, 31.0), torch.zeros(1))  # of its argument, where to begin
bessel = Candidate("J0", lambda z: (z.unsqueeze(-1) * angles.sin()).cos().mean(-1), lambda z: sympy.besselj(0, z), 3, scales, (True, False))
print("with J0:", read_formula(stack, x, y, ["x", "y"], library=(*LIBRARY, bessel), seconds=300).expression)
