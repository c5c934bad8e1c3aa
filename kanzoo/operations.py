"""How many arithmetic operations a computation takes, counted as it runs: no author declares anything, so that no declaration is wrong."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from kanzoo.kernels.build import library
from kanzoo.kernels.gemm import onednn_is_faster

#: Operations of one value for what is not one of the processor's: a division or root, and what a library makes of polynomials.
DIVISION, TRANSCENDENTAL = 4, 10

#: Elementwise operators that are not 1 a value.
_ELEMENTWISE = (
    dict.fromkeys(("div", "reciprocal", "sqrt", "rsqrt", "remainder", "fmod", "floor_divide"), DIVISION)
    | dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "erf", "erfc", "lgamma"), TRANSCENDENTAL)
    | dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinc", "sinh", "cosh", "tanh"), TRANSCENDENTAL)
    | dict.fromkeys(("asinh", "acosh", "atanh", "sigmoid", "log_sigmoid_forward", "softplus"), TRANSCENDENTAL)
    | dict.fromkeys(("silu", "gelu", "elu", "mish"), TRANSCENDENTAL + 2)
    | dict.fromkeys(("addcmul", "lerp", "hardtanh", "clamp"), 2)
    | {"addcdiv": 2 + DIVISION}
    | dict.fromkeys(("clone", "where", "masked_fill", "bitwise_and", "bitwise_or", "bitwise_not", "logical_and", "logical_or"), 0)
)
#: Operators that read each value of their input, so many operations a value.
_REDUCTIONS = (
    dict.fromkeys(("sum", "mean", "amax", "amin", "max", "min", "prod", "cumsum", "cumprod"), 1)
    | dict.fromkeys(("var", "var_mean", "std"), 3)
    | {"linalg_vector_norm": 2, "native_layer_norm": 8, "native_batch_norm": 5}
    | {"_softmax": 3 + TRANSCENDENTAL + DIVISION, "_log_softmax": 4 + TRANSCENDENTAL}
)


def operations(function: Callable[..., Any], *inputs: Any) -> int:
    r"""Return how many arithmetic operations a call takes.

    An addition, multiplication or comparison of two numbers is 1, a division or square root 4, a transcendental function 10 (about
    what its polynomial takes), a power of a whole number n is $\lceil 2 \log_2 n \rceil - 1$ products; a product of matrices is two for
    each multiplication. Moving, copying and choosing numbers is 0. PyTorch's own counter counts products alone: exp and sin are
    nothing to it.

    Args:
        function: a network, or any function of tensors; it is called once, without gradients.
        inputs: its arguments.

    Example:
        >>> operations(torch.nn.Linear(3, 2), torch.ones(1, 3))
        12
        >>> operations(lambda x: x.exp() + 1, torch.ones(5))
        55
    """
    onednn_is_faster()  # what is found out at the first call is not counted
    library()
    counter = _Counter()
    with torch.no_grad(), counter:
        function(*inputs)
    return counter.total


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operations of every operator that is called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.total += _count(func, args, kwargs or {}, result)
        return result


def _count(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    packet = operator.overloadpacket
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=result))
    name = operator.name().partition(".")[0]
    if name == "kanzoo::contract":  # the rows of the functions that are not zero
        return int(2 * args[1].numel() * args[2].shape[-1])
    if name == "kanzoo::product":
        return int(2 * args[0].numel() * args[1].shape[0])
    name = name.removeprefix("aten::").rstrip("_")
    if name in _REDUCTIONS:
        return _REDUCTIONS[name] * int(args[0].numel())
    if torch.Tag.pointwise not in operator.tags:
        return 0
    values = result[0] if isinstance(result, tuple) else result
    assert isinstance(values, Tensor)
    return values.numel() * (_power(args[1]) if name == "pow" else _ELEMENTWISE.get(name, 1))


def _power(exponent: Any) -> int:
    """Return the operations of one power: products where the exponent is a whole number, else an exponential and a logarithm."""
    if not isinstance(exponent, int | float) or not float(exponent).is_integer():
        return 2 * TRANSCENDENTAL + 1
    size = abs(int(exponent))
    products = max(1, math.ceil(2 * math.log2(size)) - 1) if size > 1 else 0
    return products + (DIVISION if exponent < 0 else 0)
