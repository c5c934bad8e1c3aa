r"""Structure of a function, from its derivatives: does it fall apart into functions of fewer variables, is it the same along a line?

Each test gives a number that is zero where the structure is there and does not change with the units of the function, nor with
those of a variable (but of the two that a symmetry compares). Any differentiable function of `(N, in)` serves, a trained network
first of all; rounding limits what can be told: prefer float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from kanzoo.kernels.context import plain_operators

Function = Callable[[Tensor], Tensor]
Separability = Literal["additive", "multiplicative", "general"]
Invariant = Literal["sum", "difference", "product", "ratio"]


@dataclass(frozen=True)
class Verdict:
    """What a test found.

    Attributes:
        error: zero where the structure is there.
        tolerance: largest error that counts as zero.
    """

    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the structure is there."""
        return self.error <= self.tolerance


def separability(
    function: Function,
    x: Tensor,
    first: Sequence[int],
    second: Sequence[int],
    *,
    kind: Separability = "additive",
    output: int = 0,
    tolerance: float = 1e-2,
) -> Verdict:
    r"""Test whether two groups of variables u and v are separable in a function; the others count as fixed.

    * `additive`: $f = g(u) + h(v)$, where $f_{uv} = 0$. The error is the mean of $|f_{uv}|\,\sigma_u \sigma_v$ over the standard
      deviation of f;
    * `multiplicative`: $f = g(u)\,h(v)$, where $f f_{uv} - f_u f_v = 0$. The error is the mean of
      $|f f_{uv} - f_u f_v|\,\sigma_u \sigma_v$ over that of $f^2$: that of the mixed derivative of log|f|, with weights $f^2$;
    * `general`: $f = F(g(u) + h(v))$, where $f_{u_i} / f_{v_j}$ is multiplicatively separable for all i and j:
      $\partial_a \partial_b \log|f_{u_i} / f_{v_j}| = 0$ for a in u and b in v. The error is the mean of this derivative's absolute value
      times $\sigma_a \sigma_b$ with weights $f_{u_i}^2 f_{v_j}^2$; it takes third derivatives, so B-splines of degree 4 or more.

    The largest error over the variables of u and v counts. $\sigma$ are standard deviations over the points.

    Args:
        function: from `(N, in)` to `(N, out)` or `(N,)`, each row by itself.
        x: points, `(N, in)`.
        first: variables of u.
        second: variables of v.
        kind: of separability.
        output: which of the outputs.
        tolerance: largest error that counts as zero.

    Raises:
        ValueError: the groups are empty, overlap or name a variable that is not there; `kind` is unknown; the function is not finite.

    Reference:
        Liu et al., KAN 2.0: Kolmogorov-Arnold networks meet science, arXiv:2408.10205; Udrescu & Tegmark, AI Feynman, arXiv:1905.11481.

    Example:
        >>> x = torch.rand(100, 2, dtype=torch.float64)
        >>> product = lambda x: x[:, 0].exp() * x[:, 1] ** 2
        >>> separability(product, x, [0], [1]).holds, separability(product, x, [0], [1], kind="multiplicative").holds
        (False, True)
    """
    if kind not in get_args(Separability):
        raise ValueError(f"kind must be one of {', '.join(get_args(Separability))}, got {kind!r}")
    _check_variables(x, [*first, *second])
    if not first or not second:
        raise ValueError(f"first and second must name one variable or more, got {list(first)} and {list(second)}")
    with plain_operators(), torch.enable_grad():
        x = x.detach().requires_grad_()
        f = _values(function, x, output)
        size = x.detach().std(0, correction=0)
        if kind == "general":
            error = max(_general(f, x, i, j, first, second, size) for i in first for j in second)
        else:
            error = max(_pair(f, x, i, second, size, kind) for i in first)
    return Verdict(error, tolerance)


