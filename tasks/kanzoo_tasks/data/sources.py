"""What a task's arguments rest on: checked against formulas and files before torch is imported, and named by a digest."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import feynman, image, table
from kanzoo_tasks.data.formula import Array, Formula, check_finite, check_ranges, parse


def regression_sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the digest of the data of a `Regression`: of files, or of a Feynman equation, or the word `formula`.

    Args:
        arguments: all arguments of the task.
        data_dir: where data sets lie, or None.

    Raises:
        InvalidInput: the formula, its ranges, or a file is wrong.
    """
    dataset = arguments["dataset"]
    check_table(arguments)
    if dataset in ("formula", "feynman"):
        function, ranges = problem(dataset, arguments["formula"], arguments["ranges"])
        check_finite(function, ranges)
        if dataset == "formula":
            return "formula"
        return hashlib.sha256(str(feynman.find(arguments["formula"])).encode()).hexdigest()
    if dataset == "diabetes":
        return table.digest(*table.diabetes_files())
    if dataset == "linnerud":
        return table.digest(*table.linnerud_files())
    if dataset == "housing":
        return table.digest(table.housing_file(data_dir))
    table.read_csv(arguments["file"], arguments["target"])
    return table.digest(Path(arguments["file"]).expanduser())


def check_table(arguments: Mapping[str, Any]) -> None:
    """Raise InvalidInput unless a file and a target are given with `dataset=csv`, and only then."""
    dataset = arguments["dataset"]
    for name in ("file", "target"):
        given = arguments[name] not in (None, "")
        if given and dataset != "csv":
            raise InvalidInput(f"task.{name} may be given only with task.dataset=csv, got {arguments[name]!r} with task.dataset={dataset}")
        if not given and dataset == "csv":
            what = "the path of a CSV file" if name == "file" else "the column to predict"
            raise InvalidInput(
                f"task.{name} must be {what} when task.dataset is csv, got none",
                f"For example task.{name}={'houses.csv' if name == 'file' else 'price'}",
            )


def problem(dataset: str, text: str, ranges: Sequence[Sequence[float]] | None) -> tuple[Formula, Array]:
    """Return the formula and the ranges `(variables, 2)` that the arguments of a `Regression` name.

    Raises:
        InvalidInput: either is wrong.
    """
    if dataset == "feynman":
        equation = feynman.find(text)
        function = parse(equation.formula, list(equation.ranges))
        published: Sequence[Sequence[float]] = list(equation.ranges.values())
        return function, check_ranges(published if ranges is None else ranges, function.variables)
    if text in feynman.equations():
        raise InvalidInput(
            f"task.formula must be a formula when task.dataset is formula, got {text!r}",
            "For the Feynman equation, set task.dataset=feynman.",
        )
    function = parse(text)
    return function, check_ranges([[-1.0, 1.0]] if ranges is None else ranges, function.variables)


def symbolic_sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the digest of the equation of a `Symbolic`, or the word `formula`.

    Args:
        arguments: all arguments of the task.
        data_dir: not used.

    Raises:
        InvalidInput: the formula or its ranges are wrong, or it is not finite everywhere on them.
    """
    dataset = named_or_written(arguments["formula"])
    check_finite(*problem(dataset, arguments["formula"], arguments["ranges"]), share=1.0)
    return "formula" if dataset == "formula" else hashlib.sha256(str(feynman.find(arguments["formula"])).encode()).hexdigest()


def named_or_written(text: str) -> Literal["feynman", "formula"]:
    """Return `feynman` for the number of an equation, right or wrong, and `formula` for anything else.

    Example:
        >>> named_or_written("I.6.2"), named_or_written("x1*x2")
        ('feynman', 'formula')
    """
    return "feynman" if re.fullmatch(r"[IVX]+(\.\w+)+", text) else "formula"


def image_sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the digest of the data of an `Image`.

    Args:
        arguments: all arguments of the task.
        data_dir: where data sets lie, or None.

    Raises:
        InvalidInput: a file is damaged, or the network does not fit the images.
    """
    if arguments["network"] == "conv":
        check_network(*(arguments[name] for name in ("dataset", "channels", "kernel_size", "padding", "strides")))
    return image.identity(arguments["dataset"], data_dir)


def check_network(dataset: image.Name, channels: Sequence[int], kernel_size: int, padding: str, strides: Sequence[int]) -> None:
    """Raise InvalidInput when the convolutions do not fit the images: each halves them, or shrinks them by its stride."""
    if padding == "same" and kernel_size % 2 == 0:
        raise InvalidInput(f"task.kernel_size must be odd, got {kernel_size}")
    if strides and len(strides) != len(channels):
        raise InvalidInput(f"task.strides must be one for each of task.channels {list(channels)}, or none, got {list(strides)}")
    size = min(image.KINDS[dataset].size)
    for index in range(len(channels)):
        size = (size - (kernel_size if padding == "valid" else 1)) // (strides[index] if strides else 1) + 1
        size = size if strides else size // 2
        if size < 1:
            height, width = image.KINDS[dataset].size
            raise InvalidInput(
                f"task.channels must be of length <= {index} for images of {height} x {width} pixels, got {list(channels)}",
                f"Kernels of {kernel_size} x {kernel_size}, task.padding={padding}, task.strides={list(strides)}",
            )
