"""The mathematics of a basis: finite values, true derivatives, independent functions, local support, order of convergence."""

import itertools
import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.testing.check import basis_check
from kanzoo.testing.subject import Subject, points, spread

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
        basis = subject.make().to(dtype)
        x = spread(basis.domain, 257, 3, dtype).requires_grad_()
        value = subject.values(basis, x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        for what, found in (("values", value.detach().sum(-1)), ("gradients", gradient)):
            bad = x.detach()[~found.isfinite()]
            subject.require(not len(bad), f"{what} must be finite on {basis.domain}", f"NaN or infinity at x = {bad[:3].tolist()}")


@basis_check(Basis, EdgeBasis)
def gradient_is_the_derivative(subject: Subject) -> None:
    """First derivatives, by input and by parameters, agree with finite differences in float64."""
    basis = subject.make().double()
    x = points(basis.domain, 4, 3).requires_grad_()
    names = [name for name, parameter in basis.named_parameters() if parameter.requires_grad]

    def evaluate(x: Tensor, *parameters: Tensor) -> Tensor:
        values: Tensor = torch.func.functional_call(basis, dict(zip(names, parameters, strict=True)), (x,))
        return values

    inputs = (x, *(dict(basis.named_parameters())[name] for name in names))
    _gradcheck(subject, torch.autograd.gradcheck, evaluate, inputs, "the gradient must be the derivative")


@basis_check(Basis, EdgeBasis)
def second_gradient_is_the_derivative(subject: Subject) -> None:
    """Second derivatives agree with finite differences in float64: losses with derivatives need them."""
    basis = subject.make().double()
    x = points(basis.domain, 3, 3).requires_grad_()
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


@basis_check(Basis)
def functions_are_independent(subject: Subject) -> None:
    """The K functions are linearly independent on the domain: the collocation matrix has rank K."""
    basis = subject.make().double()
    a = _design(subject, basis, spread(basis.domain, max(1001, 8 * basis.num_basis), 1)[:, 0]).detach()
    norms = a.norm(dim=0)
    empty = (norms == 0).nonzero()[:, 0].tolist()
    subject.require(not empty, "no function may vanish on the whole domain", f"functions {empty}")
    singular = torch.linalg.svdvals(a / norms)
    rank = int((singular > RANK_TOLERANCE * singular[0]).sum())
    subject.require(rank == basis.num_basis, f"the {basis.num_basis} functions must be independent", f"rank {rank}")


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
