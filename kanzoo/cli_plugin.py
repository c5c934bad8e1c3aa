"""Commands for authors of bases and tasks: show, check, catalogue, new. Imports stay inside the commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanzoo.cli_options import DataDir, PluginOverrides, Uri, complete_plugin, data_folder
from kanzoo.errors import InvalidInput

if TYPE_CHECKING:
    from kanzoo.registry import Kind, Plugin

new = typer.Typer(help="Write a package with a plug-in of your own.", pretty_exceptions_enable=False)


def show(
    name: Annotated[
        str, typer.Argument(help="A basis, a task, a config, a preset, a benchmark, or the id of a run.", autocompletion=complete_plugin)
    ],
    overrides: PluginOverrides = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Picture of a basis: .svg, .png or .pdf.  [default: runs/plots/NAME.svg]", show_default=False)
    ] = None,
    tracking_uri: Uri = None,
) -> None:
    """Show a basis (formula, arguments, order, picture), a task, a config, a preset, a benchmark or a run: kanzoo show bspline."""
    from kanzoo import registry, terminal

    found = [registry.find(kind, name) for kind in registry.GROUPS if name in registry.plugins(kind)]
    if not found:
        if overrides or out:
            raise InvalidInput(f"overrides and --out need the name of a basis or task, got {name!r}")
        terminal.show(name, tracking_uri)
        return
    from kanzoo import terminal_plugin

    pages = [(*one, terminal_plugin.picture(one[0], out)) for one in _given(found, overrides)]
    for page in pages:
        terminal_plugin.show(*page)


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of bases and tasks, and key=value for their arguments.", autocompletion=complete_plugin, show_default=False
        ),
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Check every registered basis.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Check bases and tasks against their contract, with the smallest input that breaks it: kanzoo check chebyshev basis.degree=5."""
    from kanzoo import registry
    from kanzoo.errors import suggest

    wanted = [*(registry.plugins("basis") if all_ else ()), *(text for text in names or [] if "=" not in text)]
    if not wanted:
        raise InvalidInput(
            "check needs the name of a basis or task, got none", "For example: kanzoo check chebyshev, or kanzoo check --all"
        )
    for name in wanted:
        if not any(name in registry.plugins(kind) for kind in registry.GROUPS):
            known = [name for kind in registry.GROUPS for name in registry.plugins(kind)]
            raise InvalidInput(f"unknown basis or task {name!r}", suggest(name, known, "Installed"))
    # A name of both kinds is checked as both.
    plugins = [registry.find(kind, name) for name in wanted for kind in registry.GROUPS if name in registry.plugins(kind)]
    data = data_folder(data_dir)
    from kanzoo import terminal_plugin

    given = _given(plugins, [text for text in names or [] if "=" in text])
    good = [terminal_plugin.check(plugin, arguments, data) for plugin, arguments in given]
    if not all(good):
        raise typer.Exit(1)


def catalogue(*, out: Annotated[Path, typer.Option(help="Folder for README.md and the pictures.")] = Path("runs/catalogue")) -> None:
    """Write a page of all bases by family: formula, picture, parameters and operations an edge, reference."""
    from kanzoo import catalogue, terminal

    try:
        terminal.say(f"Written into {catalogue.write(out)}")
    except OSError as error:
        raise InvalidInput(f"--out must be a folder that can be written, got {str(out)!r}: {error.strerror or error}") from error


def _given(plugins: "list[Plugin]", overrides: list[str] | None) -> "list[tuple[Plugin, dict[str, Any]]]":
    """Return each plug-in with the arguments that the overrides of its kind fill in; all are checked before anything heavy is imported."""
    from kanzoo.terminal_plugin import given

    kinds = {plugin.kind for plugin in plugins}

    def own(plugin: "Plugin") -> list[str]:
        return [text for text in overrides or [] if text.partition(".")[0] not in kinds - {plugin.kind}]

    return [(plugin, given(plugin, own(plugin))) for plugin in plugins]


Name = Annotated[str, typer.Argument(help="Name to register it under, my_basis for example.", show_default=False)]
Folder = Annotated[Path | None, typer.Option(help="Folder to write; by default the name, here.", show_default=False)]


@new.command("basis")
def new_basis(name: Name, *, folder: Folder = None) -> None:
    """Write a package with a working basis, ready for pip install and kanzoo check: put your own formula into it."""
    _new("basis", name, folder, f"kanzoo show {name}", f"kanzoo bench quick basis.name={name}")


@new.command("task")
def new_task(name: Name, *, folder: Folder = None) -> None:
    """Write a package with a working task and its config, ready for pip install and kanzoo check: put your own data into it."""
    _new("task", name, folder, f"kanzoo run {{folder}}/{name}.yaml basis.name=chebyshev")


def _new(kind: "Kind", name: str, folder: Path | None, *commands: str) -> None:
    from shlex import quote

    from kanzoo import scaffold

    written = scaffold.new(kind, name, Path(name) if folder is None else folder)
    place = quote(str(written) if written.is_absolute() else f"./{written}")
    typer.echo(f"Written into {written}. Next:")
    for command in ("pip install -e {folder}", f"kanzoo check {name}", *commands):
        typer.echo(f"  {command.format(folder=place)}")
