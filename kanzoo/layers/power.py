"""The layer of PowerMLP: powers of rectified mixtures beside a residual branch."""

from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.layers.sparse import elementwise


class PowerLayer(nn.Module):
    r"""A layer that mixes its inputs first and bends them then, beside a residual branch.

    $$y = \mathrm{relu}(Wx + b)^k + V\,\mathrm{silu}(x)$$

    A sum of such powers is a spline of degree k with knots where its lines cross zero, along directions that are learnt.

    Args:
        mixing: $Wx + b$, a dense layer or a convolution.
        residual: V, a layer of the same shapes without a bias.
        power: k.

    Raises:
        ValueError: `power` is below 1.

    Reference:
        Qiu et al., PowerMLP: an efficient version of KAN, arXiv:2412.13571.

    Example:
        >>> import torch
        >>> layer = PowerLayer(nn.Linear(3, 2), nn.Linear(3, 2, bias=False))
        >>> layer(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(self, mixing: nn.Module, residual: nn.Module, *, power: int = 3) -> None:
        super().__init__()
        check_power(power)
        self.mixing, self.residual, self.power = mixing, residual, power

    def forward(self, x: Tensor) -> Tensor:
        """Map what `mixing` maps, a sparse matrix too, to the shape that it gives."""
        y: Tensor = F.relu(self.mixing(x)) ** self.power + self.residual(elementwise(F.silu, x))
        return y

    def extra_repr(self) -> str:
        """Describe the layer in a printed network."""
        return f"power={self.power}"


def check_power(power: int) -> None:
    """Raise ValueError for a power below 1."""
    if power < 1:
        raise ValueError(f"power must be >= 1, got {power}")
