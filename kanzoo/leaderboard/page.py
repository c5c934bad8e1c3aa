"""Rows -> one HTML page, by the template, the style and the script beside this file."""

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kanzoo.leaderboard.cost import COSTS, Cost, known_costs
from kanzoo.leaderboard.number import format_count, format_number, format_score, format_share, is_percent, plural, score_parts, seed_count
from kanzoo.leaderboard.rank_diagram import rank_diagram
from kanzoo.leaderboard.ranking import Ranked, by_kind, common, overall, pareto, rank
from kanzoo.leaderboard.summary import Board, latest, summarise
from kanzoo.leaderboard.track import track_kind, track_order, track_words
from kanzoo.leaderboard.versus import Versus, best_baseline, field, versus_baseline
from kanzoo.leaderboard.wording import (
    better,
    encodable,
    field_words,
    main_hardware,
    model_names,
    origin_of,
    overall_title,
    shorten,
    task_names,
    task_titles,
    versus_words,
)
from kanzoo.record import Row


def render_html(rows: Iterable[Row]) -> str:
    """Render one self-contained page: sortable tables, and score against what a model costs, by task and track.

    Its address tells what is shown: `#task=digits_dense&track=parameters%3D5000&cost=latency`. It asks for nothing outside itself, works
    from `file://` and in a sandboxed frame, and is a static page without JavaScript. Its content security policy allows the one script in
    it, by hash.

    Args:
        rows: in any order; `latest` is applied.
    """
    rows = latest(rows)
    ranking = rank(summarise(rows))
    names, titles = task_names(ranking), task_titles(ranking)
    tracks = sorted({board.track for board in ranking}, key=track_order)
    charts = [_chart(titles[board], group) for board, group in ranking.items()]
    opened = max(ranking, key=lambda board: (board.track == tracks[0], len(ranking[board])), default=None)  # of the track that is chosen
    known = {name for chart in charts for point in chart["points"] for name, value in point["x"].items() if value is not None}
    # Not PackageLoader: it wants a folder of its own for one template.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"csp_hash": _csp_hash, "share": format_share, "known": _known}
    page = environment.get_template("leaderboard.html.j2").render(
        script=_own("leaderboard.js"),
        style=_own("leaderboard.css"),
        boards=[_view(names[board.task_key], titles[board], board.track, group) for board, group in ranking.items()],
        data=charts,
        tasks=list(names.values()),
        opened=names[opened.task_key] if opened else "",
        tracks=[(track, track_words(track) or track, track_kind(track)) for track in tracks],
        axes=[cost for cost in COSTS if cost.axis and (cost.key in known or not cost.optional)],
        costs=COSTS,
        overalls=[_overall(kind, shared, titles) for kind, boards in by_kind(ranking).items() if (shared := common(boards))],
        origin=origin_of(rows),
    )
    return encodable(page) + "\n"


def _own(name: str) -> Markup:
    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _csp_hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _overall(kind: str, boards: Mapping[Board, Sequence[Ranked]], titles: Mapping[Board, str]) -> dict[str, Any]:
    found = field(boards)
    return {
        "title": overall_title(kind),
        "kind": kind,
        "tasks": [titles[board] for board in boards],
        "standings": overall(boards),
        "field_words": field_words(found) if found else "",
        "diagram": Markup(rank_diagram(found)) if found else "",  # its text is escaped there
    }


def _view(task: str, title: str, track: str, group: Sequence[Ranked]) -> dict[str, Any]:
    main = main_hardware(group)
    score_name, direction = group[0].summary.score_name, group[0].summary.direction
    baseline, versus = best_baseline(group), versus_baseline(group)
    costs = known_costs(group)
    named = zip(model_names(group), group, strict=True)
    rows = [_view_row(name, one, main, versus.get(one.summary.model_key), costs) for name, one in named]
    return {
        "task": task,
        "title": title,
        "track": track,
        "score_name": score_name,
        "better": better(direction),
        "baseline": baseline.model if baseline else "",
        "marked": any(one.verdict in ("better", "worse") for one in versus.values()),
        "costs": costs,
        "rows": rows,
    }


