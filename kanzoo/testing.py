"""The conformance suite for plug-ins, shipped with the package: it checks the contract and the mathematics.

In a plug-in's own tests one line is enough:

    from kanzoo.testing import parametrize_with_basis_checks

    test_contract = parametrize_with_basis_checks("mexican_hat")

Without pytest, `check_basis("mexican_hat")` does the same, and `check_task("regression")` checks a task. A check is a function
that raises AssertionError with name, rule and value. No check leaves a trace in a global random state.
"""

import copy
import io
import itertools
import math
import pickle
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor, nn

from kanzoo.basis import AdaptiveBasis, Basis, BasisFactory, ColumnBasis, EdgeBasis
from kanzoo.errors import InvalidInput
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.models import KAN
from kanzoo.registry import find, plugins
from kanzoo.signature import Argument, arguments_of

if TYPE_CHECKING:
    from kanzoo.task import Task

#: Singular values below this share of the largest count as zero: the functions are dependent.
RANK_TOLERANCE = 1e-10
#: The measured order of convergence may differ from the declared one by this much.
ORDER_TOLERANCE = 0.5
#: A basis of unknown or spectral order must lower the error by this factor when its resolution is doubled twice.
ERROR_FACTOR = 8.0
#: Errors below this are rounding, and need not fall further.
ERROR_FLOOR = 1e-9
#: A function kept by a grid update changes by less than this, relative to its largest value, in float32.
UPDATE_TOLERANCE = 1e-5
#: A hundred steps of Adam must divide the loss of a small regression by this.
TRAINING_FACTOR = 5.0


@dataclass(frozen=True)
class CheckResult:
    """What became of one check.

    Attributes:
        name: name of the check.
        passed: whether the contract holds.
        seconds: wall-clock time.
        message: empty, or what is wrong: name, rule and value.
    """

    name: str
    passed: bool
    seconds: float
    message: str


@dataclass(frozen=True)
class Check:
    """One rule of a contract.

    Attributes:
        applies_to: class whose subclasses must obey, `Basis`, `AdaptiveBasis` or `EdgeBasis`, or several.
        run: raises AssertionError when the rule is broken.
    """

    applies_to: tuple[type, ...]
    run: Callable[[Any], None]

    @property
    def name(self) -> str:
        """Name of the function, which people see."""
        return self.run.__name__

    @property
    def rule(self) -> str:
        """The rule in words: the first line of the function's docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]


@dataclass(frozen=True)
class Subject:
    """A basis under test: its name in messages, and how it is made."""

    name: str
    factory: BasisFactory

    @classmethod
    def of(cls, basis: "str | BasisFactory") -> "Subject":
        """Take a registry name, a class, or a partial of one.

        Raises:
            InvalidInput: the name is unknown, or the plug-in cannot be imported.
        """
        if isinstance(basis, str):
            return cls(basis, find("basis", basis).load())
        made = _unwrap(basis)
        return cls(getattr(made, "__name__", repr(basis)), basis)

    @property
    def made(self) -> type:
        """The class itself, without the arguments that a partial fills in."""
        return _unwrap(self.factory)  # type: ignore[no-any-return]

    @property
    def filled(self) -> dict[str, Any]:
        """The arguments that a partial fills in."""
        found: dict[str, Any] = {}
        layer: Any = self.factory
        while isinstance(layer, partial):
            found = {**layer.keywords, **found}
            layer = layer.func
        return found

    def arguments(self) -> dict[str, Argument]:
        """Return the constructor's keyword-only arguments."""
        return arguments_of(self.made, self.name)

    def make(self, in_features: int = 3, **overrides: Any) -> Any:
        """Build it; an `EdgeBasis` gets two outputs."""
        sizes = (in_features, 2) if issubclass(self.made, EdgeBasis) else (in_features,)
        return self.factory(*sizes, **overrides)

    def values(self, basis: nn.Module, x: Tensor) -> Tensor:
        """Evaluate to `(*batch, in, functions)`, for both contracts."""
        value: Tensor = basis(x)
        return value.transpose(-1, -2) if isinstance(basis, EdgeBasis) else value

    def require(self, condition: object, rule: str, value: object) -> None:
        """Raise AssertionError with name, rule and value unless the condition holds."""
        if not condition:
            raise AssertionError(f"{self.name}: {rule}, got {value}")


_BASIS_CHECKS: list[Check] = []
_TASK_CHECKS: list[Check] = []


def _check(*applies_to: type) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        _BASIS_CHECKS.append(Check(applies_to, function))
        return function

    return register


def basis_checks(kind: type | None = None) -> tuple[Check, ...]:
    """Return the checks of a basis: all of them, or those that apply to a class.

    Example:
        >>> [check.name for check in basis_checks(AdaptiveBasis)][-3:]
        ['grid_update_is_in_place', 'grid_update_is_finite_on_nasty_samples', 'grid_update_keeps_the_function']
    """
    return tuple(check for check in _BASIS_CHECKS if kind is None or issubclass(kind, check.applies_to))


