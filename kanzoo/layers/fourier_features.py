"""Random Fourier features: fixed waves in random directions."""

import math

import torch
from torch import Generator, Tensor, nn


class FourierFeatures(nn.Module):
    r"""Cosines and sines of fixed random projections, $\gamma(x) = [\cos 2\pi Bx,\ \sin 2\pi Bx]$ with $B_{ji} \sim N(0, \sigma^2)$.

    The mean of $\gamma(x)_j\gamma(y)_j$ over the waves, each with its cosine and its sine, is near the Gaussian kernel
    $e^{-2\pi^2\sigma^2|x - y|^2}$, and nearer the more waves there are: what is nearer than $1/(2\pi\sigma)$ looks alike. B is a buffer:
    it is kept with the weights and is not trained.

    Args:
        in_features: number of inputs.
        num_features: number of cosines and sines together, an even number.
        sigma: standard deviation $\sigma$ of the frequencies, in waves a unit of an input.
        generator: source of the frequencies; torch's global one when None.

    Attributes:
        frequencies: B, `(num_features / 2, in_features)`.

    Raises:
        ValueError: `in_features` is below 1, `num_features` not an even number above 0, or `sigma` not above 0.

    Reference:
        Tancik et al., Fourier features let networks learn high frequency functions in low dimensional domains, arXiv:2006.10739;
        Rahimi and Recht, Random features for large-scale kernel machines, NIPS 2007.

    Example:
        >>> features = FourierFeatures(3, 8)(torch.zeros(2, 3))
        >>> features.shape, features[0]
        (torch.Size([2, 8]), tensor([1., 1., 1., 1., 0., 0., 0., 0.]))
    """

    frequencies: Tensor

    def __init__(self, in_features: int, num_features: int = 128, *, sigma: float = 1.0, generator: Generator | None = None) -> None:
        super().__init__()
        if in_features < 1:
            raise ValueError(f"in_features must be >= 1, got {in_features}")
        check_fourier_features(num_features, sigma)
        self.sigma = sigma
        self.register_buffer("frequencies", sigma * torch.randn(num_features // 2, in_features, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to `(*batch, num_features)`: all cosines, then all sines."""
        phase = 2 * math.pi * (x @ self.frequencies.T)
        return torch.cat([phase.cos(), phase.sin()], -1)

    def extra_repr(self) -> str:
        """Describe the features in a printed network."""
        waves, in_features = self.frequencies.shape
        return f"{in_features}, {2 * waves}, sigma={self.sigma:g}"


def check_fourier_features(num_features: int, sigma: float) -> None:
    """Raise ValueError unless there is a whole number of pairs of cosine and sine, and sigma is above 0."""
    if num_features < 2 or num_features % 2:
        raise ValueError(f"num_features must be an even number >= 2, got {num_features}")
    if not sigma > 0:
        raise ValueError(f"sigma must be > 0, got {sigma}")
