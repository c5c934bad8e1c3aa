"""Teach a small transformer, whose feed-forward parts are KANs, to sort digits: attention finds them, KANs decide where they go."""

from functools import partial

import torch
from torch import Tensor, nn

from kanzoo.layers import TransformerBlock
from kanzoo.layers.factory import KANLayers
from kanzoo_bases.chebyshev import Chebyshev

torch.manual_seed(0)
length, features, layers = 8, 32, KANLayers(partial(Chebyshev, degree=3))


class Sorter(nn.Module):
    """Map digits `(batch, length)` to logits `(batch, length, 10)` of the sorted ones."""

    def __init__(self) -> None:
        super().__init__()
        self.digit, self.place = nn.Embedding(10, features), nn.Parameter(torch.randn(length, features))
        self.blocks = nn.Sequential(*(TransformerBlock(layers, features, heads=4, hidden_features=32) for _ in range(2)))
        self.head = nn.Linear(features, 10)

    def forward(self, digits: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.blocks(self.digit(digits) + self.place))


net = Sorter()
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for step in range(201):
    digits = torch.randint(10, (128, length))
    logits, target = net(digits), digits.sort(-1).values
    if step % 50 == 0:
        print(f"step {step:3d}: {(logits.argmax(-1) == target).float().mean():.1%} of the digits are where they belong")
    optimizer.zero_grad()
    nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
    optimizer.step()
assert (logits.argmax(-1) == target).float().mean() > 0.8