def symmetry(
    function: Function, x: Tensor, i: int, j: int, *, kind: Invariant = "difference", output: int = 0, tolerance: float = 1e-2
) -> Verdict:
    r"""Test whether a function sees two variables only by their sum, difference, product or ratio.

    f depends on $x_i - x_j$ where $f_i + f_j = 0$: it stays when both are translated by the same; on $x_i + x_j$ where
    $f_i - f_j = 0$; on $x_i x_j$ where $x_i f_i - x_j f_j = 0$; on $x_i / x_j$ where $x_i f_i + x_j f_j = 0$. The error is the root
    mean square of the two terms' sum (or difference) over that of $|\cdot| + |\cdot|$: between 0 and 1, and 0 where f sees neither.

    Args:
        function: from `(N, in)` to `(N, out)` or `(N,)`, each row by itself.
        x: points, `(N, in)`.
        i: a variable.
        j: another.
        kind: what the function may depend on.
        output: which of the outputs.
        tolerance: largest error that counts as zero.

    Raises:
        ValueError: the variables are not two of the function's; `kind` is unknown; the function is not finite.

    Example:
        >>> x = torch.rand(100, 3, dtype=torch.float64)
        >>> symmetry(lambda x: (x[:, 0] - x[:, 1]).sin() * x[:, 2], x, 0, 1).holds
        True
    """
    if kind not in get_args(Invariant):
        raise ValueError(f"kind must be one of {', '.join(get_args(Invariant))}, got {kind!r}")
    _check_variables(x, [i, j])
    with plain_operators(), torch.enable_grad():
        x = x.detach().requires_grad_()
        slope = _gradient(_values(function, x, output), x).detach()
    a, b = slope[:, i], slope[:, j]
    if kind in ("product", "ratio"):
        a, b = a * x[:, i].detach(), b * x[:, j].detach()
    together = a + b if kind in ("difference", "ratio") else a - b
    largest = (a.abs() + b.abs()).square().mean()
    return Verdict(float((together.square().mean() / largest).sqrt()) if largest > 0 else 0.0, tolerance)


def _pair(f: Tensor, x: Tensor, i: int, second: Sequence[int], size: Tensor, kind: Separability) -> float:
    slope = _gradient(f, x)
    mixed = _gradient(slope[:, i], x)
    value, scale = f.detach(), f.detach().std(correction=0)
    errors = []
    for j in second:
        if kind == "additive":
            part, whole = mixed[:, j], scale
        else:
            part, whole = value * mixed[:, j] - slope[:, i] * slope[:, j], value.square().mean()
        errors.append(_ratio(part.detach().abs().mean() * size[i] * size[j], whole))
    return max(errors)


def _general(f: Tensor, x: Tensor, i: int, j: int, first: Sequence[int], second: Sequence[int], size: Tensor) -> float:
    r"""Return the largest mean of $|\partial_a \partial_b \log|f_i / f_j||$, weighted by $f_i^2 f_j^2$, which takes its poles away."""
    slope = _gradient(f, x)
    f_i, f_j = slope[:, i], slope[:, j]
    second_i, second_j = _gradient(f_i, x), _gradient(f_j, x)
    weight = (f_i * f_j).square().detach().mean()
    errors = []
    for a in first:
        third_i, third_j = _gradient(second_i[:, a], x), _gradient(second_j[:, a], x)
        for b in second:
            of_i = (third_i[:, b] * f_i - second_i[:, a] * second_i[:, b]) * f_j.square()
            of_j = (third_j[:, b] * f_j - second_j[:, a] * second_j[:, b]) * f_i.square()
            errors.append(_ratio((of_i - of_j).detach().abs().mean() * size[a] * size[b], weight))
    return max(errors)


def _gradient(values: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of each row's value by its row of x, `(N, in)`, ready to be differentiated again."""
    if not values.requires_grad:
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(values.sum(), x, create_graph=True, materialize_grads=True)
    return found


def _values(function: Function, x: Tensor, output: int) -> Tensor:
    y = function(x)
    y = y[:, output] if y.ndim == 2 else y
    if y.shape != x.shape[:1] or not y.isfinite().all():
        raise ValueError(f"function must give one finite number, or row of numbers, for each of {len(x)} points, got {tuple(y.shape)}")
    return y


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _check_variables(x: Tensor, variables: list[int]) -> None:
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x must be one or more points (N, in), got shape {tuple(x.shape)}")
    if len(set(variables)) < len(variables) or not all(0 <= variable < x.shape[1] for variable in variables):
        raise ValueError(f"variables must be different ones of 0 ... {x.shape[1] - 1}, got {variables}")
