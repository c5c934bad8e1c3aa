"""One experiment and one grid of them, as data: what a config means once it is checked."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen, MultipleOf

from kanzoo import plain_yaml

Section = dict[str, Any]


@dataclass
class ModelConfig:
    """What a network's layers are made of: `kan` with the basis of the section `basis`, or `baseline` (MLP, CNN, GNN).

    Further baselines: `learnable_activation` has functions of the section `basis` on nodes, `siren` sines of the frequency `omega`,
    `fourier_features` so many random `features` of frequencies about `sigma` before its first dense layer, and `power_mlp` the `power` of
    rectified mixtures beside a residual branch; see `kanzoo.layers.control`.
    `squash`, `residual`, `extrapolate`, `bias` and `init` are those of the KAN layers; of the baselines `learnable_activation` alone has
    `squash` and `extrapolate`. `activation` stands between KAN layers, which need none.
    `norm` normalises layers of both at the place `norm_at`, see `kanzoo.layers.factory.Layers`.
    `width` is a factor on the hidden widths that the task asks for: the same task with a network of another size. `parameters` has the
    width solved for, so that the network has as many trainable parameters as can be nearest to this budget.
    """

    name: Literal["kan", "baseline", "learnable_activation", "siren", "fourier_features", "power_mlp"] = "kan"
    squash: Literal["tanh", "layernorm", "standardize", "clamp", "none"] = "tanh"
    residual: Literal["silu", "identity", "none"] = "silu"
    extrapolate: Literal["linear", "clamp", "zero", "error", "basis"] = "linear"
    bias: bool = True
    init: str | None = None
    activation: Literal["none", "silu"] = "none"
    norm: Literal["none", "layer", "batch"] = "none"
    norm_at: Literal["between", "before", "after"] = "between"
    width: Annotated[float, Gt(0)] = 1.0
    parameters: Annotated[int, Ge(1)] | None = None
    omega: Annotated[float, Gt(0)] = 30.0
    sigma: Annotated[float, Gt(0)] = 1.0
    features: Annotated[int, Ge(2), MultipleOf(2)] = 128
    power: Annotated[int, Ge(1)] = 3


#: Keys of the section model that belong to one kind of network, with its name.
OWN_KEYS = {"omega": "siren", "sigma": "fourier_features", "features": "fourier_features", "power": "power_mlp"}

#: Kinds of network with functions of the section `basis`.
WITH_BASIS = ("kan", "learnable_activation")


@dataclass
class TrainerConfig:
    """How a network is fitted; see `kanzoo.task.Optimization` for the first five.

    `validate_every` is in epochs; `grid_updates` is how often adaptive grids follow the data, spread over the first half; `compile`
    has the network compiled, at the cost of seconds at the start: `auto` where the training is long enough to win them back.
    `batch_seeds` lets a benchmark train several seeds of a full-batch Adam experiment at once: `auto` where the network is small. It
    changes no result, so it is no part of a cell's identity. `refine` raises the resolution of all bases while they are fitted, see
    `RefineConfig`; null leaves it. `max_seconds` trains for so long, whatever the epochs: the learning rate and the grids take their
    course over this time as over `max_epochs`; the first step, which warms up, is not counted.
    """

    optimizer: Literal["adam", "adamw", "lbfgs"] = "adam"
    lr: Annotated[float, Gt(0)] = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 0.0
    lr_decay: Annotated[float, Gt(0)] = 1.0
    batch_size: Annotated[int, Ge(0)] = 64
    max_epochs: Annotated[int, Ge(1)] = 10
    validate_every: Annotated[int, Ge(1)] = 1
    grid_updates: Annotated[int, Ge(0)] = 0
    compile: Literal[True, False, "auto"] = False
    batch_seeds: Literal[True, False, "auto"] = "auto"
    refine: dict[str, Any] | None = None
    max_seconds: Annotated[float, Gt(0)] | None = None


@dataclass
class TunerConfig:
    """How a model is tuned before its seeds are run: so many trials, each judged on validation data; 0 leaves it as it is.

    `space` says what is tuned, see `kanzoo.search_space`: a preset's network stays as published, so that its space is `trainer`.
    """

    trials: Annotated[int, Ge(0)] = 0
    space: Literal["all", "trainer"] = "all"


@dataclass
class RefineConfig:
    """Every `every` epochs the resolution of all bases is raised to the next value of `to`.

    The values rise; a first one that is the basis's own is what it starts with. Of the keys both must be given.
    """

    every: Annotated[int, Ge(1)]
    to: Annotated[list[int], MinLen(1)]


#: Keys of the trainer that change how fast an experiment runs and not what comes of it.
NO_IDENTITY = ("batch_seeds",)


#: Keys of the sections model and trainer that make a track of their own, and are no part of a model's label.
TRACK_KEYS = ("parameters", "max_seconds")


def track(model: Section, trainer: Section, tuner: Section) -> str:
    """Return the rules that a cell is run by: `default`, or what is equal for all models of the track.

    Example:
        >>> track({"parameters": 5000}, {"max_seconds": None}, {"trials": 0})
        'parameters=5000'
    """
    rules = {"parameters": model["parameters"], "seconds": trainer["max_seconds"], "trials": tuner["trials"] or None}
    return ", ".join(f"{name}={value:g}" if name == "seconds" else f"{name}={value}" for name, value in rules.items() if value) or "default"


def tuner_identity(tuner: Section) -> Section:
    """Return what of the tuner's section decides the result: nothing where there are no trials."""
    return tuner if tuner["trials"] else {}