def check_basis(basis: "str | BasisFactory", *, raise_on_failure: bool = True) -> list[CheckResult]:
    """Run every check that applies to a basis.

    Args:
        basis: a registry name, a `Basis` or `EdgeBasis` class, or a `functools.partial` of one.
        raise_on_failure: raise when a check fails, or only return the results.

    Raises:
        AssertionError: at least one check failed; the message has a line for each.
        InvalidInput: the name is unknown, or the plug-in cannot be imported.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> all(result.passed for result in check_basis(Chebyshev))
        True
    """
    subject = Subject.of(basis)
    return _report(_run(_checks_of(subject), subject), raise_on_failure)


def parametrize_with_basis_checks(*names: str) -> Callable[..., None]:
    """Return a test function for pytest, one case for each check of each basis.

    Args:
        names: registry names; all registered bases when there are none.

    Example:
        test_contract = parametrize_with_basis_checks("mexican_hat")
    """
    import pytest

    cases = []
    for name in names or sorted(plugins("basis")):
        try:
            checks = _checks_of(Subject.of(name))
        except InvalidInput:  # collection goes on, and the case itself tells it
            checks = (Check((), is_a_basis),)
        cases += [pytest.param(name, check, id=f"{name}-{check.name}") for check in checks]

    @pytest.mark.parametrize(("basis", "check"), cases)
    def test_contract(basis: str, check: Check) -> None:
        check.run(Subject.of(basis))

    return test_contract


def is_a_basis(subject: Subject) -> None:
    """It is a class derived from Basis or EdgeBasis."""
    good = isinstance(subject.made, type) and issubclass(subject.made, Basis | EdgeBasis)
    subject.require(good, "must be derived from Basis or EdgeBasis", subject.made)


def _checks_of(subject: Subject) -> tuple[Check, ...]:
    """Return the checks that apply, or the one that tells why none does."""
    checks = basis_checks(subject.made) if isinstance(subject.made, type) else ()
    return checks or (Check((), is_a_basis),)


def _run(checks: Sequence[Check], subject: Any) -> list[CheckResult]:
    results = []
    for check in checks:
        start = time.perf_counter()
        message = ""
        try:
            check.run(subject)
        except AssertionError as error:
            message = str(error)
        except Exception as error:  # the plug-in itself failed
            message = f"{subject.name}: {type(error).__name__}: {error}"
        results.append(CheckResult(check.name, not message, time.perf_counter() - start, message))
    return results


def _report(results: list[CheckResult], raise_on_failure: bool) -> list[CheckResult]:
    failures = [f"{result.name}: {result.message}" for result in results if not result.passed]
    if failures and raise_on_failure:
        raise AssertionError(f"{len(failures)} of {len(results)} checks failed\n" + "\n".join(failures))
    return results


# ---------------------------------------------------------------------------------------------------------------- the tools


def _unwrap(factory: Any) -> Any:
    while isinstance(factory, partial):
        factory = factory.func
    return factory


