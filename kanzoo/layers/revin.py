"""Reversible normalisation of series: a network sees each of them with mean zero and variance one."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Statistics(NamedTuple):
    """Mean and standard deviation of each series, `(*batch, 1, features)` each."""

    mean: Tensor
    std: Tensor


class RevIN(nn.Module):
    r"""Normalise each series before a model, and bring back what the model gives.

    With the mean $\mu$ and the variance $\sigma^2$ of a series over time, trainable $\gamma$ and $\beta$ of each feature, and $\epsilon$:

    $$\hat x = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta,\quad
    y = \sqrt{\sigma^2 + \epsilon} \odot \frac{\hat y - \beta}{\gamma} + \mu$$

    A constant series becomes $\beta$. One inverts the other exactly, where no $\gamma$ is zero.

    Args:
        features: of a series.
        affine: whether there are $\gamma$ and $\beta$, which begin as 1 and 0.
        epsilon: added to the variance.

    Attributes:
        weight: $\gamma$, `(features,)`, or None.
        bias: $\beta$, `(features,)`, or None.

    Raises:
        ValueError: `features` is below 1, or `epsilon` is not positive.

    Reference:
        Kim et al., Reversible instance normalization for accurate time-series forecasting against distribution shift, ICLR 2022.

    Example:
        >>> x = 1000 + torch.randn(4, 50, 3)
        >>> forecast = RevIN(3)(x, lambda series: series[:, -10:])
        >>> torch.allclose(forecast, x[:, -10:])
        True
    """

    def __init__(self, features: int, *, affine: bool = True, epsilon: float = 1e-5) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features must be >= 1, got {features}")
        if not epsilon > 0:
            raise ValueError(f"epsilon must be > 0, got {epsilon}")
        self.features, self.epsilon = features, epsilon
        self.weight = nn.Parameter(torch.ones(features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(features)) if affine else None

    def forward(self, x: Tensor, model: Callable[[Tensor], Tensor]) -> Tensor:
        """Map `(*batch, time, features)` to what the model makes of the normalised series, `(*batch, horizon, features)`, brought back."""
        series, statistics = self.normalize(x)
        return self.denormalize(model(series), statistics)

    def normalize(self, x: Tensor) -> tuple[Tensor, Statistics]:
        """Return the normalised series `(*batch, time, features)` and what it takes to bring them back."""
        mean = x.mean(-2, keepdim=True)
        std = (x.var(-2, correction=0, keepdim=True) + self.epsilon).sqrt()
        series = (x - mean) / std
        if self.weight is not None and self.bias is not None:
            series = series * self.weight + self.bias
        return series, Statistics(mean, std)

    def denormalize(self, series: Tensor, statistics: Statistics) -> Tensor:
        """Bring `(*batch, horizon, features)` back to the mean and spread of the series that gave the statistics."""
        if self.weight is not None and self.bias is not None:
            series = (series - self.bias) / self.weight
        return series * statistics.std + statistics.mean

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"{self.features}, affine={self.weight is not None}, epsilon={self.epsilon}"
