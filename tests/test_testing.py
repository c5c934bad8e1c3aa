"""The suite passes for sound bases, and each check catches the fault that it is meant for."""

import subprocess
import sys
from functools import partial
from typing import Annotated

import pytest
import torch
from annotated_types import Ge
from torch import nn

from kanzoo.basis import AdaptiveBasis, Basis, ColumnBasis, EdgeBasis, LocalBasis
from kanzoo.signature import checked
from kanzoo.testing import Broken, Subject, basis_checks, check_basis, parametrize_with_basis_checks, task_checks
from kanzoo.testing.smallest import describe, smallest


class Legendre(ColumnBasis):
    resolution, support, reference = "degree", "global", "none"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 6) -> None:
        super().__init__(in_features, num_basis=degree, domain=(-1.0, 1.0))

    def columns(self, x):
        before, columns = 1.0, [x]
        for n in range(1, self.num_basis):
            columns.append(((2 * n + 1) * x * columns[-1] - n * before) / (n + 1))
            before = columns[-2]
        return columns


class Hat(AdaptiveBasis):
    """Piecewise linear hats on knots that follow the data: a small adaptive, local basis of order 2."""

    resolution, support, reference, order = "grid_size", "local", "none", 2

    @checked
    def __init__(self, in_features: int, *, grid_size: Annotated[int, Ge(1)] = 8, domain: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__(in_features, num_basis=grid_size + 1, domain=domain)
        self.register_buffer("knots", torch.linspace(*domain, grid_size + 1).repeat(in_features, 1))

    def forward(self, x):
        knots, point = self.knots.to(x.dtype), x.unsqueeze(-1)
        step = knots.diff()
        up = (point - knots[:, :-1]) / step
        one = torch.ones_like(up[..., :1])
        rise = torch.cat([one, up], -1)
        fall = torch.cat([1 - up, one], -1)
        return torch.minimum(rise, fall).clamp_min(0)

    def update_grid(self, x):
        share = torch.linspace(0, 1, self.num_basis)
        even = torch.linspace(*self.domain, self.num_basis).to(x)
        quantiles = torch.quantile(x, share.to(x), dim=0).T
        quantiles[:, 0], quantiles[:, -1] = even[0], even[-1]
        self.knots.copy_(0.5 * even + 0.5 * quantiles)


class LocalHat(LocalBasis):
    """Piecewise linear hats on even knots by their two neighbours."""

    resolution, support, reference, order, num_local = "grid_size", "local", "none", 2, 2

    @checked
    def __init__(self, in_features: int, *, grid_size: Annotated[int, Ge(1)] = 8) -> None:
        super().__init__(in_features, num_basis=grid_size + 1, domain=(-1.0, 1.0))

    def local(self, x):
        place = (x + 1) * (self.num_basis - 1) / 2
        first = place.detach().floor().long().clamp(0, self.num_basis - 2)
        return first, [1 - (place - first), place - first]


class Sine(EdgeBasis):
    reference = "none"

    def __init__(self, in_features: int, out_features: int, *, frequency: float = 2.0) -> None:
        super().__init__(in_features, out_features, (-1.0, 1.0))
        self.frequency = nn.Parameter(torch.full((out_features, in_features), frequency))
        self.phase = nn.Parameter(torch.zeros(out_features, in_features))

    def forward(self, x):
        return torch.sin(self.frequency * x.unsqueeze(-2) + self.phase)


@pytest.mark.parametrize("basis", [Legendre, partial(Legendre, degree=3), Hat, LocalHat, Sine, partial(Sine, frequency=1.0)])
def test_sound_bases_pass(basis):
    results = check_basis(basis)
    assert len(results) > 15
    assert all(result.passed and not result.message and result.seconds >= 0 for result in results)


def test_registry_name_passes():
    assert all(result.passed for result in check_basis("chebyshev"))


class WrongShape(Legendre):
    def forward(self, x):
        return super().forward(x).transpose(-1, -2)


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return 2 * gradient


class WrongGradient(Legendre):
    def columns(self, x):
        return super().columns(_Doubled.apply(x))


class _WrongSecond(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient * 3 * (x * x).detach()


class WrongSecondGradient(Legendre):
    def columns(self, x):
        return [*super().columns(x)[:-1], _WrongSecond.apply(x)]


class NaNAtTheEnd(Legendre):
    def columns(self, x):
        return [torch.cos(n * torch.arccos(x)) for n in range(1, self.num_basis + 1)]


class NaNAtTheLeft(Legendre):
    def columns(self, x):
        return [column * (1 + x).sqrt() for column in super().columns(x)]


class _DoubledLeft(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient * (1 + ((x < -0.1) & (x > -0.9)))


class WrongInTheMiddle(Legendre):
    def columns(self, x):
        return super().columns(_DoubledLeft.apply(x))


class WrongBatch(Legendre):
    def forward(self, x):
        return super().forward(x).reshape(-1, self.in_features, self.num_basis) if x.ndim > 2 else super().forward(x)


class SumOfTwo(Legendre):
    def columns(self, x):
        columns = super().columns(x)
        return [*columns[:-1], columns[0] + columns[1]]


class ConstantTwice(Legendre):
    def columns(self, x):
        return [torch.ones_like(x), torch.ones_like(x), *super().columns(x)[2:]]


class Vanishing(Legendre):
    def columns(self, x):
        return [*super().columns(x)[:-1], 0 * x]


class SetsSeed(Legendre):
    def __init__(self, in_features: int, *, degree: int = 6) -> None:
        torch.manual_seed(0)
        super().__init__(in_features, degree=degree)


class DrawsInForward(Legendre):
    def forward(self, x):
        return super().forward(x) + 0 * torch.rand(())


class AnyArguments(Legendre):
    def __init__(self, in_features: int, **options) -> None:
        super().__init__(in_features)


class NoDefault(Legendre):
    def __init__(self, in_features: int, *, degree: int) -> None:
        super().__init__(in_features)


class Positional(Legendre):
    def __init__(self, in_features: int, degree: int = 6) -> None:
        super().__init__(in_features, degree=degree)


class NotPicklable(Legendre):
    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 6) -> None:
        super().__init__(in_features, degree=degree)
        self.function = lambda x: x


class WrongOrder(Hat):
    order = 4


class NoFloor(Hat):
    order = 0


class NegativeOrder(Hat):
    order = -1


class DoesNotConverge(Legendre):
    def columns(self, x):
        return [torch.sin((n + 7) * x) for n in range(1, self.num_basis + 1)][:1] * self.num_basis


class Collapsing(Hat):
    def update_grid(self, x):
        low, high = self.domain
        self.knots.copy_(low + 0.1 * (high - low) * torch.linspace(0, 1, self.num_basis))


class Equal(Hat):
    def update_grid(self, x):
        self.knots.copy_(x.mean(0)[:, None].expand_as(self.knots))


class NewBuffer(Hat):
    def update_grid(self, x):
        self.knots = 0.9 * self.knots


class NeverMoves(Hat):
    def update_grid(self, x):
        pass


class BatchMean(Legendre):
    def columns(self, x):
        return super().columns(x - x.mean(0, keepdim=True) if x.ndim > 1 else x)


class MixesFeatures(Legendre):
    def columns(self, x):
        return super().columns(x + 0.1 * x.sum(-1, keepdim=True))


class NotLocal(Legendre):
    support = "local"


class LocalOutside(LocalHat):
    def local(self, x):
        place = (x + 1) * (self.num_basis - 1) / 2
        first = place.detach().floor().long()
        return first, [1 - (place - first), place - first]

    def features(self, x):
        return LocalHat(self.in_features, grid_size=self.num_basis - 1).double().features(x)


class LocalShifted(LocalHat):
    def features(self, x):
        return super().features(x).roll(1, -2)


class LocalTooMany(LocalHat):
    def local(self, x):
        first, values = super().local(x)
        return first, [*values, 0 * x]


class NoResolution(Legendre):
    resolution = "grid_size"


class NoReference(Legendre):
    reference = ""


class AlwaysFloat32(Legendre):
    def columns(self, x):
        return [column.float() for column in super().columns(x)]


class WrongFeatures(Legendre):
    def features(self, x):
        return super().features(x).flip(-1)


class NoRange(Legendre):
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 6) -> None:
        Basis.__init__(self, in_features, max(degree, 1), (-1.0, 1.0))


class HiddenGrid(Hat):
    def __init__(self, in_features: int, *, grid_size: Annotated[int, Ge(1)] = 8) -> None:
        super().__init__(in_features, grid_size=grid_size)
        self.offset = 0.0

    def forward(self, x):
        return super().forward(x + self.offset)

    def update_grid(self, x):
        self.offset = 0.01 * float(x.mean())


class Dropping(Legendre):
    def columns(self, x):
        return [column * (0.5 if self.training else 1.0) for column in super().columns(x)]


_CALLS = [0]


class Counting(Legendre):
    def columns(self, x):
        _CALLS[0] += 1
        return super().columns(x + 1e-3 * _CALLS[0])


class WritesArguments(Legendre):
    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 6, scales: list[float] = [1.0]) -> None:  # noqa: B006
        super().__init__(in_features, degree=degree)
        scales.append(2.0)


