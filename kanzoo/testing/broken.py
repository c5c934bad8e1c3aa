"""What a check raises when a rule is broken, and an error of the plug-in itself in words."""

import inspect
import traceback
from pathlib import Path
from typing import Any


class Broken(AssertionError):
    """A rule that does not hold, with what was found.

    Attributes:
        rule: what must hold.
        got: what was found instead.
        smallest: the smallest input that shows it, in words; empty where the rule is about no input.
    """

    def __init__(self, name: str, rule: str, got: object, smallest: str = "") -> None:
        super().__init__(f"{name}: {rule}, got {got}{f'; smallest input: {smallest}' if smallest else ''}")
        self.rule, self.got, self.smallest = rule, str(got), smallest


def told(error: Exception, made: Any) -> str:
    """Return an error in words, with the last line of the plug-in's own file that it came through: `KeyError: 3 (hat.py, line 12)`."""
    try:
        file = inspect.getfile(made)
    except TypeError:
        file = ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{type(error).__name__}: {error}{f' ({Path(file).name}, line {lines[-1]})' if lines else ''}"
