"""From a YAML file and overrides to checked cells. Imports no torch: a typo is refused in a fraction of a second.

The schema of the sections `task` and `basis` is the signature of the plug-in they name; the rest are the dataclasses here.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from kanzoo import plain_yaml, preset
from kanzoo.cell import (
    NO_IDENTITY,
    OWN_KEYS,
    TRACK_KEYS,
    WITH_BASIS,
    Cell,
    Grid,
    ModelConfig,
    Part,
    Section,
    TrainerConfig,
    TunerConfig,
    model_identity,
    plain,
    track,
    trainer_identity,
    tuner_identity,
)
from kanzoo.config_file import read
from kanzoo.errors import InvalidInput, suggest
from kanzoo.initial import check_formula
from kanzoo.registry import Plugin, find, plugins
from kanzoo.section import cell_schema, plugin_section, refinement, validated
from kanzoo.signature import class_constant

_SECTIONS = ("task", "model", "basis", "trainer", "tuner")
_EXAMPLES = {"task": "dataset=digits", "model": "name=baseline", "basis": "name=chebyshev", "trainer": "lr=0.01", "tuner": "trials=12"}

#: What a baseline is called, by the task's argument `network`; other networks (gcn, gat) are baselines by their own name.
_BASELINES = {"dense": "mlp", "conv": "cnn"}

_digests: dict[tuple[str, str, Path | None, tuple[str, int, int] | None], str] = {}


@dataclass
class _Head:
    name: Annotated[str, MinLen(1), MaxLen(200)] = "experiment"
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0  # what numpy and Lightning take


def compose(name: str, overrides: Sequence[str] = (), *, own: Sequence[str] = (), data_dir: Path | None = None) -> list[Cell]:
    """Return the cells of one config: one, or one for each combination of comma sweeps in the overrides.

    Args:
        name: name or path of a config.
        overrides: `key=value` or `key=value1,value2`; `+preset=name` puts a preset under the others.
        own: overrides of the experiment itself, as in a line of a benchmark: its trainer's keys are no part of a model's label.
        data_dir: where data sets lie.

    Raises:
        InvalidInput: anything in it is wrong.

    Example:
        >>> [cell.model_label for cell in compose("digits_dense", ["basis.name=bspline,chebyshev", "seed=0,1"])]
        ['bspline', 'bspline', 'chebyshev', 'chebyshev']
    """
    content = read(name)
    return [_cell(name, content, list(own), list(combination), data_dir) for combination in expand(overrides)]


def compose_grid(name: str, overrides: Sequence[str] = (), *, data_dir: Path | None = None) -> tuple[Grid, list[Cell]]:
    """Return a benchmark and its cells, without repetition.

    An override of `seed` replaces the seeds; one of `basis.name`, `model.name` or `+preset` replaces the models; others hold for every
    cell.

    Raises:
        InvalidInput: anything in it is wrong.
    """
    content = read(name, "benchmark")
    known = [item.name for item in dataclasses.fields(Grid)]
    for key in content:
        if key not in known:
            raise InvalidInput(f"unknown key {key!r} in benchmark {name!r}", suggest(key, known, "Keys"))
    grid = Grid(**validated(Grid, content, ""))
    usual = {item.name: getattr(grid, item.name) for item in dataclasses.fields(Part)}
    parts = [Part(**{**usual, **_pick(validated(Part, part, "parts."), *part)}) for part in grid.parts] or [Part(**usual)]
    keys = [override.partition("=")[0] for override in overrides]
    cells: dict[str, Cell] = {}
    for part in parts:
        if not part.experiments:
            raise InvalidInput(f"experiments must be of length >= 1 in benchmark {name!r}, got []")
        seeds = [] if "seed" in keys else [f"seed={','.join(map(str, part.seeds))}"]
        models = [""] if {"basis.name", "model.name", preset.KEY} & set(keys) else part.models
        for experiment, model in itertools.product(part.experiments, models):
            base, *own = experiment.split()
            content = read(base)
            for own_values in expand(own):
                for values in expand([*grid.overrides, *model.split(), *seeds, *overrides]):
                    cell = _cell(base, content, list(own_values), list(values), data_dir)
                    cells.setdefault(cell.config_hash, cell)
    return grid, list(cells.values())


def expand(overrides: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield one tuple of overrides for each combination of comma-separated values outside brackets and quotes.

    `basis.name=*` stands for every registered basis.

    Example:
        >>> list(expand(["seed=0,1", "task.hidden=[5,5]"]))
        [('seed=0', 'task.hidden=[5,5]'), ('seed=1', 'task.hidden=[5,5]')]
    """
    choices = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise InvalidInput(f"an override must be key=value, got {override!r}", "For example: basis.name=chebyshev trainer.max_epochs=3")
        parts = list(plugins("basis")) if override == "basis.name=*" else _split(value)
        choices.append([f"{key}={part}" for part in parts])
    return itertools.product(*choices)


def _split(value: str) -> list[str]:
    parts, depth, quote, start = [], 0, "", 0
    for position, character in enumerate(value):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(value[start:position])
            start = position + 1
    return [*parts, value[start:]]


