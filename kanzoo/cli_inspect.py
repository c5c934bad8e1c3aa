"""Commands on trained networks: kanzoo inspect RUN prune, refine, formula, plot, ... Imports stay inside the commands."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kanzoo.cli_options import Accelerator, DataDir, PluginOverrides, Uri, data_folder
from kanzoo.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    _inspect(context, tool, data_dir, tracking_uri, accelerator, _figures)


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

    _inspect(context, Refine(to), data_dir, tracking_uri, accelerator, _figures)


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

    _inspect(context, Convert(plugin, arguments), data_dir, tracking_uri, accelerator, _figures)


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

    def show(outcome: "Outcome") -> None:
        _bars(outcome, "attribution/", "input", outcome.finding.report["inputs"])

    _inspect(context, tool, data_dir, tracking_uri, accelerator, show)


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

    _inspect(context, Coverage(), data_dir, tracking_uri, accelerator, lambda outcome: _bars(outcome, "coverage/", "layer"))


@inspect.command()
def formula(
    context: typer.Context,
    *,
    seconds: Annotated[float, typer.Option(min=0, help="After which no further improvement is begun.")] = 30.0,
    goal: Annotated[float, typer.Option(min=0, help="Relative error at which a formula is good enough.")] = 1e-6,
    functions: Annotated[str | None, typer.Option(help="What edges may be: x,x^2,sin; by default all.", show_default=False)] = None,
    threshold: Annotated[float | None, typer.Option(help="Cut the edges that score less first.", show_default=False)] = None,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Read a formula of the data's own names and units for each output."""
    from kanzoo.inspection.formula import ReadFormula

    allowed = None if functions is None else tuple(part.strip() for part in functions.split(","))
    _inspect(context, ReadFormula(seconds, goal, allowed, threshold), data_dir, tracking_uri, accelerator, _formulas)


@inspect.command()
def plot(
    context: typer.Context,
    *,
    out: Annotated[Path | None, typer.Option(help="Folder for the files; by default runs/plots/RUN.", show_default=False)] = None,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Draw the network, the edge functions of each layer, and a page on which each edge can be looked at."""
    from kanzoo.inspection.plot import Plot

    if out is not None and out.exists() and not out.is_dir():
        raise InvalidInput(f"--out must be a folder, got {str(out)!r}")
    _inspect(context, Plot(), data_dir, tracking_uri, accelerator, lambda outcome: _files(outcome, out))


def _inspect(
    context: typer.Context,
    tool: "Tool",
    data_dir: Path | None,
    tracking_uri: str | None,
    accelerator: str,
    show: "Callable[[Outcome], None]",
) -> None:
    """Apply the tool, and print what became of score and size, and what the tool found."""
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
    show(outcome)
    terminal.say(f"Run {outcome.run_id} in experiment {outcome.row.experiment}")


def _figures(outcome: "Outcome") -> None:
    """Print the figures of the tool, one a line."""
    from kanzoo import terminal

    for name, value in outcome.finding.figures.items():
        terminal.say(f"{name}: {value:.3g}")


def _formulas(outcome: "Outcome") -> None:
    """Print the formula of each output, how well it does, and which simpler ones there are."""
    from rich.text import Text

    from kanzoo import terminal

    for found in outcome.finding.report["outputs"]:
        terminal.say(f"{found['name']} = {_rounded(found['expression'])}")
        terminal.say(f"r² {found['r2_data']:.6f} against the data, {found['r2_network']:.6f} against the network")
        table = terminal.new_table("complexity", "relative error", "formula", title=Text(f"Formulas of {found['name']}, simplest first"))
        for one in found["pareto"]:
            table.add_row(str(one["complexity"]), f"{one['error']:.2e}", Text(_rounded(one["expression"])))
        terminal.console.print(table)
    terminal.say(f"The network's relative error: {outcome.finding.report['error_network']:.2e}")


def _rounded(expression: str) -> str:
    """Return an expression with 5 digits of each number that has more."""
    return re.sub(r"\d+\.\d+(?:e[+-]?\d+)?", lambda found: f"{float(found[0]):.5g}", expression)


def _files(outcome: "Outcome", folder: Path | None) -> None:
    """Write the files that the tool made into a folder, and tell where they are."""
    from kanzoo import terminal

    folder = Path("runs") / "plots" / outcome.row.run_id if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in outcome.finding.files.items():
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        terminal.say(str(path))
    for note in outcome.finding.report["notes"]:
        terminal.say(note)


def _bars(outcome: "Outcome", prefix: str, what: str, names: "Sequence[str] | None" = None) -> None:
    """Print figures as bars, the largest first, those of a number by its name where there are names."""
    from rich.text import Text

    from kanzoo import terminal

    named = {f"{prefix}{index}": name for index, name in enumerate(names or ())}
    figures = sorted(outcome.finding.figures.items(), key=lambda item: -item[1])
    largest = max(value for _, value in figures) or 1.0
    table = terminal.new_table(what, prefix.removesuffix("/"), "")
    for name, value in figures[:_MOST_LINES]:
        table.add_row(Text(named.get(name, name.removeprefix(prefix))), f"{value:.3g}", "█" * round(_BAR * value / largest))
    terminal.console.print(table)
    if len(figures) > _MOST_LINES:
        terminal.say(f"The first {_MOST_LINES} of {len(figures)}; all are in report.json of the run.")
