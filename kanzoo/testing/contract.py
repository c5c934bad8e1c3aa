"""The contract of a basis as its author writes it: signature, class attributes, shapes, dtype, each point on its own."""

import torch

from kanzoo.basis import Basis, EdgeBasis
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


@basis_check(Basis, EdgeBasis)
def values_have_the_shape(subject: Subject) -> None:
    """Input `(*batch, in)` gives `(*batch, in, K)`, of an EdgeBasis `(*batch, out, in)`, for any leading dimensions."""
    for in_features in (1, 3):
        basis = subject.make(in_features)
        for batch in ((), (5,), (2, 3), (0,)):
            shape = tuple(basis(points(basis.domain, *batch, in_features, dtype=torch.float32)).shape)
            last = (2, in_features) if isinstance(basis, EdgeBasis) else (in_features, basis.num_basis)
            subject.require(shape == (*batch, *last), f"values on a batch {batch} must have shape {(*batch, *last)}", shape)


@basis_check(Basis)
def features_are_values_transposed(subject: Subject) -> None:
    """`features` equals `forward` with the last two dimensions exchanged."""
    basis = subject.make().double()
    x = points(basis.domain, 7, 3)
    value, expected = basis.features(x), basis(x).transpose(-1, -2)
    subject.require(value.shape == expected.shape, f"features must have shape {tuple(expected.shape)}", tuple(value.shape))
    error = float((value - expected).detach().abs().max())
    subject.require(error <= 1e-12, "features must be forward transposed", f"a difference of {error:.3g}")


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
    basis = subject.make().double()
    x, other = points(basis.domain, 6, 3), points(basis.domain, 6, 3, seed=1)
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
