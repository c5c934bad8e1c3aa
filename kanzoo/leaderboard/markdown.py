"""Rows -> Markdown."""

import re
from collections.abc import Iterable, Mapping, Sequence

from kanzoo.leaderboard.cost import known_costs
from kanzoo.leaderboard.number import format_share, plural, score_parts, seed_count
from kanzoo.leaderboard.ranking import Ranked, by_kind, common, overall, rank
from kanzoo.leaderboard.summary import Board, latest, summarise
from kanzoo.leaderboard.versus import LEAST_SEEDS, best_baseline, best_basis, field, versus_baseline
from kanzoo.leaderboard.wording import (
    better,
    encodable,
    field_words,
    main_hardware,
    model_names,
    origin_of,
    overall_title,
    shorten,
    task_titles,
    versus_words,
)
from kanzoo.record import Row


def render_markdown(rows: Iterable[Row], limit: int | None = None) -> str:
    """Render a table a task and track, the overall ranking of each kind of track, and how they were made.

    Headings start at the second level, so that the text fits below a title.

    Args:
        rows: in any order; `latest` is applied.
        limit: models shown in each table; None shows all.
    """
    rows = latest(rows)
    ranking = rank(summarise(rows))
    if not ranking:
        return "No results yet.\n"
    titles = task_titles(ranking)
    parts = []
    for key, group in ranking.items():
        parts += [f"## {_md(titles[key])}", _markdown_task(group, limit)]
    for kind, boards in by_kind(ranking).items():
        if shared := common(boards):
            parts += [f"## {_md(overall_title(kind))}", _markdown_overall(shared, titles, limit)]
    origin = origin_of(rows)
    parts.append(
        f"Made by `kanzoo leaderboard` from {origin['runs']}: kanzoo {_md(origin['kanzoo'])}, torch {_md(origin['torch'])}. "
        "± is half the 95 % Student-t interval over seeds; p is of the paired t-test over common seeds, of logarithms for errors, "
        "by Holm for all models of a task. "
        "Hardware: " + ("; ".join(_md(name) for name in origin["hardware"]) or "unknown") + "."
    )
    return encodable("\n\n".join(parts) + "\n")


def render_winners(rows: Iterable[Row]) -> str:
    """Render one table with a row a task: the best model with a basis, the best baseline, and what lies between them.

    By the rules of the default track, where there is one; the other tracks are named below. Where some tasks have five seeds, those
    with fewer are only counted: nothing can be told of them yet.

    Args:
        rows: in any order; `latest` is applied.
    """
    rows = latest(rows)
    ranking = rank(summarise(rows))
    if not ranking:
        return "No results yet.\n"
    titles = task_titles(ranking)
    lines = ["| task | score | best basis | | best baseline | | difference | models × seeds |", "|:--|:--|:--|--:|:--|--:|--:|--:|"]
    (_, boards), *others = by_kind(ranking).items()
    shown = {board: group for board, group in boards.items() if max(one.summary.n for one in group) >= LEAST_SEEDS} or boards
    for board, group in shown.items():
        best = best_basis(group), best_baseline(group)
        places = {one.summary.model_key: one.rank for one in group}
        first = min((places[one.model_key] for one in best if one), default=0)
        cells = [_md(titles[board]), f"{_md(group[0].summary.score_name)}, {better(group[0].summary.direction)}"]
        for one in best:
            if one is None:
                cells += ["–", ""]
                continue
            mean, half, unit = score_parts(one)
            name = _md(one.model)
            cells += [f"**{name}**" if places[one.model_key] == first else name, f"{mean} {half}".strip() + unit]
        cells.append(versus_words(versus_baseline(group).get(best[0].model_key), best[0].score_name) if best[0] else "")
        lines.append(f"| {' | '.join(cells)} | {len(group)} × {max((one.summary.n for one in group), default=0)} |")
    lines.append(
        "\nThe better one is bold, by any margin; ± is half the 95 % Student-t interval over seeds; ▲ is ahead of the baseline and ▼ "
        "behind it by more than chance (paired t-test, of logarithms for errors, by Holm for all models of the task). From "
        f"{origin_of(rows)['runs']}."
    )
    more = [f"{plural(len(boards) - len(shown), 'more task')} with fewer seeds"] if len(shown) < len(boards) else []
    more += [f"the tracks {', '.join(kind for kind, _ in others)}"] if others else []
    if more:
        lines[-1] += f" The leaderboard has {' and '.join(more)} too."
    lines.append("")
    return encodable("\n".join(lines))


def _markdown_task(group: Sequence[Ranked], limit: int | None) -> str:
    main = main_hardware(group)
    score_name, direction = group[0].summary.score_name, group[0].summary.direction
    baseline, versus = best_baseline(group), versus_baseline(group)
    costs = known_costs(group)
    heads = ["#", "model", f"{_md(score_name)} ({better(direction)})", *([f"against {_md(baseline.model)}"] if baseline else []), "seeds"]
    heads += [cost.label for cost in costs]
    lines = [f"| {' | '.join(heads)} |", f"|--:|:--|{'--:|' * (len(heads) - 2)}"]
    shown = group[:limit]
    for name, one in zip(model_names(group), shown, strict=False):
        summary = one.summary
        mean, half, unit = score_parts(summary)
        mark = " †" if summary.n and summary.hardware != main else ""
        cells = [
            str(one.rank) if summary.n else "–",
            _md(name),
            f"{mean} {half}".strip() + unit if summary.n else f"FAILED: {_md(shorten('; '.join(summary.reasons)))}",
            *([versus_words(versus.get(summary.model_key), score_name)] if baseline else []),
            seed_count(summary),
            *(cost.text(summary) + (mark if cost.measured else "") for cost in costs),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    notes = []
    if any(one.verdict in ("better", "worse") for one in versus.values()):
        notes.append("▲ better, ▼ worse than the baseline by more than chance.")
    if len(shown) < len(group):
        notes.append(f"… and {len(group) - len(shown)} more.")
    if any(one.summary.n and one.summary.hardware != main for one in shown):
        notes.append("† on other hardware than the rest, or with another number of seeds at once: do not compare.")
    return "\n".join(lines) + ("\n\n" + " ".join(notes) if notes else "")


def _markdown_overall(ranking: Mapping[Board, Sequence[Ranked]], titles: Mapping[Board, str], limit: int | None) -> str:
    lines = ["| # | model | mean rank | first places | win rate | normalised | failed |", "|--:|:--|--:|--:|--:|--:|--:|"]
    standings = overall(ranking)
    for standing in standings[:limit]:
        lines.append(
            f"| {standing.rank} | {_md(standing.model)} | {standing.mean_rank:.2f} | {standing.wins} "
            f"| {format_share(standing.win_rate)} | {standing.normalised:.2f} | {standing.failed} |"
        )
    rest = len(standings) - len(standings[:limit])
    notes = [f"… and {rest} more."] if rest else []
    notes.append(f"Over {', '.join(_md(titles[board]) for board in ranking)}.")
    notes.append("Win rate: share of the other models beaten. Normalised: 0 the worst score of a task, 1 the best.")
    found = field(ranking)
    if found:
        notes.append(field_words(found))
    return "\n".join(lines) + "\n\n" + " ".join(notes)


def _md(text: str) -> str:
    """Escape foreign text for one line of Markdown, inside a table too."""
    text = re.sub(r"\s+", " ", re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "\ufffd", text)).strip()
    text = re.sub(r"([\\`*\[\]~$#])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word an underscore is plain
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")
