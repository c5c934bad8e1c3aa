"""From a cell to its task with data and network; and how large networks are, without training any."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from torch import Generator, nn

from kanzoo import sizing
from kanzoo.basis import BasisFactory
from kanzoo.cell import Cell, TrainerConfig, trainer_identity
from kanzoo.course import resolutions
from kanzoo.errors import InvalidInput
from kanzoo.inspect import refine
from kanzoo.layers.control import FourierFeatureLayers, NodeLayers, PowerLayers, SineLayers
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.models import num_parameters
from kanzoo.registry import find
from kanzoo.task import Optimization, SolvedTask, Task

#: Factories of the networks that have no section `basis`, by `model.name`.
_WITHOUT_BASIS: dict[str, Callable[..., Layers]] = {
    "baseline": PlainLayers,
    "siren": SineLayers,
    "fourier_features": FourierFeatureLayers,
    "power_mlp": PowerLayers,
}

#: Figures that are recorded of a network, by name.
Figures = dict[str, float]


def build(cell: Cell, data_dir: Path | None = None) -> Task:
    """Build the task of a cell with its data and network; the seed decides all of it, and no global random state is touched.

    Raises:
        InvalidInput: an argument or the data are refused.
    """
    return build_sized(cell, data_dir)[0]


def build_sized(cell: Cell, data_dir: Path | None = None) -> tuple[Task, Figures]:
    """Build the task of a cell as `build` does; return it with the width that was solved for and how far it is from the budget, if any."""
    generator = Generator().manual_seed(cell.seed)
    task_class = find("task", cell.task["name"]).load()
    try:
        task: Task = task_class(**{key: value for key, value in cell.task.items() if key != "name"})
        layers = _layers(cell, generator)
    except InvalidInput:
        raise
    except ValueError as error:  # a constructor's own rule
        raise InvalidInput(f"{cell.task_label}, {cell.model_label}: {error}") from error
    if isinstance(task, SolvedTask):
        _check_untouched(cell)
    names = Optimization.__dataclass_fields__
    task.optimization = Optimization(**{key: value for key, value in cell.trainer.items() if key in names})
    figures: Figures = {}
    if (budget := cell.model["parameters"]) is None:
        task.prepare(layers, data_dir=data_dir, seed=cell.seed)
    else:
        size = sizing.prepare(task, layers, budget, growth=partial(grown, cell), data_dir=data_dir, seed=cell.seed)
        figures = {"model/width": size.width, "model/parameters_deviation": size.deviation}
    if cell.trainer["refine"] and len(task.stages()) > 1:
        raise InvalidInput(f"trainer.refine needs a task of one stage, got {cell.task_label} of {len(task.stages())}")
    return task, figures


def grown(cell: Cell, model: nn.Module) -> None:
    """Give a network the bases that it has when the training of a cell is over."""
    for resolution in resolutions(cell).values():
        refine(model, resolution)


def _check_untouched(cell: Cell) -> None:
    """Raise InvalidInput when a cell whose task solves itself sets anything of the trainer or a size: it would count as another one."""
    if cell.model["parameters"] is not None:
        raise InvalidInput(
            f"model.parameters must not be set for the task {cell.task['name']}, which solves itself, got {cell.model['parameters']}"
        )
    usual = trainer_identity(asdict(TrainerConfig()))
    for key, value in trainer_identity(cell.trainer).items():
        if value != usual.get(key):
            raise InvalidInput(f"trainer.{key} must not be set for the task {cell.task['name']}, which solves itself, got {value!r}")


def _layers(cell: Cell, generator: Generator) -> Layers:
    options = {key: value for key, value in cell.model.items() if key not in ("name", "parameters")}
    name = cell.model["name"]
    if not cell.basis:
        return _WITHOUT_BASIS[name](**options, generator=generator)
    basis_class = find("basis", cell.basis["name"]).load()
    basis: BasisFactory = partial(basis_class, **{key: value for key, value in cell.basis.items() if key != "name"})
    basis(*([1] * _sizes(basis_class)))  # refuses arguments that only its code can judge, before any data are read
    return (KANLayers if name == "kan" else NodeLayers)(basis, **options, generator=generator)


def _sizes(basis_class: type) -> int:
    from kanzoo.basis import EdgeBasis

    return 2 if issubclass(basis_class, EdgeBasis) else 1


def parameters(cells: Iterable[Cell], data_dir: Path | None = None) -> dict[str, int]:
    """Return how many trainable parameters the network of each `model_key` begins with; data are loaded once for cells of one task in turn.

    Raises:
        InvalidInput: a cell cannot be built.
    """
    found: dict[str, int] = {}
    loaded, task = ("", -1), None
    for cell in cells:
        if cell.model_key in found:
            continue
        if task is None or loaded != (cell.task_key, cell.seed):
            loaded, task = (cell.task_key, cell.seed), build(cell, data_dir)
            found[cell.model_key] = sum(num_parameters(task.model).values())
        elif (budget := cell.model["parameters"]) is None:
            found[cell.model_key] = sum(num_parameters(task.build_model(_layers(cell, Generator()))).values())
        else:
            found[cell.model_key] = sizing.size(task, _layers(cell, Generator()), budget, partial(grown, cell)).parameters
    return found
