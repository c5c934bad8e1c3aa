import itertools
import math

import torch

from kanzoo.inspect.formula import read_formula
from kanzoo.inspect.formula.deadline import NEVER, Deadline
from kanzoo.inspect.formula.library import LIBRARY
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer


def test_a_deadline_moves_with_its_clock() -> None:
    now = 10.0

    def clock() -> float:
        return now

    deadline = Deadline.within(5, clock)
    assert (deadline.left, deadline.is_over) == (5, False)
    assert deadline.later(2).left == deadline.extended(2).left == 7
    assert [deadline.at_most(seconds).left for seconds in (3, 8)] == [3, 5]
    now = 15.5
    assert (deadline.left, deadline.is_over) == (-0.5, True)
    assert deadline.at_most(3).left == -0.5
    assert (deadline.later(2).left, deadline.extended(2).left) == (1.5, 2)


def test_never_does_not_come() -> None:
    assert not NEVER.is_over
    assert NEVER.left == math.inf
    assert 1 < NEVER.at_most(2).left <= 2


def test_a_formula_is_read_by_the_clock_that_is_given() -> None:
    ticks = itertools.count()
    x = torch.linspace(1, 2, 50, dtype=torch.float64).unsqueeze(1)
    report = read_formula([SymbolicLayer(1, 1, [Edge(0, 0, LIBRARY[0], c=1.9)])], x, 2 * x, clock=lambda: float(next(ticks)))
    assert str(report.expression) == "2*x1"
    assert report.seconds == next(ticks) - 1
