"""The contract of a basis as its author writes it: signature, class attributes, shapes, dtype, each point on its own."""

from itertools import product

import torch
from torch import Tensor

from kanzoo.basis import Basis, EdgeBasis, LocalBasis, spread
from kanzoo.errors import InvalidInput
from kanzoo.testing.check import basis_check
from kanzoo.testing.subject import Subject, points


@basis_check(Basis, EdgeBasis)
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


@basis_check(Basis, EdgeBasis)
def class_attributes_are_declared(subject: Subject) -> None:
    """`reference` is not empty; of a Basis, `resolution` names a constructor argument or is None, and `support` is local or global."""
    reference = getattr(subject.made, "reference", None)
    subject.require(isinstance(reference, str) and reference.strip(), "reference must be a DOI or arXiv id", repr(reference))
    if not issubclass(subject.made, Basis):
        return
    resolution, support = getattr(subject.made, "resolution", ""), getattr(subject.made, "support", None)
    names = list(subject.arguments())
    subject.require(resolution in (*names, None), f"resolution must name one of the arguments {names} or be None", repr(resolution))
    subject.require(support in ("local", "global"), "support must be 'local' or 'global'", repr(support))
    order = subject.make().order
    subject.require(order is None or (type(order) is int and order >= 0), "order must be None or an integer >= 0", repr(order))


@basis_check(Basis, EdgeBasis)
def values_have_the_shape(subject: Subject) -> None:
    """Input `(*batch, in)` gives `(*batch, in, K)`, of an EdgeBasis `(*batch, out, in)`, for any leading dimensions."""
    domain, edge = subject.make(1).domain, issubclass(subject.made, EdgeBasis)
    for in_features in (1, 3):
        for batch in ((), (5,), (2, 3), (0,)):
            x = points(domain, *batch, in_features, dtype=torch.float32)
            subject.require_at(x, f"values must have shape {'(*batch, out, in)' if edge else '(*batch, in, K)'}", _wrong_shape)


def _wrong_shape(subject: Subject, x: Tensor) -> str | None:
    basis = subject.make(x.shape[-1])
    last = (2, x.shape[-1]) if isinstance(basis, EdgeBasis) else (x.shape[-1], basis.num_basis)
    value, expected = basis(x), (*x.shape[:-1], *last)
    if not isinstance(value, Tensor):
        return f"no tensor but {value!r:.60} for an input of shape {tuple(x.shape)}, expected shape {expected}"
    shape = tuple(value.shape)
    return None if shape == expected else f"{shape} for an input of shape {tuple(x.shape)}, expected {expected}"


@basis_check(Basis)
def features_are_values_transposed(subject: Subject) -> None:
    """`features` equals `forward` with the last two dimensions exchanged."""
    subject.require_at(points(subject.make().domain, 7, 3), "features must be forward transposed", _wrong_features)


def _wrong_features(subject: Subject, x: Tensor) -> str | None:
    basis = subject.make(x.shape[-1]).double()
    found, expected = basis.features(x), basis(x).transpose(-1, -2)
    if found.shape != expected.shape:
        return f"shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
    error = float((found - expected).detach().abs().max())
    return None if error <= 1e-12 else f"a difference of {error:.3g}"


@basis_check(LocalBasis)
def local_gives_the_functions_that_are_not_zero(subject: Subject) -> None:
    """`local` gives an index in 0 ... K - S and S values, which put in their places are `forward`, at the ends and outside too."""
    low, high = subject.make().domain
    outside = torch.tensor([low, high, low - 0.1 * (high - low), high + 0.1 * (high - low)], dtype=torch.float64)
    x = torch.cat([points((low, high), 20, 2), outside.unsqueeze(1).expand(-1, 2)])
    subject.require_at(x, "local must give the functions that are not zero", _wrong_local)


def _wrong_local(subject: Subject, x: Tensor) -> str | None:
    basis = subject.make(x.shape[-1]).double()
    first, values = basis.local(x)
    if first.dtype != torch.int64 or first.shape != x.shape:
        return f"an index of dtype {first.dtype} and shape {tuple(first.shape)}, expected torch.int64 and {tuple(x.shape)}"
    if len(values) != basis.num_local or any(value.shape != x.shape for value in values):
        return f"values of shapes {[tuple(value.shape) for value in values]}, expected num_local = {basis.num_local} of {tuple(x.shape)}"
    most = basis.num_basis - len(values)
    if x.numel() and not 0 <= int(first.min()) <= int(first.max()) <= most:
        return f"an index between {int(first.min())} and {int(first.max())}, allowed is 0 to K - S = {most}"
    error = float((spread(first, torch.stack(values, -2), basis.num_basis) - basis(x).transpose(-1, -2)).detach().abs().max())
    return None if error <= 1e-12 else f"a difference of {error:.3g} from forward"


@basis_check(Basis)
def initial_scale_has_the_shape(subject: Subject) -> None:
    """`initial_scale` has one finite, non-negative number a function, not all zero."""
    basis = subject.make()
    scale = basis.initial_scale()
    subject.require(tuple(scale.shape) == (basis.num_basis,), f"initial_scale must have shape {(basis.num_basis,)}", tuple(scale.shape))
    good = bool(scale.isfinite().all() and (scale >= 0).all() and (scale > 0).any())
    subject.require(good, "initial_scale must be finite, >= 0 and not all zero", scale)


@basis_check(Basis, EdgeBasis)
def dtype_and_device_are_kept(subject: Subject) -> None:
    """Values have the dtype and the device of the input, whatever the dtype of the buffers."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for basis in (subject.make().to(device), subject.make().double().to(device)):
            own = {tensor.dtype for tensor in (*basis.parameters(), *basis.buffers()) if tensor.is_floating_point()}
            dtypes = {torch.float32, torch.float64} if torch.float64 not in own else {torch.float64}
            for dtype in dtypes:
                x = points(basis.domain, 4, 3, dtype=dtype).to(device)
                value = basis(x)
                subject.require(value.dtype == dtype, f"values on {dtype} must be {dtype}", value.dtype)
                subject.require(value.device == x.device, f"values on {x.device} must stay there", value.device)


@basis_check(Basis, EdgeBasis)
def value_depends_on_its_own_point_alone(subject: Subject) -> None:
    """A value at a point depends neither on the other points of the batch nor on the other features."""
    x = points(subject.make().domain, 4, 3)
    subject.require_at(x, "a value must not depend on the other points and features, nor on the size of the batch", _depends_on_others)


def _depends_on_others(subject: Subject, x: Tensor) -> str | None:
    basis = subject.make(x.shape[-1]).double()
    value = subject.values(basis, x)
    for place, feature in product(range(x.shape[0]), range(x.shape[1])):
        mirrored = sum(basis.domain) - x
        mirrored[place, feature] = x[place, feature]
        for what, found in (
            ("other points change", subject.values(basis, mirrored)[place, feature]),
            ("the point is evaluated alone", subject.values(basis, x[place])[feature]),
        ):
            error = float((found - value[place, feature]).detach().abs().max())
            if not error <= 1e-10:
                return f"a difference of {error:.3g} at x = {float(x[place, feature]):.6g} when {what}"
    return None
