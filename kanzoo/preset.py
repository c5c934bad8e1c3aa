"""A published system as one override: `+preset=fast_kan` puts its basis and its layers into any experiment.

A preset's sections `basis` and `model` take the place of the experiment's, so that the network is the published one; keys of its
section `trainer` go over the experiment's. Other overrides go over both.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kanzoo.config_file import read
from kanzoo.errors import InvalidInput, suggest

#: What an override begins with that names a preset.
KEY = "+preset"

_SECTIONS = ("basis", "model", "trainer")


def taken_out(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the preset that overrides name, or None, and the other overrides.

    Raises:
        InvalidInput: more than one is named.

    Example:
        >>> taken_out(["seed=1", "+preset=fast_kan"])
        ('fast_kan', ['seed=1'])
    """
    found = [override.partition("=")[2] for override in overrides if override.partition("=")[0] == KEY]
    if len(found) > 1:
        raise InvalidInput(f"{KEY} must be given once, got {' and '.join(found)}")
    return (found[0] if found else None), [override for override in overrides if override.partition("=")[0] != KEY]


def applied(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the content of an experiment's config with a preset, by name or path, over it.

    Raises:
        InvalidInput: there is no such preset, or it holds what is none of its sections.
    """
    found = read(name, "preset")
    for key, value in found.items():
        if key not in ("name", *_SECTIONS):
            raise InvalidInput(f"unknown key {key!r} in preset {name!r}", suggest(key, _SECTIONS, "Sections"))
        if key != "name" and not isinstance(value, dict):
            raise InvalidInput(f"{key} must be a section of keys in preset {name!r}, got {value!r}")
    usual = content.get("trainer", {})
    trainer = {**usual, **found.get("trainer", {})} if isinstance(usual, dict) else usual  # what is no section is refused later
    return {**content, "basis": found.get("basis", {}), "model": found.get("model", {}), "trainer": trainer}


def label_of(name: str) -> str:
    """Return what a model made by a preset is called: the preset's name, or that of its file."""
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name
