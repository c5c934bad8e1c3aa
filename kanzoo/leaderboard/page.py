"""Rows -> one HTML page, by the template beside this file."""

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kanzoo.leaderboard.number import (
    format_count,
    format_number,
    format_quantity,
    format_score,
    format_share,
    is_percent,
    plural,
    score_parts,
    seed_count,
)
from kanzoo.leaderboard.rank_diagram import rank_diagram
from kanzoo.leaderboard.ranking import Ranked, overall, pareto, rank
from kanzoo.leaderboard.summary import latest, summarise
from kanzoo.leaderboard.versus import Versus, best_baseline, field, versus_baseline
from kanzoo.leaderboard.wording import (
    better,
    encodable,
    field_words,
    main_hardware,
    model_names,
    origin_of,
    shorten,
    task_titles,
    versus_words,
)
from kanzoo.record import Row


def render_html(rows: Iterable[Row]) -> str:
    """Render one self-contained page: sortable tables, and score against size and against training time.

    It asks for nothing outside itself, works from `file://` and in a sandboxed frame, and is a static page without JavaScript.
    Its content security policy allows the one script in it, by hash.

    Args:
        rows: in any order; `latest` is applied.
    """
    rows = latest(rows)
    ranking = rank(summarise(rows))
    titles, found = task_titles(ranking), field(ranking)
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
        tasks=[_view(titles[key], group) for key, group in ranking.items()],
        data=[_chart(titles[key], group) for key, group in ranking.items()],
        standings=overall(ranking),
        field=found,
        field_words=field_words(found) if found else "",
        diagram=Markup(rank_diagram(found)) if found else "",  # its text is escaped there
        origin=origin_of(rows),
    )
    return encodable(page) + "\n"


def _csp_hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _view(title: str, group: Sequence[Ranked]) -> dict[str, Any]:
    main = main_hardware(group)
    score_name, direction = group[0].summary.score_name, group[0].summary.direction
    baseline, versus = best_baseline(group), versus_baseline(group)
    rows = [_view_row(name, one, main, versus.get(one.summary.model_key)) for name, one in zip(model_names(group), group, strict=True)]
    return {
        "title": title,
        "score_name": score_name,
        "better": better(direction),
        "baseline": baseline.model if baseline else "",
        "marked": any(one.verdict in ("better", "worse") for one in versus.values()),
        "rows": rows,
    }


def _view_row(name: str, one: Ranked, main: str, versus: Versus | None) -> dict[str, Any]:
    summary = one.summary
    mean, half, unit = score_parts(summary)
    facts = [("Command", summary.command), ("Reason", "; ".join(summary.reasons))]
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
    numbers = [
        (format_count(summary.num_parameters), summary.num_parameters),
        (format_quantity(summary.train_time_s, "s"), summary.train_time_s),
        (format_quantity(summary.step_time_ms, "ms"), summary.step_time_ms),
        (format_quantity(summary.peak_memory_mb, "MB"), summary.peak_memory_mb),
    ]
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
        "numbers": [(text, _known(value)) for text, value in numbers],
        "facts": [(term, text) for term, text in facts if text],
    }


def _chart(title: str, group: Sequence[Ranked]) -> dict[str, Any]:
    main = main_hardware(group)
    names = [name for name, one in zip(model_names(group), group, strict=True) if one.summary.n]
    done = [one.summary for one in group if one.summary.n]
    direction = group[0].summary.direction
    costs = {
        "size": [_positive(summary.num_parameters) for summary in done],
        "time": [_positive(summary.train_time_s) if summary.hardware == main else math.nan for summary in done],
    }
    fronts = {name: set(pareto(list(zip(cost, (one.mean for one in done), strict=True)), direction)) for name, cost in costs.items()}
    means = [summary.mean for summary in done]
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
                    f"{format_count(summary.num_parameters)} parameters",
                    f"{format_quantity(summary.train_time_s, 's')} training",
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
