"""The basis under test, and the points that it is evaluated at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import BasisFactory, EdgeBasis
from kanzoo.errors import InvalidInput
from kanzoo.registry import find
from kanzoo.signature import Argument, arguments_of
from kanzoo.testing.broken import Broken, told
from kanzoo.testing.random_state import generator
from kanzoo.testing.smallest import describe, smallest

#: What is wrong with a basis at some points, in words; None when nothing is.
Verdict = Callable[["Subject", Tensor], str | None]


@dataclass(frozen=True)
class Subject:
    """A basis under test: its name in messages, and how it is made."""

    name: str
    factory: BasisFactory

    @classmethod
    def of(cls, basis: "str | BasisFactory", arguments: Mapping[str, Any] | None = None) -> "Subject":
        """Take a registry name, a class, or a partial of one; `arguments` are filled in.

        Raises:
            InvalidInput: the name is unknown, or the plug-in cannot be imported.
        """
        factory = find("basis", basis).load() if isinstance(basis, str) else basis
        name = basis if isinstance(basis, str) else getattr(_unwrap(basis), "__name__", repr(basis))
        return cls(name, partial(factory, **arguments) if arguments else factory)

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
            raise Broken(self.name, rule, value)

    def require_at(self, x: Tensor, rule: str, verdict: Verdict, *, simplify: bool = True) -> None:
        """Require that nothing is wrong at `x`; otherwise raise with the smallest input, at the lowest resolution, that shows it.

        Args:
            x: points; their last dimension is that of the features.
            rule: what must hold, in words.
            verdict: `(subject, x)` to what is wrong there, or None; what it raises is wrong, too.
            simplify: whether numbers may be replaced by simpler ones of the domain.
        """
        found = _fault(verdict, self, x)
        if found is None:
            return

        def same(subject: Subject, x: Tensor) -> bool:
            fault = _fault(verdict, subject, x)
            return fault is not None and fault[0] == found[0]

        subject = next((one for one in self._simpler() if same(one, x)), self)
        domain = subject.make(x.shape[-1]).domain
        x = smallest(lambda x: same(subject, x), x, domain if simplify else None)
        (_, got), resolution = _fault(verdict, subject, x) or found, getattr(self.made, "resolution", "")
        shown = describe(x, domain) + (f", {resolution} = {subject.filled[resolution]}" if subject is not self else "")
        raise Broken(self.name, rule, got, shown)

    def _simpler(self) -> "Iterator[Subject]":
        """Yield it with lower resolutions, the lowest first."""
        resolution = getattr(self.made, "resolution", "")
        try:
            rule = self.arguments().get(resolution)
        except InvalidInput:
            return
        size = self.filled.get(resolution, rule.default) if rule else None
        if rule is None or not isinstance(size, int):
            return
        for lower in range(1, min(size, 9)):
            if rule.violation(lower) is None:
                yield Subject(self.name, partial(self.factory, **{resolution: lower}))


def _unwrap(factory: Any) -> Any:
    while isinstance(factory, partial):
        factory = factory.func
    return factory


def _fault(verdict: Verdict, subject: Subject, x: Tensor) -> tuple[str, str] | None:
    """Return the kind of the fault and the fault in words, or None."""
    try:
        found = verdict(subject, x)
    except Exception as error:  # the plug-in itself failed
        return type(error).__name__, told(error, subject.made)
    return None if found is None else ("", found)


def points(domain: tuple[float, float], *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return generic points, well inside the domain and on no knot."""
    low, high = domain
    return (low + (high - low) * (0.02 + 0.96 * torch.rand(shape, generator=generator(seed), dtype=torch.float64))).to(dtype)


def spread(domain: tuple[float, float], count: int, in_features: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return evenly spaced points of the closed domain, the same for all features: `(count, in_features)`."""
    return torch.linspace(*domain, count, dtype=dtype)[:, None].repeat(1, in_features)
