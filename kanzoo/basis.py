"""The contracts of a basis: all that a plug-in author implements, and all that a layer may rely on. Imports torch only.

A basis is a formula. It knows nothing of coefficients, layers or tasks: the layer owns the coefficients, the residual branch,
the squash of inputs into `domain`, the initial scale and the re-projection after a grid update.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn


def check_domain(domain: tuple[float, float]) -> tuple[float, float]:
    """Return the domain as two floats.

    Raises:
        ValueError: its ends are not finite, or not in order.
    """
    low, high = (float(end) for end in domain)
    if not -float("inf") < low < high < float("inf"):
        raise ValueError(f"domain must be two finite numbers in rising order, got {tuple(domain)!r}")
    return low, high


class Remakable(nn.Module):
    """A module that knows what it was constructed with, so that one with other arguments can be made; it asks nothing of an author."""

    _constructed: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments of the constructor."""
        made = super().__new__(cls)
        made.__dict__["_constructed"] = args, kwargs  # before nn.Module's constructor nothing else can be set
        return made

    def constructed_with(self) -> dict[str, Any]:
        """The constructor's arguments by name, defaults included."""
        args, kwargs = self._constructed or ((), {})
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        return dict(list(bound.arguments.items())[1:])

    def remade(self, **changes: Any) -> Self:
        """Return a new instance, constructed with the same arguments but for `changes`; what happened to this one since is not in it.

        Example:
            >>> from kanzoo_bases.bspline import BSpline
            >>> BSpline(2, degree=2).remade(grid_size=9).constructed_with()
            {'in_features': 2, 'degree': 2, 'grid_size': 9, 'domain': (-1.0, 1.0), 'grid_uniformity': 0.02}
        """
        with torch.random.fork_rng(devices=[]):
            return type(self)(**{**self.constructed_with(), **changes})


