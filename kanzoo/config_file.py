"""Where configs lie, and how one is read: experiments, benchmarks and presets."""

import os
import re
from pathlib import Path
from typing import Any, Literal

from kanzoo import plain_yaml
from kanzoo.errors import InvalidInput, suggest

Kind = Literal["experiment", "benchmark", "preset"]

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def folder() -> Path:
    """Return where the configs lie: the repository's own when kanzoo runs from it, else the copy inside the package."""
    package = Path(__file__).parent
    repository = package.parent / "configs"
    return repository if (package.parent / "pyproject.toml").is_file() and repository.is_dir() else package / "configs"


def path_of(name: str, kind: Kind = "experiment") -> Path:
    """Return where the config of a name lies, whether there is one or not."""
    return (folder() if kind == "experiment" else folder() / kind) / f"{name}.yaml"


def names(kind: Kind = "experiment") -> list[str]:
    """Return the names of the configs that come with kanzoo."""
    return sorted(path.stem for path in path_of("*", kind).parent.glob("*.yaml"))


def read(name: str, kind: Kind = "experiment") -> dict[str, Any]:
    """Read a config by name (`mnist`) or by path (`my/experiment.yaml`).

    Raises:
        InvalidInput: no such file, not a YAML mapping, or one that holds aliases, tags or interpolations.
    """
    by_path = name.endswith((".yaml", ".yml"))
    if by_path:
        path = Path(name)
    elif _PLAIN_NAME.fullmatch(name):
        path = path_of(name, kind)
    else:
        raise InvalidInput(f"{kind} must be a plain name or a path that ends in .yaml, got {name!r}")
    if not os.path.isfile(path):  # noqa: PTH113  pathlib's raises for a name that is too long
        rule = f"{kind} must be an existing file, got {name!r}" if by_path else f"unknown {kind} {name!r}"
        raise InvalidInput(rule, suggest(path.stem if by_path else name, names(kind), "Presets" if kind == "preset" else "Configs"))
    content = plain_yaml.read_file(path)
    content.setdefault("name", path.stem)
    return content
