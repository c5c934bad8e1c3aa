"""Words that all renderers share: titles, names, which scores are better, and what the numbers come from."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kanzoo.leaderboard.number import format_difference, format_number, format_p, plural
from kanzoo.leaderboard.ranking import Ranked
from kanzoo.leaderboard.statistics import ALPHA
from kanzoo.leaderboard.summary import Board, Direction
from kanzoo.leaderboard.track import DEFAULT, track_words
from kanzoo.leaderboard.versus import Field, Versus
from kanzoo.record import Row


def better(direction: Direction) -> str:
    """Return which scores are better, in words."""
    return "lower is better" if direction == "min" else "higher is better"


def task_names(ranking: Mapping[Board, Sequence[Ranked]]) -> dict[str, str]:
    """Return a name a task_key: its most frequent label; tasks that share one are told apart by their key."""
    counts: dict[str, Counter[str]] = {}
    for board, group in ranking.items():
        counts.setdefault(board.task_key, Counter()).update(one.summary.task for one in group)
    return _distinct({key: min(count, key=lambda label: (-count[label], label)) for key, count in counts.items()})


def task_titles(ranking: Mapping[Board, Sequence[Ranked]]) -> dict[Board, str]:
    """Return a title a board: the name of its task, and what its track holds the runs to: `digits, 5,000 parameters`."""
    names = task_names(ranking)
    return {board: ", ".join(filter(None, (names[board.task_key], track_words(board.track)))) for board in ranking}


def overall_title(kind: str) -> str:
    """Return the title of what is averaged over all tasks of a kind of track."""
    return "Overall" if kind == DEFAULT else f"Overall, {kind}"


def model_names(group: Sequence[Ranked]) -> list[str]:
    """Return a name a model of one task; configurations that share a label are told apart by their key."""
    return list(_distinct({one.summary.model_key: one.summary.model for one in group}).values())


def _distinct(labels: Mapping[str, str]) -> dict[str, str]:
    shared = Counter(labels.values())
    return {key: label if shared[label] == 1 else f"{label} · {key[:8]}" for key, label in labels.items()}


def main_hardware(group: Sequence[Ranked]) -> str:
    """Return the machine most of the timed runs used; empty when none finished."""
    runs: Counter[str] = Counter()
    for one in group:
        if one.summary.n:
            runs[one.summary.hardware] += one.summary.timed
    return min(runs, key=lambda name: (-runs[name], name), default="")


def origin_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the numbers come from: versions and machines, sorted."""
    machines = {(row.cpu, row.threads, row.hardware) for row in rows if row.hardware}
    return {
        "runs": plural(len(rows), "run"),
        "kanzoo": ", ".join(sorted({row.kanzoo for row in rows})),
        "torch": ", ".join(sorted({row.torch for row in rows})),
        "hardware": [f"{cpu or 'unknown processor'}, {plural(threads, 'thread')} ({name})" for cpu, threads, name in sorted(machines)],
    }


#: What stands behind a difference that is more than chance.
_SIGNS = {"better": " ▲", "worse": " ▼", "equal": "", "unknown": ""}


def versus_words(versus: Versus | None, score_name: str) -> str:
    """Return a comparison with the baseline in words: `+0.41 %, p 0.02 ▲`, `× 0.8, p 0.02 ▲`; empty when there is none."""
    if versus is None or not versus.comparison.n:
        return ""
    p = "" if math.isnan(versus.p) else f", {format_p(versus.p)}"
    comparison = versus.comparison
    told = f"× {format_number(comparison.difference)}" if comparison.ratio else format_difference(comparison.difference, score_name)
    return f"{told}{p}{_SIGNS[versus.verdict]}"


def field_words(field: Field) -> str:
    """Return what the ranks over all tasks say, in a sentence or two."""
    verdict = (
        f"mean ranks that differ by less than {field.critical_difference:.2f} do not differ (Nemenyi, 5 %)"
        if field.p < ALPHA
        else "no model differs from another by more than chance"
    )
    return f"{len(field.models)} models were run on all {field.tasks} tasks: {verdict}; Friedman {format_p(field.p)}."


def shorten(text: str, length: int = 120) -> str:
    """Return the text, cut with an ellipsis when it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def encodable(text: str) -> str:
    """Return the text with a ? for all that UTF-8 cannot hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