class WritesInput(Legendre):
    def columns(self, x):
        return super().columns(x.clamp_(-1, 1))


class EdgeWritesInput(Sine):
    def forward(self, x):
        x.mul_(2).div_(3)
        return super().forward(x)


class NoTensor(Legendre):
    def forward(self, x):
        super().forward(x)


class NoGradient(Legendre):
    def columns(self, x):
        return [column.detach() for column in super().columns(x)]


class DeadParameter(Sine):
    def __init__(self, in_features: int, out_features: int, *, frequency: float = 2.0) -> None:
        super().__init__(in_features, out_features, frequency=frequency)
        self.unused = nn.Parameter(torch.ones(1))


class Tiny(Legendre):
    def columns(self, x):
        return [column - column.detach() for column in super().columns(x)]


class NotExportable(Legendre):
    def columns(self, x):
        return super().columns(x) if float(x.sum()) > 1e9 else super().columns(x.clone())


class WrongScale(Legendre):
    def initial_scale(self):
        return torch.ones(self.num_basis + 1)


class EdgeWrongShape(Sine):
    def forward(self, x):
        return super().forward(x).transpose(-1, -2)


class EdgeBatchMean(Sine):
    def forward(self, x):
        return super().forward(x - x.mean())


class EdgeDetached(Sine):
    def forward(self, x):
        return torch.sin(self.frequency.detach() * x.unsqueeze(-2) + self.phase)


