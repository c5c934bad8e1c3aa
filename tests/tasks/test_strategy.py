from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from kanzoo_tasks.strategy import EWC, Cumulative, Replay, Strategy, fisher, make


def unused(batch: tuple[Tensor, ...]) -> Tensor:
    raise AssertionError("not asked")


def logistic(seed: int = 0) -> nn.Linear:
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.randn(1, 3, generator=torch.Generator().manual_seed(seed)))
        model.bias.fill_(0.3)
    return model


def samples(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator), torch.randint(0, 2, (count,), generator=generator).float()


def likelihood(model: nn.Linear) -> Callable[[tuple[Tensor, ...]], Tensor]:
    """Return log p(y | x) = log sigmoid(±(w x + b)) of a sample."""
    return lambda batch: nn.functional.logsigmoid((2 * batch[1] - 1) * model(batch[0])[:, 0]).sum()


def test_fisher_of_a_logistic_model() -> None:
    """The gradient of log p is (y - p)(x, 1), so the diagonal is the mean of (y - p)² (x², 1)."""
    model, (x, y) = logistic(), samples(20)
    found = fisher(model, (likelihood(model)((x[row : row + 1], y[row : row + 1])) for row in range(20)))
    error = (y - torch.sigmoid(model(x)[:, 0])).detach().square()
    torch.testing.assert_close(found[0], (error[:, None] * x.square()).mean(0, keepdim=True))
    torch.testing.assert_close(found[1], error.mean()[None])


def test_a_parameter_that_is_not_used_has_no_fisher_information() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    found = fisher(model, [model[0](torch.ones(1, 1)).sum()])
    assert [float(tensor.sum()) for tensor in found] == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="one sample or more, got 0"):
        fisher(model, [])


def test_the_penalty_and_its_gradient() -> None:
    """λ/2 Σ F (θ - θ*)², whose gradient is λ F (θ - θ*), added up over experiences."""
    model, ewc, terms = logistic(), EWC(strength=7.0), []
    assert ewc.penalty(model) == 0
    for seed in (0, 1):
        x, y = samples(20, seed)
        weights = fisher(model, (likelihood(model)((x[row : row + 1], y[row : row + 1])) for row in range(20)))
        terms.append((weights, [parameter.detach().clone() for parameter in model.parameters()]))
        ewc.remember(model, TensorDataset(x, y), torch.zeros(20), likelihood(model))
        if seed == 0:
            assert ewc.penalty(model) == 0  # at the anchor
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.5)
    penalty = ewc.penalty(model)
    penalty.backward()
    expected = 0.0
    for index, parameter in enumerate(model.parameters()):
        pulls = [weights[index] * (parameter.detach() - anchors[index]) for weights, anchors in terms]
        torch.testing.assert_close(parameter.grad, 7 * sum(pulls))
        expected += sum(
            float((pull * (parameter.detach() - anchors[index])).sum()) for pull, (_, anchors) in zip(pulls, terms, strict=True)
        )
    assert float(penalty.detach()) == pytest.approx(3.5 * expected, rel=1e-5)


