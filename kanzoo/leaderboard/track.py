"""Tracks in words: what a run was held to, and the kind of rule that this is."""

import math

#: What a track is called in a title, by the key of its rule, and the kind of track. In the order in which the kinds are shown.
_RULES = {
    "parameters": ("{} parameters", "matched parameters"),
    "seconds": ("{} s of training", "matched time"),
    "trials": ("tuned by {} trials", "tuned"),
}

#: The track of a run that is held to nothing.
DEFAULT = "default"


def track_words(track: str) -> str:
    """Return what a track holds its runs to; empty for the default, and the text itself for a rule that is not known.

    Example:
        >>> track_words("parameters=5000, trials=12")
        '5,000 parameters, tuned by 12 trials'
    """
    return "" if track == DEFAULT else ", ".join(_words(rule) for rule in track.split(", "))


def track_kind(track: str) -> str:
    """Return the kind of a track: tracks that differ in their numbers alone are of one kind.

    Example:
        >>> track_kind("seconds=10"), track_kind("seconds=2.5"), track_kind("default")
        ('matched time', 'matched time', 'default')
    """
    names = [rule.partition("=")[0] for rule in track.split(", ")]
    return ", ".join(_RULES[name][1] if name in _RULES else name for name in names)


def track_order(track: str) -> tuple[int, tuple[tuple[int, float, str], ...]]:
    """Return the key that sorts tracks: the default first, then by kind, and by number within a kind."""
    known = list(_RULES)
    rules = [(rule, *rule.partition("=")) for rule in track.split(", ")]
    places = tuple((known.index(name) if name in _RULES else len(known), _number(value), rule) for rule, name, _, value in rules)
    return 0 if track == DEFAULT else len(rules), places


def _words(rule: str) -> str:
    name, _, value = rule.partition("=")
    number = _number(value)
    if name not in _RULES or not math.isfinite(number):
        return rule
    words = _RULES[name][0].format(f"{number:,.0f}" if number.is_integer() else f"{number:g}")
    return words if number != 1 else words.removesuffix("s")


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(number) else number
