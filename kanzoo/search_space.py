"""What is tuned of a cell and in which ranges: one rule for every model, read off the config and the signature of the basis. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from kanzoo.cell import Cell
from kanzoo.registry import find
from kanzoo.section import cell_schema
from kanzoo.signature import Argument, class_constant

Space = dict[str, BaseDistribution]

#: A resolution of this name counts doublings of the functions.
_DOUBLINGS = "levels"


@dataclass(frozen=True)
class Tuned:
    """What a study found for a cell.

    Attributes:
        cell: the cell with the found values, and nothing to tune; see `with_values`.
        values: by key, `trainer.lr` for example.
        study: run id of the study.
        seconds: what the study took.
    """

    cell: Cell
    values: Mapping[str, Any]
    study: str
    seconds: float


def space(cell: Cell) -> Space:
    r"""Return the ranges of all that is tuned of a cell, by key; a pure function of the cell.

    | key | range around the config's value v |
    |---|---|
    | `trainer.lr` | $[v/10, 10v]$, even in its logarithm |
    | `trainer.weight_decay`, of AdamW | $[10^{-6}, 10^{-1}]$, even in its logarithm |
    | `model.width`, without `model.parameters` | $v/2$, $v$, $2v$ |
    | `model.squash` of a KAN or of activations, `model.residual` of a KAN | tanh, layernorm, and v; all |
    | the resolution of the basis, without `trainer.refine` | v/2 to 4v functions, as far as its rule allows, even in its logarithm |
    | other arguments of the basis of type `Literal` | all |
    | `model.norm` of a baseline | none, layer, batch |
    | `model.omega` of sines, `model.sigma` of Fourier features | $[v/30, v]$ and $[v/30, 3v]$, even in their logarithm |

    Where the tuner's `space` is `trainer`, as with a preset, the first two alone.

    Example:
        >>> from kanzoo.config import compose
        >>> found = space(compose("digits_dense", ["basis.name=fourier", "tuner.trials=8"])[0])
        >>> sorted(found), found["basis.degree"].low, found["basis.degree"].high
        (['basis.degree', 'model.residual', 'model.squash', 'model.width', 'trainer.lr', 'trainer.weight_decay'], 2, 16)
    """
    lr = cell.trainer["lr"]
    found: Space = {"trainer.lr": FloatDistribution(lr / 10, lr * 10, log=True)}
    if cell.trainer["optimizer"] == "adamw":
        found["trainer.weight_decay"] = FloatDistribution(1e-6, 1e-1, log=True)
    if cell.tuner.get("space") == "trainer":
        return found
    if cell.model["parameters"] is None:
        width = cell.model["width"]
        found["model.width"] = CategoricalDistribution([width / 2, width, width * 2])
    if cell.model["name"] == "kan":
        found["model.residual"] = CategoricalDistribution(["silu", "identity", "none"])
    else:
        found["model.norm"] = CategoricalDistribution(["none", "layer", "batch"])
    for key, highest in (("omega", 1), ("sigma", 3)):  # both are for data of few dimensions, so that more of it want less
        if key in cell.model:
            value = cell.model[key]
            found[f"model.{key}"] = FloatDistribution(value / 30, value * highest, log=True)
    if not cell.basis:
        return found
    squashes = dict.fromkeys(["tanh", "layernorm", cell.model["squash"]])
    found["model.squash"] = CategoricalDistribution(list(squashes))
    return found | _basis_space(cell)


def _basis_space(cell: Cell) -> Space:
    plugin, arguments = find("basis", cell.basis["name"]), cell_schema("basis", cell.basis["name"])
    resolution = class_constant(plugin, "resolution") or getattr(plugin.load(), "resolution", None)
    found: Space = {}
    for name, argument in arguments.items():
        if name == resolution and cell.trainer["refine"] is None:
            found[f"basis.{name}"] = _resolution_space(argument, cell.basis[name])
        elif get_origin(argument.plain_type) is Literal:
            found[f"basis.{name}"] = CategoricalDistribution(get_args(argument.plain_type))
    return found


def _resolution_space(argument: Argument, value: int) -> IntDistribution:
    """Return the integers without a gap around a value that give half to four times as many functions and keep the argument's rule."""
    doublings = argument.name == _DOUBLINGS
    low = high = value
    lowest, highest = (value - 1, value + 2) if doublings else (-(-value // 2), 4 * value)
    while low > max(lowest, 1) and argument.violation(low - 1) is None:
        low -= 1
    while high < highest and argument.violation(high + 1) is None:
        high += 1
    return IntDistribution(low, high, log=not doublings)


def start(cell: Cell) -> dict[str, Any]:
    """Return what the config itself has for each key of its space: the first trial."""
    return {key: getattr(cell, key.partition(".")[0])[key.partition(".")[2]] for key in space(cell)}


def with_values(cell: Cell, values: Mapping[str, Any], seed: int) -> Cell:
    """Return a cell with other values and another seed, and nothing to tune, to be trained or written down.

    Its labels, keys and command stay those of the cell that it comes from.
    """
    sections = {name: dict(getattr(cell, name)) for name in ("model", "basis", "trainer")}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    return replace(cell, **sections, tuner={}, seed=seed)  # type: ignore[arg-type]
