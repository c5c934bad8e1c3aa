"""How long a search may take, by the clock that its caller chooses."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

#: Seconds since some moment: `time.monotonic` for a person who waits, `time.process_time` where a busy machine must change nothing.
ClockFunction = Callable[[], float]


@dataclass(frozen=True)
class Deadline:
    """A moment on a clock; by default `NEVER`.

    Attributes:
        moment: what the clock shows then.
        clock: seconds since some moment.

    Example:
        >>> times = iter([0.0, 4.0, 6.0])
        >>> deadline = Deadline.within(5, lambda: next(times))
        >>> deadline.is_over, deadline.is_over
        (False, True)
    """

    moment: float = math.inf
    clock: ClockFunction = time.monotonic

    @classmethod
    def within(cls, seconds: float, clock: ClockFunction = time.monotonic) -> "Deadline":
        """Return the moment so many seconds from now."""
        return cls(clock() + seconds, clock)

    @property
    def left(self) -> float:
        """Seconds until then; below 0 when it is over."""
        return self.moment - self.clock()

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return self.left < 0

    def later(self, seconds: float) -> "Deadline":
        """Return the moment so many seconds after this one."""
        return replace(self, moment=self.moment + seconds)

    def extended(self, seconds: float) -> "Deadline":
        """Return the moment so many seconds after this one, or after now where it has passed."""
        return replace(self, moment=max(self.moment, self.clock()) + seconds)

    def at_most(self, seconds: float) -> "Deadline":
        """Return this moment or the one so many seconds from now, whichever comes first."""
        return replace(self, moment=min(self.moment, self.clock() + seconds))


NEVER = Deadline()
