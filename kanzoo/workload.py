"""How much work a training is, and what that is worth: threads and compilation."""

import torch

from kanzoo import fitting
from kanzoo.cell import Cell
from kanzoo.models import num_parameters
from kanzoo.task import SolvedTask, Task

#: Multiplications of a step from which a second thread pays: a two-core machine lost time below it.
_PARALLEL_WORK = 50_000_000
_DEFAULT_THREADS = torch.get_num_threads()

#: Multiplications of a step up to which its gradients are compiled as one graph: above, the kernels of large products are worth more.
_SMALL_WORK = 2_000_000

#: Multiplications of a training from which compilation pays: about a minute's, of which it saves a third and costs twenty seconds.
_LONG_WORK = 1_000_000_000_000

#: Seconds of a training from which compilation pays, where the seconds are the budget.
_LONG_TIME = 60


def useful_threads(task: Task, networks: int = 1) -> int:
    """Return how many threads the steps of so many networks are worth: one for small work, of which waiting for each other costs more."""
    if isinstance(task, SolvedTask):
        return 1
    return _DEFAULT_THREADS if networks * work(task) > _PARALLEL_WORK else 1


def work(task: Task) -> int:
    """Return about how many multiplications the forward pass of one step takes."""
    stage = task.data.train
    x = task.inputs(stage[: task.optimization.batch_size or len(stage)])[0]
    if x.layout is not torch.strided:
        return int(x._nnz() / x.shape[1] * sum(num_parameters(task.model).values()))
    places = x[0, 0].numel() if x.ndim == 4 else 1  # a convolution uses its weights once a pixel
    return int(len(x) * places * sum(num_parameters(task.model).values()))


def wants_compilation(cell: Cell, task: Task, networks: int = 1) -> bool:
    """Return whether a cell asks for compilation, or the training of so many networks is long enough to win the seconds back."""
    if cell.trainer["compile"] != "auto":
        return bool(cell.trainer["compile"])
    if cell.trainer["max_seconds"] is not None:
        return bool(cell.trainer["max_seconds"] >= _LONG_TIME)
    size = task.optimization.batch_size
    steps = sum(-(-len(stage) // size) if size else 1 for stage in task.stages()) * cell.trainer["max_epochs"]
    return bool(networks * steps * work(task) > _LONG_WORK)


def compile_as_wanted(cell: Cell, task: Task) -> None:
    """Let a task train compiled where its cell asks for it; as one graph where the network is small and every batch the same."""
    if wants_compilation(cell, task):
        task.compile_model(at_once=work(task) <= _SMALL_WORK and fitting.takes_many_steps(task, task.stages()))
