"""Derivatives of a network by its inputs, for differential equations: forward mode, so that a loss made of them trains fast."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp

from kanzoo.kernels.context import plain_operators, prepare_forward_mode

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Derivatives:
    r"""A network and its derivatives at N points.

    Attributes:
        value: $u$, `(N, out)`.
        first: $\partial u / \partial x_i$, `(N, out, in)`.
        second: $\partial^2 u / \partial x_i^2$, `(N, out, in)`.
    """

    value: Tensor
    first: Tensor
    second: Tensor

    @property
    def laplacian(self) -> Tensor:
        r"""$\sum_i \partial^2 u / \partial x_i^2$, `(N, out)`."""
        return self.second.sum(-1)


def derivatives(network: Network, x: Tensor) -> Derivatives:
    r"""Return a network's value and its first and second derivatives by each input, ready to be differentiated by its parameters.

    Along each axis e_i the second derivative is the directional derivative of the directional derivative, two nested forward modes:
    no graph is kept for derivatives of derivatives, unlike with two backward passes, and the whole may be compiled, see
    `compiled_derivatives`. A sample's output must depend on that sample alone (no batch normalisation).

    Args:
        network: from `(N, in)` to `(N, out)`; its basis must have two derivatives (B-splines of degree 3 or more, any smooth family).
        x: points, `(N, in)`.

    Example:
        >>> found = derivatives(lambda x: (x**3).sum(-1, keepdim=True), torch.tensor([[1.0, 2.0]]))
        >>> found.first.tolist(), found.laplacian.tolist()
        ([[[3.0, 12.0]]], [[18.0]])
    """
    prepare_forward_mode()
    with plain_operators():
        value, first, second = _along_axes(network, x)
    return Derivatives(value, first, second)


def compiled_derivatives(network: Network) -> Callable[[Tensor], Derivatives]:
    """Return `derivatives` of a network as one compiled function of x, compiled at its first call."""
    compiled = torch.compile(lambda x: _along_axes(network, x), options={"realize_opcount_threshold": 8})

    def evaluate(x: Tensor) -> Derivatives:
        with plain_operators():
            value, first, second = compiled(x)
        return Derivatives(value, first, second)

    return evaluate


def _along_axes(network: Network, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    axes = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    found = [_along(network, x, axis.expand_as(x)) for axis in axes.unbind()]
    return found[0][0], torch.stack([slope for _, slope, _ in found], -1), torch.stack([curvature for _, _, curvature in found], -1)


def _along(network: Network, x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    def slope(point: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = jvp(network, (point,), (direction,))  # type: ignore[assignment]
        return found

    (value, first), (_, second) = jvp(slope, (x,), (direction,))  # type: ignore[misc]
    return value, first, second
