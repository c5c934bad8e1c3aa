"""The accuracy matrix of continual learning, and what is read from it: averages, transfer and forgetting."""

import csv
import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Direction = Literal["min", "max"]
Matrix = NDArray[np.float64]


def average(scores: ArrayLike) -> float:
    r"""Return the mean score over all experiences at the end, $\mathrm{ACC} = \frac1T \sum_j R_{T-1,j}$.

    $R_{ij}$ is the score on the test samples of experience j after experience i was fitted; experiences are counted from 0.

    Args:
        scores: R, `(T, T)`.

    Raises:
        ValueError: R is not square, has fewer than two experiences, or is not finite.

    Reference:
        Lopez-Paz & Ranzato, Gradient episodic memory for continual learning, arXiv:1706.08840.

    Example:
        >>> average([[0.9, 0.1], [0.5, 0.7]])
        0.6
    """
    return float(_square(scores)[-1].mean())


def learning(scores: ArrayLike) -> float:
    r"""Return the mean score on each experience right after it was fitted, $\frac1T \sum_j R_{jj}$: low where a network cannot learn.

    Arguments and errors are those of `average`.

    Example:
        >>> learning([[0.9, 0.1], [0.5, 0.7]])
        0.8
    """
    return float(_square(scores).diagonal().mean())


def backward_transfer(scores: ArrayLike, direction: Direction = "max") -> float:
    r"""Return what later experiences did to earlier ones, $\mathrm{BWT} = \frac{1}{T-1} \sum_{j<T-1} (R_{T-1,j} - R_{jj})$.

    Positive is better whatever the score: for errors, where smaller is better (`direction="min"`), the sign is turned.

    Args:
        scores: R, as in `average`.
        direction: whether the score is better when smaller (`min`) or larger (`max`).

    Raises:
        ValueError: as in `average`.

    Reference:
        Lopez-Paz & Ranzato, Gradient episodic memory for continual learning, arXiv:1706.08840.

    Example:
        >>> backward_transfer([[0.75, 0.25], [0.5, 1.0]]), backward_transfer([[0.75, 0.25], [0.5, 1.0]], "min")
        (-0.25, 0.25)
    """
    matrix = _square(scores)
    return _gain(matrix[-1, :-1] - matrix.diagonal()[:-1], direction)


def forward_transfer(scores: ArrayLike, untrained: ArrayLike, direction: Direction = "max") -> float:
    r"""Return what earlier experiences did for those to come, $\mathrm{FWT} = \frac{1}{T-1} \sum_{j>0} (R_{j-1,j} - b_j)$.

    Positive is better whatever the score, as in `backward_transfer`.

    Args:
        scores: R, as in `average`.
        untrained: b, the scores of the network before it was fitted, `(T,)`.
        direction: as in `backward_transfer`.

    Raises:
        ValueError: as in `average`, or b is not finite or not of length T.

    Reference:
        Lopez-Paz & Ranzato, Gradient episodic memory for continual learning, arXiv:1706.08840.

    Example:
        >>> forward_transfer([[0.75, 0.25], [0.5, 1.0]], untrained=[0.5, 0.125])
        0.125
    """
    matrix, start = _square(scores), _row(untrained)
    if start.shape != matrix.shape[:1]:
        raise ValueError(f"untrained must be of length {len(matrix)}, got {start.shape}")
    return _gain(matrix.diagonal(1) - start[1:], direction)


def forgetting(scores: ArrayLike, direction: Direction = "max") -> float:
    r"""Return how far the last scores fell behind the best earlier ones, $\frac{1}{T-1} \sum_{j<T-1} (\max_{i<T-1} R_{ij} - R_{T-1,j})$.

    Positive is forgetting whatever the score: for errors it is the last one less the smallest earlier one.

    Args:
        scores: R, as in `average`.
        direction: as in `backward_transfer`.

    Raises:
        ValueError: as in `average`.

    Reference:
        Chaudhry et al., Riemannian walk for incremental learning, arXiv:1801.10112.

    Example:
        >>> forgetting([[0.75, 0.25], [0.5, 1.0]])
        0.25
    """
    matrix = _square(scores) if direction == "max" else -_square(scores)
    return float((matrix[:-1, :-1].max(axis=0) - matrix[-1, :-1]).mean())


def to_csv(scores: ArrayLike, untrained: ArrayLike, names: Sequence[str]) -> str:
    """Return the matrix as CSV: a line for the untrained network and one after each experience, a column on each experience.

    Example:
        >>> print(to_csv([[0.75, 0.25], [0.5, 1.0]], [0.5, 0.125], ["0 1", "2 3"]), end="")
        after,on 0 1,on 2 3
        untrained,0.5,0.125
        0 1,0.75,0.25
        2 3,0.5,1.0
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["after", *(f"on {name}" for name in names)])
    for name, row in zip(["untrained", *names], [_row(untrained), *_square(scores)], strict=True):
        table.writerow([name, *map(float, row)])
    return text.getvalue()


def _gain(differences: Matrix, direction: Direction) -> float:
    return float(differences.mean() if direction == "max" else -differences.mean())


def _square(scores: ArrayLike) -> Matrix:
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"scores must be square, of two or more experiences, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"scores must be finite, got {matrix.tolist()}")
    return matrix


def _row(scores: ArrayLike) -> Matrix:
    row = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(row).all():
        raise ValueError(f"untrained must be finite, got {row.tolist()}")
    return row
