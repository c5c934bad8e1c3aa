"""Ten classes of images as a stream of experiences: which classes come when, and which pixels go where. Free of torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import image
from kanzoo_tasks.data.parts import Part

Scenario = Literal["class", "task", "domain", "permuted"]

#: Classes that an experience needs: with fewer there is nothing to tell apart.
_LEAST_CLASSES = {"class": 1, "task": 2, "domain": 2}


def continual_sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the digest of the data of a `Continual`.

    Args:
        arguments: all arguments of the task.
        data_dir: where data sets lie, or None.

    Raises:
        InvalidInput: a file is damaged, classes are wrong, or an experience would be left without them.
    """
    split_classes(arguments["scenario"], arguments["num_experiences"], arguments["class_order"], seed=0)
    return image.identity(arguments["dataset"], data_dir)


def split_classes(scenario: Scenario, num_experiences: int, class_order: Sequence[int] | None, seed: int) -> list[tuple[int, ...]]:
    """Return the classes of each experience, in order; with permuted pixels each experience has all of them.

    Where the classes do not divide evenly, the first experiences have one more.

    Args:
        scenario: `permuted`, or how classes are split.
        num_experiences: how many there are.
        class_order: classes in the order in which they come; None: all ten, drawn by the seed.
        seed: of the drawing.

    Raises:
        InvalidInput: a class is unknown or repeated, or an experience would have too few.

    Example:
        >>> split_classes("class", 4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], seed=0)
        [(0, 1, 2), (3, 4, 5), (6, 7), (8, 9)]
    """
    order = np.random.default_rng([seed, 2]).permutation(image.NUM_CLASSES).tolist() if class_order is None else list(class_order)
    if len(set(order)) < len(order) or not set(order) <= set(range(image.NUM_CLASSES)):
        raise InvalidInput(f"task.class_order must be different classes from 0 to {image.NUM_CLASSES - 1}, got {order}")
    if scenario == "permuted":
        if len(order) < image.NUM_CLASSES:
            raise InvalidInput(f"task.class_order must have all {image.NUM_CLASSES} classes with task.scenario=permuted, got {order}")
        return [tuple(range(image.NUM_CLASSES))] * num_experiences
    least = _LEAST_CLASSES[scenario]
    if num_experiences * least > len(order):
        short = len(order) // least + 1
        raise InvalidInput(
            f"task.num_experiences must be <= {len(order) // least} for {len(order)} classes with task.scenario={scenario}, "
            f"got {num_experiences}",
            f"Experience {short} would have no classes left." if least == 1 else f"Experience {short} would have fewer than two classes.",
        )
    return [tuple(group.tolist()) for group in np.array_split(np.asarray(order), num_experiences)]


def permutations(num_experiences: int, pixels: int, seed: int) -> NDArray[np.int64]:
    """Return the place that each pixel is taken from, `(experiences, pixels)`; the first experience keeps its pixels in place."""
    generator = np.random.default_rng([seed, 3])
    return np.stack([np.arange(pixels), *(generator.permutation(pixels) for _ in range(num_experiences - 1))])


def assign(part: Part, classes: Sequence[tuple[int, ...]], scenario: Scenario) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the experience of each sample, -1 for none, and its place among the classes of that experience.

    Each sample belongs to one experience; with permuted pixels they are dealt out in turn, like cards.

    Raises:
        InvalidInput: an experience is without samples.
    """
    place = np.zeros(image.NUM_CLASSES, dtype=np.int64)
    for group in classes:
        place[list(group)] = np.arange(len(group))
    if scenario == "permuted":
        experience = np.arange(len(part.y)) % len(classes)
    else:
        owner = np.full(image.NUM_CLASSES, -1)
        for index, group in enumerate(classes):
            owner[list(group)] = index
        experience = owner[part.y]
    for index, group in enumerate(classes):
        if not (experience == index).any():
            raise InvalidInput(f"experience {index + 1} of {len(classes)} must have samples, got none of the classes {list(group)}")
    return experience, place[part.y]
