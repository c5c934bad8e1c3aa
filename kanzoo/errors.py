"""The error that a user can mend: it names the key, the rule and the value; the command line ends with exit code 2."""

import difflib
from collections.abc import Iterable


class InvalidInput(ValueError):
    """Wrong input of a user, told in one or two lines and without a traceback.

    Args:
        message: names the key, the rule and the value, for example `basis.degree must be >= 1, got 0`.
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["InvalidInput"], tuple[str, str]]:
        """Pickle both lines: errors travel back from worker processes."""
        return InvalidInput, (self.message, self.hint)


def suggest(name: str, known: Iterable[str], noun: str) -> str:
    """Return the hint for an unknown name: the nearest known one, and the list.

    Example:
        >>> suggest("chebychev", ["bspline", "chebyshev"], "Installed")
        "Did you mean 'chebyshev'? Installed: bspline, chebyshev"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name[:100], names, n=1)
    listing = f"{noun}: {', '.join(names) or 'none'}"
    return f"Did you mean {near[0]!r}? {listing}" if near else listing
