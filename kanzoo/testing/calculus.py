"""The mathematics of a basis: finite values, true derivatives, independent functions, local support, order of convergence."""

import itertools
import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.derivative import derivatives
from kanzoo.testing.broken import Broken
from kanzoo.testing.check import basis_check
from kanzoo.testing.smallest import smallest
from kanzoo.testing.subject import Subject, points, spread

#: From a basis and points `(N, features)` to numbers `(N, features, functions)`: its values, or their derivatives.
Family = Callable[[Subject, nn.Module, Tensor], Tensor]

#: Step of finite differences.
STEP = 1e-6
#: Singular values below this share of the largest count as zero: the functions are dependent.
RANK_TOLERANCE = 1e-10
#: The measured order of convergence may differ from the declared one by this much.
ORDER_TOLERANCE = 0.5
#: A basis of unknown or spectral order must lower the error by this factor when its resolution is doubled twice.
ERROR_FACTOR = 8.0
#: Errors below this are rounding, and need not fall further.
ERROR_FLOOR = 1e-9


@basis_check(Basis, EdgeBasis)
def values_and_gradients_are_finite(subject: Subject) -> None:
    """Values and gradients are finite on the closed domain, both ends included."""
    for dtype in (torch.float32, torch.float64):
        x = spread(subject.make().domain, 257, 3, dtype)
        subject.require_at(x, "values must be finite on the closed domain", lambda subject, x: _not_finite(subject, x, _values))
        subject.require_at(x, "gradients must be finite on the closed domain", lambda subject, x: _not_finite(subject, x, _slopes))


@basis_check(Basis, EdgeBasis)
def gradient_is_the_derivative(subject: Subject) -> None:
    """First derivatives, by input and by parameters, agree with finite differences in float64."""
    x, rule = points(subject.make().domain, 4, 3), "the gradient must be the derivative"
    subject.require_at(x, rule, lambda subject, x: _wrong_slope(subject, x, _values))

    def judge(subject: Subject, x: Tensor) -> str | None:
        basis = subject.make(x.shape[-1]).double()
        names = [name for name, parameter in basis.named_parameters() if parameter.requires_grad]

        def evaluate(x: Tensor, *parameters: Tensor) -> Tensor:
            values: Tensor = torch.func.functional_call(basis, dict(zip(names, parameters, strict=True)), (x,))
            return values

        return _gradcheck(torch.autograd.gradcheck, evaluate, x, *(dict(basis.named_parameters())[name] for name in names))

    subject.require_at(x, rule, judge, simplify=False)  # at simple numbers there may be a knot


@basis_check(Basis, EdgeBasis)
def second_gradient_is_the_derivative(subject: Subject) -> None:
    """Second derivatives agree with finite differences in float64: losses with derivatives need them."""
    x, rule = points(subject.make().domain, 3, 3), "the second gradient must be the second derivative"
    subject.require_at(x, rule, lambda subject, x: _wrong_slope(subject, x, _slopes))

    def judge(subject: Subject, x: Tensor) -> str | None:
        basis = subject.make(x.shape[-1]).double()
        if not basis(x.detach().requires_grad_()).requires_grad:
            return "values without a gradient"
        return _gradcheck(torch.autograd.gradgradcheck, basis, x)

    subject.require_at(x, rule, judge, simplify=False)


def _values(subject: Subject, basis: nn.Module, x: Tensor) -> Tensor:
    return subject.values(basis, x)


def _slopes(subject: Subject, basis: nn.Module, x: Tensor) -> Tensor:
    return derivatives(lambda x: subject.values(basis, x), x)


def _not_finite(subject: Subject, x: Tensor, family: Family) -> str | None:
    found = family(subject, subject.make(x.shape[-1]).to(x.dtype), x).detach()
    bad = (~found.isfinite()).nonzero().tolist()
    return f"{float(found[tuple(bad[0])])} for function {bad[0][-1]} in {str(x.dtype).removeprefix('torch.')}" if bad else None


