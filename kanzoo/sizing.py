"""How wide a network is to be for a budget of parameters: one factor on all its hidden widths is solved for."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Generator, nn

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import Layers
from kanzoo.models import num_parameters
from kanzoo.task import Task

#: What training will do to the size of a network: refine its bases, for example.
Growth = Callable[[nn.Module], object]


@dataclass(frozen=True)
class Size:
    """The size of a network for a budget.

    Attributes:
        width: the factor; `model.width` with this value gives the same network.
        parameters: trainable parameters of the network, once it has grown.
        deviation: `(parameters - budget) / budget`.
    """

    width: float
    parameters: int
    deviation: float


def prepare(
    task: Task, layers: Layers, budget: int, *, growth: Growth = lambda model: None, data_dir: Path | None = None, seed: int = 0
) -> Size:
    """Prepare a task with the network whose number of trainable parameters is nearest to a budget; return its size.

    The data are loaded once. Networks that are only tried draw from generators of their own, so that the one that stays is to the bit
    the one of `layers` with the solved width.

    Raises:
        InvalidInput: the network has no hidden width to scale, or is larger than the budget at hidden widths of 1.
    """
    build, found = task.build_model, list[Size]()

    def build_sized(layers: Layers) -> nn.Module:
        found.append(_solved(build, layers, budget, growth))
        return build(_wide(layers, found[0].width))

    task.build_model = build_sized  # type: ignore[method-assign]
    try:
        task.prepare(layers, data_dir=data_dir, seed=seed)
    finally:
        del task.build_model
    return found[0]


def size(task: Task, layers: Layers, budget: int, growth: Growth = lambda model: None) -> Size:
    """Return the size that `prepare` would give a network, for a task whose data are loaded; the task stays as it is.

    Raises:
        InvalidInput: as `prepare`.
    """
    return _solved(task.build_model, layers, budget, growth)


def _solved(build: Callable[[Layers], nn.Module], layers: Layers, budget: int, growth: Growth) -> Size:
    with torch.random.fork_rng(devices=[]):  # what a task initialises by itself may draw from the global one
        return solve(partial(_tried, build, growth), layers, budget)


def solve(count: Callable[[Layers], int], layers: Layers, budget: int) -> Size:
    r"""Return the size whose count is nearest to a budget, of two as near the smaller.

    A hidden width $w$ becomes $\max(1, \mathrm{round}(f w))$, so that the count is a step function of the factor $f$, which does not
    fall. Bisection down to neighbouring floats finds the last step below the budget and the first one above; of the factors on the
    nearer step the shortest decimal number is taken.

    Args:
        count: the parameters of the network from a factory; asked once for each combination of hidden widths.
        layers: the factory, of which copies with another width are made.
        budget: parameters.

    Raises:
        InvalidInput: there is no hidden width to scale, or none is small enough.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> from kanzoo.models import DenseNet
        >>> def count(layers):
        ...     return sum(num_parameters(DenseNet(layers, [2, 5, 1])).values())
        >>> solve(count, PlainLayers(), 50)  # a hidden unit takes 4, the bias of the output 1
        Size(width=2.4, parameters=49, deviation=-0.02)
    """
    asked = _hidden_widths(count, layers)
    counts: dict[tuple[int, ...], int] = {}

    def widths(factor: float) -> tuple[int, ...]:
        return tuple(map(_wide(layers, factor).scaled, asked))

    def at(factor: float) -> int:
        key = widths(factor)
        if key not in counts:
            counts[key] = count(_wide(layers, factor))
        return counts[key]

    low, high = 0.5 / max(asked, default=1), 2.0
    smallest = at(low)
    if at(high) == smallest:
        raise InvalidInput(f"model.parameters must be left out where no hidden width can be scaled, got {budget}")
    if budget < smallest:
        raise InvalidInput(f"model.parameters must be >= {smallest}, the size at hidden widths of 1, got {budget}")
    while at(high) <= budget:
        if max(widths(high)) > budget:  # each unit takes a parameter at least
            raise InvalidInput(f"model.parameters must be <= {at(high)}, where the network no longer grows with its width, got {budget}")
        low, high = high, high * max(1.1, math.sqrt(budget / at(high)))
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if at(middle) <= budget else (low, middle)
    nearer = low if budget - at(low) <= at(high) - budget else high
    factor = _shortest(asked, widths, nearer)
    return Size(factor, at(factor), (at(factor) - budget) / budget)


def _tried(build: Callable[[Layers], nn.Module], growth: Growth, layers: Layers) -> int:
    layers.generator = Generator()
    model = build(layers)
    growth(model)
    return sum(num_parameters(model).values())


def _wide(layers: Layers, width: float) -> Layers:
    other = copy.copy(layers)
    other.width = width
    return other


def _hidden_widths(count: Callable[[Layers], int], layers: Layers) -> Sequence[int]:
    """Return the hidden widths that a network asks the factory to scale."""
    asked, spy = list[int](), _wide(layers, 1.0)

    def scaled(width: int) -> int:
        asked.append(width)
        return layers.scaled(width)

    spy.scaled = scaled  # type: ignore[method-assign]
    count(spy)
    return asked


def _shortest(asked: Sequence[int], widths: Callable[[float], tuple[int, ...]], found: float) -> float:
    """Return the factor of the fewest digits that gives the same widths as the one that was found."""
    wanted = widths(found)
    pairs = list(zip(asked, wanted, strict=True))
    low = max((width - 0.5) / first if width > 1 else 0.0 for first, width in pairs)
    high = min((width + 0.5) / first for first, width in pairs)
    factors = (round((low + high) / 2, digits) for digits in range(17))
    return next((factor for factor in factors if factor > 0 and widths(factor) == wanted), found)