class EdgeGradient(Sine):
    def forward(self, x):
        return super().forward(_Doubled.apply(x))


class EdgeSetsSeed(Sine):
    def __init__(self, in_features: int, out_features: int, *, frequency: float = 2.0) -> None:
        super().__init__(in_features, out_features, frequency=frequency)
        nn.init.normal_(self.phase)


FAULTS = [
    (WrongShape, "values_have_the_shape", "must have shape"),
    (WrongGradient, "gradient_is_the_derivative", "must be the derivative"),
    (WrongSecondGradient, "second_gradient_is_the_derivative", "second derivative"),
    (NaNAtTheEnd, "values_and_gradients_are_finite", "gradients must be finite"),
    (NaNAtTheLeft, "values_and_gradients_are_finite", "gradients must be finite"),
    (WrongInTheMiddle, "gradient_is_the_derivative", "must be the derivative"),
    (WrongBatch, "values_have_the_shape", "must have shape"),
    (SumOfTwo, "functions_are_independent", "rank 5"),
    (ConstantTwice, "functions_are_independent", "rank 5"),
    (Vanishing, "functions_are_independent", r"vanish on the whole domain, got functions \[5\]"),
    (SetsSeed, "random_state_is_untouched", "constructor must leave .* torch"),
    (DrawsInForward, "random_state_is_untouched", "a call must leave"),
    (AnyArguments, "signature_is_a_schema", r"\*\*options"),
    (NoDefault, "signature_is_a_schema", "must have a type and a default"),
    (Positional, "signature_is_a_schema", "must be in_features"),
    (partial(Legendre, degre=3), "signature_is_a_schema", "degre"),
    (NotPicklable, "copies_are_equal", "must survive deepcopy, pickle"),
    (WrongOrder, "error_falls_with_resolution", r"declared order is 4, got a measured order of 2\.\d"),
    (NoFloor, "error_falls_with_resolution", r"declared order is 0, got a measured order of 2\.\d"),
    (NegativeOrder, "class_attributes_are_declared", "order must be None or an integer >= 0, got -1"),
    (DoesNotConverge, "error_falls_with_resolution", "error must fall"),
    (Collapsing, "grid_update_keeps_the_function", "must keep the function .* allowed is 1e-05"),
    (Equal, "grid_update_is_finite_on_nasty_samples", "must be finite after an update"),
    (Equal, "grid_update_keeps_the_function", "must keep the function"),
    (NewBuffer, "grid_update_is_in_place", "replaced"),
    (NeverMoves, "grid_update_is_in_place", "must move"),
    (HiddenGrid, "state_survives_state_dict", "same state_dict"),
    (BatchMean, "value_depends_on_its_own_point_alone", "must not depend on"),
    (MixesFeatures, "value_depends_on_its_own_point_alone", "must not depend on"),
    (NotLocal, "local_support_is_local", "zero on half of the domain"),
    (LocalOutside, "local_gives_the_functions_that_are_not_zero", r"an index between .* allowed is 0 to K - S = .*smallest input: x = "),
    (LocalShifted, "local_gives_the_functions_that_are_not_zero", "from forward"),
    (LocalTooMany, "local_gives_the_functions_that_are_not_zero", "expected num_local = 2"),
    (NoResolution, "class_attributes_are_declared", r"resolution must name one of the arguments \['degree'\] or be None, got 'grid_size'"),
    (NoReference, "class_attributes_are_declared", "reference must be"),
    (AlwaysFloat32, "dtype_and_device_are_kept", "must be torch.float64, got torch.float32"),
    (WrongFeatures, "features_are_values_transposed", "forward transposed"),
    (WrongScale, "initial_scale_has_the_shape", "must have shape"),
    (NoRange, "ranges_are_enforced", "degree = 0 must be refused|degree = -1 must be refused"),
    (Dropping, "training_mode_changes_nothing", "same bits"),
    (Counting, "result_is_deterministic", "two calls"),
    (WritesArguments, "arguments_are_not_written", "must stay as they are"),
    (WritesInput, "input_is_not_written", r"must not write to its input, got other numbers in it; smallest input: x = [-\d.]+, degree = 1"),
    (EdgeWritesInput, "input_is_not_written", "must not write to its input"),
    (NoTensor, "values_have_the_shape", r"got no tensor but None .*, expected shape \(1, 1\)"),
    (NoGradient, "second_gradient_is_the_derivative", "got values without a gradient"),
    (DeadParameter, "every_parameter_gets_a_gradient", "unused"),
    (Tiny, "network_trains", "hundred steps"),
    (NotExportable, "layer_can_be_exported", "torch.export must take a layer"),
    (EdgeWrongShape, "values_have_the_shape", "must have shape"),
    (EdgeBatchMean, "value_depends_on_its_own_point_alone", "must not depend on"),
    (EdgeDetached, "every_parameter_gets_a_gradient", "frequency"),
    (EdgeGradient, "gradient_is_the_derivative", "must be the derivative"),
    (EdgeSetsSeed, "random_state_is_untouched", "constructor"),
]


