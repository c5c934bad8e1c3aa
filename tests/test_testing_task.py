"""`check_task` passes for a sound task, and each of its checks catches the fault that it is meant for."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset
from torchmetrics import MeanSquaredError, MetricCollection

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import PlainLayers
from kanzoo.task import Data, SolvedTask, Task
from kanzoo.testing import TaskSubject, check_task, task_checks


class Parabola(Task):
    score, direction = "mse", "min"

    def __init__(self, *, samples: int = 100, width: int = 4) -> None:
        super().__init__()
        self.samples, self.width = samples, width

    def load(self, data_dir, seed):
        x = 2 * torch.rand(self.samples, 2, generator=torch.Generator().manual_seed(seed)) - 1
        parts = torch.tensor_split(x, (self.samples // 2, 3 * self.samples // 4))
        return Data(*(TensorDataset(part, part.square().sum(1, keepdim=True)) for part in parts))

    def build_model(self, layers):
        return nn.Sequential(layers.linear(2, self.width, first=True), layers.linear(self.width, 1))

    def loss(self, batch):
        x, target = batch
        prediction = self(x)
        return nn.functional.mse_loss(prediction, target), prediction, target

    def metrics(self):
        return MetricCollection({"mse": MeanSquaredError()})


class BadDirection(Parabola):
    direction = "down"


class NoScore(Parabola):
    score = ""


class AnyArguments(Parabola):
    def __init__(self, **options) -> None:
        super().__init__()


class IgnoresSeed(Parabola):
    def load(self, data_dir, seed):
        return super().load(data_dir, 0)


class GlobalChance(Parabola):
    def load(self, data_dir, seed):
        torch.rand(1)
        return super().load(data_dir, seed)


class OwnWeights(Parabola):
    def build_model(self, layers):
        return nn.Sequential(super().build_model(layers), nn.Linear(1, 1))


class Empty(Parabola):
    def load(self, data_dir, seed):
        data = super().load(data_dir, seed)
        return Data(data.train, TensorDataset(torch.zeros(0, 2), torch.zeros(0, 1)), data.test)


class NaNInData(Parabola):
    def load(self, data_dir, seed):
        data = super().load(data_dir, seed)
        data.train.tensors[0][3, 1] = torch.nan
        return data


class NoStages(Parabola):
    def stages(self):
        return []


class InfiniteLoss(Parabola):
    def loss(self, batch):
        loss, prediction, target = super().loss(batch)
        return loss / 0, prediction, target


class LossPerSample(Parabola):
    def loss(self, batch):
        _, prediction, target = super().loss(batch)
        return (prediction - target).square(), prediction, target


class ScoreMissing(Parabola):
    score = "accuracy"


class WrongSign(Parabola):
    def loss(self, batch):
        loss, prediction, target = super().loss(batch)
        return loss.detach() + 0 * prediction.sum(), prediction, target


class LeastSquares(Parabola, SolvedTask):
    def build_model(self, layers):
        return nn.Linear(2, 1, device="meta").to_empty(device="cpu").requires_grad_(False)

    def prepare(self, layers, **options):
        super().prepare(layers, **options)
        for parameter in self.model.parameters():
            parameter.zero_()

    def solve(self, generator):
        self.model.bias.copy_(self.data.train.tensors[1].mean(0))


class WithoutBaseline(LeastSquares):
    def build_model(self, layers):
        if isinstance(layers, PlainLayers):
            raise InvalidInput("no baseline")
        return super().build_model(layers)


class RefusesBaseline(Parabola):
    def build_model(self, layers):
        if isinstance(layers, PlainLayers):
            raise InvalidInput("no baseline")
        return super().build_model(layers)


class SolvesNothing(LeastSquares):
    def solve(self, generator):
        pass


FAULTS = [
    (BadDirection, "task_is_declared", "direction must be 'min' or 'max', got 'down'"),
    (NoScore, "task_is_declared", "score must be the name of a metric"),
    (AnyArguments, "task_is_declared", r"\*\*options"),
    (nn.Linear, "task_is_declared", "must be derived from kanzoo.task.Task"),
    (IgnoresSeed, "seed_decides_the_data", "another seed must give another training set"),
    (GlobalChance, "task_leaves_random_state_alone", "prepare with KANLayers must leave the global random state alone"),
    (OwnWeights, "task_leaves_random_state_alone", "prepare with KANLayers must leave"),
    (Empty, "data_is_sound", "the validation set must not be empty"),
    (NaNInData, "data_is_sound", "the train set must be finite"),
    (NoStages, "stages_are_not_empty", r"got \[\]"),
    (InfiniteLoss, "loss_and_score_are_finite", "must be one finite number"),
    (LossPerSample, "loss_and_score_are_finite", "must be one finite number"),
    (ScoreMissing, "loss_and_score_are_finite", r"metrics or report must contain the score 'accuracy', got \['mse'\]"),
    (WrongSign, "steps_lower_the_loss", "ten steps with KANLayers must lower the loss"),
    (SolvesNothing, "steps_lower_the_loss", "solve with KANLayers must lower the loss"),
]


@pytest.mark.parametrize("arguments", [None, {"samples": 40, "width": 3}])
def test_sound_task_passes(arguments):
    before = torch.get_rng_state()
    results = check_task(Parabola, arguments)
    assert [result.name for result in results] == [check.name for check in task_checks()]
    assert all(result.passed for result in results)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("task", [LeastSquares, WithoutBaseline])
def test_sound_task_that_solves_itself_passes(task):
    assert all(result.passed for result in check_task(task))


def test_a_task_of_steps_may_not_refuse_the_baseline():
    with pytest.raises(AssertionError, match="no baseline"):
        check_task(RefusesBaseline)


@pytest.mark.parametrize(("task", "name", "message"), FAULTS, ids=[f"{task.__name__}-{name}" for task, name, _ in FAULTS])
def test_each_fault_is_caught_by_its_check(task, name, message):
    (check,) = [check for check in task_checks() if check.name == name]
    with pytest.raises(AssertionError, match=message) as caught:
        check.run(TaskSubject(task.__name__, task, {}, None))
    assert str(caught.value).startswith(f"{task.__name__}: ")


def test_every_check_catches_something():
    assert {check.name for check in task_checks()} == {name for _, name, _ in FAULTS}


def test_unknown_argument_is_told():
    (first, *_) = check_task(Parabola, {"size": 3}, raise_on_failure=False)
    assert "got ['size']" in first.message


def test_failures_are_raised_together():
    with pytest.raises(AssertionError, match="1 of 7 checks failed\nseed_decides_the_data: IgnoresSeed: "):
        check_task(IgnoresSeed)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown task 'no_such_task'"):
        check_task("no_such_task")