def test_ewc_keeps_what_matters() -> None:
    """Gradient descent on another target moves the weight that the first experience does not use, and hardly the other."""
    model = nn.Linear(2, 1, bias=False)
    nn.init.ones_(model.weight)
    ewc, x = EWC(strength=1000.0), torch.tensor([[1.0, 0.0]])
    ewc.remember(model, TensorDataset(x), torch.zeros(1), lambda batch: model(batch[0]).sum())
    for _ in range(200):
        loss = (model(torch.ones(1, 2)) - 5).square().sum() + ewc.penalty(model)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            model.weight -= 1e-3 * model.weight.grad
    kept, free = model.weight[0].tolist()
    assert kept == pytest.approx(1, abs=0.01)
    assert free > 1.5


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=40), min_size=1, max_size=4))
def test_the_memory_is_bounded_and_balanced(memory: int, stages: list[list[int]]) -> None:
    replay, seen = Replay(memory, seed=0), 0
    counts: dict[int, int] = {}
    for stage in stages:
        groups = torch.tensor(stage)
        numbers = torch.arange(seen, seen + len(stage))
        seen += len(stage)
        for group in stage:
            counts[group] = counts.get(group, 0) + 1
        replay.remember(nn.Identity(), TensorDataset(numbers, groups), groups, unused)
    kept, groups = replay.kept
    assert len(kept) <= memory
    assert len(kept.unique()) == len(kept)  # none twice
    sizes = torch.bincount(groups, minlength=6)
    for group, count in counts.items():
        assert int(sizes[group]) <= -(-memory // len(counts))
        if len(stages) == 1:  # later stages cannot bring back what was thrown away
            assert int(sizes[group]) >= min(count, memory // len(counts))


def test_classes_are_balanced() -> None:
    replay = Replay(memory=10)
    for group in range(3):
        replay.remember(nn.Identity(), TensorDataset(torch.full((50,), group)), torch.full((50,), group), unused)
        assert max(torch.bincount(replay.kept[0]).tolist()) - min(torch.bincount(replay.kept[0]).tolist()) <= 1
        assert len(replay.kept[0]) == 10
    assert torch.bincount(replay.kept[0]).tolist() == [4, 3, 3]


def test_the_seed_decides_and_the_global_state_stays() -> None:
    def after(seed: int) -> tuple[Tensor, ...]:
        replay = Replay(memory=5, seed=seed)
        replay.remember(nn.Identity(), TensorDataset(torch.arange(100)), torch.zeros(100), unused)
        return (*replay.kept, *replay.extend((torch.zeros(3, dtype=torch.int64),)))

    before = torch.get_rng_state()
    one, again, other = after(1), after(1), after(2)
    assert all(map(torch.equal, one, again))
    assert not all(map(torch.equal, one, other))
    assert torch.equal(before, torch.get_rng_state())


def test_a_batch_is_joined_by_as_many_samples() -> None:
    replay, batch = Replay(memory=20), (torch.zeros(8), torch.zeros(8, dtype=torch.int64))
    assert replay.extend(batch) is batch  # nothing to remember yet
    replay.remember(nn.Identity(), TensorDataset(torch.arange(1.0, 101), torch.ones(100, dtype=torch.int64)), torch.zeros(100), unused)
    x, y = replay.extend(batch)
    assert torch.equal(x[:8], batch[0])
    assert y.tolist() == [0] * 8 + [1] * 8
    assert len(x[8:].unique()) == 8
    large = replay.extend((torch.zeros(50), torch.zeros(50, dtype=torch.int64)))[0]
    assert sorted(large[50:].tolist()) == sorted(replay.kept[0].tolist())  # the whole memory, every time: a line search needs that


def test_cumulative_stages() -> None:
    stages = Cumulative().stages([TensorDataset(torch.arange(2)), TensorDataset(torch.arange(2, 5))])
    assert [stage.tensors[0].tolist() for stage in stages] == [[0, 1], [0, 1, 2, 3, 4]]


def test_the_naive_strategy_does_nothing() -> None:
    naive, stages, batch = Strategy(), [TensorDataset(torch.arange(3))], (torch.zeros(2),)
    naive.remember(logistic(), stages[0], torch.zeros(3), unused)
    assert naive.stages(stages) is stages
    assert naive.extend(batch) is batch
    assert naive.penalty(logistic()) == 0


def test_by_name() -> None:
    found = [type(make(name, memory=3, ewc_lambda=2.0, seed=0)) for name in ("naive", "cumulative", "replay", "ewc")]
    assert found == [Strategy, Cumulative, Replay, EWC]
    with pytest.raises(ValueError, match="memory must be >= 1, got 0"):
        Replay(0)
    with pytest.raises(ValueError, match="strength must be >= 0, got -1"):
        EWC(-1)
