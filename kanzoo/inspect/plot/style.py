"""How the pictures look, and what they share."""

import warnings
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

INK, QUIET, RULE, ACCENT, WASH = "#1c1d1f", "#63666b", "#a9aaa6", "#1b5fae", "#c9d8ea"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": RULE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


def text_width(text: str, size: float) -> float:
    """Return the width of a text in inches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks: where it is drawn is another matter
        width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family="DejaVu Sans", size=size), ismath=False)
    return float(width) / 72


def shortened(text: str, width: float, size: float) -> str:
    """Return a text, or as much of it as fits into so many inches, with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    length = len(text) - 1
    while length > 1 and text_width(f"{text[:length].rstrip()}…", size) > width:
        length -= 1
    return f"{text[:length].rstrip()}…"


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """Return an interval with a share of its length added at both ends; of length 1 where it is a point."""
    room = share * (high - low)
    # A difference that is lost in rounding is no interval either.
    return (low - room, high + room) if high - low > 1e-9 * max(abs(low), abs(high)) else (low - 0.5, high + 0.5)
