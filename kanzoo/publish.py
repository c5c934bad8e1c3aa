"""Puts the leaderboard where people look: files, artifacts of the parent run, summary runs, and views of the experiment in MLflow."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from kanzoo.errors import InvalidInput
from kanzoo.leaderboard import latest, rank, render_html, render_markdown, render_winners, summarise, write_csv
from kanzoo.record import Row
from kanzoo.tracking import EXPERIMENT_TAG, RUN_TAG, Recorder, Tracker

#: Tag of a parent run: what its leaderboard was made from.
_PUBLISHED = "kanzoo.published"


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
_SUMMARY_COLUMNS = {
    "attributes.`Run Name`": 290,
    "metrics.`rank`": 70,
    "metrics.`score`": 120,
    "metrics.`score_low`": 120,
    "metrics.`score_high`": 120,
    "metrics.`n`": 50,
    "metrics.`num_parameters`": 130,
    "metrics.`train_time_s`": 120,
    "tags.`kanzoo.model`": 180,
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
    markdown = render_markdown(rows)
    if parent is not None:
        state = sha256(repr(sorted((row.run_id, row.status) for row in rows)).encode()).hexdigest()
        if tracker.run(parent).data.tags.get(_PUBLISHED) == state:
            return
        recorder = Recorder(tracker.client, parent)
        recorder.artifact("leaderboard.html", render_html(rows))
        recorder.artifact("leaderboard.md", markdown)
        recorder.tags({"mlflow.note.content": _fitting(rows, RUN_TAG)})
        _summaries(tracker, experiment, parent, rows)
        recorder.tags({_PUBLISHED: state})
    tracker.describe(experiment, _fitting(rows, EXPERIMENT_TAG), _views(rows))


def _fitting(rows: Sequence[Row], length: int) -> str:
    """Return the leaderboard in markdown with as many models a task as fit into so many characters."""
    text = ""
    for limit in (None, 20, 10, 5, 3, 1):
        text = render_markdown(rows, limit)
        if len(text) <= length:
            return text
    return text[:length].rpartition("\n")[0]  # too many tasks: the first ones


def _summaries(tracker: Tracker, experiment: str, parent: str, rows: Sequence[Row]) -> None:
    for ranking in rank(summarise(rows)).values():
        for place in reversed(ranking):  # MLflow shows the newest first: within a task, the best
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
                f"{summary.task_key}/{summary.model_key}",
                f"{summary.model} mean of {summary.n} on {summary.task}",
                metrics,
                {"kanzoo.task": summary.task, "kanzoo.model": summary.model},
            )


def _views(rows: Sequence[Row]) -> dict[str, dict[str, object]]:
    """Return one ranked view a task, and `Ranking`: of the only task, or of the means of all."""
    tasks = {row.task: row for row in sorted(rows, key=lambda row: row.date)}  # of two with one label, the newer
    views = {f"Runs: {task}": _view("cell", row, _COLUMNS) for task, row in tasks.items()}
    first = next(iter(tasks.values()))
    views["Ranking"] = _view("cell", first, _COLUMNS) if len(tasks) == 1 else _view("summary", None, _SUMMARY_COLUMNS)
    return views


def _view(kind: str, row: Row | None, columns: dict[str, int]) -> dict[str, object]:
    condition = f"tags.`kanzoo.kind` = '{kind}'"
    if row is not None:
        condition += f" and tags.`kanzoo.task_key` = '{row.task_key}'"
    order, ascending = ("metrics.`score`", row.direction == "min") if row else ("tags.`kanzoo.task`", True)
    return {"columns": columns, "filter": condition, "order": order, "ascending": ascending}
