"""The grid update of an adaptive basis: in place, finite on nasty samples, and the layer's function stays."""

import copy
import math

import torch
from torch import Tensor

from kanzoo.basis import AdaptiveBasis
from kanzoo.layers import KANLinear
from kanzoo.testing.check import basis_check
from kanzoo.testing.random_state import generator, same_random_state
from kanzoo.testing.subject import Subject, points, spread

#: A function kept by a grid update changes by less than this, relative to its largest value, in float32.
UPDATE_TOLERANCE = 1e-5


@basis_check(AdaptiveBasis)
def grid_update_is_in_place(subject: Subject) -> None:
    """`update_grid` returns None, moves the grid, and keeps its tensors: same objects, shapes and dtypes; it writes no samples."""
    basis = subject.make()
    before = {name: (tensor, tensor.clone()) for name, tensor in (*basis.named_parameters(), *basis.named_buffers())}
    x = _samples(basis.domain, 200, 3)
    kept = x.clone()
    with same_random_state(subject.require, "update_grid"):
        returned = basis.update_grid(x)
    subject.require(returned is None, "update_grid must return None", type(returned).__name__)
    subject.require(torch.equal(x, kept), "update_grid must not write its samples", "changed samples")
    after = dict((*basis.named_parameters(), *basis.named_buffers()))
    kept_all = after.keys() == before.keys() and all(
        after[name] is tensor and tensor.shape == old.shape for name, (tensor, old) in before.items()
    )
    subject.require(kept_all, "update_grid must write into its tensors", "replaced or resized ones")
    moved = any(not torch.equal(after[name], old) for name, (_, old) in before.items())
    subject.require(moved, "update_grid must move the knots or centers", "the old ones")


@basis_check(AdaptiveBasis)
def grid_update_is_finite_on_nasty_samples(subject: Subject) -> None:
    """After an update on constant, repeated, few or clustered samples, values and gradients are finite on the domain."""
    (low, high), count = subject.make().domain, subject.make().num_basis
    middle = low + 0.3 * (high - low)
    few = _samples((low, high), max(2, count - 1), 2)
    nasty = {
        "a constant feature": torch.cat([torch.full((50, 1), middle), _samples((low, high), 50, 1)], 1),
        "one sample": torch.full((1, 2), middle),
        "fewer samples than functions": few,
        "two values, repeated": torch.tensor([low, high]).repeat(25)[:, None].repeat(1, 2),
        "one end alone": torch.full((20, 2), high),
        "a cluster and an outlier": torch.cat([middle + 1e-6 * few.repeat(20, 1), torch.full((1, 2), high)]),
    }
    for what, x in nasty.items():
        subject.require_at(x, f"values and gradients must be finite after an update on {what}", _not_finite_after)


def _not_finite_after(subject: Subject, x: Tensor) -> str | None:
    basis = subject.make(x.shape[-1])
    basis.update_grid(x.clone())
    for where, place in (("the domain", spread(basis.domain, 257, x.shape[-1], torch.float32)), ("the samples", x.clone())):
        value = basis(place.requires_grad_())
        (gradient,) = torch.autograd.grad(value.sum(), place)
        for name, found in (("values", value), ("gradients", gradient)):
            if not found.isfinite().all():
                return f"NaN or infinity in the {name} on {where}"
    return None


@basis_check(AdaptiveBasis)
def grid_update_keeps_the_function(subject: Subject) -> None:
    """A layer's function stays when its grid moves: by 1e-5 where old and new functions span it, in float32.

    The function is a polynomial of degree order - 1 (1 where there is no order), fitted. Where the family cannot hold it, as radial
    functions cannot, the change may be ten times the error of that fit.
    """
    x = _samples(subject.make().domain, 600, 2)
    change, allowed = _change(subject, x)
    least = 0.0 if change < allowed else change / 2 if math.isfinite(change) else change  # fewer samples must show it as clearly

    def changed(subject: Subject, x: Tensor) -> str | None:
        change, allowed = _change(subject, x)
        return None if change < max(allowed, least) else f"a change of {change:.3g} of its size, allowed is {allowed:.2g}"

    subject.require_at(x, "a grid update must keep the function at its samples", changed)


def _change(subject: Subject, x: Tensor) -> tuple[float, float]:
    """Fit a polynomial on many samples, update the grid on `x`; return the largest change there, and what is allowed."""
    layer = KANLinear(x.shape[-1], 3, subject.factory, squash="none", residual="none", generator=generator())
    assert layer.expansion is not None
    basis = layer.expansion.basis
    assert isinstance(basis, AdaptiveBasis)
    low, high = basis.domain
    degree = 1 if basis.order is None else min(basis.order - 1, 3)

    def polynomial(x: Tensor) -> Tensor:
        unit = (2 * x - low - high) / (high - low)
        return sum((unit**power / (power + 1) for power in range(degree + 1)), torch.zeros_like(x)).double()

    many = _samples(basis.domain, 600, x.shape[-1])
    with torch.no_grad():
        a = basis(many).double().transpose(0, 1)  # (features, N, K)
        solution = torch.linalg.lstsq(a, polynomial(many).T[..., None], rcond=1e-9, driver="gelsd").solution
        layer.coeff.copy_(solution[..., 0].to(layer.weight.dtype).expand(3, -1, -1))
        fitted, before = layer(many), layer(x)
        size = float(fitted.abs().max())
        error = float((fitted[:, 0] - polynomial(many).sum(-1)).abs().max()) / size
        allowed = max(UPDATE_TOLERANCE, 10 * error if error > UPDATE_TOLERANCE else 0)
        trial = copy.deepcopy(basis)
        trial.update_grid(x.clone())
        if not trial(x).isfinite().all():  # LAPACK would complain about such numbers on its own
            return math.inf, allowed
        layer.update_grid(x)
        return float((layer(x) - before).abs().max()) / size, allowed


def _samples(domain: tuple[float, float], count: int, in_features: int) -> Tensor:
    """Return samples of the domain that are denser on one side."""
    low, high = domain
    return points((0.0, 1.0), count, in_features, dtype=torch.float32, seed=5).square() * (high - low) + low
