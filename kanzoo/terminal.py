"""What the terminal shows: tables, progress, the ranking. Everything foreign is printed as text, never as markup."""

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from kanzoo import config, config_file, registry, signature
from kanzoo.cell import Cell
from kanzoo.errors import InvalidInput, suggest
from kanzoo.leaderboard import by_kind, common, format_score, overall, rank, summarise
from kanzoo.leaderboard.cost import known_costs
from kanzoo.leaderboard.number import format_quantity
from kanzoo.leaderboard.wording import better, overall_title, task_titles
from kanzoo.place import Progress as Share
from kanzoo.record import Row

console = Console(width=None if sys.stdout.isatty() else 120)


def say(text: str) -> None:
    """Print a line as it is."""
    console.print(Text(text), soft_wrap=True)


def tasks() -> None:
    """Print the registered tasks; none is imported."""
    table = new_table("name", "distribution", "class", "arguments", title="Tasks")
    for name, owners in registry.plugins("task").items():
        for plugin in owners:
            try:
                if len(owners) > 1:
                    raise InvalidInput("registered more than once")
                shown, style = defaults(plugin), ""
            except InvalidInput as error:
                shown, style = error.message, "red"
            table.add_row(Text(name), Text(f"{plugin.distribution} {plugin.version}"), Text(plugin.target), Text(shown, style))
    console.print(table)


def defaults(plugin: registry.Plugin) -> str:
    """Return the arguments of a plug-in with their defaults, in a few words; it is not imported."""
    found = signature.arguments_in_source(plugin)
    return "told when imported" if found is None else ", ".join(f"{key}={short(one.default)}" for key, one in found.items())


def configs(kind: config_file.Kind) -> None:
    """Print the configs that come with kanzoo, each with its first comment line."""
    table = new_table("name", "what", title=f"{kind.capitalize()}s")
    for name in config_file.names(kind):
        first = config_file.path_of(name, kind).read_text(encoding="utf-8").splitlines()[0]
        table.add_row(Text(name), Text(first.removeprefix("#").strip() if first.startswith("#") else ""))
    console.print(table)


def runs(tracking_uri: str | None) -> None:
    """Print all recorded runs, oldest first, each by as much of its id as tells it from the others."""
    from kanzoo.tracking import Tracker

    table = new_table("run", "date", "task", "model", "seed", "status", "score", title="Runs")
    rows = Tracker(tracking_uri).rows()
    length = next(length for length in range(8, 33) if len({row.run_id[:length] for row in rows}) == len({row.run_id for row in rows}))
    for row in rows:
        score = Text(format_score(row.score, row.score_name)) if row.status == "FINISHED" else Text(row.reason[:60], "red")
        day = row.date[:16].replace("T", " ")
        table.add_row(Text(row.run_id[:length]), Text(day), Text(row.task), Text(row.model), str(row.seed), _status(row), score)
    console.print(table)


def show(name: str, tracking_uri: str | None) -> None:
    """Print a config, a benchmark, a preset or a run."""
    if name in config_file.names() or name.endswith((".yaml", ".yml")):
        say(config.compose(name)[0].to_yaml())
        return
    kinds: tuple[config_file.Kind, ...] = ("benchmark", "preset")
    for kind in kinds:
        if name in config_file.names(kind):
            say(config_file.path_of(name, kind).read_text(encoding="utf-8"))
            return
    if re.fullmatch("[0-9a-f]{8,32}", name):
        _show_run(name, tracking_uri)
        return
    known = [
        *registry.plugins("basis"),
        *registry.plugins("task"),
        *config_file.names(),
        *(one for kind in kinds for one in config_file.names(kind)),
    ]
    raise InvalidInput(f"unknown basis, task, config, benchmark, preset or run {name!r}", suggest(name, known, "Known"))