class Basis(Remakable, ABC):
    r"""A finite family $\phi_1, \dots, \phi_K$ on a closed interval, evaluated elementwise.

    A plug-in sets the class attributes, writes `__init__` with keyword-only, typed, defaulted arguments (they are the config
    schema; ranges as `Annotated[int, Ge(1)]`, enforced by `kanzoo.signature.checked`) and `forward`. The edge function that a
    layer learns is $\varphi_{oi}(x) = \sum_k \mathrm{coeff}_{oik}\,\phi_k(x)$. Leave the constant function out where the family
    allows it: one output bias of the layer replaces the constants of all edges.

    Attributes:
        resolution: name of the constructor argument that refines the family, `degree` or `grid_size` for example; None where none does.
        support: whether a basis function vanishes outside a part of the domain.
        reference: DOI or arXiv id of the paper.
        family: under which lists group it: `spline`, `polynomial`, `radial`, `periodic`, `wavelet`, `rational`, `learnt`, or another word.
        formula: of one function, in plain text: `T_n(x), n = 1 ... degree`.
        order: algebraic order of approximation p, error ~ h^p on smooth functions; 0 where it falls to a floor, None when spectral or
            unknown.
        in_features: number of inputs, each with its own copy of the grid where there is one.
        num_basis: K.
        domain: the closed interval on which the family is meant to be used.

    Example:
        >>> class Monomials(ColumnBasis):
        ...     resolution, support, reference = "degree", "global", "none"
        ...
        ...     def __init__(self, in_features: int, *, degree: int = 3) -> None:
        ...         super().__init__(in_features, num_basis=degree, domain=(-1.0, 1.0))
        ...
        ...     def columns(self, x):
        ...         return [x**power for power in range(1, self.num_basis + 1)]
        >>> Monomials(2)(torch.full((5, 2), 2.0))[0, 0]
        tensor([2., 4., 8.])
    """

    resolution: ClassVar[str | None]
    support: ClassVar[Literal["local", "global"]]
    reference: ClassVar[str]
    family: ClassVar[str] = "other"
    formula: ClassVar[str] = ""
    order: int | None = None

    def __init__(self, in_features: int, num_basis: int, domain: tuple[float, float]) -> None:
        super().__init__()
        if in_features < 1 or num_basis < 1:
            raise ValueError(f"in_features and num_basis must be >= 1, got {in_features} and {num_basis}")
        self.in_features = in_features
        self.num_basis = num_basis
        self.domain = check_domain(domain)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`, same dtype and device."""

    def features(self, x: Tensor) -> Tensor:
        """Evaluate in the layout that layers contract, basis-major: `(*batch, K, in_features)`, inputs in unit stride.

        Override it only where the family is naturally computed in this layout.
        """
        return self(x).transpose(-1, -2)  # type: ignore[no-any-return]

    def everywhere(self, x: Tensor) -> Tensor:
        """Evaluate the functions as their formula defines them on the whole line, basis-major: `(*batch, K, in_features)`.

        Override it where `features` continues them in another way outside the domain.
        """
        return self.features(x)

    def interval(self) -> tuple[Tensor | float, Tensor | float]:
        """Return the ends of what the functions cover, numbers or one for each input: the domain, unless a grid has moved."""
        return self.domain

    def initial_scale(self) -> Tensor:
        """Relative standard deviation of the initial coefficients, shape `(K,)`: ones unless the family wants some functions damped."""
        return torch.ones(self.num_basis)

    def refined(self, resolution: int) -> "Basis":
        """Return the family at a higher resolution; override it where a grid has moved, so that the new one contains the old.

        Parameters and buffers whose shapes do not depend on the resolution are carried over.

        Raises:
            TypeError: no argument refines the family.
        """
        if self.resolution is None:
            raise TypeError(f"basis must have a resolution, got {type(self).__name__}")
        new = self.remade(**{self.resolution: resolution})
        state = new.state_dict()
        kept = {name: value for name, value in self.state_dict().items() if name in state and value.shape == state[name].shape}
        new.load_state_dict(state | kept)
        return new

    def cell_ends(self) -> Tensor:
        """Return places in rising order, `(in_features, P)`, between which the functions are smooth: the ends of the domain, knots."""
        return torch.tensor(self.domain).repeat(self.in_features, 1)

    def figures(self) -> dict[str, float]:
        """Return by name what training made of numbers inside the family, to be recorded as `basis/LAYER/NAME`: nothing by default."""
        return {}

    def extra_repr(self) -> str:
        """Describe the basis in a printed network."""
        return f"in_features={self.in_features}, num_basis={self.num_basis}, domain={self.domain}"


class ColumnBasis(Basis):
    """A basis computed function by function, by a recurrence for example: write `columns`, get both layouts without a copy."""

    @abstractmethod
    def columns(self, x: Tensor) -> list[Tensor]:
        """Return the K functions, each a tensor of the shape of `x`."""

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return torch.stack(self.columns(x), -1)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        return torch.stack(self.columns(x), -2)


class LocalBasis(Basis):
    """A basis of which only `num_local` neighbours are not zero at any x: write `local`, get both layouts and the fast contraction.

    Layers contract such a basis at a cost that does not grow with K.

    Attributes:
        num_local: S, the number of functions that are not zero at one x.
    """

    num_local: int

    @abstractmethod
    def local(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the index of the first function that is not zero, int64 in 0 ... K - S, and the S values, each of the shape of `x`."""

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all basis functions: `(*batch, in_features)` to `(*batch, in_features, K)`."""
        return self.features(x).transpose(-1, -2)

    def features(self, x: Tensor) -> Tensor:
        """Evaluate basis-major: `(*batch, K, in_features)`."""
        first, values = self.local(x)
        return spread(first, torch.stack(values, -2), self.num_basis)


def spread(first: Tensor, values: Tensor, num_basis: int) -> Tensor:
    """Return all K functions `(*batch, K, in)` from the first index `(*batch, in)` and the S values `(*batch, S, in)`, zeros elsewhere."""
    index = first.unsqueeze(-2) + torch.arange(values.shape[-2], device=values.device).unsqueeze(-1)
    zeros = values.new_zeros((*first.shape[:-1], num_basis, first.shape[-1]))
    return zeros.scatter(-2, index, values)


class AdaptiveBasis(Basis):
    """A basis whose knots or centers can follow the data, one grid an input."""

    @abstractmethod
    def update_grid(self, x: Tensor) -> None:
        """Move the knots or centers in place to suit samples `(N, in_features)`; the layer re-fits its coefficients afterwards."""


class EdgeBasis(Remakable, ABC):
    r"""Functions with trainable parameters inside the non-linearity, one set an edge: $\psi_{oi}(x)$.

    The layer multiplies each by a weight and sums over the inputs. Costs memory for `batch * out * in` values; where the
    parameters enter linearly, a `Basis` is the cheaper contract.

    Attributes:
        reference: DOI or arXiv id of the paper.
        family: under which lists group it, as for a `Basis`.
        formula: of one edge, in plain text: `psi((x - t) / s)`.
        in_features: number of inputs.
        out_features: number of outputs.
        domain: the closed interval that inputs are squashed into.
    """

    reference: ClassVar[str]
    family: ClassVar[str] = "other"
    formula: ClassVar[str] = ""

    def __init__(self, in_features: int, out_features: int, domain: tuple[float, float]) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"in_features and out_features must be >= 1, got {in_features} and {out_features}")
        self.in_features = in_features
        self.out_features = out_features
        self.domain = check_domain(domain)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all edges: `(*batch, in_features)` to `(*batch, out_features, in_features)`."""

    def extra_repr(self) -> str:
        """Describe the basis in a printed network."""
        return f"in_features={self.in_features}, out_features={self.out_features}, domain={self.domain}"


#: What a layer is given: a class, or a `functools.partial` of one with the arguments filled in.
BasisFactory = Callable[..., Basis] | Callable[..., EdgeBasis]


def is_edge_factory(factory: BasisFactory) -> bool:
    """Tell whether a factory makes an `EdgeBasis`: the class itself or a (nested) partial of it.

    Raises:
        TypeError: it is no factory but a name, or a basis that is made already.
    """
    if not callable(factory) or isinstance(factory, nn.Module):
        given = repr(factory) if isinstance(factory, str) else f"an instance of {type(factory).__name__}"
        raise TypeError(f"basis must be a class or a functools.partial of one, as partial(Chebyshev, degree=8), got {given}")
    made = factory
    while hasattr(made, "func"):  # functools.partial
        made = made.func
    return isinstance(made, type) and issubclass(made, EdgeBasis)
