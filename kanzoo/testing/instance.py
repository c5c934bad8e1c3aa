"""An instance of a basis as a torch module: same bits again, faithful copies, no side effects, refused values, gradients."""

import contextlib
import copy
import io
import pickle
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import AdaptiveBasis, Basis, EdgeBasis
from kanzoo.testing.broken import Broken
from kanzoo.testing.check import basis_check
from kanzoo.testing.random_state import generator, same_random_state
from kanzoo.testing.subject import Subject, points


@basis_check(Basis, EdgeBasis)
def result_is_deterministic(subject: Subject) -> None:
    """The same input gives the same bits: twice, and from two instances."""

    def twice(subject: Subject, x: Tensor) -> str | None:
        basis = subject.make(x.shape[-1])
        return _difference(basis(x), basis(x))

    x = _points(subject)
    subject.require_at(x, "two calls must give the same bits", twice)
    subject.require_at(
        x,
        "two instances must give the same bits",
        lambda subject, x: _difference(subject.make(x.shape[-1])(x), subject.make(x.shape[-1])(x)),
    )


@basis_check(Basis, EdgeBasis)
def training_mode_changes_nothing(subject: Subject) -> None:
    """Training and evaluation mode give the same bits."""

    def both(subject: Subject, x: Tensor) -> str | None:
        basis = subject.make(x.shape[-1])
        return _difference(basis.train()(x), basis.eval()(x))

    subject.require_at(_points(subject), "training and evaluation mode must give the same bits", both)


@basis_check(Basis, EdgeBasis)
def state_survives_state_dict(subject: Subject) -> None:
    """A fresh instance that loads the state of another gives the same bits: grids are buffers."""

    def loaded(subject: Subject, x: Tensor) -> str | None:
        basis, fresh = _shaken(subject, x.shape[-1]), subject.make(x.shape[-1])
        fresh.load_state_dict(basis.state_dict())
        return _difference(basis(x), fresh(x))

    subject.require_at(_points(subject), "a fresh instance with the same state_dict must give the same bits", loaded)


@basis_check(Basis, EdgeBasis)
def copies_are_equal(subject: Subject) -> None:
    """Deep copies, pickles and saved modules give the same bits."""
    try:
        _copies(_shaken(subject))
    except Exception as error:  # pickle raises whatever it likes
        rule = "must survive deepcopy, pickle and torch.save"
        raise Broken(subject.name, rule, f"{type(error).__name__}: {error}") from error

    def copied(subject: Subject, x: Tensor) -> str | None:
        basis = _shaken(subject, x.shape[-1])
        found = {way: _difference(basis(x), other(x)) for way, other in _copies(basis).items()}
        return next((f"{difference} by {way}" for way, difference in found.items() if difference), None)

    subject.require_at(_points(subject), "a copy must give the same bits", copied)


@basis_check(Basis, EdgeBasis)
def random_state_is_untouched(subject: Subject) -> None:
    """Neither the constructor nor a call touches the global random state of torch, numpy or Python."""
    with same_random_state(subject.require, "the constructor"):
        basis = subject.make()
    with same_random_state(subject.require, "a call"):
        basis(points(basis.domain, 5, 3, dtype=torch.float32))


@basis_check(Basis, EdgeBasis)
def input_is_not_written(subject: Subject) -> None:
    """A call leaves its input as it was, outside the domain too: layers, tools and people use it again."""

    def written(subject: Subject, x: Tensor) -> str | None:
        given = x.clone()
        with contextlib.suppress(Exception):  # what it says there is not the question here
            subject.make(x.shape[-1])(given)
        return None if torch.equal(given, x) else "other numbers in it"

    low, high = subject.make().domain
    subject.require_at(1.5 * (_points(subject) - (low + high) / 2) + (low + high) / 2, "a call must not write to its input", written)


@basis_check(Basis, EdgeBasis)
def arguments_are_not_written(subject: Subject) -> None:
    """The constructor leaves the values of its arguments as they were."""
    values = {name: copy.deepcopy(argument.default) for name, argument in subject.arguments().items()} | copy.deepcopy(subject.filled)
    before = repr(values)
    subject.make(**values)
    subject.require(repr(values) == before, f"the arguments {before} must stay as they are", repr(values))


@basis_check(Basis, EdgeBasis)
def ranges_are_enforced(subject: Subject) -> None:
    """A value outside the range in an argument's annotation, and a negative resolution, is refused with ValueError."""
    for name, argument in subject.arguments().items():
        resolution = issubclass(subject.made, Basis) and name == subject.made.resolution
        for value in (-1, 0, 10**9):
            if argument.plain_type not in (int, float) or (argument.violation(value) is None and not (resolution and value < 0)):
                continue
            rule = f"{name} = {value} must be refused with ValueError{f', it must be {argument.rules}' if argument.rules else ''}"
            try:
                subject.make(**{name: value})
            except ValueError:
                continue
            except Exception as error:
                raise Broken(subject.name, rule, f"{type(error).__name__}: {error}") from error
            subject.require(False, rule, "no error")


@basis_check(Basis, EdgeBasis)
def every_parameter_gets_a_gradient(subject: Subject) -> None:
    """Every trainable parameter inside gets a finite gradient."""
    basis = subject.make()
    value = basis(points(basis.domain, 17, 3, dtype=torch.float32))
    parameters = [(name, parameter) for name, parameter in basis.named_parameters() if parameter.requires_grad]
    if not parameters:
        return
    value.square().sum().backward()
    dead = [name for name, parameter in parameters if parameter.grad is None or not parameter.grad.isfinite().all()]
    subject.require(not dead, "every trainable parameter must get a finite gradient", f"none for {', '.join(dead)}")


def _copies(basis: nn.Module) -> dict[str, nn.Module]:
    """Return a deep copy and the copies that come back from pickle and torch.save."""
    buffer = io.BytesIO()
    torch.save(basis, buffer)
    buffer.seek(0)
    return {
        "copy.deepcopy": copy.deepcopy(basis),
        "pickle": pickle.loads(pickle.dumps(basis)),
        "torch.save": torch.load(buffer, weights_only=False),
    }


def _points(subject: Subject) -> Tensor:
    return points(subject.make().domain, 17, 3, dtype=torch.float32)


def _difference(one: Tensor, other: Tensor) -> str | None:
    """Return the largest difference in words, or None where the bits are the same."""
    if torch.equal(one, other):
        return None
    return f"a difference of {float((one - other).detach().abs().max()):.3g}" if one.shape == other.shape else "another shape"


def _shaken(subject: Subject, in_features: int = 3) -> Any:
    """Return a basis whose parameters and grid are no longer those of a fresh one."""
    basis = subject.make(in_features)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.add_(0.1 * torch.rand(parameter.shape, generator=generator(), dtype=parameter.dtype))
    if isinstance(basis, AdaptiveBasis):
        basis.update_grid(points(basis.domain, 50, in_features, dtype=torch.float32, seed=3))
    return basis