def dry_run(cells: Sequence[Cell], uri: str, data_dir: Path | None, published: Collection[str] = ()) -> None:
    """Print the cells, the size of each network, and which are finished here or published, by config hash; nothing is run."""
    from kanzoo.benchmark import pending
    from kanzoo.construction import parameters
    from kanzoo.tracking import Tracker

    tracker = Tracker(uri)
    states = {cell.config_hash: Text("finished", "green") for cell in cells}
    states |= {cell.config_hash: Text("to run") for cell in pending(cells, tracker)[0]}
    states |= {key: Text("published", "green") for key in published if key in states and states[key].plain == "to run"}
    sizes = parameters(cells, data_dir)
    table = new_table("task", "model", "seed", "parameters", "state", "cell", title="Cells")
    for cell in cells:
        names = [Text(cell.task_label), Text(cell.model_label)]
        table.add_row(*names, str(cell.seed), str(sizes[cell.model_key]), states[cell.config_hash], cell.config_hash)
    console.print(table)
    studies = {cell.model_key: cell.tuner["trials"] for cell in cells if cell.tuner and states[cell.config_hash].plain == "to run"}
    trials = sum(count for key, count in studies.items() if tracker.study(key) is None)
    tuning = f" Tuning takes {trials} more trainings." if trials else ""
    count = Counter(states[cell.config_hash].plain for cell in cells)
    there = f", {count['published']} published" if count["published"] else ""
    say(f"{len(cells)} cells: {count['to run']} to run, {count['finished']} finished{there}.{tuning}")


def ranking(rows: Sequence[Row]) -> None:
    """Print the ranking of each task and track, and for each kind of track the mean ranks when there is more than one."""
    ranked = rank(summarise(rows))
    titles = task_titles(ranked)
    wide = console.width >= 110
    for board, places in ranked.items():
        first = places[0].summary
        roomy = wide and all(place.summary.n for place in places)  # reasons of failures need the room
        costs = [cost for cost in known_costs(places) if cost.key in ("size", "time") or (roomy and cost.optional)]
        heads = ["rank", "model", f"{first.score_name} ({better(first.direction)})", "seeds", *(cost.label for cost in costs)]
        table = new_table(*heads, title=Text(titles[board]))
        for place in places:
            one = place.summary
            if one.n:
                half = f" ± {format_score((one.high - one.low) / 2, one.score_name)}" if one.low == one.low else ""
                cells = [f"{format_score(one.mean, one.score_name)}{half}", str(one.n), *(cost.text(one) for cost in costs)]
            else:
                cells = [f"FAILED: {one.reasons[0] if one.reasons else ''}"[:60], "0", *("" for _ in costs)]
            table.add_row(str(place.rank), Text(one.model), *[Text(cell, "" if one.n else "red") for cell in cells])
        console.print(table)
    for kind, boards in by_kind(ranked).items():
        shared = common(boards)
        if not shared:
            continue
        table = new_table("rank", "model", "mean rank", "first places", title=Text(f"{overall_title(kind)}: {len(shared)} tasks"))
        for standing in overall(shared):
            table.add_row(str(standing.rank), Text(standing.model), f"{standing.mean_rank:.2f}", str(standing.wins))
        console.print(table)


def data(data_dir: Path | None) -> None:
    """Print where each data set comes from."""
    table = new_table("data set", "where", title="Data")
    for name in ("digits", "mnist_5k", "diabetes", "linnerud", "iris", "wine", "breast_cancer", "formula", "feynman"):
        table.add_row(name, "inside a package or by formula: no download")
    for name, part in (("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw"), ("housing", "tabular/housing.csv")):
        there = data_dir is not None and (data_dir / part).exists()
        otherwise = "set KANZOO_DATA to a folder that holds tabular/housing.csv" if name == "housing" else "downloaded when first used"
        table.add_row(name, Text(str(data_dir / part) if there and data_dir else otherwise, "green" if there else ""))
    console.print(table)


