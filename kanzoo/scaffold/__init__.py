"""A new plug-in package: the templates beside this file, filled in with one name."""

import keyword
import re
import shutil
from pathlib import Path
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kanzoo.errors import InvalidInput
from kanzoo.registry import plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_LENGTH = 40

#: YAML reads the first three as something else than text; the module imports the others under the name that its class would have.
_TAKEN = ("false", "null", "true", "annotated", "basis", "ge", "gt", "tensor")


def class_name(name: str) -> str:
    """Return the CamelCase of a registry name.

    Example:
        >>> class_name("mexican_hat")
        'MexicanHat'
    """
    return "".join(word.capitalize() for word in name.split("_"))


def new_basis(name: str, folder: Path) -> Path:
    """Write a package that registers a working basis under this name, whole or not at all; return its folder.

    Raises:
        InvalidInput: the name cannot be one, or is registered; the folder exists, or cannot be written.
    """
    _check_name(name)
    files = _render(name)
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


def _check_name(name: str) -> None:
    hint = "For example: kanzoo new basis my_basis"
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"name must be lower-case letters and digits, words joined by one underscore, got {name!r}", hint)
    if len(name) > _MAX_LENGTH:
        raise InvalidInput(f"name must have at most {_MAX_LENGTH} characters, got {len(name)}: {name!r}", hint)
    if keyword.iskeyword(name) or keyword.iskeyword(class_name(name)) or name in _TAKEN:
        raise InvalidInput(f"name must not be a keyword of Python or YAML, nor one that the module imports, got {name!r}", hint)
    if name in plugins("basis"):
        owner = plugins("basis")[name][0]
        raise InvalidInput(f"name must not be registered yet, got {name!r}", f"It is a basis of {owner.distribution} {owner.version}.")


def _render(name: str) -> dict[str, str]:
    """Return the files of the package, path to content."""
    templates = Path(__file__).parent / "basis"
    words = {"name": name, "class_name": class_name(name), "module": f"kan_{name}", "distribution": f"kan-{name.replace('_', '-')}"}
    environment = Environment(loader=FileSystemLoader(templates), undefined=StrictUndefined, keep_trailing_newline=True)  # text, not HTML
    paths = {
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
        f"{words['module']}.py": "module.py.j2",
        f"tests/test_{name}.py": "test.py.j2",
    }
    return {path: environment.get_template(template).render(words) for path, template in paths.items()}