def _generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def _points(domain: tuple[float, float], *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return generic points, well inside the domain and on no knot."""
    low, high = domain
    return (low + (high - low) * (0.02 + 0.96 * torch.rand(shape, generator=_generator(seed), dtype=torch.float64))).to(dtype)


def _spread(domain: tuple[float, float], count: int, in_features: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return evenly spaced points of the closed domain, the same for all features: `(count, in_features)`."""
    return torch.linspace(*domain, count, dtype=dtype)[:, None].repeat(1, in_features)


def _states() -> dict[str, Any]:
    found = {"torch": torch.get_rng_state().tolist(), "random": random.getstate()}
    if "numpy" in sys.modules:
        kind, keys, *rest = sys.modules["numpy"].random.get_state()
        found["numpy"] = (kind, keys.tolist(), *rest)
    return found


@contextmanager
def _same_random_state(require: Callable[[object, str, object], None], what: str) -> Iterator[None]:
    """Require that the block leaves the global random states alone; put them back in any case."""
    numpy = sys.modules.get("numpy")
    saved = torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None
    # States that no plug-in would set by chance, so that a seed set inside shows.
    torch.manual_seed(718281828)
    random.seed(718281828)
    if numpy:
        numpy.random.seed(718281828)
    try:
        before = _states()
        yield
        after = _states()
    finally:
        torch.set_rng_state(saved[0])
        random.setstate(saved[1])
        if numpy:
            numpy.random.set_state(saved[2])
    touched = [name for name, state in before.items() if after[name] != state]
    require(not touched, f"{what} must leave the global random state alone", f"a changed state of {', '.join(touched)}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: for tiny tensors several only wait for each other, for seconds on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _resolutions(subject: Subject, sizes: Sequence[int]) -> list[int]:
    """Return resolutions that are allowed, of about these sizes.

    They are the sizes themselves, unless the number of functions grows as a power with the resolution, as with levels of wavelets:
    then those that give at least so many functions.
    """
    resolution = getattr(subject.made, "resolution", None)
    rule = subject.arguments().get(str(resolution))
    if rule is None:
        return []

    def count(size: int) -> int:
        return int(subject.make(1, **{rule.name: size}).num_basis)

    if rule.violation(8) is None and rule.violation(4) is None and count(8) <= 6 * count(4):
        return [size for size in sizes if rule.violation(size) is None]
    found: list[int] = []
    for size in range(1, 17):
        if rule.violation(size) is None and len(found) < len(sizes) and count(size) >= sizes[len(found)]:
            found.append(size)
    return found


def _design(subject: Subject, basis: Basis, x: Tensor) -> Tensor:
    """Return the collocation matrix of the first feature: `(points, K)`."""
    return subject.values(basis, x[:, None].expand(-1, basis.in_features))[:, 0]


def _fit_error(subject: Subject, size: int) -> tuple[int, float]:
    """Return K and the root mean square error of the best fit to exp(sin) over the domain, relative to the function's own size."""
    basis = subject.make(1, **{subject.made.resolution: size}).double()  # type: ignore[attr-defined]
    low, high = basis.domain
    # An irrational number of points a cell: no knot meets a point.
    x = low + (high - low) * (torch.arange(1500, dtype=torch.float64) + math.sqrt(0.5)) / 1501
    target = torch.sin(2 * math.pi * (x - low) / (high - low)).exp()
    a = torch.cat([torch.ones(len(x), 1, dtype=torch.float64), _design(subject, basis, x).detach()], 1)
    fitted = a @ torch.linalg.lstsq(a, target[:, None], rcond=1e-13, driver="gelsd").solution
    return basis.num_basis, float((fitted[:, 0] - target).norm() / target.norm())


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


def _shaken(subject: Subject) -> Any:
    """Return a basis whose parameters and grid are no longer those of a fresh one."""
    basis = subject.make()
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.add_(0.1 * torch.rand(parameter.shape, generator=_generator(), dtype=parameter.dtype))
    if isinstance(basis, AdaptiveBasis):
        basis.update_grid(_points(basis.domain, 50, 3, dtype=torch.float32, seed=3))
    return basis


# ------------------------------------------------------------------------------------------------------------ the contract


@_check(Basis, EdgeBasis)
def signature_is_a_schema(subject: Subject) -> None:
    """Every constructor argument but the sizes is keyword-only, typed and has a default; no `*args`, no `**kwargs`."""
    import inspect

    try:
        found = subject.arguments()
    except InvalidInput as error:
        raise AssertionError(f"{subject.name}: {error.message}") from error
    sizes = 2 if issubclass(subject.made, EdgeBasis) else 1
    positional = [
        parameter.name
        for parameter in list(inspect.signature(subject.made.__init__).parameters.values())[1:]  # type: ignore[misc]
        if parameter.kind is not parameter.KEYWORD_ONLY
    ]
    expected = ["in_features", "out_features"][:sizes]
    subject.require(positional == expected, f"arguments that are not keyword-only must be {', '.join(expected)}", positional)
    unknown = sorted(set(subject.filled) - set(found))
    subject.require(not unknown, "arguments that a partial fills in must be those of the constructor", unknown)


@_check(Basis, EdgeBasis)
def class_attributes_are_declared(subject: Subject) -> None:
    """`reference` is not empty; of a Basis, `resolution` names a constructor argument and `support` is local or global."""
    reference = getattr(subject.made, "reference", None)
    subject.require(isinstance(reference, str) and reference.strip(), "reference must be a DOI or arXiv id", repr(reference))
    if not issubclass(subject.made, Basis):
        return
    resolution, support = getattr(subject.made, "resolution", None), getattr(subject.made, "support", None)
    names = list(subject.arguments())
    subject.require(resolution in names, f"resolution must name one of the arguments {names}", repr(resolution))
    subject.require(support in ("local", "global"), "support must be 'local' or 'global'", repr(support))
    order = subject.make().order
    subject.require(order is None or (type(order) is int and order >= 1), "order must be None or an integer >= 1", repr(order))


@_check(Basis, EdgeBasis)
def values_have_the_shape(subject: Subject) -> None:
    """Input `(*batch, in)` gives `(*batch, in, K)`, of an EdgeBasis `(*batch, out, in)`, for any leading dimensions."""
    for in_features in (1, 3):
        basis = subject.make(in_features)
        for batch in ((), (5,), (2, 3), (0,)):
            shape = tuple(basis(_points(basis.domain, *batch, in_features, dtype=torch.float32)).shape)
            last = (2, in_features) if isinstance(basis, EdgeBasis) else (in_features, basis.num_basis)
            subject.require(shape == (*batch, *last), f"values on a batch {batch} must have shape {(*batch, *last)}", shape)


@_check(Basis)
def features_are_values_transposed(subject: Subject) -> None:
    """`features` equals `forward` with the last two dimensions exchanged."""
    basis = subject.make().double()
    x = _points(basis.domain, 7, 3)
    value, expected = basis.features(x), basis(x).transpose(-1, -2)
    subject.require(value.shape == expected.shape, f"features must have shape {tuple(expected.shape)}", tuple(value.shape))
    error = float((value - expected).detach().abs().max())
    subject.require(error <= 1e-12, "features must be forward transposed", f"a difference of {error:.3g}")


@_check(Basis)
def initial_scale_has_the_shape(subject: Subject) -> None:
    """`initial_scale` has one finite, non-negative number a function, not all zero."""
    basis = subject.make()
    scale = basis.initial_scale()
    subject.require(tuple(scale.shape) == (basis.num_basis,), f"initial_scale must have shape {(basis.num_basis,)}", tuple(scale.shape))
    good = bool(scale.isfinite().all() and (scale >= 0).all() and (scale > 0).any())
    subject.require(good, "initial_scale must be finite, >= 0 and not all zero", scale)


@_check(Basis, EdgeBasis)
def dtype_and_device_are_kept(subject: Subject) -> None:
    """Values have the dtype and the device of the input, whatever the dtype of the buffers."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for basis in (subject.make().to(device), subject.make().double().to(device)):
            own = {tensor.dtype for tensor in (*basis.parameters(), *basis.buffers()) if tensor.is_floating_point()}
            dtypes = {torch.float32, torch.float64} if torch.float64 not in own else {torch.float64}
            for dtype in dtypes:
                x = _points(basis.domain, 4, 3, dtype=dtype).to(device)
                value = basis(x)
                subject.require(value.dtype == dtype, f"values on {dtype} must be {dtype}", value.dtype)
                subject.require(value.device == x.device, f"values on {x.device} must stay there", value.device)


@_check(Basis, EdgeBasis)
def value_depends_on_its_own_point_alone(subject: Subject) -> None:
    """A value at a point depends neither on the other points of the batch nor on the other features."""
    basis = subject.make().double()
    x, other = _points(basis.domain, 6, 3), _points(basis.domain, 6, 3, seed=1)
    value = subject.values(basis, x)
    for point, feature in ((0, 0), (2, 1), (5, 2)):
        mixed = other.clone()
        mixed[point, feature] = x[point, feature]
        for what, found in (
            ("the other points", subject.values(basis, mixed)[point, feature]),
            ("the size of the batch", subject.values(basis, mixed[point])[feature]),
        ):
            error = float((found - value[point, feature]).detach().abs().max())
            subject.require(error <= 1e-10, f"a value must not depend on {what}", f"a difference of {error:.3g}")


@_check(Basis, EdgeBasis)
def values_and_gradients_are_finite(subject: Subject) -> None:
    """Values and gradients are finite on the closed domain, both ends included."""
    for dtype in (torch.float32, torch.float64):
        basis = subject.make().to(dtype)
        x = _spread(basis.domain, 257, 3, dtype).requires_grad_()
        value = subject.values(basis, x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        for what, found in (("values", value.detach().sum(-1)), ("gradients", gradient)):
            bad = x.detach()[~found.isfinite()]
            subject.require(not len(bad), f"{what} must be finite on {basis.domain}", f"NaN or infinity at x = {bad[:3].tolist()}")


@_check(Basis, EdgeBasis)
def gradient_is_the_derivative(subject: Subject) -> None:
    """First derivatives, by input and by parameters, agree with finite differences in float64."""
    basis = subject.make().double()
    x = _points(basis.domain, 4, 3).requires_grad_()
    names = [name for name, parameter in basis.named_parameters() if parameter.requires_grad]

    def evaluate(x: Tensor, *parameters: Tensor) -> Tensor:
        values: Tensor = torch.func.functional_call(basis, dict(zip(names, parameters, strict=True)), (x,))
        return values

    inputs = (x, *(dict(basis.named_parameters())[name] for name in names))
    _gradcheck(subject, torch.autograd.gradcheck, evaluate, inputs, "the gradient must be the derivative")


@_check(Basis, EdgeBasis)
def second_gradient_is_the_derivative(subject: Subject) -> None:
    """Second derivatives agree with finite differences in float64: losses with derivatives need them."""
    basis = subject.make().double()
    x = _points(basis.domain, 3, 3).requires_grad_()
    _gradcheck(subject, torch.autograd.gradgradcheck, basis, (x,), "the second gradient must be the second derivative")


def _gradcheck(
    subject: Subject, method: Callable[..., bool], function: Callable[..., Tensor], inputs: tuple[Tensor, ...], rule: str
) -> None:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(0)  # gradgradcheck draws its directions
        try:
            method(function, inputs, eps=1e-6, atol=1e-4, rtol=1e-3)
        except RuntimeError as error:
            raise AssertionError(f"{subject.name}: {rule}, got {type(error).__name__}: {str(error).strip()[:400]}") from error


@_check(Basis)
def functions_are_independent(subject: Subject) -> None:
    """The K functions are linearly independent on the domain: the collocation matrix has rank K."""
    basis = subject.make().double()
    a = _design(subject, basis, _spread(basis.domain, max(1001, 8 * basis.num_basis), 1)[:, 0]).detach()
    norms = a.norm(dim=0)
    empty = (norms == 0).nonzero()[:, 0].tolist()
    subject.require(not empty, "no function may vanish on the whole domain", f"functions {empty}")
    singular = torch.linalg.svdvals(a / norms)
    rank = int((singular > RANK_TOLERANCE * singular[0]).sum())
    subject.require(rank == basis.num_basis, f"the {basis.num_basis} functions must be independent", f"rank {rank}")


@_check(Basis)
def local_support_is_local(subject: Subject) -> None:
    """With support 'local', at a high resolution each function is zero on at least half of the domain."""
    sizes = _resolutions(subject, (8, 16, 32))
    if subject.made.support != "local" or not sizes:  # type: ignore[attr-defined]
        return
    basis = subject.make(1, **{subject.made.resolution: sizes[-1]}).double()  # type: ignore[attr-defined]
    zero = (_design(subject, basis, _spread(basis.domain, 1001, 1)[:, 0]) == 0).double().mean(0)
    worst = int(zero.argmin())
    subject.require(
        zero[worst] >= 0.5,
        f"with {subject.made.resolution} {sizes[-1]} each function must be zero on half of the domain",  # type: ignore[attr-defined]
        f"{100 * float(zero[worst]):.0f} % for function {worst}",
    )


@_check(Basis)
def error_falls_with_resolution(subject: Subject) -> None:
    """The best fit to exp(sin) falls with the resolution: with the declared order, or by a factor where there is none."""
    order = subject.make(1).order
    sizes = _resolutions(subject, (16, 32, 64) if order is not None else (4, 8, 16))
    resolution = subject.made.resolution  # type: ignore[attr-defined]
    subject.require(len(sizes) >= 3, f"{resolution} must allow three sizes, each twice as fine", sizes)
    counts, errors = zip(*(_fit_error(subject, size) for size in sizes), strict=True)
    shown = f"errors {', '.join(f'{error:.2e}' for error in errors)} for {resolution} {', '.join(map(str, sizes))}"
    falling = all(fine < coarse or fine < ERROR_FLOOR for coarse, fine in itertools.pairwise(errors))
    subject.require(falling, "the error must fall with the resolution", shown)
    if order is None:
        enough = errors[-1] * ERROR_FACTOR <= errors[0] or errors[-1] < ERROR_FLOOR
        subject.require(enough, f"the error must fall by a factor of {ERROR_FACTOR:g}", shown)
        return
    # The finest pair: coarser ones are not there yet for a high order. Where sizes are no doubling, K tells the step.
    step = sizes[-1] / sizes[-2] if sizes[-1] == 2 * sizes[-2] else counts[-1] / counts[-2]
    measured = math.log(errors[-2] / errors[-1]) / math.log(step)
    close = abs(measured - order) <= ORDER_TOLERANCE
    subject.require(close, f"the declared order is {order}", f"a measured order of {measured:.2f}: {shown}")


@_check(Basis, EdgeBasis)
def result_is_deterministic(subject: Subject) -> None:
    """The same input gives the same bits: twice, and from two instances."""
    first, second = subject.make(), subject.make()
    x = _points(first.domain, 17, 3, dtype=torch.float32)
    subject.require(torch.equal(first(x), first(x)), "two calls must give the same bits", "a difference")
    subject.require(torch.equal(first(x), second(x)), "two instances must give the same bits", "a difference")


@_check(Basis, EdgeBasis)
def training_mode_changes_nothing(subject: Subject) -> None:
    """Training and evaluation mode give the same bits."""
    basis = subject.make()
    x = _points(basis.domain, 17, 3, dtype=torch.float32)
    subject.require(torch.equal(basis.train()(x), basis.eval()(x)), "training and evaluation mode must give the same bits", "a difference")


@_check(Basis, EdgeBasis)
def state_survives_state_dict(subject: Subject) -> None:
    """A fresh instance that loads the state of another gives the same bits: grids are buffers."""
    basis, fresh = _shaken(subject), subject.make()
    fresh.load_state_dict(basis.state_dict())
    x = _points(basis.domain, 17, 3, dtype=torch.float32)
    subject.require(torch.equal(basis(x), fresh(x)), "a fresh instance with the same state_dict must give the same bits", "a difference")


@_check(Basis, EdgeBasis)
def copies_are_equal(subject: Subject) -> None:
    """Deep copies, pickles and saved modules give the same bits."""
    basis = _shaken(subject)
    x = _points(basis.domain, 17, 3, dtype=torch.float32)
    try:
        copied = _copies(basis)
    except Exception as error:  # pickle raises whatever it likes
        rule = "must survive deepcopy, pickle and torch.save"
        raise AssertionError(f"{subject.name}: {rule}, got {type(error).__name__}: {error}") from error
    for way, other in copied.items():
        subject.require(torch.equal(basis(x), other(x)), f"a copy by {way} must give the same bits", "a difference")


@_check(Basis, EdgeBasis)
def random_state_is_untouched(subject: Subject) -> None:
    """Neither the constructor nor a call touches the global random state of torch, numpy or Python."""
    with _same_random_state(subject.require, "the constructor"):
        basis = subject.make()
    with _same_random_state(subject.require, "a call"):
        basis(_points(basis.domain, 5, 3, dtype=torch.float32))


@_check(Basis, EdgeBasis)
def arguments_are_not_written(subject: Subject) -> None:
    """The constructor leaves the values of its arguments as they were."""
    values = {name: copy.deepcopy(argument.default) for name, argument in subject.arguments().items()} | copy.deepcopy(subject.filled)
    before = repr(values)
    subject.make(**values)
    subject.require(repr(values) == before, f"the arguments {before} must stay as they are", repr(values))


@_check(Basis, EdgeBasis)
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
                raise AssertionError(f"{subject.name}: {rule}, got {type(error).__name__}: {error}") from error
            subject.require(False, rule, "no error")


@_check(Basis, EdgeBasis)
def every_parameter_gets_a_gradient(subject: Subject) -> None:
    """Every trainable parameter inside gets a finite gradient."""
    basis = subject.make()
    value = basis(_points(basis.domain, 17, 3, dtype=torch.float32))
    parameters = [(name, parameter) for name, parameter in basis.named_parameters() if parameter.requires_grad]
    if not parameters:
        return
    value.square().sum().backward()
    dead = [name for name, parameter in parameters if parameter.grad is None or not parameter.grad.isfinite().all()]
    subject.require(not dead, "every trainable parameter must get a finite gradient", f"none for {', '.join(dead)}")


@_check(Basis, EdgeBasis)
def layer_can_be_exported(subject: Subject) -> None:
    """`torch.export` takes a `KANLinear` with this basis, and the exported program gives the same values."""
    layer = KANLinear(3, 2, subject.factory, generator=_generator()).eval()
    x = _points((-1.0, 1.0), 5, 3, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own future
        try:
            program = torch.export.export(layer, (x,)).module()
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error)[:400]}"
            raise AssertionError(f"{subject.name}: torch.export must take a layer, got {reason}") from error
        difference = float((program(x) - layer(x)).detach().abs().max())
    subject.require(difference <= 1e-5, "the exported program must give the values of the layer", f"a difference of {difference:.3g}")


@_check(Basis, EdgeBasis)
def network_trains(subject: Subject) -> None:
    """A hundred steps of Adam lower the loss of a small regression well."""
    net = KAN([2, 5, 1], subject.factory, generator=_generator())
    x = _points((-1.0, 1.0), 64, 2, dtype=torch.float32)
    target = torch.sin(math.pi * x[:, :1]) + x[:, 1:].square()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    with _one_thread():
        for _ in range(100):
            loss = (net(x) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    shown = f"{losses[0]:.3g} before and {losses[-1]:.3g} after"
    subject.require(losses[-1] * TRAINING_FACTOR <= losses[0], f"a hundred steps must divide the loss by {TRAINING_FACTOR:g}", shown)


@_check(Basis, EdgeBasis)
def convolution_runs(subject: Subject) -> None:
    """A `KANConv2d` with this basis maps an image and passes gradients on."""
    layer = KANConv2d(4, 6, 3, subject.factory, stride=2, padding=1, groups=2, generator=_generator())
    x = _points((-1.0, 1.0), 2, 4, 5, 5, dtype=torch.float32).requires_grad_()
    y = layer(x)
    subject.require(tuple(y.shape) == (2, 6, 3, 3), "a convolution must give the shape (2, 6, 3, 3)", tuple(y.shape))
    y.sum().backward()
    bad = [name for name, tensor in (("x", x), *layer.named_parameters()) if tensor.grad is None or not tensor.grad.isfinite().all()]
    subject.require(not bad, "a convolution must pass finite gradients on", f"none for {', '.join(bad)}")


# ------------------------------------------------------------------------------------------------------------- grid updates


@_check(AdaptiveBasis)
def grid_update_is_in_place(subject: Subject) -> None:
    """`update_grid` returns None, moves the grid, and keeps its tensors: same objects, shapes and dtypes; it writes no samples."""
    basis = subject.make()
    before = {name: (tensor, tensor.clone()) for name, tensor in (*basis.named_parameters(), *basis.named_buffers())}
    x = _samples(basis.domain, 200, 3)
    kept = x.clone()
    with _same_random_state(subject.require, "update_grid"):
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


@_check(AdaptiveBasis)
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
        basis = subject.make(2)
        basis.update_grid(x)
        for where, place in (("the domain", _spread((low, high), 257, 2, torch.float32)), ("the samples", x.clone())):
            value = basis(place.requires_grad_())
            (gradient,) = torch.autograd.grad(value.sum(), place)
            for name, found in (("values", value), ("gradients", gradient)):
                subject.require(found.isfinite().all(), f"{name} on {where} must be finite after an update on {what}", "NaN or infinity")


@_check(AdaptiveBasis)
def grid_update_keeps_the_function(subject: Subject) -> None:
    """A layer's function stays when its grid moves: by 1e-5 where old and new functions span it, in float32.

    The function is a polynomial of degree order - 1 (1 where there is no order), fitted. Where the family cannot hold it, as radial
    functions cannot, the change may be ten times the error of that fit.
    """
    layer = KANLinear(2, 3, subject.factory, squash="none", residual="none", generator=_generator())
    assert layer.expansion is not None
    basis = layer.expansion.basis
    low, high = basis.domain
    x = _samples((low, high), 600, 2)
    unit = (2 * x - low - high) / (high - low)
    degree = 1 if basis.order is None else min(basis.order - 1, 3)
    target = sum((unit**power / (power + 1) for power in range(degree + 1)), torch.zeros_like(x)).double()
    with torch.no_grad():
        a = basis(x).double().transpose(0, 1)  # (features, N, K)
        solution = torch.linalg.lstsq(a, target.T[..., None], rcond=1e-9, driver="gelsd").solution
        layer.coeff.copy_(solution[..., 0].to(layer.weight.dtype).expand(3, -1, -1))
        before = layer(x)
        size = float(before.abs().max())
        error = float((before[:, 0] - target.sum(-1)).abs().max()) / size
        layer.update_grid(x)
        change = float((layer(x) - before).abs().max()) / size
    allowed = max(UPDATE_TOLERANCE, 10 * error if error > UPDATE_TOLERANCE else 0)
    subject.require(change < allowed, f"a grid update may change a function by {allowed:.2g} of its size", f"{change:.3g}")


def _samples(domain: tuple[float, float], count: int, in_features: int) -> Tensor:
    """Return samples of the domain that are denser on one side."""
    low, high = domain
    return _points((0.0, 1.0), count, in_features, dtype=torch.float32, seed=5).square() * (high - low) + low


# ------------------------------------------------------------------------------------------------------------------- tasks


class _Cubic(ColumnBasis):
    """Legendre polynomials of degree 1 to 3: enough of a basis to check a task."""

    resolution = "degree"
    support = "global"
    reference = "none"

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, num_basis=3, domain=(-1.0, 1.0))

    def columns(self, x: Tensor) -> list[Tensor]:
        return [x, 1.5 * x * x - 0.5, x * (2.5 * x * x - 1.5)]


#: Samples of the batch that `check_task` trains on.
_BATCH = 64


@dataclass(frozen=True)
class TaskSubject:
    """A task under test: its name in messages, its class, the arguments and where data sets lie."""

    name: str
    made: "type[Task]"
    arguments: Mapping[str, Any]
    data_dir: Path | None

    def make(self) -> "Task":
        """Build the task; nothing is loaded."""
        return self.made(**self.arguments)

    def prepared(self, layers: Layers, seed: int = 0) -> "Task":
        """Build it, load its data and ask the factory for its network."""
        task = self.make()
        task.prepare(layers, data_dir=self.data_dir, seed=seed)
        return task

    def factories(self) -> dict[str, Layers]:
        """Return the factories of both kinds."""
        return {"KANLayers": KANLayers(_Cubic, generator=_generator()), "PlainLayers": PlainLayers(generator=_generator())}

    def require(self, condition: object, rule: str, value: object) -> None:
        """Raise AssertionError with name, rule and value unless the condition holds."""
        if not condition:
            raise AssertionError(f"{self.name}: {rule}, got {value}")


def _task_check(function: Callable[[TaskSubject], None]) -> Callable[[TaskSubject], None]:
    _TASK_CHECKS.append(Check((), function))
    return function


def task_checks() -> tuple[Check, ...]:
    """Return the checks of a task."""
    return tuple(_TASK_CHECKS)


def check_task(
    task: "str | type[Task]", arguments: Mapping[str, Any] | None = None, data_dir: Path | None = None, *, raise_on_failure: bool = True
) -> list[CheckResult]:
    """Run every check of a task, on KAN layers and on the baseline.

    Args:
        task: a registry name or a `Task` class.
        arguments: of its constructor; choose small data, the checks load it several times.
        data_dir: where data sets lie, or None.
        raise_on_failure: raise when a check fails, or only return the results.

    Raises:
        AssertionError: at least one check failed; the message has a line for each.
        InvalidInput: the name is unknown, or the plug-in cannot be imported.
    """
    made = find("task", task).load() if isinstance(task, str) else task
    name = task if isinstance(task, str) else made.__name__
    return _report(_run(_TASK_CHECKS, TaskSubject(name, made, dict(arguments or {}), data_dir)), raise_on_failure)


@_task_check
def task_is_declared(subject: TaskSubject) -> None:
    """It derives from Task; every argument is keyword-only, typed and has a default; score, direction and version are declared."""
    from kanzoo.task import Task

    subject.require(issubclass(subject.made, Task), "must be derived from kanzoo.task.Task", subject.made)
    try:
        found = arguments_of(subject.made, subject.name)
    except InvalidInput as error:
        raise AssertionError(f"{subject.name}: {error.message}") from error
    unknown = sorted(set(subject.arguments) - set(found))
    subject.require(not unknown, f"arguments must be among {list(found)}", unknown)
    score, direction = getattr(subject.made, "score", None), getattr(subject.made, "direction", None)
    subject.require(isinstance(score, str) and score, "score must be the name of a metric", repr(score))
    subject.require(direction in ("min", "max"), "direction must be 'min' or 'max'", repr(direction))
    version = subject.made.version
    subject.require(type(version) is int and version >= 1, "version must be an integer >= 1", repr(version))


@_task_check
def data_is_sound(subject: TaskSubject) -> None:
    """Training, validation and test set are not empty, and their numbers are finite."""
    data = subject.make().load(subject.data_dir, 0)
    for part in ("train", "validation", "test"):
        dataset = getattr(data, part)
        subject.require(len(dataset) > 0, f"the {part} set must not be empty", "0 samples")
        bad = [index for index, tensor in enumerate(dataset.tensors) if tensor.is_floating_point() and not tensor.isfinite().all()]
        subject.require(not bad, f"the {part} set must be finite", f"NaN or infinity in tensors {bad}")


@_task_check
def seed_decides_the_data(subject: TaskSubject) -> None:
    """The same seed loads the same data twice; another seed splits or samples them otherwise."""
    first, again, other = (subject.make().load(subject.data_dir, seed) for seed in (0, 0, 1))

    def same(one: Any, two: Any, part: str) -> bool:
        pairs = zip(getattr(one, part).tensors, getattr(two, part).tensors, strict=True)
        return all(torch.equal(a, b) for a, b in pairs)

    for part in ("train", "validation", "test"):
        subject.require(same(first, again, part), f"the same seed must give the same {part} set", "a difference")
    subject.require(not same(first, other, "train"), "another seed must give another training set", "the same one")


@_task_check
def task_leaves_random_state_alone(subject: TaskSubject) -> None:
    """Loading the data and building the network leave the global random state alone; the factory has its own generator."""
    for kind, layers in subject.factories().items():
        with _same_random_state(subject.require, f"prepare with {kind}"):
            subject.prepared(layers)


@_task_check
def stages_are_not_empty(subject: TaskSubject) -> None:
    """There is at least one stage, and none is empty."""
    sizes = [len(stage) for stage in subject.prepared(PlainLayers(generator=_generator())).stages()]
    subject.require(sizes and min(sizes) > 0, "stages must be one or more training sets, none of them empty", sizes)


@_task_check
def loss_and_score_are_finite(subject: TaskSubject) -> None:
    """The loss is one finite number, and the metrics contain the score and take predictions and targets."""
    for kind, layers in subject.factories().items():
        task = subject.prepared(layers)
        task.eval()
        with torch.no_grad():
            loss, prediction, target = task.loss(task.data.validation[:_BATCH])
        subject.require(loss.ndim == 0 and loss.isfinite(), f"the loss with {kind} must be one finite number", loss)
        metrics = task.metrics()
        subject.require(task.score in metrics, f"metrics must contain the score {task.score!r}", list(metrics.keys()))
        metrics.update(prediction, target)
        value = float(metrics.compute()[task.score])
        subject.require(math.isfinite(value), f"the score {task.score!r} with {kind} must be finite", value)


@_task_check
def steps_lower_the_loss(subject: TaskSubject) -> None:
    """A few steps of Adam on one batch lower the loss, with KAN layers and with the baseline."""
    for kind, layers in subject.factories().items():
        task = subject.prepared(layers)
        batch = task.stages()[0][:_BATCH]
        optimizer = torch.optim.Adam(task.model.parameters(), lr=3e-3)
        losses = []
        with torch.random.fork_rng(devices=[]):  # a network may drop out
            torch.manual_seed(0)
            for _ in range(10):
                loss = task.loss(batch)[0]
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(float(loss.detach()))
        shown = f"{losses[0]:.4g} before and {losses[-1]:.4g} after"
        subject.require(losses[-1] < losses[0], f"ten steps with {kind} must lower the loss", shown)
