"""The three parts of a data set, as arrays."""

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Part(NamedTuple):
    """Inputs `(samples, ...)` and targets `(samples, ...)`."""

    x: NDArray[Any]
    y: NDArray[Any]


class Parts(NamedTuple):
    """What is fitted, what choices are made on, and what the score is taken on."""

    train: Part
    validation: Part
    test: Part
