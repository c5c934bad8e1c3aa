"""What a model costs: the columns of the tables and the axes of the charts, told once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kanzoo.leaderboard.number import format_count, format_operations, format_quantity
from kanzoo.leaderboard.ranking import Ranked
from kanzoo.leaderboard.summary import Summary


@dataclass(frozen=True)
class Cost:
    """One number that tells what a model costs.

    Attributes:
        key: by which an address names it.
        label: head of its column.
        attribute: where a summary keeps it.
        meaning: what it is, in a line.
        unit: of its numbers.
        axis: its name on an axis; empty when no chart has it.
        measured: whether it compares within one machine alone.
        optional: whether its column is left out where no model of a board has it.
        minor: whether a narrow screen shows it among the details alone.
    """

    key: str
    label: str
    attribute: str
    meaning: str
    unit: str = ""
    axis: str = ""
    measured: bool = False
    optional: bool = False
    minor: bool = False

    def value(self, summary: Summary) -> float:
        """Return the number; NaN when unknown."""
        return float(getattr(summary, self.attribute))

    def text(self, summary: Summary) -> str:
        """Return the number for people; – when unknown."""
        plain: dict[str, Callable[[float], str]] = {"size": format_count, "operations": format_operations}
        value = self.value(summary)
        return plain[self.key](value) if self.key in plain else format_quantity(value, self.unit)


COSTS = (
    Cost("size", "parameters", "num_parameters", "trainable parameters of the whole network", axis="parameters"),
    Cost(
        "operations",
        "operations",
        "operations",
        "arithmetic operations of one sample through the trained network, counted as they run: k, M and G stand for 10³, 10⁶ and 10⁹",
        axis="operations a sample",
        optional=True,
        minor=True,
    ),
    Cost("time", "training", "train_time_s", "time in the training loop, without validation and test", "s", "training time", measured=True),
    Cost("step", "step", "step_time_ms", "median time of one step of the optimizer", "ms", measured=True, minor=True),
    Cost(
        "latency",
        "latency",
        "latency_ms",
        "median time of one sample through the trained network",
        "ms",
        "latency of a sample",
        measured=True,
        optional=True,
        minor=True,
    ),
    Cost("memory", "memory", "peak_memory_mb", "peak growth of resident memory while it trains", "MB", "memory", measured=True, minor=True),
)


def known_costs(group: Sequence[Ranked]) -> list[Cost]:
    """Return the columns of a board: those that came later are left out where no model has them."""
    return [cost for cost in COSTS if not cost.optional or any(math.isfinite(cost.value(one.summary)) for one in group)]