def _name(value):
    return getattr(value, "__name__", None) or (value if isinstance(value, str) and "_" in value else "partial")


@pytest.mark.parametrize(("basis", "name", "message"), FAULTS, ids=[f"{_name(basis)}-{name}" for basis, name, _ in FAULTS])
def test_each_fault_is_caught_by_its_check(basis, name, message):
    subject = Subject.of(basis)
    (check,) = [check for check in basis_checks(subject.made) if check.name == name]
    with pytest.raises(AssertionError, match=message) as caught:
        check.run(subject)
    assert str(caught.value).startswith(f"{subject.name}: ")  # the name comes first
    assert ", got " in str(caught.value) or name == "signature_is_a_schema"


SMALLEST = [
    (NaNAtTheEnd, "values_and_gradients_are_finite", "nan for function 0 in float32", "x = 1 (right end of the domain), degree = 1"),
    (NaNAtTheLeft, "values_and_gradients_are_finite", "-inf for function 0 in float32", "x = -1 (left end of the domain), degree = 1"),
    (WrongGradient, "gradient_is_the_derivative", "2 for function 0, expected 1 by finite differences", "x = 0, degree = 1"),
    (WrongInTheMiddle, "gradient_is_the_derivative", "2 for function 0, expected 1 by finite differences", "x = -0.6, degree = 1"),
    (EdgeGradient, "gradient_is_the_derivative", "4 for function 0, expected 2 by finite differences", "x = 0"),
    (
        WrongSecondGradient,
        "second_gradient_is_the_derivative",
        "0 for function 0, expected 6 by finite differences",
        "x = 1 (right end of the domain), degree = 1",
    ),
    (WrongShape, "values_have_the_shape", "(2, 1) for an input of shape (1,), expected (1, 2)", "x = 0, degree = 2"),
    (WrongBatch, "values_have_the_shape", "(1, 1, 1) for an input of shape (1, 1, 1), expected (1, 1, 1, 1)", "x = 0, degree = 1"),
    (ConstantTwice, "functions_are_independent", "rank 5", "functions 0 and 1, which have rank 1"),
    (SumOfTwo, "functions_are_independent", "rank 5", "functions 0, 1 and 5, which have rank 2"),
    (Collapsing, "grid_update_keeps_the_function", None, "x = [[1], [-0.3]], grid_size = 1"),
    (Equal, "grid_update_is_finite_on_nasty_samples", "NaN or infinity in the values on the domain", "x = 0, grid_size = 1"),
    (BatchMean, "value_depends_on_its_own_point_alone", None, "x = 1 (right end of the domain), degree = 1"),
    (MixesFeatures, "value_depends_on_its_own_point_alone", None, "x = [[0, 1]], degree = 1"),
    (WrongFeatures, "features_are_values_transposed", "a difference of 1", "x = [[0, 1]], degree = 1"),
    (Counting, "result_is_deterministic", "a difference of 0.001", "x = 0, degree = 1"),
    (partial(Counting, degree=1), "result_is_deterministic", "a difference of 0.001", "x = 0"),
]


