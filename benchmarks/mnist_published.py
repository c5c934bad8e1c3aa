"""docs/mnist_published.md: a published table beside the rows of `kanzoo bench mnist_published`, and what explains the differences.

`python -m benchmarks.mnist_published` writes the page; `python -m benchmarks.mnist_published --seeds 0 1` first trains the variants in
which an original differs from its preset, and writes their rows. Needs MNIST in KANZOO_DATA, and minutes a seed and variant.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from kanzoo import construction, experiment, fitting, hardware
from kanzoo.config import compose, data_dir_from_environment
from kanzoo.layers import KANLinear
from kanzoo.leaderboard import Summary, read_csv, summarise
from kanzoo.leaderboard.number import format_count, score_parts
from kanzoo.place import Place
from kanzoo.task import Task
from kanzoo.tracking import Tracker

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "mnist_published.md"
RESULTS = ROOT / "leaderboard" / "results" / "mnist_published.csv"
VARIANTS = Path(__file__).parent / "results" / "mnist_variants.csv"


@dataclass(frozen=True)
class Published:
    """A line of the table: preset, its name there, accuracy in percent, its spread over five runs, parameters."""

    preset: str
    name: str
    accuracy: float
    spread: float
    parameters: int


#: Ta, BSRBF-KAN, arXiv:2406.11173, https://github.com/hoangthangta/BSRBF_KAN: MNIST, [784, 64, 10], 25 epochs.
TABLE = (
    Published("bsrbf_kan", "BSRBF-KAN", 97.55, 0.03, 459_040),
    Published("efficient_kan", "EfficientKAN", 97.37, 0.07, 508_160),
    Published("faster_kan", "FasterKAN", 97.28, 0.06, 408_224),
    Published("fast_kan", "FastKAN", 97.25, 0.03, 459_114),
    Published("mlp_layernorm", "MLP", 97.62, 0.03, 52_512),
)


@dataclass(frozen=True)
class VariantRow:
    """The test accuracy of a variant's last epoch for one seed."""

    variant: str
    preset: str
    seed: int
    accuracy: float


class _Product(nn.Module):
    """Coefficients as efficient-kan has them: a weight a function times a weight an edge, `(out, in)`."""

    def __init__(self, scaler: Tensor) -> None:
        super().__init__()
        self.scaler = nn.Parameter(scaler)

    def forward(self, weight: Tensor) -> Tensor:
        return (weight.view(len(self.scaler), -1, self.scaler.shape[1]) * self.scaler[:, None]).flatten(1)


def with_products(task: Task, generator: Generator) -> None:
    """Give every edge of B-splines the second weight of efficient-kan, begun as there: splines through noise of up to 0.01 at the knots."""
    for layer in task.model.modules():
        if isinstance(layer, KANLinear):
            assert layer.expansion is not None
            bound = layer.in_features**-0.5
            places = torch.linspace(*layer.expansion.basis.domain, 6)
            values = layer.expansion.basis(places[:, None].expand(-1, layer.in_features))[:, 0]
            noise = (torch.rand(6, layer.in_features * layer.out_features, generator=generator) - 0.5) * 0.1 / 5
            weight = (torch.linalg.pinv(values) @ noise).T.reshape(layer.out_features, layer.in_features, -1)
            scaler = (2 * torch.rand(layer.out_features, layer.in_features, generator=generator) - 1) * bound
            with torch.no_grad():
                layer.coeff.copy_(weight)
            assert layer.weight.ndim == 2
            parametrize.register_parametrization(layer, "weight", _Product(scaler))


def in_one_order(task: Task, generator: Generator) -> None:
    """Let the training images come in the same order in every epoch."""

    def loader(stage: object, generator: Generator) -> DataLoader[tuple[Tensor, ...]]:
        batches = BatchSampler(SequentialSampler(stage), task.optimization.batch_size, drop_last=False)  # type: ignore[arg-type]
        return DataLoader(stage, sampler=batches, batch_size=None)  # type: ignore[arg-type]

    task.train_loader = loader  # type: ignore[method-assign, assignment]


#: Name -> preset, and what makes the variant of its task.
VARIANTS_OF: Mapping[str, tuple[str, tuple[Callable[[Task, Generator], None], ...]]] = {
    "two weights an edge and spline": ("efficient_kan", (with_products,)),
    "images in one order": ("faster_kan", (in_one_order,)),
}


def trained(variant: str, seed: int) -> VariantRow:
    """Train a variant as `kanzoo bench mnist_published` trains its preset, and score it."""
    preset, changes = VARIANTS_OF[variant]
    data_dir = data_dir_from_environment()
    (cell,) = compose("mnist_dense", [f"+preset={preset}", "trainer.max_epochs=25", f"seed={seed}"], data_dir=data_dir)
    task = construction.build(cell, data_dir)
    for change in changes:
        change(task, Generator().manual_seed(seed))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, experiment.isolated(seed), fitting.quiet():
        place = Place(f"sqlite:///{folder}/mlflow.db", "variants", accelerator="cpu", threads=1)
        recorder = Tracker(place.tracking_uri).start("variants", variant, key=variant, kind="cell", tags={})
        fitting.fit(task, task.stages(), cell, place, recorder)
        return VariantRow(variant, preset, seed, fitting.test(task, place)["test/accuracy"])


def read_variants() -> list[VariantRow]:
    """Return the rows that were written."""
    with VARIANTS.open(newline="") as file:
        return [VariantRow(row["variant"], row["preset"], int(row["seed"]), float(row["accuracy"])) for row in csv.DictReader(file)]


def _write_variants(rows: Sequence[VariantRow]) -> None:
    with VARIANTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(VariantRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in sorted(rows, key=lambda row: (row.variant, row.seed)))


def main() -> None:
    """Train variants where seeds are given; write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS_OF), choices=list(VARIANTS_OF))
    options = parser.parse_args()
    rows = {(row.variant, row.seed): row for row in (read_variants() if VARIANTS.exists() else [])}
    for seed in options.seeds:
        for variant in options.variants:
            rows[variant, seed] = trained(variant, seed)
            sys.stdout.write(f"{rows[variant, seed]}\n")
            _write_variants(list(rows.values()))
    sys.stdout.write(f"{hardware.cpu_name()}\n" if options.seeds else "")


if __name__ == "__main__":
    main()
