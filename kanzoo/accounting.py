"""What one sample costs a trained network: arithmetic operations and time. Nothing of the network changes."""

import copy
import logging
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch
from torch import nn

from kanzoo.operations import operations
from kanzoo.task import Batch, Task

#: Samples over which operations are shared: what a call does once, whatever its samples, should count little.
_SAMPLES = 32

#: Seconds that the calls for a latency may take, and calls that warm up.
_SECONDS, _WARM_UP = 0.05, 3

Number = TypeVar("Number", int, float)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cost:
    """What one sample costs; each 0 or NaN where it could not be measured.

    Attributes:
        operations: arithmetic operations, see `kanzoo.operations`.
        latency_ms: median milliseconds of a call with one sample.
    """

    operations: int = 0
    latency_ms: float = math.nan

    def figures(self) -> dict[str, float]:
        """Return those that were measured, by name."""
        return {name: value for name, value in asdict(self).items() if value and math.isfinite(value)}


def measure(task: Task, device: str = "cpu") -> Cost:
    r"""Return what one test sample costs the network of a task in evaluation mode, eager; a failure is logged, not raised.

    The operations are those of a call with 32 samples, over 32: $(O_{32}) / 32$. Where the samples are nodes of one graph, a call takes
    the same for one sample as for all, and that is the number. The latency is the median of calls with one sample, after three
    that warm up; all calls together take about 50 ms, or two calls where one takes longer.

    Args:
        task: fitted.
        device: where the network is timed.

    Example:
        >>> from kanzoo.layers.factory import PlainLayers
        >>> from kanzoo_tasks.regression import Regression
        >>> task = Regression(formula="x1 * x2", hidden=[])
        >>> task.prepare(PlainLayers())
        >>> measure(task).operations  # a linear layer of two inputs: two products, two sums
        4
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        return Cost(
            _tried("operations are", lambda: _operations(task), 0),
            _tried("the latency is", lambda: _latency_ms(task, device), math.nan),
        )


def _tried(what: str, work: Callable[[], Number], otherwise: Number) -> Number:
    try:
        return work()
    except Exception as error:  # whatever a plug-in's network does: it is trained and scored
        _log.warning("%s not measured: %s: %s", what, type(error).__name__, error)
        return otherwise


def _copied(task: Task, device: str) -> nn.Module:
    return copy.deepcopy(task.model).to(device).eval()


def _inputs(task: Task, samples: int, device: str) -> Batch:
    batch = tuple(tensor.to(task.device) for tensor in task.data.test[:samples])
    return tuple(tensor.to(device) for tensor in task.inputs(batch))


def _operations(task: Task) -> int:
    model = _copied(task, "cpu")
    samples = min(_SAMPLES, len(task.data.test))
    one, many = (operations(model, *_inputs(task, number, "cpu")) for number in (1, samples))
    return one if many == one else round(many / samples)


def _latency_ms(task: Task, device: str) -> float:
    model, inputs = _copied(task, device), _inputs(task, 1, device)
    seconds: list[float] = []
    began = time.perf_counter()
    with torch.inference_mode():
        while len(seconds) < 2 or time.perf_counter() - began < _SECONDS:
            start = time.perf_counter()
            model(*inputs)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[min(_WARM_UP, len(seconds) - 1) :])
