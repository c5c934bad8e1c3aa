"""Numbers for people: rounded, with unit; a dash for the unknown."""

import math

from kanzoo.leaderboard.summary import Summary


def format_number(value: float, digits: int = 3) -> str:
    """Round to significant digits: 0.0123, 12.3, 12345, 1.23e-4; – when unknown."""
    if not math.isfinite(value):
        return "–"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    magnitude = int(exponent)
    if value == 0:
        return "0"
    return f"{value:.{max(digits - 1 - magnitude, 0)}f}" if -3 <= magnitude < 5 else f"{mantissa}e{magnitude}"


def format_quantity(value: float, unit: str) -> str:
    """Return three significant digits and the unit; – when unknown."""
    return f"{format_number(value)} {unit}" if math.isfinite(value) else "–"


def format_count(value: float) -> str:
    """Return a whole number with a thin space a thousand; – when unknown."""
    return f"{round(value):,}".replace(",", "\u202f") if math.isfinite(value) else "–"


def format_operations(value: float) -> str:
    """Return a large number with three significant digits and the letter of its thousands; – when unknown.

    Example:
        >>> format_operations(950), format_operations(12_345), format_operations(2.5e9)
        ('950', '12.3 k', '2.50 G')
    """
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= float(f"{value:.3g}") < math.inf:
            return f"{format_number(value / limit)} {letter}"
    return format_count(value)


def format_score(value: float, score_name: str) -> str:
    """Return a score for people: `97.31 %` for accuracies, three significant digits for others, – when there is none.

    Example:
        >>> format_score(0.97312, "accuracy"), format_score(0.00012345, "rmse")
        ('97.31 %', '1.23e-4')
    """
    if is_percent(score_name) and math.isfinite(value):
        return f"{100 * value:.2f} %"
    return format_number(value)


def is_percent(score_name: str) -> bool:
    """Return whether people read the score in percent."""
    return score_name.endswith("accuracy")


def format_p(p: float) -> str:
    """Return a p-value for people: `p 0.02`, `p < 0.001`, – when unknown.

    Example:
        >>> format_p(0.0234), format_p(1e-9)
        ('p 0.023', 'p < 0.001')
    """
    if math.isnan(p):
        return "–"
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"


def format_difference(difference: float, score_name: str) -> str:
    """Return a difference of scores with its sign: `+0.41 %` of accuracies, three significant digits of others."""
    if is_percent(score_name) and math.isfinite(difference):
        return f"{100 * difference:+.2f} %"
    return f"{'+' if difference > 0 else ''}{format_number(difference)}"


def format_share(share: float) -> str:
    """Return a share in whole percent; – when unknown."""
    return f"{100 * share:.0f} %" if math.isfinite(share) else "–"


def score_parts(summary: Summary) -> tuple[str, str, str]:
    """Return mean, ± half interval (empty when unknown) and unit, as text."""
    percent = is_percent(summary.score_name)
    known = math.isfinite(summary.half)
    if percent:
        return f"{100 * summary.mean:.2f}", f"± {100 * summary.half:.2f}" if known else "", " %"
    return format_number(summary.mean), f"± {format_number(summary.half, 2)}" if known else "", ""


def seed_count(summary: Summary) -> str:
    """Return how many seeds finished, and of how many when some failed."""
    return f"{summary.n}" if not summary.failed else f"{summary.n} of {summary.n + summary.failed}"


def plural(number: int, noun: str) -> str:
    """Return the number and the noun: `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
