"""Commands on trained networks: kanzoo inspect RUN prune, refine, convert, attribute, coverage. Imports stay inside the commands."""

from typing import TYPE_CHECKING, Annotated

import typer

from kanzoo.cli_options import Accelerator, DataDir, PluginOverrides, Uri, data_folder
from kanzoo.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from kanzoo.inspection import Outcome, Tool

inspect = typer.Typer(
    help="Apply a tool to the network of a recorded run: kanzoo inspect RUN prune --sparsity 0.5.", pretty_exceptions_enable=False
)

#: Inputs that the terminal lists; the record has all.
_MOST_LINES = 30
_BAR = 30


@inspect.callback()
def _run(context: typer.Context, run: Annotated[str, typer.Argument(help="Id of a run, or how no other one begins.")]) -> None:
    context.obj = run


@inspect.command()
def prune(
    context: typer.Context,
    *,
    threshold: Annotated[float | None, typer.Option(help="Cut what scores less.", show_default=False)] = None,
    sparsity: Annotated[float | None, typer.Option(help="Cut this share.", show_default=False)] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="Cut as much as leaves the validation score worse by no more.", show_default=False)
    ] = None,
    parts: Annotated[str, typer.Option(help="What is cut: edges, nodes or inputs.")] = "edges",
    finetune: Annotated[int, typer.Option(min=0, help="Epochs to train the smaller network further.")] = 0,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Cut the edges, hidden nodes or inputs that count least; say by one of threshold, sparsity and max-loss how many."""
    given = {"--threshold": threshold, "--sparsity": sparsity, "--max-loss": max_loss}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise InvalidInput(f"prune needs one of {', '.join(given)}, got {' and '.join(names) or 'none'}")
    kinds = ("edges", "nodes", "inputs")
    if parts not in kinds:
        raise InvalidInput(f"--parts must be one of {', '.join(kinds)}, got {parts!r}")
    from kanzoo.inspection import Prune

    tool = Prune(threshold, sparsity, max_loss, parts, finetune)  # type: ignore[arg-type]
    _inspect(context, tool, data_dir, tracking_uri, accelerator)


@inspect.command()
def refine(
    context: typer.Context,
    *,
    to: Annotated[int, typer.Option(min=1, help="The new resolution of every basis.")],
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Raise the resolution of every basis; the function stays."""
    from kanzoo.inspection import Refine

    _inspect(context, Refine(to), data_dir, tracking_uri, accelerator)


@inspect.command()
def convert(
    context: typer.Context,
    overrides: PluginOverrides = None,
    *,
    basis: Annotated[str, typer.Option(help="Name of the new basis.")],
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Take another basis in every layer, its coefficients found by least squares: convert --basis bspline basis.grid_size=10."""
    from kanzoo import registry
    from kanzoo.terminal_plugin import given

    plugin = registry.find("basis", basis)
    arguments = given(plugin, overrides or [])
    from kanzoo.inspection import Convert

    _inspect(context, Convert(plugin, arguments), data_dir, tracking_uri, accelerator)


@inspect.command()
def attribute(
    context: typer.Context,
    *,
    outputs: Annotated[str | None, typer.Option(help="Outputs that count, by number: 0,2; by default all.", show_default=False)] = None,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Rank the inputs by how much the outputs owe to them."""
    numbers = None if outputs is None else [part.strip() for part in outputs.split(",")]
    if numbers is not None and not all(part.isdecimal() and part.isascii() for part in numbers):
        raise InvalidInput(f"--outputs must be numbers such as 0,2, got {outputs!r}")
    from kanzoo.inspection import Attribute

    tool = Attribute(None if numbers is None else list(map(int, numbers)))
    _bars(_inspect(context, tool, data_dir, tracking_uri, accelerator), "attribution/", "input")


@inspect.command()
def coverage(
    context: typer.Context,
    *,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Tell the share of each layer's inputs that lie in the domain of its basis."""
    from kanzoo.inspection import Coverage

    _bars(_inspect(context, Coverage(), data_dir, tracking_uri, accelerator), "coverage/", "layer")


def _inspect(context: typer.Context, tool: "Tool", data_dir: "Path | None", tracking_uri: str | None, accelerator: str) -> "Outcome":
    """Apply the tool, and print what became of score and size."""
    if accelerator not in ("auto", "cpu", "gpu"):
        raise InvalidInput(f"accelerator must be one of auto, cpu, gpu, got {accelerator!r}")
    from rich.text import Text

    from kanzoo import inspection, terminal
    from kanzoo.place import Place
    from kanzoo.tracking import default_uri

    place = Place(tracking_uri or default_uri(), "", data_dir=data_folder(data_dir), accelerator=accelerator)
    outcome = inspection.inspect(context.obj, tool, place)
    if outcome.reason:
        terminal.say(f"FAILED: {outcome.reason}. Run {outcome.run_id} in experiment {outcome.row.experiment}")
        raise typer.Exit(1)
    if outcome.finding.model is not None:
        title = Text(f"{tool.name}: {outcome.row.task} {outcome.row.model}")
        table = terminal.new_table("", "before", "after", title=title)
        for name, pair in outcome.figures.items():
            table.add_row(name, f"{pair['before']:.6g}", f"{pair['after']:.6g}")
        terminal.console.print(table)
        for name, value in outcome.finding.figures.items():
            terminal.say(f"{name}: {value:.3g}")
    terminal.say(f"Run {outcome.run_id} in experiment {outcome.row.experiment}")
    return outcome


def _bars(outcome: "Outcome", prefix: str, what: str) -> None:
    """Print figures as bars, the largest first."""
    from kanzoo import terminal

    figures = sorted(outcome.finding.figures.items(), key=lambda item: -item[1])
    largest = max(value for _, value in figures) or 1.0
    table = terminal.new_table(what, prefix.removesuffix("/"), "")
    for name, value in figures[:_MOST_LINES]:
        table.add_row(name.removeprefix(prefix), f"{value:.3g}", "█" * round(_BAR * value / largest))
    terminal.console.print(table)
    if len(figures) > _MOST_LINES:
        terminal.say(f"The first {_MOST_LINES} of {len(figures)}; all are in report.json of the run.")