def _view_row(name: str, one: Ranked, main: str, versus: Versus | None, costs: Sequence[Cost]) -> dict[str, Any]:
    summary = one.summary
    mean, half, unit = score_parts(summary)
    facts = [("Command", summary.command), ("Resolved config", f"{summary.command} --print-config")]
    facts.append(("Reason", "; ".join(summary.reasons)))
    scores = zip(summary.seeds, summary.scores, strict=True)
    facts.append(("Seeds", ", ".join(f"{seed}: {format_score(score, summary.score_name)}" for seed, score in scores) or "none finished"))
    if summary.failed:
        facts.append(("Failed seeds", ", ".join(map(str, summary.failed_seeds))))
    if summary.n > 1:
        scale, suffix = (100.0, " %") if is_percent(summary.score_name) else (1.0, "")
        best, worst = ((f"{scale * value:.2f}" if suffix else format_number(value)) + suffix for value in (summary.best, summary.worst))
        facts.append(("Best, worst", f"{best}, {worst}"))
    if summary.num_coefficients:
        facts.append(("Coefficients", format_count(summary.num_coefficients)))
    if summary.n:
        facts.append(("Timed on", f"{summary.hardware}, {summary.timed} of {plural(summary.n, 'run')}"))
    facts.append(("Runs", ", ".join(summary.run_ids)))
    return {
        "rank": one.rank,
        "model": name,
        "baseline": not summary.basis,
        "ok": summary.n > 0,
        "mean": mean,
        "half": half,
        "unit": unit,
        "score": repr(summary.mean),
        "interval": repr(summary.half) if half else "",
        "versus": versus_words(versus, summary.score_name),
        "difference": repr(versus.comparison.difference) if versus and versus.comparison.n else "",
        "verdict": versus.verdict if versus else "",
        "n": summary.n,
        "seeds": seed_count(summary),
        "reason": shorten("; ".join(summary.reasons)),
        "foreign": summary.n > 0 and summary.hardware != main,
        "numbers": [(cost, cost.text(summary), _known(cost.value(summary))) for cost in costs],
        "facts": [(term, text) for term, text in facts if text],
    }


def _chart(title: str, group: Sequence[Ranked]) -> dict[str, Any]:
    main = main_hardware(group)
    names = [name for name, one in zip(model_names(group), group, strict=True) if one.summary.n]
    done = [one.summary for one in group if one.summary.n]
    direction = group[0].summary.direction
    means = [summary.mean for summary in done]
    costs = {
        cost.key: [_positive(cost.value(one)) if one.hardware == main or not cost.measured else math.nan for one in done]
        for cost in COSTS
        if cost.axis
    }
    fronts = {name: set(pareto(list(zip(cost, means, strict=True)), direction)) for name, cost in costs.items()}
    spans = direction == "min" and min(means, default=0.0) > 0 and math.log10(max(means)) - math.log10(min(means)) > 1.5
    points = []
    for index, summary in enumerate(done):
        mean, half, unit = score_parts(summary)
        points.append(
            {
                "model": names[index],
                "baseline": not summary.basis,
                "y": summary.mean,
                "low": summary.low if math.isfinite(summary.low) else None,
                "high": summary.high if math.isfinite(summary.high) else None,
                "seeds": list(summary.scores),
                "x": {name: None if math.isnan(cost[index]) else cost[index] for name, cost in costs.items()},
                "front": [name for name, front in fronts.items() if index in front],
                "lines": [
                    f"{summary.score_name} {mean} {half}".strip() + unit,
                    plural(summary.n, "seed") + (f", {summary.failed} failed" if summary.failed else ""),
                    *(f"{cost.text(summary)} {cost.label}" for cost in known_costs(group) if cost.axis),
                ],
            }
        )
    return {
        "title": title,
        "score": group[0].summary.score_name,
        "better": better(direction),
        "percent": is_percent(group[0].summary.score_name),
        "log": spans,
        "points": points,
    }


def _known(value: float) -> str:
    """Return a number for the page to sort by; empty when unknown."""
    return repr(value) if math.isfinite(value) else ""


def _positive(value: float) -> float:
    return value if value > 0 and math.isfinite(value) else math.nan
