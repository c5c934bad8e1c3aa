"""Put KAN layers beside ordinary ones: a convolutional KAN in front of a linear classifier, on scikit-learn's digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from kanzoo.layers import KANConv2d
from kanzoo_bases.gaussian_rbf import GaussianRBF

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
y = torch.tensor(digits.target)
train, test = slice(0, 1400), slice(1400, None)

net = nn.Sequential(
    KANConv2d(1, 8, kernel_size=3, basis=GaussianRBF, padding=1),
    nn.BatchNorm2d(8),
    nn.MaxPool2d(2),
    KANConv2d(8, 16, kernel_size=3, basis=GaussianRBF, padding=1),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
for _epoch in range(8):
    for batch in torch.randperm(1400).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[train][batch]), y[train][batch]).backward()
        optimizer.step()

net.eval()
accuracy = (net(x[test]).argmax(1) == y[test]).float().mean().item()
print(f"test accuracy {accuracy:.1%}")
assert accuracy > 0.85
