"""A new plug-in package: the templates beside this file, filled in with one name."""

import ast
import keyword
import re
import shutil
from pathlib import Path
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kanzoo.errors import InvalidInput
from kanzoo.registry import GROUPS, Kind, plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_LENGTH = 40

#: YAML reads these as something else than text.
_YAML_WORDS = ("false", "null", "true")

#: Files of a package and their templates; `{kind}` is basis or task.
_TEMPLATES = {
    "pyproject.toml": "pyproject.toml.j2",
    "README.md": "{kind}/README.md.j2",
    "{module}.py": "{kind}/module.py.j2",
    "{name}.yaml": "{kind}/config.yaml.j2",  # of a task alone
    "tests/test_{name}.py": "test.py.j2",
}


def class_name(name: str) -> str:
    """Return the CamelCase of a registry name.

    Example:
        >>> class_name("mexican_hat")
        'MexicanHat'
    """
    return "".join(word.capitalize() for word in name.split("_"))


def new(kind: Kind, name: str, folder: Path) -> Path:
    """Write a package that registers a working basis or task under this name, whole or not at all; return its folder.

    Raises:
        InvalidInput: the name cannot be one, or is registered; the folder exists, or cannot be written.
    """
    _check_name(kind, name)
    files = _render(kind, name)
    draft = folder.with_name(f".kanzoo-{uuid4().hex}")
    try:
        if folder.is_symlink() or folder.exists():
            raise InvalidInput(f"folder must not exist yet, got {str(folder)!r}", "Choose another one: --folder PATH")
        for path, content in files.items():
            (draft / path).parent.mkdir(exist_ok=True)
            (draft / path).write_text(content, encoding="utf-8", newline="\n")
        draft.rename(folder)
    except OSError as error:
        raise InvalidInput(f"folder must be one that can be written, got {str(folder)!r}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # not there after success
    return folder


def _check_name(kind: Kind, name: str) -> None:
    hint = f"For example: kanzoo new {kind} my_{kind}"
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"name must be lower-case letters and digits, words joined by one underscore, got {name!r}", hint)
    if len(name) > _MAX_LENGTH:
        raise InvalidInput(f"name must have at most {_MAX_LENGTH} characters, got {len(name)}: {name!r}", hint)
    if keyword.iskeyword(name) or name in _YAML_WORDS or class_name(name) in {*keyword.kwlist, *_imported(kind)}:
        raise InvalidInput(f"name must not be a keyword of Python or YAML, nor one that the module imports, got {name!r}", hint)
    for taken in GROUPS:  # the packages of a basis and a task would have one name
        if name in plugins(taken):
            owner = plugins(taken)[name][0]
            raise InvalidInput(
                f"name must not be registered yet, got {name!r}", f"It is a {taken} of {owner.distribution} {owner.version}."
            )


def _imported(kind: Kind) -> set[str]:
    """Return the names that the module imports: its class cannot have one of them."""
    tree = ast.parse(_render(kind, "x")["kan_x.py"])
    return {alias.name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}


def _render(kind: Kind, name: str) -> dict[str, str]:
    """Return the files of the package, path to content."""
    words = {
        "kind": kind,
        "group": GROUPS[kind],
        "name": name,
        "class_name": class_name(name),
        "module": f"kan_{name}",
        "distribution": f"kan-{name.replace('_', '-')}",
    }
    templates = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(templates), undefined=StrictUndefined, keep_trailing_newline=True)  # text, not HTML
    paths = {path.format(**words): template.format(**words) for path, template in _TEMPLATES.items()}
    return {path: environment.get_template(own).render(words) for path, own in paths.items() if (templates / own).is_file()}
