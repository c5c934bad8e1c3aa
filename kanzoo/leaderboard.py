"""Records -> rows -> ranking -> CSV, Markdown, HTML: pure functions, rows in and text out.

Rows carry raw numbers; rounding happens in the renderers alone. The same rows in any order give the same bytes.
"""

import base64
import csv
import functools
import hashlib
import io
import math
import os
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kanzoo.errors import InvalidInput
from kanzoo.record import Row, Status, columns, parse

Direction = Literal["min", "max"]

_PROGRESS = {"FINISHED": 2, "FAILED": 1, "KILLED": 1, "RUNNING": 0}
# What a spreadsheet takes for the start of a formula, and the mark itself: https://owasp.org/www-community/attacks/CSV_Injection
_MARK = "'"
_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", _MARK)


@dataclass(frozen=True)
class Summary:
    """One configuration of a model on one task, over its seeds.

    Attributes:
        task: label of the task.
        task_key: hash of all that makes scores comparable.
        model: label of the model.
        model_key: hash of the configuration without the seed.
        basis: registry name of the basis; empty for a baseline.
        score_name: the ranked metric.
        direction: which scores are better.
        mean: mean score over the finished seeds; NaN when there is none.
        low: lower end of the 95 % Student-t interval of the mean; NaN for fewer than two seeds.
        high: its upper end.
        best: best score of a seed; NaN when there is none.
        worst: worst score of a seed.
        n: finished seeds with a finite score.
        failed: the other seeds: failed, killed, or with a score that is not finite.
        reasons: why they failed, each reason once.
        seeds: the finished seeds.
        failed_seeds: the failed ones.
        run_ids: runs of the finished seeds, then of the failed ones.
        num_parameters: mean trainable parameters; NaN when unknown.
        num_coefficients: mean coefficients of basis functions.
        train_time_s: mean seconds in the training loop, over the runs on `hardware` alone.
        step_time_ms: mean of the runs' median milliseconds of a step, over the same runs.
        peak_memory_mb: mean growth of resident memory in MB, over the same runs.
        hardware: the machine most of the finished runs used; empty when none finished.
        timed: how many of the n runs used it: times and memory are means over these.
        command: the line that runs the first seed again.
    """

    task: str
    task_key: str
    model: str
    model_key: str
    basis: str
    score_name: str
    direction: Direction
    mean: float
    low: float
    high: float
    best: float
    worst: float
    n: int
    failed: int
    reasons: tuple[str, ...]
    seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    num_parameters: float
    num_coefficients: float
    train_time_s: float
    step_time_ms: float
    peak_memory_mb: float
    hardware: str
    timed: int
    command: str

    @property
    def half(self) -> float:
        """Half the width of the interval: the number after ±."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Ranked:
    """A summary and its rank within its task: 1 is best, equal means share a rank, failed ones share the one after the last."""

    rank: int
    summary: Summary


@dataclass(frozen=True)
class Standing:
    """One model over all tasks that it was run on.

    Attributes:
        rank: place by mean rank; equal means share it.
        model: label of the model.
        basis: registry name of the basis; empty for a baseline.
        mean_rank: mean of the ranks in the tasks. A task where every seed failed counts with the rank after the last.
        tasks: how many tasks that is.
        wins: tasks where it is first.
        failed: tasks where every seed failed.
    """

    rank: int
    model: str
    basis: str
    mean_rank: float
    tasks: int
    wins: int
    failed: int


# --- CSV: raw numbers, one row a run -------------------------------------------------------------------------------------------


def write_csv(rows: Iterable[Row], path: str | Path) -> None:
    """Write raw rows, sorted, numbers exact; the file appears whole or not at all.

    A text cell that a spreadsheet would run as a formula gets an apostrophe in front, which `read_csv` takes off again.

    Args:
        rows: in any order.
        path: the file; its folder is made when missing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(_csv_line(cells) for cells in [columns(), *(_cells(row) for row in sorted(rows, key=_order))])
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # not tempfile: the file keeps the permissions of the umask
    try:
        draft.write_bytes(text.encode("utf-8", errors="backslashreplace"))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_csv(path: str | Path) -> list[Row]:
    """Read what `write_csv` wrote.

    Raises:
        InvalidInput: the file is missing, is no CSV of rows, or a cell does not parse; names the line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} must be a readable UTF-8 file, got {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        header = next(reader, [])
        for cells in reader:
            if len(cells) != len(header):
                raise ValueError(f"must have {len(header)} cells, got {len(cells)}")
            row = parse({name: _disarmed(cell) for name, cell in zip(header, cells, strict=True)})
            for name, allowed in (("status", get_args(Status)), ("direction", get_args(Direction))):
                if getattr(row, name) not in allowed:
                    raise ValueError(f"column {name!r} must be one of {', '.join(allowed)}, got {getattr(row, name)!r}")
            rows.append(row)
        if missing := [name for name in columns() if name not in header]:
            raise ValueError(f"column {missing[0]!r} is missing")
    except (ValueError, csv.Error) as error:
        raise InvalidInput(f"{path}, line {max(reader.line_num, 1)}: {error}", "`kanzoo leaderboard` writes such files") from error
    return rows


def _csv_line(cells: Sequence[str]) -> str:
    # With its default line end the writer quotes a lone \r; with "\n" it would not (Python 3.11), and reading would fail.
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"


def _cells(row: Row) -> list[str]:
    written = []
    for field in fields(Row):
        value = getattr(row, field.name)
        if field.type is float:
            written.append(repr(float(value)))
        elif field.type is int:
            written.append(str(int(value)))
        else:
            written.append(_MARK + value if value.startswith(_ACTIVE) else value)
    return written


def _disarmed(cell: str) -> str:
    return cell[1:] if cell.startswith(_MARK) and cell[1:].startswith(_ACTIVE) else cell


def _order(row: Row) -> tuple[Any, ...]:
    return (row.task, row.task_key, row.model, row.seed, row.date, row.run_id, repr(astuple(row)))


# --- Rows -> ranking -----------------------------------------------------------------------------------------------------------


def latest(rows: Iterable[Row]) -> list[Row]:
    """Return one row a cell: a finished run beats a failed one, which beats a running one; then the newest date wins."""
    chosen: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (_PROGRESS[row.status], _time(row.date), row.run_id, _order(row))):
        chosen[row.config_hash] = row
    return sorted(chosen.values(), key=_order)


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """Summarise each model on each task over its seeds; runs that have not ended are left out.

    Runs with different `model_key` are never averaged, even where they share a label.

    Raises:
        InvalidInput: rows with one task_key disagree on the score or its direction.
    """
    scores: dict[str, tuple[str, str]] = {}
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in latest(rows):
        if row.status == "RUNNING":
            continue
        score = scores.setdefault(row.task_key, (row.score_name, row.direction))
        if score != (row.score_name, row.direction):
            raise InvalidInput(
                f"rows of task {row.task!r} with task_key {row.task_key!r} must share score_name and direction, "
                f"got {score} and {(row.score_name, row.direction)}"
            )
        groups[row.task_key, row.model_key].append(row)
    return [_summary(group) for group in groups.values()]


def rank(summaries: Iterable[Summary]) -> dict[str, list[Ranked]]:
    """Rank the models within each task by mean score; failed ones come last.

    Returns:
        task_key -> models from best to worst; tasks in the order of their labels.
    """
    groups: dict[str, list[Summary]] = defaultdict(list)
    for summary in sorted(summaries, key=lambda one: (one.task, one.task_key, one.model, one.model_key)):
        groups[summary.task_key].append(summary)
    ranking = {}
    for key, group in groups.items():
        costs = [_cost(summary) for summary in group]
        places = [1 + sum(other < cost for other in costs) for cost in costs]
        ranking[key] = sorted((Ranked(place, summary) for place, summary in zip(places, group, strict=True)), key=lambda one: one.rank)
    return ranking


def overall(ranking: Mapping[str, Sequence[Ranked]]) -> list[Standing]:
    """Average the ranks of each model over the tasks that it was run on, best first; models that ran on fewer tasks come after.

    Models are matched by label; the baselines of the different networks (mlp, cnn) are one model. Where a task has several
    configurations with one label, the best one counts.
    """
    places: dict[str, list[Ranked]] = defaultdict(list)
    for group in ranking.values():
        best: dict[str, Ranked] = {}
        for one in group:  # best first
            best.setdefault(_across_tasks(one.summary), one)
        for label, one in best.items():
            places[label].append(one)
    means = {model: statistics.mean(one.rank for one in ones) for model, ones in places.items()}
    order = {model: (-len(ones), means[model]) for model, ones in places.items()}
    return [
        Standing(
            rank=1 + sum(other < order[model] for other in order.values()),
            model=model,
            basis=places[model][0].summary.basis,
            mean_rank=means[model],
            tasks=len(places[model]),
            wins=sum(one.rank == 1 and one.summary.n > 0 for one in places[model]),
            failed=sum(one.summary.n == 0 for one in places[model]),
        )
        for model in sorted(places, key=lambda model: (order[model], model))
    ]


def _across_tasks(summary: Summary) -> str:
    """Return the name under which a model is followed over tasks: `mlp(width=8)` here is `cnn(width=8)` there."""
    return summary.model if summary.basis else re.sub(r"^\w+", "baseline", summary.model)


def pareto(points: Sequence[tuple[float, float]], direction: Direction = "min") -> list[int]:
    """Return the points that no other point beats in cost without losing in score, or in score without losing in cost.

    Args:
        points: (cost, score); cheaper is better. A point with a NaN is never on the front.
        direction: which scores are better.

    Returns:
        Indices by rising cost.

    Example:
        >>> pareto([(1, 0.5), (2, 0.9), (3, 0.8)], "max")
        [0, 1]
    """
    sign = 1 if direction == "min" else -1
    known = [(cost, sign * score, index) for index, (cost, score) in enumerate(points) if not (math.isnan(cost) or math.isnan(score))]
    front: list[tuple[float, float, int]] = []
    for cost, loss, index in sorted(known):
        if not front or loss < front[-1][1] or (cost, loss) == front[-1][:2]:
            front.append((cost, loss, index))
    return [index for _, _, index in front]


def _time(date: str) -> datetime:
    try:
        time = datetime.fromisoformat(date)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _cost(summary: Summary) -> float:
    if summary.n == 0:
        return math.inf
    return summary.mean if summary.direction == "min" else -summary.mean


def _succeeded(row: Row) -> bool:
    return row.status == "FINISHED" and math.isfinite(row.score)


def _summary(rows: Sequence[Row]) -> Summary:
    done = [row for row in rows if _succeeded(row)]
    failed = [row for row in rows if not _succeeded(row)]
    scores = [row.score for row in done]
    mean, low, high = _interval(scores)
    machines = Counter(row.hardware for row in done)
    hardware = min(machines, key=lambda name: (-machines[name], name), default="")
    timed = [row for row in done if row.hardware == hardware]
    sized = done or [row for row in failed if row.num_parameters > 0]
    first, better = (done or failed)[0], min if rows[0].direction == "min" else max
    reasons = [row.reason or (f"score is {row.score}" if row.status == "FINISHED" else row.status.lower()) for row in failed]
    return Summary(
        task=rows[0].task,
        task_key=rows[0].task_key,
        model=rows[0].model,
        model_key=rows[0].model_key,
        basis=first.basis,
        score_name=rows[0].score_name,
        direction=rows[0].direction,
        mean=mean,
        low=low,
        high=high,
        best=better(scores, default=math.nan),
        worst=(max if better is min else min)(scores, default=math.nan),
        n=len(done),
        failed=len(failed),
        reasons=tuple(dict.fromkeys(reasons)),
        seeds=tuple(row.seed for row in done),
        failed_seeds=tuple(row.seed for row in failed),
        run_ids=tuple(row.run_id for row in [*done, *failed]),
        num_parameters=_mean([row.num_parameters for row in sized]),
        num_coefficients=_mean([row.num_coefficients for row in sized]),
        train_time_s=_mean([row.train_time_s for row in timed]),
        step_time_ms=_mean([row.step_time_ms for row in timed]),
        peak_memory_mb=_mean([row.peak_memory_mb for row in timed]),
        hardware=hardware,
        timed=len(timed),
        command=first.command,
    )


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(statistics.mean(known)) if known else math.nan


def _interval(scores: Sequence[float]) -> tuple[float, float, float]:
    mean = _mean(scores)
    if len(scores) < 2:
        return mean, math.nan, math.nan
    half = _t_quantile(len(scores) - 1) * statistics.stdev(scores) / math.sqrt(len(scores))
    return mean, mean - half, mean + half


@functools.cache
def _t_quantile(freedom: int) -> float:
    from scipy.special import stdtrit  # what scipy.stats.t.ppf calls; scipy.stats takes a second more to import

    return float(stdtrit(freedom, 0.975))


# --- Numbers for people --------------------------------------------------------------------------------------------------------


def _number(value: float, digits: int = 3) -> str:
    """Round to significant digits: 0.0123, 12.3, 12345, 1.23e-4; – when unknown."""
    if not math.isfinite(value):
        return "–"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    magnitude = int(exponent)
    if value == 0:
        return "0"
    return f"{value:.{max(digits - 1 - magnitude, 0)}f}" if -3 <= magnitude < 5 else f"{mantissa}e{magnitude}"


def _quantity(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}" if math.isfinite(value) else "–"


def _count(value: float) -> str:
    return f"{round(value):,}".replace(",", "\u202f") if math.isfinite(value) else "–"


def format_score(value: float, score_name: str) -> str:
    """Return a score for people: `97.31 %` for accuracies, three significant digits for others, – when there is none.

    Example:
        >>> format_score(0.97312, "accuracy"), format_score(0.00012345, "rmse")
        ('97.31 %', '1.23e-4')
    """
    if _is_percent(score_name) and math.isfinite(value):
        return f"{100 * value:.2f} %"
    return _number(value)


def _is_percent(score_name: str) -> bool:
    return score_name.endswith("accuracy")


def _score(summary: Summary) -> tuple[str, str, str]:
    """Return mean, ± half interval (empty when unknown) and unit, as text."""
    percent = _is_percent(summary.score_name)
    known = math.isfinite(summary.half)
    if percent:
        return f"{100 * summary.mean:.2f}", f"± {100 * summary.half:.2f}" if known else "", " %"
    return _number(summary.mean), f"± {_number(summary.half, 2)}" if known else "", ""


def _seeds(summary: Summary) -> str:
    return f"{summary.n}" if not summary.failed else f"{summary.n} of {summary.n + summary.failed}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _better(direction: Direction) -> str:
    return "lower is better" if direction == "min" else "higher is better"


def _titles(ranking: Mapping[str, Sequence[Ranked]]) -> dict[str, str]:
    """Return a title a task: its most frequent label; tasks that share one are told apart by their key."""
    counts = {key: Counter(one.summary.task for one in group) for key, group in ranking.items()}
    return _distinct({key: min(count, key=lambda label: (-count[label], label)) for key, count in counts.items()})


def _names(group: Sequence[Ranked]) -> list[str]:
    """Return a name a model of one task; configurations that share a label are told apart by their key."""
    return list(_distinct({one.summary.model_key: one.summary.model for one in group}).values())


def _distinct(labels: Mapping[str, str]) -> dict[str, str]:
    shared = Counter(labels.values())
    return {key: label if shared[label] == 1 else f"{label} · {key[:8]}" for key, label in labels.items()}


def _main_hardware(group: Sequence[Ranked]) -> str:
    runs: Counter[str] = Counter()
    for one in group:
        if one.summary.n:
            runs[one.summary.hardware] += one.summary.timed
    return min(runs, key=lambda name: (-runs[name], name), default="")


def _origin(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the numbers come from: versions and machines, sorted."""
    machines = {(row.cpu, row.threads, row.hardware) for row in rows if row.hardware}
    return {
        "runs": _plural(len(rows), "run"),
        "kanzoo": ", ".join(sorted({row.kanzoo for row in rows})),
        "torch": ", ".join(sorted({row.torch for row in rows})),
        "hardware": [f"{cpu or 'unknown processor'}, {_plural(threads, 'thread')} ({name})" for cpu, threads, name in sorted(machines)],
    }