@pytest.mark.parametrize(("basis", "name", "got", "input_"), SMALLEST, ids=[f"{_name(one[0])}-{one[1]}" for one in SMALLEST])
def test_the_smallest_failing_input_is_named(basis, name, got, input_):
    subject = Subject.of(basis)
    (check,) = [check for check in basis_checks(subject.made) if check.name == name]
    with pytest.raises(Broken) as caught:
        check.run(subject)
    assert caught.value.smallest == input_
    assert str(caught.value).endswith(f"; smallest input: {input_}")
    assert got in (None, caught.value.got)


def test_the_smallest_input_is_in_the_results():
    (result,) = [result for result in check_basis(WrongGradient, raise_on_failure=False) if result.name == "gradient_is_the_derivative"]
    assert result.rule == "the gradient must be the derivative"
    assert result.smallest == "x = 0, degree = 1"
    assert result.got in result.message


def test_a_wrong_gradient_of_a_parameter_is_found():
    class WrongPhase(Sine):
        def forward(self, x):
            return torch.sin(self.frequency * x.unsqueeze(-2) + _Doubled.apply(self.phase))

    (failed,) = [result for result in check_basis(WrongPhase, raise_on_failure=False) if result.name == "gradient_is_the_derivative"]
    assert "Jacobian mismatch" in failed.got
    assert failed.smallest.startswith("x = ")


def test_arguments_are_filled_in():
    assert Subject.of(Legendre, {"degree": 2}).make().num_basis == 2
    assert Subject.of("chebyshev", {"degree": 2}).name == "chebyshev"
    (failed, *_) = [result for result in check_basis(Legendre, {"degre": 2}, raise_on_failure=False) if not result.passed]
    assert "degre" in failed.message


