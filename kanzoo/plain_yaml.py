"""Plain YAML: what a person may write into a config, and nothing that runs, unfolds or hides.

No aliases (a short file could unfold to gigabytes), no tags, no repeated keys, at most 100 kB and 20 levels; scalars as in YAML 1.2,
so that `1e-3` is a number and `no`, `010`, `1:30` and `2024-01-01` are not something else than they seem.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from kanzoo.errors import InvalidInput

#: A config file is read whole; nothing that a person writes is larger.
_MAX_BYTES = 100_000
_MAX_DEPTH = 20


def read_file(path: Path) -> dict[str, Any]:
    """Read a file that holds a mapping.

    Raises:
        InvalidInput: it is too large, not plain YAML, not a mapping, or holds an interpolation.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidInput(f"{path} must be smaller than {_MAX_BYTES} bytes, got {path.stat().st_size}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{where} must be readable YAML, got: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} must hold a mapping of keys to values, got {type(content).__name__}")
    _check_text(content, "")
    return content


def parse(text: str, key: str) -> Any:
    """Return the value that an override writes; text that is no plain YAML stays text.

    Raises:
        InvalidInput: it holds an interpolation, or cannot be printed.
    """
    value: Any
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError:
        value = text
    _check_text(value, key)
    return value


def write(content: dict[str, Any]) -> str:
    """Return content as YAML that `read_file` reads back."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML without aliases (a short file could unfold to gigabytes), tags and repeated keys; scalars as in YAML 1.2.

    So `1e-3` is a number, `no`, `010`, `1:30` and `2024-01-01` are not something else than they seem.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        what = "aliases" if isinstance(event, yaml.AliasEvent) else "anchors" if event.anchor else "tags" if event.tag else None
        if what or self.depth == _MAX_DEPTH:
            problem = f"{what} are not allowed" if what else f"more than {_MAX_DEPTH} levels"
            raise yaml.constructor.ConstructorError(None, None, problem, event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str" or key.value in seen:
                shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else f"of a {key.id}"
                raise yaml.constructor.ConstructorError(None, None, f"key {shown} must be text and stand once", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """YAML that `_Loader` reads back: it quotes what either version of YAML takes for something else than text."""


_FLOAT = r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,99})", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    for _side in (_Loader, _Dumper):
        _side.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _check_text(value: Any, key: str) -> None:
    """Refuse interpolations, OmegaConf's mark of a missing value, and what no terminal or record can show."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_text(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner, key)
    elif isinstance(value, str):
        if "${" in value:
            raise InvalidInput(f"{key} must not hold an interpolation, got {value!r}", "Secrets and the environment stay out of records.")
        if value == "???" or not value.isprintable():
            raise InvalidInput(f"{key} must be printable text in one line, got {value!r}")