# --- Markdown ------------------------------------------------------------------------------------------------------------------


def render_markdown(rows: Iterable[Row], limit: int | None = None) -> str:
    """Render a table a task, the overall ranking, and how they were made.

    Headings start at the second level, so that the text fits below a title.

    Args:
        rows: in any order; `latest` is applied.
        limit: models shown in each table; None shows all.
    """
    rows = latest(rows)
    ranking = rank(summarise(rows))
    if not ranking:
        return "No results yet.\n"
    titles = _titles(ranking)
    parts = []
    for key, group in ranking.items():
        parts += [f"## {_md(titles[key])}", _markdown_task(group, limit)]
    if len(ranking) > 1:
        parts += ["## Overall", _markdown_overall(ranking, limit)]
    origin = _origin(rows)
    parts.append(
        f"Made by `kanzoo leaderboard` from {origin['runs']}: kanzoo {_md(origin['kanzoo'])}, torch {_md(origin['torch'])}. "
        "± is half the 95 % Student-t interval over seeds. Hardware: "
        + ("; ".join(_md(name) for name in origin["hardware"]) or "unknown")
        + "."
    )
    return _encodable("\n\n".join(parts) + "\n")


def _markdown_task(group: Sequence[Ranked], limit: int | None) -> str:
    main = _main_hardware(group)
    score_name, direction = group[0].summary.score_name, group[0].summary.direction
    lines = [
        f"| # | model | {_md(score_name)} ({_better(direction)}) | seeds | parameters | training | step | memory |",
        "|--:|:--|--:|--:|--:|--:|--:|--:|",
    ]
    shown = group[:limit]
    for name, one in zip(_names(group), shown, strict=False):
        summary = one.summary
        mean, half, unit = _score(summary)
        mark = " †" if summary.n and summary.hardware != main else ""
        cells = [
            str(one.rank) if summary.n else "–",
            _md(name),
            f"{mean} {half}".strip() + unit if summary.n else f"FAILED: {_md(_short('; '.join(summary.reasons)))}",
            _seeds(summary),
            _count(summary.num_parameters),
            _quantity(summary.train_time_s, "s") + mark,
            _quantity(summary.step_time_ms, "ms") + mark,
            _quantity(summary.peak_memory_mb, "MB") + mark,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    notes = []
    if len(shown) < len(group):
        notes.append(f"… and {len(group) - len(shown)} more.")
    if any(one.summary.n and one.summary.hardware != main for one in shown):
        notes.append("† on other hardware than the rest: do not compare.")
    return "\n".join(lines) + ("\n\n" + " ".join(notes) if notes else "")


def _markdown_overall(ranking: Mapping[str, Sequence[Ranked]], limit: int | None) -> str:
    lines = ["| # | model | mean rank | tasks | first places | failed |", "|--:|:--|--:|--:|--:|--:|"]
    standings = overall(ranking)
    for standing in standings[:limit]:
        tasks = f"{standing.tasks} of {len(ranking)}"
        lines.append(
            f"| {standing.rank} | {_md(standing.model)} | {standing.mean_rank:.2f} | {tasks} | {standing.wins} | {standing.failed} |"
        )
    rest = len(standings) - len(standings[:limit])
    return "\n".join(lines) + (f"\n\n… and {rest} more." if rest else "")


def _md(text: str) -> str:
    """Escape foreign text for one line of Markdown, inside a table too."""
    text = re.sub(r"\s+", " ", re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "\ufffd", text)).strip()
    text = re.sub(r"([\\`*\[\]~$#])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word an underscore is plain
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")


def _short(text: str, length: int = 120) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _encodable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")


# --- HTML ----------------------------------------------------------------------------------------------------------------------


def render_html(rows: Iterable[Row]) -> str:
    """Render one self-contained page: sortable tables, and score against size and against training time.

    It asks for nothing outside itself, works from `file://` and in a sandboxed frame, and is a static page without JavaScript.
    Its content security policy allows the one script in it, by hash.

    Args:
        rows: in any order; `latest` is applied.
    """
    rows = latest(rows)
    ranking = rank(summarise(rows))
    titles = _titles(ranking)
    # Not PackageLoader: it wants a folder of its own for one template.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["csp_hash"] = _csp_hash
    page = environment.get_template("leaderboard.html.j2").render(
        tasks=[_view(titles[key], group) for key, group in ranking.items()],
        data=[_chart(titles[key], group) for key, group in ranking.items()],
        standings=overall(ranking),
        origin=_origin(rows),
    )
    return _encodable(page) + "\n"


def _csp_hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _view(title: str, group: Sequence[Ranked]) -> dict[str, Any]:
    main = _main_hardware(group)
    score_name, direction = group[0].summary.score_name, group[0].summary.direction
    rows = [_view_row(name, one, main) for name, one in zip(_names(group), group, strict=True)]
    return {"title": title, "score_name": score_name, "better": _better(direction), "rows": rows}


def _view_row(name: str, one: Ranked, main: str) -> dict[str, Any]:
    summary = one.summary
    mean, half, unit = _score(summary)
    facts = [("Command", summary.command), ("Reason", "; ".join(summary.reasons))]
    facts.append(("Seeds", ", ".join(map(str, summary.seeds)) or "none finished"))
    if summary.failed:
        facts.append(("Failed seeds", ", ".join(map(str, summary.failed_seeds))))
    if summary.n > 1:
        scale, suffix = (100.0, " %") if _is_percent(summary.score_name) else (1.0, "")
        best, worst = ((f"{scale * value:.2f}" if suffix else _number(value)) + suffix for value in (summary.best, summary.worst))
        facts.append(("Best, worst", f"{best}, {worst}"))
    if summary.num_coefficients:
        facts.append(("Coefficients", _count(summary.num_coefficients)))
    if summary.n:
        facts.append(("Timed on", f"{summary.hardware}, {summary.timed} of {_plural(summary.n, 'run')}"))
    facts.append(("Runs", ", ".join(summary.run_ids)))
    numbers = [
        (_count(summary.num_parameters), summary.num_parameters),
        (_quantity(summary.train_time_s, "s"), summary.train_time_s),
        (_quantity(summary.step_time_ms, "ms"), summary.step_time_ms),
        (_quantity(summary.peak_memory_mb, "MB"), summary.peak_memory_mb),
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
        "n": summary.n,
        "seeds": _seeds(summary),
        "reason": _short("; ".join(summary.reasons)),
        "foreign": summary.n > 0 and summary.hardware != main,
        "numbers": [(text, repr(value) if math.isfinite(value) else "") for text, value in numbers],
        "facts": [(term, text) for term, text in facts if text],
    }


def _chart(title: str, group: Sequence[Ranked]) -> dict[str, Any]:
    main = _main_hardware(group)
    names = [name for name, one in zip(_names(group), group, strict=True) if one.summary.n]
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
        mean, half, unit = _score(summary)
        points.append(
            {
                "model": names[index],
                "baseline": not summary.basis,
                "y": summary.mean,
                "low": summary.low if math.isfinite(summary.low) else None,
                "high": summary.high if math.isfinite(summary.high) else None,
                "x": {name: None if math.isnan(cost[index]) else cost[index] for name, cost in costs.items()},
                "front": [name for name, front in fronts.items() if index in front],
                "lines": [
                    f"{summary.score_name} {mean} {half}".strip() + unit,
                    _plural(summary.n, "seed") + (f", {summary.failed} failed" if summary.failed else ""),
                    f"{_count(summary.num_parameters)} parameters",
                    f"{_quantity(summary.train_time_s, 's')} training",
                ],
            }
        )
    return {
        "title": title,
        "score": group[0].summary.score_name,
        "better": _better(direction),
        "percent": _is_percent(group[0].summary.score_name),
        "log": spans,
        "points": points,
    }


def _positive(value: float) -> float:
    return value if value > 0 and math.isfinite(value) else math.nan
