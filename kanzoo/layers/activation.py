"""Activations of nodes: a learnt function of each feature or channel in any basis, and the sine."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import BasisFactory, is_edge_factory
from kanzoo.layers.expansion import Expansion
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.squash import Squash


class NodeActivation(nn.Module):
    r"""A learnt function on each node: of each feature, or of each channel of an image.

    $$\varphi_i(x) = w_i\,\mathrm{silu}(x) + \sum_k \mathrm{coeff}_{ik}\,\phi_k(s(x))$$

    with the squash s into the basis's domain. It begins with w = 1 and without coefficients: exactly as SiLU, and it draws no numbers.
    Where a KAN has such a function on every edge, a network with these has one a node: K + 1 numbers an input instead of an edge.

    Args:
        num_features: number of features, or channels.
        basis: a class, or a `functools.partial` of one; the basis of one edge function is that of a node's.
        dimensions: of space behind the channels: 2 for images; 0 where the features are last.
        squash: as in `KANLinear`; `layernorm` and `standardize` are over the features.
        extrapolate: as in `KANLinear`.

    Attributes:
        coeff: `(num_features, K)`.
        residual_weight: w, `(num_features,)`.

    Raises:
        ValueError: the basis is an `EdgeBasis`, whose functions belong to edges; `squash` or `extrapolate` is not allowed.

    Reference:
        Yu et al., KAN or MLP: a fairer comparison, arXiv:2407.16674.

    Example:
        >>> from kanzoo_bases.bspline import BSpline
        >>> x = torch.linspace(-3, 3, 12).view(4, 3)
        >>> torch.equal(NodeActivation(3, BSpline)(x), F.silu(x))
        True
    """

    def __init__(
        self,
        num_features: int,
        basis: BasisFactory,
        *,
        dimensions: int = 0,
        squash: Squash = "tanh",
        extrapolate: Extrapolate = "linear",
    ) -> None:
        super().__init__()
        check_node_basis(basis)
        self.dimensions = dimensions
        self.expansion = Expansion(num_features, basis, squash, extrapolate)
        self.coeff = nn.Parameter(torch.zeros(num_features, self.expansion.basis.num_basis))
        self.residual_weight = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, num_features)`, or `(batch, num_features, *size)` with dimensions of space, to the same shape."""
        if not self.dimensions:
            return self._bent(x)
        pixels = x.movedim(1, -1)
        return self._bent(pixels.reshape(-1, pixels.shape[-1])).view(pixels.shape).movedim(-1, 1)

    def _bent(self, x: Tensor) -> Tensor:
        y: Tensor = self.residual_weight * F.silu(x) + (self.expansion(x) * self.coeff.T).sum(-2)
        return y

    @torch.no_grad()
    def update_grid(self, x: Tensor) -> None:
        """Let the grid follow samples of what `forward` takes and re-fit the coefficients so that the functions stay.

        Raises:
            TypeError: the basis has no grid that follows data.
        """
        rows = (x.movedim(1, -1) if self.dimensions else x).reshape(-1, len(self.coeff))
        self.coeff.copy_(self.expansion.update_grid(rows, self.coeff.unsqueeze(0)).squeeze(0))

    def extra_repr(self) -> str:
        """Describe the activation in a printed network."""
        return f"{len(self.coeff)}, dimensions={self.dimensions}"


def check_node_basis(basis: BasisFactory) -> None:
    """Raise ValueError for an `EdgeBasis`, whose functions belong to edges."""
    if is_edge_factory(basis):
        made = basis
        while hasattr(made, "func"):  # functools.partial
            made = made.func
        name = getattr(made, "__name__", repr(made))
        raise ValueError(f"basis of a node's activation must not be one of functions with parameters inside an edge, got {name}")


class Sine(nn.Module):
    r"""The activation $\sin(\omega x)$.

    Args:
        omega: its frequency $\omega$.

    Example:
        >>> Sine(2.0)(torch.tensor([0.0, torch.pi / 4]))
        tensor([0., 1.])
    """

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor of any shape to the same shape."""
        return torch.sin(self.omega * x)

    def extra_repr(self) -> str:
        """Describe the activation in a printed network."""
        return f"{self.omega:g}"