class LaunchView:
    """A live table of a launch: what runs, what ended, how long the rest may take."""

    def __init__(self, total: int) -> None:
        self._progress = Progress(
            TextColumn("cells"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("cells", total=total)
        self._running: dict[str, tuple[Cell, float]] = {}
        self._ended: list[Row] = []
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __call__(self, event: Literal["started", "ended"], cell: Cell, row: Row | None) -> None:
        """Follow a launch: see `kanzoo.benchmark.Listener`."""
        if event == "started":
            self._running[cell.config_hash] = (cell, time.monotonic())
            return
        self._running.pop(cell.config_hash, None)
        if row is not None:
            self._ended.append(row)
            self._progress.advance(self._task)
            if not console.is_terminal:  # a log file gets one line a cell
                say(f"{row.status:8} {row.task} {row.model} seed={row.seed} {row.reason or format_score(row.score, row.score_name)}")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it while the launch goes on."""
        if not console.is_terminal:
            yield
            return
        with self._live:
            yield

    def _render(self) -> Group:
        table = new_table("task", "model", "seed", "state", "score", "training")
        for row in self._ended[-12:]:
            score = format_score(row.score, row.score_name) if row.status == "FINISHED" else row.reason[:50]
            table.add_row(Text(row.task), Text(row.model), str(row.seed), _status(row), Text(score), f"{row.train_time_s:.1f} s")
        for cell, since in list(self._running.values()):
            table.add_row(
                Text(cell.task_label),
                Text(cell.model_label),
                str(cell.seed),
                Text("running", "cyan"),
                "",
                f"{time.monotonic() - since:.0f} s",
            )
        return Group(table, self._progress)


@contextmanager
def one_run(cell: Cell) -> Iterator[Share]:
    """Show the progress of one experiment; yields the function that is told the share done."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task(f"{cell.task_label} {cell.model_label} seed={cell.seed}".replace("[", r"\["), total=1.0)
        yield lambda share: bar.update(task, completed=share)


def result(row: Row) -> None:
    """Print one run's result."""
    if row.status != "FINISHED":
        console.print(Text(f"{row.status}: {row.task} {row.model} seed={row.seed}: {row.reason}", "red"), soft_wrap=True)
        return
    table = new_table("task", "model", "seed", row.score_name, "parameters", "training", "a step", "peak memory")
    values = [
        format_score(row.score, row.score_name),
        str(row.num_parameters),
        f"{row.train_time_s:.1f} s",
        format_quantity(row.step_time_ms, "ms"),
        f"{row.peak_memory_mb:.0f} MB",
    ]
    table.add_row(Text(row.task), Text(row.model), str(row.seed), *values)
    console.print(table)
    say(f"Run {row.run_id} in experiment {row.experiment}")


def _show_run(begin: str, tracking_uri: str | None) -> None:
    from kanzoo.tracking import Tracker

    tracker = Tracker(tracking_uri)
    found = [begin] if len(begin) == 32 else [row.run_id for row in tracker.rows() if row.run_id.startswith(begin)]
    if len(found) != 1:
        raise InvalidInput(f"run must begin the id of one run, got {begin!r} of {len(found)}", "See kanzoo list runs.")
    (run_id,) = found
    run = tracker.run(run_id)
    table = new_table("key", "value", title=Text(run.info.run_name or run_id))
    table.add_row("status", Text(run.info.status))
    for group in (run.data.params, run.data.metrics, {key: value for key, value in run.data.tags.items() if key != "kanzoo.row"}):
        for key in sorted(group):
            table.add_row(Text(key), Text(str(group[key])[:200]))
    console.print(table)


#: Columns of numbers.
_NUMBERS = (
    "rank",
    "seed",
    "seeds",
    "parameters",
    "operations",
    "training",
    "latency",
    "a step",
    "peak memory",
    "seconds",
    "mean rank",
    "tasks",
)


def new_table(*columns: str, title: str | Text | None = None) -> Table:
    """Return an empty table; columns of numbers are aligned to the right."""
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None if shutil.get_terminal_size().columns < 60 else SIMPLE_HEAD
    )
    for column in columns:
        right = column in _NUMBERS
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _status(row: Row) -> Text:
    return Text(row.status.lower(), {"FINISHED": "green", "FAILED": "red"}.get(row.status, "yellow"))


def short(value: object) -> str:
    """Return a value as text of one short line."""
    text = str(value)
    return text if len(text) <= 32 else text[:31] + "…"
