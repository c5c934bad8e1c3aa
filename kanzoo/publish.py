"""Puts the leaderboard where people look: files, artifacts of the parent run, summary runs, and views of the experiment in MLflow."""

import math
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import Board, latest, rank, render_html, render_markdown, render_winners, summarise, write_csv
from kanzoo.leaderboard.wording import task_titles
from kanzoo.record import Row
from kanzoo.tracking import EXPERIMENT_TAG, RUN_TAG, Recorder, Tracker

#: Tag of a parent run: what its leaderboard was made from.
_PUBLISHED = "kanzoo.published"
#: How the names of the views of one task and track begin.
_RUNS = "Runs: "


#: Columns of the saved views with their widths, as MLflow's UI names them.
_COLUMNS = {
    "attributes.`Run Name`": 290,
    "metrics.`score`": 120,
    "metrics.`num_parameters`": 130,
    "metrics.`train_time_s`": 120,
    "metrics.`step_time_ms`": 120,
    "metrics.`peak_memory_mb`": 140,
    "params.`seed`": 60,
    "tags.`kanzoo.model`": 180,
    "tags.`kanzoo.task`": 220,
    "tags.`kanzoo.reason`": 300,
}
#: What a model costs beside what it reaches: the axes of a Pareto front.
_PARETO_COLUMNS = {
    "attributes.`Run Name`": 290,
    "metrics.`score`": 120,
    "metrics.`num_parameters`": 130,
    "metrics.`train_time_s`": 120,
    "metrics.`operations`": 120,
    "metrics.`latency_ms`": 120,
    "params.`seed`": 60,
    "tags.`kanzoo.model`": 180,
    "tags.`kanzoo.track`": 160,
    "tags.`kanzoo.task`": 220,
}
_SUMMARY_COLUMNS = {
    "attributes.`Run Name`": 290,
    "metrics.`rank`": 70,
    "metrics.`score`": 120,
    "metrics.`score_low`": 120,
    "metrics.`score_high`": 120,
    "metrics.`n`": 50,
    "metrics.`num_parameters`": 130,
    "metrics.`train_time_s`": 120,
    "metrics.`operations`": 120,
    "metrics.`latency_ms`": 120,
    "tags.`kanzoo.model`": 180,
    "tags.`kanzoo.track`": 160,
    "tags.`kanzoo.task`": 220,
}


