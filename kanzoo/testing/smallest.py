"""The smallest input that shows a fault: fewest points and features, then the simplest numbers."""

from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor

#: Inputs that are tried before the search is content with what it has.
MAX_TRIES = 400
#: An input of more numbers is described by its size, not number by number.
MAX_SHOWN = 12

Domain = tuple[float, float]


def smallest(fails: Callable[[Tensor], bool], x: Tensor, domain: Domain | None = None) -> Tensor:
    """Return the smallest input found that fails: leaving out more of it, or taking a simpler number, would make it pass.

    Args:
        fails: whether an input shows the fault.
        x: an input that does.
        domain: where numbers may be replaced by simpler ones: 0, the ends, then decimals of one to three digits; None keeps them.

    Example:
        >>> smallest(lambda x: bool((x > 0.7).any()), torch.tensor([[0.1, 0.2], [0.3, 0.876]]), (-2.0, 2.0))
        tensor([[2.]])
    """
    tries = count()

    def still_fails(shorter: Tensor) -> bool:
        return next(tries) < MAX_TRIES and fails(shorter)

    for dim in range(x.ndim):
        x = _fewest(still_fails, x, dim)
    for place in range(x.numel() if domain and x.numel() <= MAX_SHOWN else 0):
        x = _simplest(still_fails, x, place, domain or (0.0, 0.0))
    return x


def describe(x: Tensor, domain: Domain) -> str:
    """Return an input in words.

    Example:
        >>> describe(torch.tensor([[1.0]]), (-1.0, 1.0)), describe(torch.tensor([[0.5, 0.0]]), (-1.0, 1.0))
        ('x = 1 (right end of the domain)', 'x = [[0.5, 0]]')
    """
    if x.numel() == 0 or x.numel() > MAX_SHOWN:
        return f"x of shape {tuple(x.shape)}"
    if x.numel() > 1:
        return f"x = {_digits(x.tolist())}"
    ends = {name: torch.tensor(end).to(x) for name, end in zip(("left", "right"), domain, strict=True)}
    place = next((f" ({name} end of the domain)" for name, end in ends.items() if x == end), "")
    return f"x = {_digits(float(x))}{place}"


def _fewest(fails: Callable[[Tensor], bool], x: Tensor, dim: int) -> Tensor:
    """Leave out halves, quarters, ... and single slices of one dimension, as long as it fails."""
    step = x.shape[dim] // 2
    while step:
        start = 0
        while start < x.shape[dim]:
            places = torch.arange(x.shape[dim])
            shorter = x.index_select(dim, places[(places < start) | (places >= start + step)])
            if shorter.shape[dim] and fails(shorter):
                x = shorter
            else:
                start += step
        step //= 2
    return x


def _simplest(fails: Callable[[Tensor], bool], x: Tensor, place: int, domain: Domain) -> Tensor:
    value, (low, high) = float(x.flatten()[place]), domain
    for candidate in (0.0, high, low, *(round(value, digits) for digits in (1, 2, 3))):
        if candidate == value:
            return x
        simpler = x.clone()
        simpler.view(-1)[place] = candidate
        if low <= candidate <= high and fails(simpler):
            return simpler
    return x


def _digits(value: Any) -> str:
    return f"[{', '.join(map(_digits, value))}]" if isinstance(value, list) else f"{value:.6g}"
