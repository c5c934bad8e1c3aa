"""The basis under test, and the points that it is evaluated at."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.basis import BasisFactory, EdgeBasis
from kanzoo.registry import find
from kanzoo.signature import Argument, arguments_of
from kanzoo.testing.random_state import generator


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


def _unwrap(factory: Any) -> Any:
    while isinstance(factory, partial):
        factory = factory.func
    return factory


def points(domain: tuple[float, float], *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return generic points, well inside the domain and on no knot."""
    low, high = domain
    return (low + (high - low) * (0.02 + 0.96 * torch.rand(shape, generator=generator(seed), dtype=torch.float64))).to(dtype)


def spread(domain: tuple[float, float], count: int, in_features: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return evenly spaced points of the closed domain, the same for all features: `(count, in_features)`."""
    return torch.linspace(*domain, count, dtype=dtype)[:, None].repeat(1, in_features)