@pytest.mark.parametrize(
    ("fails", "x", "domain", "expected"),
    [
        (lambda x: True, torch.rand(7, 3), (-1.0, 1.0), [[0.0]]),
        (lambda x: True, torch.full((2, 2), 0.5), None, [[0.5]]),
        (lambda x: bool((x == 1).any()), torch.linspace(-1, 1, 257)[:, None].repeat(1, 3), (-1.0, 1.0), [[1.0]]),
        (lambda x: bool((x == -1).any()), torch.linspace(-1, 1, 257)[:, None].repeat(1, 3), (-1.0, 1.0), [[-1.0]]),
        (lambda x: bool(((x > 0.2) & (x < 0.3)).any()), torch.tensor([[0.111], [0.2345]]), (-1.0, 1.0), [[0.23]]),
        (lambda x: len(x) >= 2, torch.rand(9, 2), (0.5, 1.0), [[1.0], [1.0]]),
        (lambda x: x.shape[-1] >= 2 and bool(x[0, 0] != x[0, 1]), torch.tensor([[0.3, 0.4, 0.5]]), (-1.0, 1.0), [[0.0, 1.0]]),
        (lambda x: 3 in x and 5 in x, torch.arange(9), None, [3, 5]),
        (lambda x: bool((x < 0.13).any()), torch.tensor([0.126]), (0.125, 0.2), [0.125]),  # 0.1 is outside
    ],
)
def test_smallest(fails, x, domain, expected):
    found = smallest(fails, x, domain)
    assert fails(found)
    assert torch.allclose(found, torch.tensor(expected).to(found))


def test_smallest_gives_up_in_time():
    calls = []

    def fails(x):
        calls.append(x)
        return len(x) == 2000

    assert len(smallest(fails, torch.rand(2000, 1), (-1.0, 1.0))) == 2000
    assert len(calls) <= 400


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.tensor([-1.0]), "x = -1 (left end of the domain)"),
        (torch.tensor([[0.25]]), "x = 0.25"),
        (torch.tensor([[0.0, 1.0]]), "x = [[0, 1]]"),
        (torch.zeros(0, 3), "x of shape (0, 3)"),
        (torch.zeros(5, 3), "x of shape (5, 3)"),
    ],
)
def test_inputs_are_described(x, words):
    assert describe(x, (-1.0, 1.0)) == words


def test_every_check_catches_something():
    assert {check.name for check in basis_checks()} == {name for _, name, _ in FAULTS} | {"convolution_runs"}


def test_every_check_says_its_rule():
    assert all(check.rule.endswith(".") for check in (*basis_checks(), *task_checks()))


def test_results_are_returned_or_raised():
    results = {result.name: result for result in check_basis(WrongOrder, raise_on_failure=False)}
    assert [name for name, result in results.items() if not result.passed] == ["error_falls_with_resolution"]
    with pytest.raises(AssertionError, match=f"1 of {len(results)} checks failed\nerror_falls_with_resolution: WrongOrder: "):
        check_basis(WrongOrder)


def test_plugin_that_raises_is_reported():
    class Raises(Legendre):
        def forward(self, x):
            raise RuntimeError("no luck")

    results = check_basis(Raises, raise_on_failure=False)
    line = Raises.forward.__code__.co_firstlineno + 1
    assert f"Raises: RuntimeError: no luck (test_testing.py, line {line})" in {result.message for result in results}
    assert f"RuntimeError: no luck (test_testing.py, line {line})" in {result.got for result in results}


def test_what_is_no_basis_is_reported():
    with pytest.raises(AssertionError, match="Linear: must be derived from Basis or EdgeBasis"):
        check_basis(nn.Linear)


def test_suite_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    check_basis(Hat)
    assert torch.equal(before, torch.get_rng_state())


def test_cases_are_named_by_basis_and_check():
    (mark,) = parametrize_with_basis_checks("chebyshev").pytestmark
    assert mark.args[1][0].id == "chebyshev-signature_is_a_schema"
    assert {case.values[0] for case in mark.args[1]} == {"chebyshev"}


def test_unknown_name_fails_as_a_test_not_at_collection():
    test = parametrize_with_basis_checks("chebychev")
    (case,) = test.pytestmark[0].args[1]
    with pytest.raises(ValueError, match="unknown basis 'chebychev'"):
        test(*case.values)


@pytest.mark.slow
def test_import_is_light():
    code = "import sys, kanzoo.testing; print({'pytorch_lightning', 'pytest', 'mlflow', 'omegaconf'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
