"""Puts the leaderboard where people look: files, artifacts of the parent run, summary runs, and views of the experiment in MLflow."""

from collections.abc import Sequence
from pathlib import Path

from kanzoo.leaderboard import latest, rank, render_html, render_markdown, summarise, write_csv
from kanzoo.record import Row
from kanzoo.tracking import Recorder, Tracker

#: Columns of the saved view, as MLflow's UI names them.
_COLUMNS = [
    "tags.`kanzoo.task`",
    "tags.`kanzoo.model`",
    "params.`seed`",
    "metrics.`score`",
    "metrics.`num_parameters`",
    "metrics.`train_time_s`",
    "metrics.`step_time_ms`",
    "metrics.`peak_memory_mb`",
    "tags.`kanzoo.reason`",
]
_SUMMARY_COLUMNS = [
    "tags.`kanzoo.task`",
    "tags.`kanzoo.model`",
    "metrics.`score`",
    "metrics.`score_low`",
    "metrics.`score_high`",
    "metrics.`n`",
    "metrics.`num_parameters`",
    "metrics.`train_time_s`",
]


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write `results.csv` (raw rows), `README.md` and `index.html` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = latest(rows)
    write_csv(rows, folder / "results.csv")
    (folder / "README.md").write_text(f"# Leaderboard\n\n{render_markdown(rows)}", encoding="utf-8")
    (folder / "index.html").write_text(render_html(rows), encoding="utf-8")


def publish(tracker: Tracker, experiment: str, parent: str | None, rows: Sequence[Row]) -> None:
    """Show rows in MLflow: the page and the table as artifacts of the parent run, a summary run a model, a description, saved views."""
    rows = latest(rows)
    markdown = render_markdown(rows)
    if parent is not None:
        recorder = Recorder(tracker.client, parent)
        recorder.artifact("leaderboard.html", render_html(rows))
        recorder.artifact("leaderboard.md", markdown)
        recorder.tags({"mlflow.note.content": markdown})
        _summaries(tracker, experiment, parent, rows)
    tracker.describe(experiment, markdown, _views(rows))


def _summaries(tracker: Tracker, experiment: str, parent: str, rows: Sequence[Row]) -> None:
    for ranking in rank(summarise(rows)).values():
        for place in ranking:
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
            if summary.low == summary.low:  # one seed has no interval
                metrics |= {"score_low": summary.low, "score_high": summary.high}
            tracker.summarise(
                experiment,
                parent,
                f"{summary.task_key}/{summary.model}",
                f"{summary.task} {summary.model} (mean of {summary.n})",
                metrics,
                {"kanzoo.task": summary.task, "kanzoo.model": summary.model},
            )


def _views(rows: Sequence[Row]) -> dict[str, dict[str, object]]:
    """Return one ranked view a task, and `Ranking`: of the only task, or of the means of all."""
    tasks = {row.task: row for row in rows}
    views = {f"Runs: {task}": _view("cell", row, _COLUMNS) for task, row in tasks.items()}
    first = next(iter(tasks.values()))
    views["Ranking"] = _view("cell", first, _COLUMNS) if len(tasks) == 1 else _view("summary", None, _SUMMARY_COLUMNS)
    return views


def _view(kind: str, row: Row | None, columns: list[str]) -> dict[str, object]:
    condition = f"tags.`kanzoo.kind` = '{kind}'"
    if row is not None:
        condition += f" and tags.`kanzoo.task_key` = '{row.task_key}'"
    order, ascending = ("metrics.`score`", row.direction == "min") if row else ("tags.`kanzoo.task`", True)
    return {"columns": columns, "filter": condition, "order": order, "ascending": ascending}
