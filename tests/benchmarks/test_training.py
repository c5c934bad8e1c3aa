"""Figures of training are what the clock's seconds say, and what is timed does train."""

from pathlib import Path

import pytest
import torch

from benchmarks import training
from benchmarks.clock import Timing
from kanzoo import compilation
from kanzoo.place import Place


def test_ratios_are_paired_by_round() -> None:
    timings = {"eager bare": Timing([1.0, 2.0, 3.0]), "eager through kanzoo": Timing([1.5, 2.4, 3.3])}
    assert list(training._compared("adam", timings, 10.0, "us")) == [
        ("adam eager bare", 20.0, "us"),
        ("adam eager through kanzoo", 24.0, "us"),
        ("adam eager through kanzoo / bare", pytest.approx(1.2), "x"),
    ]


def test_a_call_is_repeated_and_the_seconds_that_it_returns_are_taken() -> None:
    calls: list[int] = []
    assert 0 < training._seconds(lambda: calls.append(1), least=1e-3) < 1e-3
    assert len(calls) > 1
    assert training._seconds(lambda: 7.0) == 7.0


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_bare_step_lowers_the_loss(optimizer: str) -> None:
    task = training.prepared("gaussian_rbf", f"trainer.optimizer={optimizer}", "trainer.lr=0.01", "task.num_train=50")
    step, batch = training.bare_step(task), task.data.train.tensors
    before = task.loss(batch)[0].item()
    for _ in range(5):
        step()
    assert task.loss(batch)[0].item() < before


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch.func's own, in torch 2.14
def test_a_stacked_step_changes_every_member(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.nn.Module] = []
    monkeypatch.setattr(compilation, "compile", lambda model: made.append(model) or model)
    tasks = [training.prepared("gaussian_rbf", "trainer.optimizer=adam", "task.num_train=50", f"seed={seed}") for seed in range(3)]
    step = training.stacked_step(tasks)
    (network,) = made
    before = [parameter.clone() for parameter in network.parameters()]
    step()
    for old, new in zip(before, network.parameters(), strict=True):
        assert (old != new).flatten(1).any(1).all()


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_the_epochs_after_the_first_few_are_timed_through_kanzoo(uri: str, tmp_path: Path) -> None:
    options = ("trainer.optimizer=adam", "task.num_train=20")
    seconds = training.step_through_kanzoo("chebyshev", Place(uri, "training", accelerator="cpu"), options, few=5, many=25)
    assert 1e-5 < seconds < 10
