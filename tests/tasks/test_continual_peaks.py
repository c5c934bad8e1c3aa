import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor

from kanzoo.config import compose
from kanzoo.construction import build
from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.task import Batch, Optimization
from kanzoo.testing import check_task
from kanzoo_bases.bspline import BSpline
from kanzoo_tasks.continual_peaks import CENTERS, HALF_WIDTH, ContinualPeaks


def prepared(layers: Layers | None = None, **changes: object) -> ContinualPeaks:
    task = ContinualPeaks(**changes)  # type: ignore[arg-type]
    task.prepare(layers or PlainLayers(generator=torch.Generator().manual_seed(0)))
    return task


def spline(**changes: object) -> KANLayers:
    options = {"squash": "none", "residual": "none", "bias": False} | changes
    return KANLayers(partial(BSpline, grid_size=200), generator=torch.Generator().manual_seed(0), **options)  # type: ignore[arg-type]


def fitted(name: str, *overrides: str, folder: Path) -> dict[str, float]:
    """Fit a cell of a config as the command line does, without records."""
    (cell,) = compose(name, overrides)
    task = build(cell)
    for index, stage in enumerate(task.stages()):
        trainer = Trainer(
            max_epochs=cell.trainer["max_epochs"],
            check_val_every_n_epoch=cell.trainer["max_epochs"],
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            accelerator="cpu",
            default_root_dir=folder,
        )
        trainer.fit(task, task.train_loader(stage, torch.Generator()), task.evaluation_loader(task.data.validation))
        task.end_stage(index)
    return dict(task.report().metrics)


@pytest.mark.slow
@pytest.mark.parametrize("dimension", [1, 2])
def test_conformance(dimension: int) -> None:
    check_task("continual_peaks", {"dimension": dimension, "hidden": [] if dimension == 1 else [4], "num_train": 40, "num_test": 20})


def test_the_samples_are_those_of_the_paper() -> None:
    data = prepared().data
    x, y, peak = data.train.tensors
    assert x.shape == y.shape == (500, 1)
    expected = np.concatenate([np.linspace(center - 0.2, center + 0.2, 100) for center in (-0.8, -0.4, 0, 0.4, 0.8)])
    np.testing.assert_allclose(x[:, 0], expected, atol=1e-7)
    formula = sum(np.exp(-300 * (expected - center) ** 2) for center in (-0.8, -0.4, 0, 0.4, 0.8))
    np.testing.assert_allclose(y[:, 0], formula, atol=1e-5)
    assert torch.bincount(peak).tolist() == [100] * 5
    assert not set(x[:, 0].tolist()) & set(data.test.tensors[0][:, 0].tolist())
    assert not set(data.validation.tensors[0][:, 0].tolist()) & set(data.test.tensors[0][:, 0].tolist())


def test_two_dimensions() -> None:
    x, y, peak = prepared(dimension=2, num_train=64).data.train.tensors
    centers = torch.from_numpy(CENTERS[2]).float()
    assert x.shape == (320, 2)
    assert ((x - centers[peak]).abs() <= HALF_WIDTH + 1e-6).all()
    torch.testing.assert_close(y[:, 0], (-300 * (x[:, None] - centers).square().sum(-1)).exp().sum(-1), rtol=1e-3, atol=1e-6)
    first = (x[peak == 0] - centers[0] + HALF_WIDTH) / (2 * HALF_WIDTH)
    cells = torch.histogramdd(first.double(), bins=[4, 4], range=[0.0, 1.0, 0.0, 1.0]).hist
    assert cells.min() >= 3  # 4 on average: evenly spread
    assert cells.max() <= 5


@pytest.mark.parametrize(("changes", "message"), [({"dimension": 3}, "<= 2, got 3"), ({"num_train": 1}, ">= 2"), ({"memory": 0}, ">= 1")])
def test_wrong_arguments_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContinualPeaks(**changes)  # type: ignore[arg-type]
    (name, value), *_ = changes.items()
    with pytest.raises(InvalidInput, match=rf"task\.{name} must be .*{message}"):
        compose("continual_peaks", [f"task.{name}={value}"])


def test_the_score_is_the_worst_phase() -> None:
    task = prepared(spline())
    assert not task.report().metrics
    for index in range(len(task.stages())):
        task.end_stage(index)
    task.matrix = np.full((5, 5), 9.0)
    task.matrix[np.tril_indices(5)] = 0.1
    task.matrix[2, :3] = [0.3, 0.0, 0.6]
    report = task.report()
    phases = [report.metrics[f"rmse_after_{index}"] for index in range(1, 6)]
    assert phases == pytest.approx([0.1, 0.1, math.sqrt((0.09 + 0.36) / 3), 0.1, 0.1])
    assert report.metrics["worst_rmse"] == max(phases)
    assert set(report.files) == {"rmse_matrix.csv", "rmse_matrix.png", "phases.png"}
    assert all(report.files[name][:4] == b"\x89PNG" for name in ("rmse_matrix.png", "phases.png"))


def test_a_perfect_network_scores_zero() -> None:
    task = prepared(spline())
    with torch.no_grad():
        task.model[0].weight.zero_()
    _, y, _ = task.data.test.tensors
    assert task._scores() == pytest.approx([math.sqrt(float(y[:200].square().mean()))] * 5, rel=1e-4)
    assert task.cell_score(y, y) == 0


def test_networks() -> None:
    assert [parameter.numel() for parameter in prepared(spline()).model.parameters()] == [203]
    assert sum(parameter.numel() for parameter in prepared().model.parameters()) == 193


@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6.6 with torch 2.14
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning: the data are tensors in memory, workers would slow it
def test_a_line_search_sees_the_same_samples(tmp_path: Path) -> None:
    """The replayed batch is drawn once a batch, not once an evaluation of the loss."""
    task = prepared(strategy="replay", memory=30)
    task.end_stage(0)
    task.optimization = Optimization(optimizer="lbfgs", lr=1.0, batch_size=20)
    seen: list[Tensor] = []
    loss = task.loss

    def watched(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        if torch.is_grad_enabled():  # not in validation
            seen.append(batch[0])
        return loss(batch)

    task.loss = watched  # type: ignore[method-assign]
    trainer = Trainer(
        max_steps=2,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=tmp_path,
    )
    trainer.fit(task, task.train_loader(task.stages()[1], torch.Generator()), task.evaluation_loader(task.data.validation))
    distinct = {tuple(x[:, 0].tolist()) for x in seen}
    assert all(len(x) == 40 for x in seen)
    assert len(seen) > len(distinct) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6.6 with torch 2.14
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning: the data are tensors in memory, workers would slow it
def test_splines_forget_no_peak_and_others_do(tmp_path: Path) -> None:
    """The claim of the KAN paper, and what it rests on: a residual branch or an MLP act everywhere, and earlier peaks are lost."""
    remembers = fitted("continual_peaks", folder=tmp_path)
    assert all(remembers[f"rmse_after_{index}"] <= 1e-3 for index in range(1, 6))
    for overrides in (["model.residual=silu"], ["model.name=baseline"]):
        forgets = fitted("continual_peaks", "trainer.max_epochs=20", *overrides, folder=tmp_path)
        assert forgets["rmse_after_1"] < 0.1  # it did learn
        assert forgets["worst_rmse"] > 0.1
        assert forgets["worst_rmse"] > 1e3 * remembers["worst_rmse"]
