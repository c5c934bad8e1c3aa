"""What half precision costs in digits and gains in time: `python -m benchmarks.precision`.

[784, 64, 10], batch 256: relative errors of y and of the largest gradient under bf16 autocast against float64, beside those of float32,
and the time of a forward and backward pass against float32 in the same rounds.
"""

import copy
import csv
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.clock import interleaved, settle
from benchmarks.contestant import factory
from benchmarks.workload import WORKLOADS, step
from kanzoo.basis import is_edge_factory
from kanzoo.models import KAN, MLP
from kanzoo.registry import plugins

ROWS = Path(__file__).parent / "results" / "precision.csv"


def main() -> None:
    """Measure every basis, and write the rows."""
    settle()
    warnings.filterwarnings("ignore")
    workload = WORKLOADS["mnist"]
    x, generator = workload.inputs(), torch.Generator()
    nets: dict[str, nn.Module] = {"mlp": MLP(workload.widths, generator=generator.manual_seed(0))}
    for name in sorted(plugins("basis")):
        basis = factory(name, workload)
        if not is_edge_factory(basis):
            nets[name] = KAN(workload.widths, basis, generator=generator.manual_seed(0))
    rows = []
    for name, net in nets.items():
        exact = _outcome(copy.deepcopy(net).double(), x.double())
        single, half = _outcome(net, x), _outcome(net, x, half=True)
        timings = interleaved({"single": step(net, x), "half": _half(step(net, x))}, rounds=5)
        rows.append(
            {
                "network": name,
                "y_float32": _error(single[:1], exact[:1]),
                "y_bf16": _error(half[:1], exact[:1]),
                "gradient_float32": _error(single[1:], exact[1:]),
                "gradient_bf16": _error(half[1:], exact[1:]),
                "time_bf16_to_float32": timings["half"].ratio(timings["single"]),
                "torch": torch.__version__,
            }
        )
        print(*(f"{value:.2g}" if isinstance(value, float) else value for value in rows[-1].values()), flush=True)
    with ROWS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _half(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def under_autocast() -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return work()

    return under_autocast


def _outcome(net: nn.Module, x: Tensor, *, half: bool = False) -> list[Tensor]:
    work = step(net, x)
    y = (_half(work) if half else work)()
    return [y.detach(), *(item.grad.detach().clone() for item in net.parameters() if item.grad is not None)]


def _error(found: list[Tensor], true: list[Tensor]) -> float:
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(found, true, strict=True))


if __name__ == "__main__":
    main()