def write(rows: Sequence[Row], folder: Path, *, raw: bool = True) -> None:
    """Write `README.md`, `index.html` and, when `raw`, the rows themselves as `results.csv` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = latest(rows)
    if raw:
        write_csv(rows, folder / "results.csv")
    (folder / "README.md").write_text(f"# Leaderboard\n\n{render_markdown(rows)}", encoding="utf-8")
    (folder / "index.html").write_text(render_html(rows), encoding="utf-8")


def write_excerpt(rows: Sequence[Row], path: Path) -> None:
    """Replace the part of a markdown file between the marks `<!-- leaderboard -->` and `<!-- /leaderboard -->` by the best of each task.

    Raises:
        InvalidInput: the file is missing, or holds no such marks.
    """
    begin, end = "<!-- leaderboard -->", "<!-- /leaderboard -->"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise InvalidInput(f"{path} must hold the marks {begin} and {end}, got none")
    table = render_winners(rows)
    path.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")


def publish(tracker: Tracker, experiment: str, parent: str | None, rows: Sequence[Row]) -> None:
    """Show rows in MLflow: the page and the table as artifacts of the parent run, a summary run a model, a description, saved views.

    What is shown already is not written again.
    """
    rows = latest(rows)
    if not rows:
        return
    state = sha256(repr(sorted((row.run_id, row.status) for row in rows)).encode()).hexdigest()
    recorder = Recorder(tracker.client, parent) if parent is not None else None
    if recorder is not None:
        if tracker.run(recorder.run_id).data.tags.get(_PUBLISHED) == state:
            return
        recorder.artifact("leaderboard.html", render_html(rows))
        recorder.artifact("leaderboard.md", render_markdown(rows))
        _summaries(tracker, experiment, recorder.run_id, rows)
    views = _views(rows)
    tracker.save_views(experiment, views)
    links = _links(tracker, experiment, parent, views)
    tracker.describe(experiment, _linked(links, rows, EXPERIMENT_TAG))
    if recorder is not None:
        recorder.tags({"mlflow.note.content": _linked(links, rows, RUN_TAG), _PUBLISHED: state})


def _links(tracker: Tracker, experiment: str, parent: str | None, views: Iterable[str]) -> str:
    """Return a line of markdown that leads to the page, which is an artifact of the parent run, and to the first saved views."""
    page = f"#/experiments/{tracker.experiment_id(experiment)}/runs/{parent}/artifacts/leaderboard.html"
    links = [("Leaderboard as a page", page)] if parent is not None else []
    links += [(name, tracker.view_url(experiment, name)) for name in views if not name.startswith(_RUNS)]
    return " · ".join(f"[{name}]({address})" for name, address in links)


def _linked(links: str, rows: Sequence[Row], length: int) -> str:
    return f"{links}\n\n{_fitting(rows, length - len(links) - 2)}"


def _fitting(rows: Sequence[Row], length: int) -> str:
    """Return the leaderboard in markdown with as many models a task as fit into so many characters."""
    text = ""
    for limit in (None, 20, 10, 5, 3, 1):
        text = render_markdown(rows, limit)
        if len(text) <= length:
            return text
    return text[:length].rpartition("\n")[0]  # too many tasks: the first ones


def _summaries(tracker: Tracker, experiment: str, parent: str, rows: Sequence[Row]) -> None:
    ranking = rank(summarise(rows))
    titles = task_titles(ranking)
    for board, group in ranking.items():
        for place in reversed(group):  # MLflow shows the newest first: within a task, the best
            summary = place.summary
            if not summary.n:
                continue
            metrics = {
                "score": summary.mean,
                "n": summary.n,
                "failed": summary.failed,
                "rank": place.rank,
                "num_parameters": summary.num_parameters,
                "train_time_s": summary.train_time_s,
            }
            later = {"operations": summary.operations, "latency_ms": summary.latency_ms}
            metrics |= {name: value for name, value in later.items() if math.isfinite(value)}
            if summary.low == summary.low:  # one seed has no interval
                metrics |= {"score_low": summary.low, "score_high": summary.high}
            tracker.summarise(
                experiment,
                parent,
                f"{summary.task_key}/{summary.model_key}",
                f"{summary.model} mean of {summary.n} on {titles[board]}",
                metrics,
                {"kanzoo.task": summary.task, "kanzoo.model": summary.model, "kanzoo.track": summary.track},
            )


def _views(rows: Sequence[Row]) -> dict[str, dict[str, object]]:
    """Return the saved views by name: the ranking, bases as groups, scores beside costs, and the runs of each task and track.

    `Ranking` is of the only task and track, or of the means of all.
    """
    ranking = rank(summarise(rows))
    titles = task_titles(ranking)
    tracked = len({board.track for board in ranking}) > 1  # else runs need no tag of it
    boards = {title: _view("cell", _COLUMNS, board, ranking[board][0].summary.direction, tracked) for board, title in titles.items()}
    only = next(iter(boards.values())) if len(boards) == 1 else None
    # A mean over two tasks, or over two tracks, means nothing.
    within = ([] if only else ["tag.kanzoo.task"]) + (["tag.kanzoo.track"] if tracked else [])
    views = {
        "Ranking": only or _view("summary", _SUMMARY_COLUMNS),
        "Bases": _view("cell", _PARETO_COLUMNS) | {"group": [*within, "param.basis.name"]},
        "Score and cost": only | {"columns": _PARETO_COLUMNS} if only else _view("cell", _PARETO_COLUMNS),
    }
    return views | {f"{_RUNS}{title}": view for title, view in boards.items()}


def _view(
    kind: str, columns: dict[str, int], board: Board | None = None, direction: str = "min", tracked: bool = False
) -> dict[str, object]:
    condition = f"tags.`kanzoo.kind` = '{kind}'"
    if board is not None:
        condition += f" and tags.`kanzoo.task_key` = '{board.task_key}'"
        if tracked:
            condition += f" and tags.`kanzoo.track` = '{board.track}'"
    order, ascending = ("metrics.`score`", direction == "min") if board else ("tags.`kanzoo.task`", True)
    return {"columns": columns, "filter": condition, "order": order, "ascending": ascending}
