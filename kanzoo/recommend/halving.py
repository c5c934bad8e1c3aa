"""Successive halving: many candidates for a short training, the best of them for a longer one. Pure functions.

Reference:
    Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, arXiv:1502.07943.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

#: One of so many candidates stays, for a training so many times as long.
ETA = 3


@dataclass(frozen=True)
class Candidate:
    """A network to try.

    Attributes:
        basis: registry name; empty for the MLP.
        width: factor on the hidden width.
    """

    basis: str
    width: float

    @property
    def name(self) -> str:
        """What people call it: `chebyshev(width=2)`, `mlp(width=8)`."""
        return f"{self.basis or 'mlp'}(width={self.width:g})"


class Cost(NamedTuple):
    """What candidates are ordered by: the validation score, smaller is better, infinite for a failure; of equals the smaller network."""

    score: float
    parameters: int


class Choice(NamedTuple):
    """A candidate with the length of its training, in epochs."""

    candidate: Candidate
    epochs: int


@dataclass(frozen=True)
class Rung:
    """One round: who was to be tried, who was, for how many epochs."""

    epochs: int
    asked: tuple[Candidate, ...]
    tried: tuple[Candidate, ...]

    @property
    def skipped(self) -> tuple[Candidate, ...]:
        """Those that the time did not suffice for."""
        return tuple(one for one in self.asked if one not in self.tried)


@dataclass
class History:
    """All rounds, and the cost of every choice that was tried."""

    rungs: list[Rung] = field(default_factory=list)
    costs: dict[Choice, Cost] = field(default_factory=dict)

    def best(self, candidate: Candidate) -> Cost:
        """Return the cost of a candidate with the best length of training so far."""
        return min(cost for choice, cost in self.costs.items() if choice.candidate == candidate)


#: Returns the costs of candidates after so many epochs; those that it leaves out were not tried for want of time.
Scorer = Callable[[Sequence[Candidate], int], Mapping[Candidate, Cost]]


def lengths(most: int, least: int = 1, rungs: int = 3) -> list[int]:
    """Return the epochs of each round: the last is `most`, each before it a third, none below `least`.

    Example:
        >>> lengths(54), lengths(20, 6), lengths(6, 6)
        ([6, 18, 54], [6, 7, 20], [6])
    """
    return sorted({max(least, round(most / ETA**power)) for power in range(rungs)})


def keep(costs: Mapping[Candidate, Cost], number: int) -> list[Candidate]:
    """Return the best candidates, so many of them, and at least the best KAN and the best MLP, which come first.

    Example:
        >>> costs = {Candidate("", 1): Cost(3.0, 9), Candidate("sine", 1): Cost(1.0, 9), Candidate("sine", 2): Cost(2.0, 9)}
        >>> [one.name for one in keep(costs, 1)]
        ['sine(width=1)', 'mlp(width=1)']
    """
    order = sorted(costs, key=lambda one: costs[one])
    first = sorted({bool(one.basis): one for one in reversed(order)}.values(), key=lambda one: costs[one])  # the best of each kind
    return [*first, *(one for one in order if one not in first)][: max(number, len(first))]


def halve(candidates: Sequence[Candidate], epochs: Sequence[int], score: Scorer) -> History:
    """Try the candidates for the first length, the best third of them for the next, and so on.

    A candidate counts with the best length of its training so far: what overfits is not thrown out for having been trained for long,
    and what learns slowly is given its time only where the beginning is promising.

    Args:
        candidates: the most important first, since those at the end are left out where time is short.
        epochs: the lengths, rising.
        score: tries candidates for a length.
    """
    history, left = History(), list(candidates)
    for length in epochs:
        costs = score(left, length)
        history.rungs.append(Rung(length, tuple(left), tuple(costs)))
        history.costs |= {Choice(one, length): cost for one, cost in costs.items()}
        left = keep({one: history.best(one) for one in costs}, -(-len(costs) // ETA))
    return history


def finalists(history: History) -> list[Choice]:
    """Return the best choice of a KAN and that of an MLP; a kind of which nothing finished is left out."""
    found = []
    for kind in (True, False):
        choices = [choice for choice, cost in history.costs.items() if bool(choice.candidate.basis) is kind and cost.score < float("inf")]
        found += [min(choices, key=lambda choice: (history.costs[choice], choice.epochs))] if choices else []
    return found


def candidates(bases: Sequence[str], widths: Sequence[float], mlp_widths: Sequence[float]) -> list[Candidate]:
    """Return all candidates: each basis in the first width, in the second, and so on, and between the first of them the MLPs.

    Example:
        >>> [one.name for one in candidates(["sine", "gram"], [1], [1])]
        ['sine(width=1)', 'mlp(width=1)', 'gram(width=1)']
    """
    kans = [Candidate(basis, width) for width, basis in itertools.product(widths, bases)]
    pairs = itertools.zip_longest(kans, [Candidate("", width) for width in mlp_widths])
    return [one for pair in pairs for one in pair if one is not None]
