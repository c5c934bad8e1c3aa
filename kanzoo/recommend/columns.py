"""A first look at the target of a table: is it a number or a class? The task itself reads and checks the file."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kanzoo.errors import InvalidInput

Kind = Literal["regression", "classification"]

#: A target of whole numbers with at most so many different ones is a class.
FEW = 10

#: Rows below which validation and test, 15 % each, are too few to choose and to judge.
MIN_ROWS = 40


@dataclass(frozen=True)
class Target:
    """What the target column holds: numbers or classes, how many rows, and the share of its most frequent value."""

    kind: Kind
    rows: int
    most: float


def look(file: Path, target: str) -> Target:
    """Tell what the target of a CSV file is: a class where it is text or has few different whole numbers, else a number.

    What is wrong with the file but its length is not told here; such a file counts as a regression, whose task tells it.

    Raises:
        InvalidInput: it has too few rows.
    """
    try:
        with file.expanduser().open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.reader(opened, strict=True)
            place = [name.strip() for name in next(reader, [])].index(target)
            values = Counter(row[place].strip() for row in reader if row)
    except (OSError, ValueError, IndexError, csv.Error):
        return Target("regression", 0, 0.0)
    rows = values.total()
    if rows < MIN_ROWS:
        raise InvalidInput(f"FILE must hold at least {MIN_ROWS} rows, got {rows} in {file}", "Fewer are no base for a choice.")
    kind: Kind = "classification" if _are_classes(list(values)) else "regression"
    return Target(kind, rows, values.most_common(1)[0][1] / rows)


def _are_classes(values: list[str]) -> bool:
    try:
        numbers = {float(value) for value in values}
    except ValueError:
        return sum(_is_number(value) for value in values) < len(values) / 2  # else a column of numbers with a slip in it
    return 1 < len(numbers) <= FEW and all(number.is_integer() for number in numbers)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text  # a gap is no class
    return True
