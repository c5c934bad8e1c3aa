"""A check is one rule of a contract; checks are registered in order, run on a basis and reported."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kanzoo.basis import Basis, BasisFactory, EdgeBasis
from kanzoo.errors import InvalidInput
from kanzoo.registry import plugins
from kanzoo.testing.broken import Broken, told
from kanzoo.testing.subject import Subject


@dataclass(frozen=True)
class CheckResult:
    """What became of one check.

    Attributes:
        name: name of the check.
        passed: whether the contract holds.
        seconds: wall-clock time.
        message: empty, or what is wrong: name, rule, value and smallest input.
        rule: what must hold; empty when it does, or when the plug-in raised an error of its own.
        got: what was found instead.
        smallest: the smallest input that shows it, in words; empty where the rule is about no input.
    """

    name: str
    passed: bool
    seconds: float
    message: str
    rule: str = ""
    got: str = ""
    smallest: str = ""


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


_BASIS_CHECKS: list[Check] = []


def basis_check(*applies_to: type) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Register the decorated function as a check of the subclasses of these classes."""

    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        _BASIS_CHECKS.append(Check(applies_to, function))
        return function

    return register


def basis_checks(kind: type | None = None) -> tuple[Check, ...]:
    """Return the checks of a basis: all of them, or those that apply to a class.

    Example:
        >>> from kanzoo.basis import AdaptiveBasis
        >>> [check.name for check in basis_checks(AdaptiveBasis)][-3:]
        ['grid_update_is_in_place', 'grid_update_is_finite_on_nasty_samples', 'grid_update_keeps_the_function']
    """
    return tuple(check for check in _BASIS_CHECKS if kind is None or issubclass(kind, check.applies_to))


def check_basis(
    basis: "str | BasisFactory", arguments: Mapping[str, Any] | None = None, *, raise_on_failure: bool = True
) -> list[CheckResult]:
    """Run every check that applies to a basis.

    Args:
        basis: a registry name, a `Basis` or `EdgeBasis` class, or a `functools.partial` of one.
        arguments: of its constructor; the defaults of the others.
        raise_on_failure: raise when a check fails, or only return the results.

    Raises:
        AssertionError: at least one check failed; the message has a line for each.
        InvalidInput: the name is unknown, or the plug-in cannot be imported.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> all(result.passed for result in check_basis(Chebyshev))
        True
    """
    subject = Subject.of(basis, arguments)
    return report(run(_checks_of(subject), subject), raise_on_failure)


def parametrize_with_basis_checks(*names: str) -> Callable[..., None]:
    """Return a test function for pytest, one case for each check of each basis.

    Args:
        names: registry names; all registered bases when there are none.

    Example:
        test_contract = parametrize_with_basis_checks("mexican_hat")
    """

    def checks(name: str) -> Sequence[Check]:
        try:
            return _checks_of(Subject.of(name))
        except InvalidInput:  # collection goes on, and the case itself tells it
            return (Check((), is_a_basis),)

    return parametrize({name: checks(name) for name in names or sorted(plugins("basis"))}, Subject.of)


def parametrize(checks: Mapping[str, Sequence[Check]], subject_of: Callable[[str], Any]) -> Callable[..., None]:
    """Return a test function for pytest, one case for each check of each name."""
    import pytest

    cases = [pytest.param(name, check, id=f"{name}-{check.name}") for name, of_one in checks.items() for check in of_one]

    @pytest.mark.parametrize(("name", "check"), cases)
    def test_contract(name: str, check: Check) -> None:
        check.run(subject_of(name))

    return test_contract


def is_a_basis(subject: Subject) -> None:
    """It is a class derived from Basis or EdgeBasis."""
    good = isinstance(subject.made, type) and issubclass(subject.made, Basis | EdgeBasis)
    subject.require(good, "must be derived from Basis or EdgeBasis", subject.made)


def _checks_of(subject: Subject) -> tuple[Check, ...]:
    """Return the checks that apply, or the one that tells why none does."""
    checks = basis_checks(subject.made) if isinstance(subject.made, type) else ()
    return checks or (Check((), is_a_basis),)


def run(checks: Sequence[Check], subject: Any) -> list[CheckResult]:
    """Run checks on a subject; an error inside the plug-in fails its check."""
    results = []
    for check in checks:
        start = time.perf_counter()
        message, details = "", ("", "", "")
        try:
            check.run(subject)
        except Broken as error:
            message, details = str(error), (error.rule, error.got, error.smallest)
        except AssertionError as error:
            message = str(error)
        except Exception as error:  # the plug-in itself failed
            message = f"{subject.name}: {told(error, subject.made)}"
        results.append(CheckResult(check.name, not message, time.perf_counter() - start, message, *details))
    return results


def report(results: list[CheckResult], raise_on_failure: bool) -> list[CheckResult]:
    """Return the results, or raise AssertionError with a line for each failure."""
    failures = [f"{result.name}: {result.message}" for result in results if not result.passed]
    if failures and raise_on_failure:
        raise AssertionError(f"{len(failures)} of {len(results)} checks failed\n" + "\n".join(failures))
    return results
