"""Strategies against forgetting: what a continual-learning task does beside fitting one experience after the other."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.utils.data import TensorDataset

from kanzoo.task import Batch

Name = Literal["naive", "cumulative", "replay", "ewc"]

#: Samples of an experience on which the Fisher information is taken: each costs a backward pass of its own.
FISHER_SAMPLES = 256


class Strategy:
    """The naive strategy, and the hooks of the others: fit each experience on its own samples, and do nothing about the earlier ones.

    A task calls `stages` once, `extend` on each training batch, adds `penalty` to each loss, and calls `remember` after each experience.
    """

    def stages(self, experiences: list[TensorDataset]) -> list[TensorDataset]:
        """Return the training sets from the samples of each experience."""
        return experiences

    def extend(self, batch: Batch) -> Batch:
        """Return what is fitted instead of a batch of the present experience."""
        return batch

    def penalty(self, model: nn.Module) -> Tensor:
        """Return what is added to the loss: zero."""
        return torch.zeros((), device=next(model.parameters()).device)

    def remember(self, model: nn.Module, samples: TensorDataset, groups: Tensor, log_likelihood: Callable[[Batch], Tensor]) -> None:
        """Keep what is needed of an experience that was just fitted.

        Args:
            model: the network.
            samples: of the experience.
            groups: a whole number for each sample, `(N,)`: its class, as far as classes are to be told apart.
            log_likelihood: of a batch of one sample, with a target drawn from what the network itself predicts.
        """


class Cumulative(Strategy):
    """Fit each experience together with all earlier ones: no strategy, but the bound that a strategy is measured by."""

    def stages(self, experiences: list[TensorDataset]) -> list[TensorDataset]:
        """Return the samples up to each experience."""
        columns = list(zip(*(experience.tensors for experience in experiences), strict=True))
        return [TensorDataset(*(torch.cat(column[: index + 1]) for column in columns)) for index in range(len(experiences))]


class Replay(Strategy):
    """Fit each batch together with as many samples drawn from a memory of earlier experiences (experience replay).

    The memory is balanced: of G groups seen so far each has `memory` // G places, the first ones one more where that leaves a rest, and
    it is filled with samples drawn without repetition. A batch is joined by as many samples as it has itself, or by the whole memory
    where that is smaller; the loss is the mean over both.

    Args:
        memory: samples kept at most.
        seed: of what is kept and drawn.

    Reference:
        Chaudhry et al., On tiny episodic memories in continual learning, arXiv:1902.10486; Prabhu et al., GDumb,
        doi:10.1007/978-3-030-58536-5_31, on balance.

    Example:
        >>> replay = Replay(memory=4)
        >>> samples = TensorDataset(torch.arange(10.0))
        >>> replay.remember(nn.Identity(), samples, groups=torch.arange(10) % 2, log_likelihood=torch.sum)
        >>> len(replay.extend(samples.tensors)[0])
        14
    """

    def __init__(self, memory: int, seed: int = 0) -> None:
        if memory < 1:
            raise ValueError(f"memory must be >= 1, got {memory}")
        self.memory = memory
        self._generator = Generator().manual_seed(seed)
        self._kept: dict[int, Batch] = {}

    @property
    def kept(self) -> Batch:
        """The samples in memory; empty before the first experience ends."""
        return tuple(map(torch.cat, zip(*self._kept.values(), strict=True)))

    def extend(self, batch: Batch) -> Batch:
        """Return the batch and as many samples from memory."""
        if not self._kept:
            return batch
        kept = self.kept
        rows = torch.randperm(len(kept[0]), generator=self._generator)[: len(batch[0])]
        return tuple(torch.cat([own, old[rows].to(own)]) for own, old in zip(batch, kept, strict=True))

    def remember(self, model: nn.Module, samples: TensorDataset, groups: Tensor, log_likelihood: Callable[[Batch], Tensor]) -> None:
        """Make room for the groups of this experience, and fill it."""
        order = torch.randperm(len(samples), generator=self._generator)
        for group in sorted(set(groups.tolist())):
            rows = order[groups[order] == group]
            new = samples[rows]
            old = self._kept.get(group)
            self._kept[group] = new if old is None else tuple(map(torch.cat, zip(old, new, strict=True)))
        places, rest = divmod(self.memory, len(self._kept))
        for index, (group, content) in enumerate(self._kept.items()):
            self._kept[group] = tuple(tensor[: places + (index < rest)] for tensor in content)  # in random order: a fair choice


class EWC(Strategy):
    r"""Elastic weight consolidation: hold each parameter as strongly as earlier experiences depend on it.

    The loss of an experience gains $\frac{\lambda}{2} \sum_e \sum_k F^{(e)}_k (\theta_k - \theta^{(e)}_k)^2$, the sum taken over earlier
    experiences e, with the parameters $\theta^{(e)}$ after each and the diagonal $F^{(e)}$ of its Fisher information, see `fisher`.

    Args:
        strength: λ.
        seed: of the samples on which the Fisher information is taken.

    Reference:
        Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, arXiv:1612.00796.
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        if strength < 0:
            raise ValueError(f"strength must be >= 0, got {strength}")
        self.strength = strength
        self._generator = Generator().manual_seed(seed)
        self._anchors: list[tuple[list[Tensor], list[Tensor]]] = []  # Fisher information and parameters, after each experience

    def penalty(self, model: nn.Module) -> Tensor:
        """Return the quadratic penalty."""
        total = super().penalty(model)
        parameters = list(model.parameters())
        for weights, anchors in self._anchors:
            for parameter, weight, anchor in zip(parameters, weights, anchors, strict=True):
                total = total + (weight.to(parameter) * (parameter - anchor.to(parameter)).square()).sum()
        return self.strength / 2 * total

    def remember(self, model: nn.Module, samples: TensorDataset, groups: Tensor, log_likelihood: Callable[[Batch], Tensor]) -> None:
        """Take the Fisher information on some samples of this experience."""
        rows = torch.randperm(len(samples), generator=self._generator)[:FISHER_SAMPLES]
        weights = fisher(model, (log_likelihood(samples[row : row + 1]) for row in rows.tolist()))
        self._anchors.append((weights, [parameter.detach().clone() for parameter in model.parameters()]))


def fisher(model: nn.Module, log_likelihoods: Iterable[Tensor]) -> list[Tensor]:
    r"""Return the diagonal of the Fisher information, $F_k = \frac1N \sum_n (\partial_{\theta_k} \log p(y_n \mid x_n))^2$.

    Args:
        model: the network.
        log_likelihoods: $\log p(y_n \mid x_n)$, one number a sample, with $y_n$ drawn from p itself.

    Returns:
        One tensor for each parameter, of its shape.

    Raises:
        ValueError: there are no samples.

    Reference:
        Martens, New insights and perspectives on the natural gradient method, arXiv:1412.1193, on targets drawn from the model.
    """
    parameters = list(model.parameters())
    sums, count = [torch.zeros_like(parameter) for parameter in parameters], 0
    for value in log_likelihoods:
        for total, gradient in zip(sums, torch.autograd.grad(value, parameters, materialize_grads=True), strict=True):
            total += gradient.square()
        count += 1
    if not count:
        raise ValueError("the Fisher information needs one sample or more, got 0")
    return [total / count for total in sums]


def make(name: Name, *, memory: int, ewc_lambda: float, seed: int) -> Strategy:
    """Return a strategy by name."""
    if name == "replay":
        return Replay(memory, seed)
    if name == "ewc":
        return EWC(ewc_lambda, seed)
    return Cumulative() if name == "cumulative" else Strategy()
