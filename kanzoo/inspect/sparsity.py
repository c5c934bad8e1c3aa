"""Sparsity: a term of the loss that makes edges vanish, from what they give and not from their weights."""

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from kanzoo.inspect.layer import KANLayer, edge_values, edges_at_input, kan_layers, num_inputs, rows_of, shaped_edges

_LEAST_ROWS = 8
_NUMBERS = 1 << 20  # of what all edges of a layer give on these rows
_FLOOR = 1e-4  # of the mean magnitude of a layer


class EdgeMagnitudes:
    r"""The magnitude of every edge of a network over the batch it saw last, and a penalty on them, ready to be differentiated.

    The magnitude of an edge is what it gives, its residual branch included, $m_{oi} = \frac1N \sum_n |\varphi_{oi}(x_{ni})|$, over at
    most `num_rows` rows of what the layer sees, evenly spread over the batch: fewer (8 at least) where `(N, in, out)` would be more than
    a million numbers. So it knows of the scale of a basis, of a residual branch and of the inputs, which weights alone do not tell.

    The penalty is the sum over the layers of $\lambda_1 L_1 + \lambda_S S$ with

    $$L_1 = \sum_{oi} m_{oi}, \quad S = -\sum_{oi} p_{oi} \log p_{oi}, \quad
    p_{oi} = \frac{m_{oi} + \epsilon \bar m}{\sum_{oi} (m_{oi} + \epsilon \bar m)},$$

    $\bar m$ the mean of the layer's magnitudes and $\epsilon = 10^{-4}$: p is a distribution, S does not change when all magnitudes are
    scaled, lies between 0 and the log of the number of edges, and has a finite gradient where an edge is zero, where $p \log p$ has none. A
    layer whose edges are all zero has the even distribution. The gradient is that of the formula, by every parameter that makes the
    inputs of a layer too; at $\varphi = 0$ the absolute value counts as flat.

    Args:
        model: any network that holds KAN layers.
        num_rows: most rows of a layer's inputs to look at.

    Raises:
        ValueError: `num_rows` is below 1, or the network has no KAN layer.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756, section 2.5, whose entropy is not finite at zero.

    Example:
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> net, x = KAN([2, 5, 1], basis=Chebyshev), torch.randn(50, 2)
        >>> with EdgeMagnitudes(net) as magnitudes:
        ...     y = net(x)
        >>> loss = y.square().mean() + 1e-2 * magnitudes.penalty(entropy=2.0)
        >>> loss.backward()
    """

    def __init__(self, model: nn.Module, *, num_rows: int = 64) -> None:
        if num_rows < 1:
            raise ValueError(f"num_rows must be >= 1, got {num_rows}")
        self.num_rows = num_rows
        self._layers = kan_layers(model)
        self._seen: dict[str, list[Tensor]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        """Forget what was seen and watch every KAN layer."""
        self._seen = {name: [] for name in self._layers}
        self._hooks = [self._watch(name, layer) for name, layer in self._layers.items()]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop watching."""
        for hook in self._hooks:
            hook.remove()

    def _watch(self, name: str, layer: KANLayer) -> Any:
        most = min(self.num_rows, max(_LEAST_ROWS, _NUMBERS // (num_inputs(layer) * edges_at_input(layer))))
        return layer.register_forward_pre_hook(lambda _, given: self._seen[name].append(rows_of(layer, given[0], most)))

    def magnitudes(self) -> dict[str, Tensor]:
        """Return the magnitudes m by layer, `(out, in)` or `(out, in/groups, *kernel_size)`.

        Raises:
            RuntimeError: the network was not called, or with nothing.
        """
        if not any(len(rows) for parts in self._seen.values() for rows in parts):
            raise RuntimeError("the network must be called inside `with EdgeMagnitudes(model)` before its magnitudes are asked for")
        found = {}
        for name, parts in self._seen.items():
            if parts:
                layer = self._layers[name]
                found[name] = shaped_edges(layer, edge_values(layer, torch.cat(parts)).abs().mean(0).T)
        return found

    def penalty(self, *, l1: float = 1.0, entropy: float = 0.0) -> Tensor:
        """Return the penalty with these weights of its parts, a number to add to the loss.

        Raises:
            ValueError: a weight is negative.
            RuntimeError: the network was not called.
        """
        if min(l1, entropy) < 0:
            raise ValueError(f"l1 and entropy must be >= 0, got {l1} and {entropy}")
        magnitudes = self.magnitudes().values()
        parts = [l1 * values.sum() + (entropy * edge_entropy(values) if entropy else 0.0) for values in magnitudes]
        return torch.stack(parts).sum()


def edge_entropy(magnitudes: Tensor) -> Tensor:
    """Return S of `EdgeMagnitudes` for magnitudes of any shape, none negative.

    Example:
        >>> edge_entropy(torch.ones(2, 3)).exp()
        tensor(6.0000)
    """
    lifted = magnitudes + _FLOOR * magnitudes.mean() + torch.finfo(magnitudes.dtype).tiny ** 0.5
    share = lifted / lifted.sum()
    entropy: Tensor = -(share * share.log()).sum()
    return entropy
