"""The command line. Imports stay inside the commands: `kanzoo --help` must not wait for torch."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from kanzoo import cli_inspect, cli_plugin, cli_verdict
from kanzoo.cli_options import (
    Accelerator,
    DataDir,
    DryRun,
    Experiment,
    Jobs,
    Overrides,
    PrintConfig,
    Published,
    Uri,
    complete_benchmark,
    complete_config,
    data_folder,
)
from kanzoo.errors import InvalidInput

if TYPE_CHECKING:
    from kanzoo.cell import Cell
    from kanzoo.record import Row

app = typer.Typer(
    name="kanzoo",
    help="Kolmogorov-Arnold networks: compare basis functions on real tasks, fairly.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: What typer raises for a wrong option, argument or command: click's ClickException, or that of its own copy of click (typer 0.29).
_WRONG_USAGE: type[typer.BadParameter] = typer.BadParameter.__mro__[2]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="Name of a config or path of a YAML file.", autocompletion=complete_config)],
    overrides: Overrides = None,
    *,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    experiment: Experiment = None,
    jobs: Jobs = 0,
    accelerator: Accelerator = "auto",
    dry_run: DryRun = False,
    print_config: PrintConfig = False,
) -> None:
    """Run one experiment, or a sweep: kanzoo run mnist basis.name=bspline,chebyshev seed=0,1,2."""
    from kanzoo import config as configs

    data = data_folder(data_dir)
    cells = configs.compose(config, overrides or [], data_dir=data)
    _run(cells[0].name, cells, data, tracking_uri, experiment, jobs, accelerator, dry_run, print_config, alone=len(cells) == 1)


@app.command()
def bench(
    benchmark: Annotated[str, typer.Argument(help="Name of a benchmark or path of a YAML file.", autocompletion=complete_benchmark)],
    overrides: Overrides = None,
    *,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    experiment: Experiment = None,
    jobs: Jobs = 0,
    accelerator: Accelerator = "auto",
    dry_run: DryRun = False,
    print_config: PrintConfig = False,
    published: Published = None,
) -> None:
    """Run a benchmark: experiments x models x seeds. What is finished is not run again."""
    from kanzoo import config as configs
    from kanzoo.published_rows import published_rows

    data = data_folder(data_dir)
    grid, cells = configs.compose_grid(benchmark, overrides or [], data_dir=data)
    there = published_rows(published or [])
    _run(grid.name, cells, data, tracking_uri, experiment, jobs, accelerator, dry_run, print_config, alone=False, published=there)


def _run(
    name: str,
    cells: "list[Cell]",
    data_dir: Path | None,
    tracking_uri: str | None,
    experiment: str | None,
    jobs: int,
    accelerator: str,
    dry_run: bool,
    print_config: bool,
    *,
    alone: bool,
    published: "Mapping[str, Row] | None" = None,
) -> None:
    from kanzoo import terminal

    if accelerator not in ("auto", "cpu", "gpu"):
        raise InvalidInput(f"accelerator must be one of auto, cpu, gpu, got {accelerator!r}")
    if print_config:
        typer.echo("---\n".join(cell.to_yaml() for cell in cells), nl=False)
        return
    from kanzoo.tracking import default_uri

    uri = tracking_uri or default_uri()
    if dry_run:
        terminal.dry_run(cells, uri, data_dir, published or {})
        return
    raise typer.Exit(_execute(name, cells, uri, experiment or name, data_dir, jobs, accelerator, alone=alone, published=published or {}))


def _execute(
    name: str,
    cells: "list[Cell]",
    uri: str,
    experiment: str,
    data_dir: Path | None,
    jobs: int,
    accelerator: str,
    *,
    alone: bool,
    published: "Mapping[str, Row]",
) -> int:
    """Run the cells, publish all that is known of them, print it; return the exit code."""
    from kanzoo import benchmark, publish, registry, terminal
    from kanzoo.place import Place
    from kanzoo.tracking import Tracker

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    tasks = {cell.task_key for cell in cells}
    elsewhere = [published[cell.config_hash] for cell in cells if cell.config_hash in published]
    cells = [cell for cell in cells if cell.config_hash not in published]
    jobs = min(jobs or min(cores, 4), len(cells))
    place = Place(uri, experiment, data_dir=data_dir, accelerator=accelerator, threads=max(1, cores // jobs) if jobs > 1 else 0)
    if len(cells) == 1:
        if cells[0].basis:
            registry.find("basis", cells[0].basis["name"]).load()  # one that cannot be imported leaves no database behind
        registry.find("task", cells[0].task["name"]).load()
    if alone:
        with terminal.one_run(cells[0]) as progress:
            row = benchmark.run_one(cells[0], place, progress)
        tracker = Tracker(uri)
        publish.publish(tracker, row.experiment, None, tracker.rows(row.experiment))
        terminal.result(row)
        return 0 if row.status == "FINISHED" else 1
    view = terminal.LaunchView(len(cells))
    with view.shown():
        outcome = benchmark.launch(name, cells, place, jobs=jobs, listener=view)
    tracker = Tracker(uri)
    rows = tracker.rows(experiment)
    if rows:
        publish.publish(tracker, experiment, outcome.parent, rows)
    terminal.ranking([*elsewhere, *([row for row in rows if row.task_key in tasks] or outcome.skipped)])
    also = f"{len(elsewhere)} published, " if elsewhere else ""
    terminal.say(
        f"{len(outcome.rows)} cells run, {len(outcome.skipped)} finished before, {also}{len(outcome.failed)} failed. Records: {tracker.uri}"
    )
    terminal.say("Browse them: kanzoo ui (MLflow), or kanzoo leaderboard (CSV, markdown and one HTML page).")
    return 1 if outcome.failed else 0


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="bases, tasks, configs, presets, benchmarks or runs.")] = "bases",
    *,
    facts: Annotated[bool, typer.Option("--facts", help="Measure the bases: parameters and operations an edge.")] = False,
    tracking_uri: Uri = None,
) -> None:
    """List bases by family and tasks, with the distribution they come from, configs, presets, benchmarks, or recorded runs."""
    from kanzoo import terminal, terminal_plugin

    if facts and what != "bases":
        raise InvalidInput(f"--facts needs the listing of bases, got {what!r}")
    kinds: dict[str, Callable[[], None]] = {
        "bases": terminal_plugin.facts if facts else terminal_plugin.bases,
        "tasks": terminal.tasks,
        "configs": lambda: terminal.configs("experiment"),
        "presets": lambda: terminal.configs("preset"),
        "benchmarks": lambda: terminal.configs("benchmark"),
        "runs": lambda: terminal.runs(tracking_uri),
    }
    if what not in kinds:
        from kanzoo.errors import suggest

        raise InvalidInput(f"unknown listing {what!r}", suggest(what, kinds, "Listings"))
    kinds[what]()


app.command()(cli_plugin.show)
app.command()(cli_plugin.check)
app.command()(cli_plugin.catalogue)
app.command()(cli_verdict.recommend)
app.command()(cli_verdict.predict)
app.command()(cli_verdict.submit)
app.add_typer(cli_plugin.new, name="new")
app.add_typer(cli_inspect.inspect, name="inspect")


@app.command()
def leaderboard(
    *,
    experiment: Annotated[list[str] | None, typer.Option(help="MLflow experiments to read; all by default.", show_default=False)] = None,
    results: Annotated[list[Path] | None, typer.Option(help="Read CSV files of raw rows, not MLflow.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.csv, README.md and index.html.")] = Path("runs/leaderboard"),
    excerpt: Annotated[
        Path | None,
        typer.Option(
            help="Markdown file whose part between <!-- leaderboard --> and <!-- /leaderboard --> is replaced.", show_default=False
        ),
    ] = None,
    tracking_uri: Uri = None,
) -> None:
    """Rank what is recorded: print it, and write raw rows as CSV, a markdown table and one HTML page."""
    from kanzoo import publish, terminal

    if results:
        from kanzoo.leaderboard import read_csv

        rows = [row for path in results for row in read_csv(path)]
    else:
        from kanzoo.tracking import Tracker

        tracker = Tracker(tracking_uri)
        rows = [row for name in experiment for row in tracker.rows(name)] if experiment else tracker.rows()
    if not rows:
        raise InvalidInput(
            f"the leaderboard needs a run that ended, got none in {results or tracker.uri}", "For example: kanzoo bench quick"
        )
    publish.write(rows, out, raw=not results)
    terminal.ranking(rows)
    terminal.say(f"Written into {out}: {'' if results else 'results.csv, '}README.md, index.html")
    if excerpt is not None:
        publish.write_excerpt(rows, excerpt)


@app.command()
def ui(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on the loopback interface.")] = 5000,
    open: Annotated[bool, typer.Option(help="Open the newest ranking in the browser, where a terminal has a display.")] = True,
    tracking_uri: Uri = None,
) -> None:
    """Open MLflow's UI on loopback; it stops with Ctrl+C."""
    from kanzoo import browser, terminal
    from kanzoo.tracking import Tracker

    tracker = Tracker(tracking_uri)
    address = f"http://127.0.0.1:{port}"
    newest = [row.experiment for row in tracker.rows()][-1:]
    urls = {name: f"{address}/{tracker.view_url(name, 'Ranking')}" for name in dict.fromkeys([*newest, *tracker.experiments()])}
    for name, url in urls.items():
        terminal.say(f"{name}: {url}")
    terminal.say(f"MLflow on {address}  (Ctrl+C stops it)")
    if open and browser.has_screen():
        browser.open_later(next(iter(urls.values()), address))
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        tracker.uri,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    if tracker.artifact_location:
        command += ["--default-artifact-root", tracker.artifact_location]
    os.execve(sys.executable, command, environment)


@app.command()
def data(*, data_dir: DataDir = None) -> None:
    """Show which data sets are there, which come inside packages, and which would be downloaded."""
    from kanzoo import terminal

    terminal.data(data_folder(data_dir))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; the exit code is 0 finished, 1 some failed, 2 wrong input, 130 interrupted."""
    sys.exit(_code(arguments))


def _code(arguments: list[str] | None) -> int:
    try:
        code = app(args=(sys.argv[1:] if arguments is None else arguments) or ["--help"], prog_name="kanzoo", standalone_mode=False)
    except InvalidInput as error:
        return _complain(error.message, error.hint)
    except _WRONG_USAGE as error:
        return _complain(error.format_message(), "See kanzoo --help.")
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:  # `kanzoo list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if code == 130:
        sys.stderr.write("Interrupted.\n")
    return code if isinstance(code, int) else 0


def _complain(message: str, hint: str) -> int:
    for line in (f"Error: {message}", hint):
        if line:
            shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in " ".join(line.split()))
            sys.stderr.write((shown if len(shown) <= 600 else f"{shown[:600]}…") + "\n")
    return 2


if __name__ == "__main__":
    main()
