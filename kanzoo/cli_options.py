"""Arguments and options that commands share, with their completions."""

from pathlib import Path
from typing import Annotated

import typer

from kanzoo.errors import InvalidInput


def complete_config(incomplete: str) -> list[str]:
    """Return the configs that begin like this."""
    from kanzoo import config_file

    return [name for name in config_file.names() if name.startswith(incomplete)]


def complete_benchmark(incomplete: str) -> list[str]:
    """Return the benchmarks that begin like this."""
    from kanzoo import config_file

    return [name for name in config_file.names("benchmark") if name.startswith(incomplete)]


def complete_plugin(incomplete: str) -> list[str]:
    """Return the bases and tasks that begin like this."""
    from kanzoo.registry import GROUPS, plugins

    return [name for kind in GROUPS for name in plugins(kind) if name.startswith(incomplete)]


def complete_override(incomplete: str) -> list[str]:
    """Return the usual overrides that begin like this."""
    from kanzoo import config_file
    from kanzoo.registry import plugins

    known = [f"basis.name={name}" for name in plugins("basis")] + [f"+preset={name}" for name in config_file.names("preset")]
    known += ["model.name=baseline", "trainer.max_epochs=", "trainer.lr=", "seed="]
    return [text for text in known if text.startswith(incomplete)]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="key=value, or key=a,b for every combination; +preset=NAME.", autocompletion=complete_override, show_default=False),
]
PluginOverrides = Annotated[list[str] | None, typer.Argument(help="key=value for its arguments.", show_default=False)]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where data sets lie.  [env: KANZOO_DATA]", show_default=False)]
Uri = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow store.  [env: MLFLOW_TRACKING_URI; default: runs/mlflow.db]", show_default=False),
]
Experiment = Annotated[str | None, typer.Option(help="MLflow experiment; by default the config's name.", show_default=False)]
Jobs = Annotated[int, typer.Option(min=0, help="Cells at a time; 0: as many as fit the cores, 4 at most.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu or gpu.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the cells, their size and what is finished; run nothing.")]
Published = Annotated[
    list[Path] | None,
    typer.Option(help="Folder or CSV file of published rows: a cell whose row stands there is not run.", show_default=False),
]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print the resolved config and stop.")]


def data_folder(given: Path | None) -> Path | None:
    """Return the folder of data: the one given, or that of the environment, or None.

    Raises:
        InvalidInput: it is no folder.
    """
    from kanzoo.config import data_dir_from_environment

    if given is None:
        return data_dir_from_environment()
    if not given.is_dir():
        raise InvalidInput(f"--data-dir must be a folder, got {str(given)!r}")
    return given.resolve()