def _wrong_slope(subject: Subject, x: Tensor, family: Family) -> str | None:
    """Compare the derivatives of a family with finite differences, where those from both sides agree."""
    basis = subject.make(x.shape[-1]).double()
    found = derivatives(lambda x: family(subject, basis, x), x).detach()
    below, here, above = (family(subject, basis, x + shift).detach() for shift in (-STEP, 0.0, STEP))
    left, right = (here - below) / STEP, (above - here) / STEP
    expected = (left + right) / 2
    smooth = (right - left).abs() <= 1e-2 * (1 + expected.abs())
    bad = (smooth & ((found - expected).abs() > 1e-4 + 1e-3 * expected.abs())).nonzero().tolist()
    if not bad:
        return None
    place = tuple(bad[0])
    return f"{float(found[place]):.4g} for function {place[-1]}, expected {float(expected[place]):.4g} by finite differences"


def _gradcheck(method: Callable[..., bool], function: Callable[..., Tensor], x: Tensor, *parameters: Tensor) -> str | None:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(0)  # gradgradcheck draws its directions
        try:
            method(function, (x.detach().requires_grad_(), *parameters), eps=STEP, atol=1e-4, rtol=1e-3)
        except RuntimeError as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
    return None


@basis_check(Basis)
def functions_are_independent(subject: Subject) -> None:
    """The K functions are linearly independent on the domain: the collocation matrix has rank K."""
    basis = subject.make().double()
    a = _design(subject, basis, spread(basis.domain, max(1001, 8 * basis.num_basis), 1)[:, 0]).detach()
    subject.require(a.isfinite().all(), "values must be finite to be compared", "NaN or infinity")
    norms = a.norm(dim=0)
    empty = (norms == 0).nonzero()[:, 0].tolist()
    subject.require(not empty, "no function may vanish on the whole domain", f"functions {empty}")
    rank = _rank(a / norms)
    if rank < basis.num_basis:
        few = smallest(lambda functions: _rank((a / norms)[:, functions]) < len(functions), torch.arange(basis.num_basis)).tolist()
        shown = f"functions {', '.join(map(str, few[:-1]))} and {few[-1]}, which have rank {len(few) - 1}"
        raise Broken(subject.name, f"the {basis.num_basis} functions must be independent", f"rank {rank}", shown)


def _rank(a: Tensor) -> int:
    singular = torch.linalg.svdvals(a)
    return int((singular > RANK_TOLERANCE * singular[0]).sum())


@basis_check(Basis)
def local_support_is_local(subject: Subject) -> None:
    """With support 'local', at a high resolution each function is zero on at least half of the domain."""
    sizes = _resolutions(subject, (8, 16, 32))
    if subject.made.support != "local" or not sizes:  # type: ignore[attr-defined]
        return
    basis = subject.make(1, **{subject.made.resolution: sizes[-1]}).double()  # type: ignore[attr-defined]
    zero = (_design(subject, basis, spread(basis.domain, 1001, 1)[:, 0]) == 0).double().mean(0)
    worst = int(zero.argmin())
    subject.require(
        zero[worst] >= 0.5,
        f"with {subject.made.resolution} {sizes[-1]} each function must be zero on half of the domain",  # type: ignore[attr-defined]
        f"{100 * float(zero[worst]):.0f} % for function {worst}",
    )


@basis_check(Basis)
def error_falls_with_resolution(subject: Subject) -> None:
    """The best fit to exp(sin) falls with the resolution: with the declared order, or by a factor where there is none."""
    resolution = subject.made.resolution  # type: ignore[attr-defined]
    if resolution is None:
        return
    order = subject.make(1).order
    sizes = _resolutions(subject, (16, 32, 64) if order is not None else (4, 8, 16))
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
    close = abs(measured - order) <= ORDER_TOLERANCE if order else measured < 1  # before it ends at the floor
    subject.require(close, f"the declared order is {order}", f"a measured order of {measured:.2f}: {shown}")


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
