"""Layers in the manner of well-known implementations, written from their published formulas: what users compare with."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CoxDeBoorLinear(nn.Module):
    """Efficient-KAN's manner: the Cox-de Boor recursion over the whole grid, then two linear maps; silu residual."""

    def __init__(self, fan_in: int, out: int, grid_size: int = 5, degree: int = 3) -> None:
        super().__init__()
        step = 2 / grid_size
        self.degree = degree
        self.register_buffer("grid", torch.arange(-degree, grid_size + degree + 1) * step - 1)
        self.residual = nn.Parameter(torch.randn(out, fan_in) / fan_in**0.5)
        self.coeff = nn.Parameter(torch.randn(out, fan_in, grid_size + degree) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, in)` to `(batch, out)`."""
        grid, point = self.grid, x.unsqueeze(-1)
        values = ((point >= grid[:-1]) & (point < grid[1:])).to(x.dtype)
        for p in range(1, self.degree + 1):
            left = (point - grid[: -p - 1]) / (grid[p:-1] - grid[: -p - 1])
            right = (grid[p + 1 :] - point) / (grid[p + 1 :] - grid[1:-p])
            values = left * values[..., :-1] + right * values[..., 1:]
        return F.linear(F.silu(x), self.residual) + F.linear(values.flatten(-2), self.coeff.flatten(1))


class NormedRBFLinear(nn.Module):
    """FastKAN's manner: LayerNorm, Gaussians of the last dimension, a linear map; silu residual."""

    def __init__(self, fan_in: int, out: int, num_centers: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(fan_in)
        self.register_buffer("centers", torch.linspace(-2, 2, num_centers))
        self.width = 4 / (num_centers - 1)
        self.linear = nn.Linear(fan_in * num_centers, out, bias=False)
        self.residual = nn.Linear(fan_in, out)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, in)` to `(batch, out)`."""
        values = torch.exp(-(((self.norm(x).unsqueeze(-1) - self.centers) / self.width) ** 2))
        return self.linear(values.flatten(-2)) + self.residual(F.silu(x))


class ArccosChebyshevLinear(nn.Module):
    """ChebyKAN's manner: cos(n arccos(tanh x)) and one einsum; no residual."""

    def __init__(self, fan_in: int, out: int, degree: int = 8) -> None:
        super().__init__()
        self.coeff = nn.Parameter(torch.randn(fan_in, out, degree + 1) / (fan_in * (degree + 1)))
        self.register_buffer("orders", torch.arange(degree + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, in)` to `(batch, out)`."""
        angle = torch.tanh(x).clamp(-1 + 1e-6, 1 - 1e-6).acos().unsqueeze(-1)
        return torch.einsum("bid,iod->bo", (angle * self.orders).cos(), self.coeff)