def _apply(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    content = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    # A new name first: the arguments of the old plug-in do not belong to the new one.
    for override in sorted(overrides, key=lambda text: not text.partition("=")[0].endswith(".name")):
        key, _, text = override.partition("=")
        value = plain_yaml.parse(text, key)
        *sections, last = key.split(".")
        if len(sections) > 1:
            raise InvalidInput(f"unknown key {key!r}", "Keys are section.name, for example trainer.max_epochs")
        if not sections:
            if last in _SECTIONS:
                raise InvalidInput(f"{last} must be set key by key, got {value!r}", f"For example: {last}.{_EXAMPLES[last]}")
            content[last] = value
            continue
        if sections[0] not in _SECTIONS:
            raise InvalidInput(f"unknown key {key!r}", suggest(sections[0], _SECTIONS, "Sections"))
        section = content.setdefault(sections[0], {})
        if not isinstance(section, dict):
            raise InvalidInput(f"{sections[0]} must be a section of keys, got {section!r}")
        if last == "name" and sections[0] in ("task", "basis") and section.get("name") != value:
            section.clear()
        section[last] = value
    return content


def _cell(source: str, content: dict[str, Any], own: list[str], overrides: list[str], data_dir: Path | None) -> Cell:
    chosen, others = preset.taken_out([*own, *overrides])
    if chosen is not None:
        content = preset.applied(content, chosen)
    usual_model = validated(ModelConfig, content["model"] if isinstance(content.get("model"), dict) else {}, "model.")
    usual_basis = plugin_section("basis", content["basis"]) if chosen is not None and usual_model["name"] in WITH_BASIS else {}
    content = _apply(content, others)
    allowed = ["name", *_SECTIONS, "seed"]
    for key, value in content.items():
        if key not in allowed:
            raise InvalidInput(f"unknown key {key!r}", suggest(key, [*allowed, preset.KEY], "Keys"))
        if key in _SECTIONS and not isinstance(value, dict):
            raise InvalidInput(f"{key} must be a section of keys, got {value!r}")
    head = validated(_Head, _pick(content, "name", "seed"), "")
    model = _model_section(content.get("model", {}))
    if chosen is not None and model["name"] != usual_model["name"]:
        raise InvalidInput(f"model.name must be {usual_model['name']} with {preset.KEY}={chosen}, got {model['name']!r}")
    trainer = validated(TrainerConfig, content.get("trainer", {}), "trainer.")
    task = plugin_section("task", content.get("task", {}))
    basis = plugin_section("basis", content.get("basis", {})) if model["name"] in WITH_BASIS else {}
    if trainer["refine"] is not None:
        trainer["refine"] = refinement(trainer["refine"], basis if model["name"] == "kan" else {})
    usual_space = "all" if chosen is None else "trainer"
    tuner = validated(TunerConfig, {"space": usual_space, **content.get("tuner", {})}, "tuner.")
    _check_budgets(model, trainer)
    plugin = find("task", task["name"])
    own_baseline = class_constant(plugin, "baseline")
    _check_network(model, task, own_baseline)
    digest = _digest(plugin, task, data_dir)
    origin = find("basis", basis["name"]) if basis else plugin
    task_identity = {
        "task": _task_identity(plugin, task),
        "version": class_constant(plugin, "version") or 1,
        "data": digest,
        "plugin": f"{plugin.distribution} {plugin.version}",
    }
    identity = task_identity | {
        "model": model_identity(model),
        "basis": basis,
        "trainer": trainer_identity(trainer),
        "basis_plugin": f"{origin.distribution} {origin.version}",
    }
    if tuner_identity(tuner):
        identity["tuner"] = tuner_identity(tuner)
    given = {override.partition("=")[0] for override in others}
    tuned = {override.partition("=")[0] for override in overrides}
    name = preset.label_of(chosen) if chosen is not None else _usual_name(model["name"], basis, task, own_baseline)
    return Cell(
        name=head["name"],
        task=task,
        model=model,
        basis=basis,
        trainer=trainer,
        tuner=tuner_identity(tuner),
        seed=head["seed"],
        task_label=_label(
            head["name"],
            {key: Path(value).name if key == "file" else value for key, value in task.items() if f"task.{key}" in given and key != "name"},
        ),
        model_label=_label(
            name,
            _unusual(basis, usual_basis)
            | {key: value for key, value in model.items() if key not in ("name", *TRACK_KEYS) and value != usual_model[key]}
            | {key: value for key, value in trainer.items() if f"trainer.{key}" in tuned and key not in (*NO_IDENTITY, *TRACK_KEYS)}
            | ({"space": tuner["space"]} if tuner["trials"] and tuner["space"] != usual_space else {}),
        ),
        plugin=f"{origin.distribution} {origin.version}",
        task_key=_hash(task_identity),
        model_key=_hash(identity),
        config_hash=_hash(identity | {"seed": head["seed"]}),
        score=class_constant(plugin, "score") or "score",
        direction=class_constant(plugin, "direction") or "max",
        track=track(model, trainer, tuner),
        command=" ".join(["kanzoo run", source, *map(_quote, [*own, *overrides])]),
    )


def _task_identity(plugin: Plugin, task: Section) -> Section:
    """Return what of a task's section decides the task: no path, and no key of its class's `late` while that has its default."""
    schema, late = cell_schema("task", plugin.name), class_constant(plugin, "late") or ()
    return {key: value for key, value in task.items() if key != "file" and not (key in late and value == schema[key].default)}


def _model_section(content: Mapping[str, Any]) -> Section:
    """Return the section `model`; a baseline has few of its keys."""
    model = validated(ModelConfig, content, "model.")
    name = model["name"]
    for key, owner in OWN_KEYS.items():
        if key in content and name != owner:
            raise InvalidInput(f"model.{key} must not be set but with model.name={owner}, got model.name={name}")
    if name == "kan":
        if model["init"] is not None:
            check_formula(model["init"])
        return {key: value for key, value in model.items() if key not in OWN_KEYS}
    own = [key for key, owner in OWN_KEYS.items() if owner == name] + (["squash", "extrapolate"] if name in WITH_BASIS else [])
    return {key: model[key] for key in ("name", "width", "parameters", "norm", "norm_at", *own)}


def _check_network(model: Section, task: Section, own_baseline: str | None) -> None:
    """Raise InvalidInput where a task's network cannot be made of this kind of layers."""
    name, network = model["name"], task.get("network", "dense")
    if own_baseline and name not in ("kan", "baseline"):
        raise InvalidInput(
            f"model.name must be kan or baseline for the task {task['name']}, whose baseline is {own_baseline}, got {name!r}"
        )
    if name == "fourier_features" and network != "dense":
        raise InvalidInput(f"model.name=fourier_features must have a network of dense layers, got task.network={network}")


def _check_budgets(model: Section, trainer: Section) -> None:
    """Raise InvalidInput where a budget decides what another key asks for."""
    if model["parameters"] is not None and model["width"] != 1:
        raise InvalidInput(f"model.width must not be set with model.parameters, which decides it, got {model['width']:g}")
    if trainer["max_seconds"] is not None and trainer["refine"] is not None:
        raise InvalidInput(f"trainer.refine counts epochs and must not be set with trainer.max_seconds, got {trainer['refine']}")


def _usual_name(model: str, basis: Section, task: Section, own_baseline: str | None) -> str:
    """Return what a model is called without a preset: a KAN by its basis, a baseline by its network, and by what is not usual in it."""
    if model == "kan":
        return str(basis["name"])
    network = str(task.get("network", "dense"))
    usual = own_baseline or _BASELINES.get(network, network)
    return usual if model == "baseline" else f"{usual}[{basis.get('name', model)}]"


def _unusual(basis: Section, usual: Section) -> Section:
    """Return the arguments of a basis that differ from those of the preset, or from its defaults where the preset has another, or none."""
    if not basis:
        return {}
    if usual and usual["name"] != basis["name"]:
        return {"basis": basis["name"]} | _unusual(basis, {})
    known = usual or {key: argument.default for key, argument in cell_schema("basis", basis["name"]).items()}
    return {key: value for key, value in basis.items() if key != "name" and plain(value) != plain(known[key])}


def _label(name: str, extra: Mapping[str, Any]) -> str:
    shown = {key: f"{value:g}" if isinstance(value, float) else plain(value) for key, value in extra.items()}
    return f"{name}({', '.join(f'{key}={value}' for key, value in shown.items())})" if shown else name


def _quote(override: str) -> str:
    return override if re.fullmatch(r"[\w.=+\-/:@%]+", override) else "'" + override.replace("'", "'\\''") + "'"


def _digest(plugin: Any, task: Section, data_dir: Path | None) -> str:
    target = class_constant(plugin, "sources")
    if target is None:
        return ""
    key = (target, json.dumps(task, sort_keys=True), data_dir, _stamp(task.get("file")))
    if key not in _digests:
        module, _, function = target.partition(":")
        _digests[key] = getattr(import_module(module), function)({key: value for key, value in task.items() if key != "name"}, data_dir)
    return _digests[key]


def _stamp(file: str | None) -> tuple[str, int, int] | None:
    """Return what tells whether a file is still the one that was read; None where there is none."""
    if file is None:
        return None
    path = Path(file).absolute()
    try:
        stat = path.stat()
    except OSError:
        return None
    return str(path), stat.st_mtime_ns, stat.st_size


def _pick(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: content[key] for key in keys if key in content}


def _hash(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain(identity), sort_keys=True).encode()).hexdigest()[:16]


def data_dir_from_environment() -> Path | None:
    """Return the folder that `KANZOO_DATA` names, or None.

    Raises:
        InvalidInput: it is set and is no folder.
    """
    value = os.environ.get("KANZOO_DATA", "")
    if value and not Path(value).is_dir():
        raise InvalidInput(f"KANZOO_DATA must be a folder, got {value!r}")
    return Path(value).resolve() if value else None