def trainer_identity(trainer: Section) -> Section:
    """Return what of a trainer's section decides the result; a key that came later is no part of it while it has no value."""
    late = ("refine", "max_seconds")
    return {key: value for key, value in trainer.items() if key not in NO_IDENTITY and not (key in late and value is None)}


def model_identity(model: Section) -> Section:
    """Return what of a model's section decides the network; keys that came later are no part of it while they change nothing."""
    idle = [key for key in ("norm", "norm_at") if model["norm"] == "none"] + [
        key for key in ("init", "parameters", "activation") if model.get(key) in (None, "none")
    ]
    return {key: value for key, value in model.items() if key not in idle}


@dataclass(frozen=True)
class Cell:
    """One fully resolved experiment: a pure description, equal on every machine.

    Attributes:
        name: of the config file.
        task: section with `name` and all arguments.
        model: section.
        basis: section with `name` and all arguments; empty where the model has none.
        trainer: section.
        tuner: section; empty when nothing is tuned.
        seed: sets initialisation, data order and split together.
        task_label: the task, as people see it.
        model_label: the model, as people see it.
        plugin: distribution and version of the basis, or of the task where there is none.
        task_key: hash of the task with its data, of what makes scores comparable.
        model_key: hash of all but the seed.
        config_hash: identity of the cell.
        score: name of the ranked metric.
        direction: `min` or `max`.
        track: the rules that it is run by, see `track`.
        command: the line that runs this cell.
    """

    name: str
    task: Section
    model: Section
    basis: Section
    trainer: Section
    tuner: Section
    seed: int
    task_label: str
    model_label: str
    plugin: str
    task_key: str
    model_key: str
    config_hash: str
    score: str
    direction: Literal["min", "max"]
    track: str
    command: str

    @property
    def kan_basis(self) -> str:
        """The basis of a KAN; empty for a baseline, with learnt activations too."""
        return str(self.basis["name"]) if self.model["name"] == "kan" else ""

    def resolved(self) -> dict[str, Any]:
        """Return the config that makes this cell, as plain containers."""
        sections: dict[str, Any] = {"name": self.name, "task": self.task, "model": self.model, "basis": self.basis}
        sections |= {"trainer": self.trainer, "tuner": self.tuner}
        return {key: plain(value) for key, value in sections.items() if value} | {"seed": self.seed}

    def to_yaml(self) -> str:
        """Return the resolved config as YAML; `kanzoo run FILE.yaml` repeats the cell."""
        return plain_yaml.write(self.resolved())


@dataclass(frozen=True)
class Part:
    """Experiments x models x seeds.

    Attributes:
        experiments: each a config name with overrides, in one line.
        models: each a line of overrides that names a basis or a baseline.
        seeds: the seeds of every cell.
    """

    experiments: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: [""])
    seeds: list[int] = field(default_factory=lambda: [0])


@dataclass(frozen=True)
class Grid(Part):
    """A benchmark: experiments x models x seeds, or several parts of that form, each with what the benchmark has where it names none.

    Attributes:
        name: of the benchmark.
        overrides: overrides for all.
        parts: see `Part`.
    """

    name: str = ""
    overrides: list[str] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)


def plain(value: Any) -> Any:
    """Return dicts and lists for what is made of dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value
