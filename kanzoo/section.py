"""One section of a config against its schema: a dataclass, or the signature of the plug-in that it names. No torch."""

import copy
import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import field, make_dataclass
from typing import Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kanzoo.cell import RefineConfig, Section
from kanzoo.errors import InvalidInput, suggest
from kanzoo.registry import find
from kanzoo.signature import Argument, arguments, check_values, class_constant

OmegaConf.clear_resolver("oc.env")  # it would copy secrets of the environment into records

_checked: dict[tuple[type, str, str], Section] = {}


def cell_schema(kind: Literal["basis", "task"], name: str) -> dict[str, Argument]:
    """Return the arguments of a plug-in's section.

    Raises:
        InvalidInput: there is no such plug-in.
    """
    return arguments(find(kind, name))


def plugin_section(kind: Literal["basis", "task"], content: dict[str, Any]) -> Section:
    """Return the section of a plug-in with its defaults filled in.

    Raises:
        InvalidInput: there is no such plug-in, or an argument is not one of its signature or breaks its rule.
    """
    if "name" not in content:
        raise InvalidInput(f"{kind}.name must be given", f"For example: {kind}.name={'chebyshev' if kind == 'basis' else 'regression'}")
    if not isinstance(content["name"], str):
        raise InvalidInput(f"{kind}.name must be text, got {content['name']!r}")
    found = cell_schema(kind, content["name"])
    values = validated(_schema(kind, content["name"]), content, f"{kind}.")
    check_values(found, values, f"{kind}.")
    domain = values.get("domain") if kind == "basis" else None
    if isinstance(domain, list | tuple) and not (len(domain) == 2 and domain[0] < domain[1]):  # as kanzoo.basis.check_domain, without torch
        raise InvalidInput(f"basis.domain must be two finite numbers in rising order, got {list(domain)!r}")
    return values


def refinement(content: dict[str, Any], basis: Section) -> Section:
    """Return `trainer.refine` after it was checked against the basis, without a first value that is the basis's own."""
    key = "trainer.refine"
    for name in ("every", "to"):
        if name not in content:
            raise InvalidInput(f"{key}.{name} must be given", "For example: trainer.refine='{every: 200, to: [3, 5, 10]}'")
    values = validated(RefineConfig, content, f"{key}.")
    plugin = find("basis", basis["name"]) if basis else None
    resolution = plugin and (class_constant(plugin, "resolution") or getattr(plugin.load(), "resolution", None))
    if plugin is None or not isinstance(resolution, str):
        raise InvalidInput(f"{key} needs a basis with a resolution, got {basis.get('name', 'a baseline')!r}")
    rule = cell_schema("basis", plugin.name)[resolution]
    for value in values["to"]:
        if wrong := rule.violation(value):
            raise InvalidInput(f"{key}.to {wrong}, as basis.{resolution}")
    own = basis[resolution]
    if values["to"] != sorted(set(values["to"])) or not own <= values["to"][0] <= values["to"][-1] != own:
        raise InvalidInput(f"{key}.to must rise from basis.{resolution}={own} or more, got {values['to']}")
    return values | {"to": [value for value in values["to"] if value > own]}


@functools.cache
def _schema(kind: Literal["basis", "task"], name: str) -> type:
    """Return a dataclass with a plug-in's arguments as fields."""
    found = cell_schema(kind, name)
    fields: list[Any] = [("name", str, name)]
    for argument in found.values():
        default = argument.default
        fields.append((argument.name, argument.plain_type, field(default_factory=lambda value=default: value)))  # type: ignore[misc]
    return make_dataclass(kind, fields)


def validated(schema: type, content: Mapping[str, Any], prefix: str) -> Section:
    """Return the content with defaults filled in; the cells of a benchmark share most sections, so each is checked once."""
    key = (schema, prefix, json.dumps(content, sort_keys=True, default=repr))
    if key not in _checked:
        _checked[key] = _check_section(schema, content, prefix)
    return copy.deepcopy(_checked[key])


def _check_section(schema: type, content: Mapping[str, Any], prefix: str) -> Section:
    fields = {item.name: item for item in dataclasses.fields(schema)}
    for key in content:
        if key not in fields:
            raise InvalidInput(f"unknown key {prefix + str(key)!r}", suggest(str(key), fields, "Keys"))
    rules = {item.name: Argument(item.name, item.type, None) for item in fields.values()}
    plain: list[Any] = []
    for item in fields.values():
        factory = item.default_factory if item.default_factory is not dataclasses.MISSING else (lambda value=item.default: value)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            plain.append((item.name, rules[item.name].plain_type))
        else:
            plain.append((item.name, rules[item.name].plain_type, field(default_factory=factory)))
    structured = OmegaConf.structured(make_dataclass(schema.__name__, plain))
    for key, value in content.items():
        if wrong := rules[key].mismatch(value):
            raise InvalidInput(f"{prefix}{key} {wrong}")
        try:
            structured = OmegaConf.merge(structured, {key: value})
        except (OmegaConfBaseException, TypeError, ValueError) as error:  # a type of a plug-in that no config can hold
            raise InvalidInput(f"{prefix}{key} must be {rules[key].plain_type}, got {value!r}") from error
    values: Section = OmegaConf.to_container(structured)  # type: ignore[assignment]
    check_values(rules, values, prefix)
    return values
