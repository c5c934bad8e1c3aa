"""What edge functions do outside the domain of their basis, where no squash keeps inputs inside."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.func import jvp

Extrapolate = Literal["linear", "clamp", "zero", "error", "basis"]


def check_extrapolate(kind: Extrapolate) -> Extrapolate:
    """Return the kind; ValueError when it is unknown."""
    if kind not in get_args(Extrapolate):
        raise ValueError(f"extrapolate must be one of {', '.join(get_args(Extrapolate))}, got {kind!r}")
    return kind


def extrapolated(
    kind: Extrapolate, evaluate: Callable[[Tensor], Any], x: Tensor, low: Tensor | float, high: Tensor | float
) -> tuple[Tensor, Any]:
    r"""Evaluate functions on an interval, and continue them outside, without asking which inputs are there.

    With c the nearest point of the interval: `linear` $\phi(c) + \phi'(c)\,(x - c)$, the tangent at the end; `clamp` $\phi(c)$; `zero`
    nothing; `error` is an error. `basis`, the functions as they are on the whole line, needs no interval: see `Basis.everywhere`.

    Args:
        kind: which of them.
        evaluate: of inputs `(*batch, features)`: values `(*batch, any, features)`, or (values, something that has no derivative).
        x: inputs.
        low: lower end, a number or one for each feature.
        high: upper end.

    Returns:
        (values, what came with them or None).

    Raises:
        ValueError: the kind is `error`, and an input is outside.
    """
    nearest = _nearest(x, low, high)
    if kind == "linear":
        values, slope, aside = jvp(lambda point: _pair(evaluate(point)), (nearest,), (x - nearest,), has_aux=True)  # type: ignore[misc]
        return values + slope, aside
    if kind == "error" and bool((x != nearest).any()):
        worst = x[x != nearest]
        ends = f"[{torch.as_tensor(low).min().item():g}, {torch.as_tensor(high).max().item():g}]"
        raise ValueError(f"inputs must be in the domain {ends}, got {worst[0].item():g} and {len(worst) - 1} more outside")
    values, aside = _pair(evaluate(nearest))
    return values * (x == nearest).unsqueeze(-2) if kind == "zero" else values, aside


def _pair(found: Any) -> tuple[Tensor, Any]:
    return found if isinstance(found, tuple) else (found, torch.empty(0))


def _nearest(x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        return torch.minimum(torch.maximum(x, low.to(x.dtype)), high.to(x.dtype))
    return x.clamp(float(low), float(high))
