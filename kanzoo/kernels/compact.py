r"""Contraction of a local basis with its coefficients, at a cost that does not grow with the grid.

$$y_{bo} = \sum_i \sum_{r<S} v_{bri}\,c_{i,\,j_{bi}+r,\,o}$$

with the first index j and the S values v that `LocalBasis.local` gives. Coefficients are `(in, K, out)`: the S rows of a cell lie side
by side. A C++ kernel does it, compiled at first use, and on a GPU one in Triton; without a compiler, under `torch.func` and for derivatives
of derivatives the same sum is taken by torch's own operators.
"""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from kanzoo.basis import spread
from kanzoo.kernels.build import library
from kanzoo.kernels.context import kernels_serve

#: What the kernel is compiled for.
_SIZES = range(1, 7)
_DTYPES = {torch.float32: "float32", torch.float64: "float64"}

#: Outputs from which the kernel vectorises; and from which a smaller grid is enough for it.
SMALLEST_OUT, WIDE_OUT = 8, 128

#: Functions an edge for each that is not zero from which it beats a product over all functions: in narrow layers, and in wide ones.
_WORTH, _WORTH_WIDE = 4, 3

#: Functions an edge for each that is not zero from which Triton is taken: below, a GPU multiplies zeros faster. Not measured yet.
_WORTH_ON_GPU = 8

#: Multiplications from which a second thread pays.
_PARALLEL = 5_000_000


def pays(num_local: int, num_basis: int, outputs: int) -> bool:
    """Tell whether the contraction beats one product over all functions for a layer of this shape, measured on a processor."""
    return num_local in _SIZES and outputs >= SMALLEST_OUT and _is_worth(num_basis // num_local, outputs)


def _is_worth(share: int, outputs: int) -> bool:
    return share >= (_WORTH_WIDE if outputs >= WIDE_OUT else _WORTH)


def contract(first: Tensor, values: Tensor, coeff: Tensor) -> Tensor:
    """Return y `(N, out)`.

    Args:
        first: index of the first of the S functions, `(N, in)`, int64.
        values: `(N, S, in)`.
        coeff: `(in, K, out)`.
    """
    if _kernel_serves(values, coeff):
        y: Tensor = _contract(first, values, coeff)
        return y
    return dense(first, values, coeff)


def dense(first: Tensor, values: Tensor, coeff: Tensor) -> Tensor:
    """Return the same by one matrix product over all K functions, zeros included; see `contract`."""
    features = spread(first, values, coeff.shape[1])
    return features.transpose(-1, -2).flatten(-2) @ coeff.flatten(0, 1)


def _kernel_serves(values: Tensor, coeff: Tensor) -> bool:
    return (
        values.dtype in _DTYPES
        and values.dtype == coeff.dtype
        and values.shape[-2] in _SIZES
        and coeff.shape[-1] >= SMALLEST_OUT
        and kernels_serve()
        and _is_built(values.device.type, coeff.shape[1] // values.shape[-2], coeff.shape[-1])
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _is_built(device: str, share: int, outputs: int) -> bool:
    """Tell whether there is a kernel for the device that pays where one of so many functions is not zero."""
    if device == "cuda":
        return share >= _WORTH_ON_GPU and find_spec("triton") is not None
    return device == "cpu" and _is_worth(share, outputs) and library() is not None


@torch.library.custom_op("kanzoo::contract", mutates_args=())
def _contract(first: Tensor, values: Tensor, coeff: Tensor) -> Tensor:
    (rows, size, num_inputs), (_, num_basis, num_outputs) = values.shape, coeff.shape
    first, values, coeff = first.contiguous(), values.contiguous(), coeff.contiguous()
    y = values.new_empty(rows, num_outputs)
    function = _function("forward", size, values.dtype)
    sizes = (num_inputs, num_basis, num_outputs)
    _share(rows, values.numel() * num_outputs, lambda begin, end: function(*_at(first, values, coeff, y), *_int(begin, end, *sizes)))
    return y


@_contract.register_fake
def _(first: Tensor, values: Tensor, coeff: Tensor) -> Tensor:
    return values.new_empty(values.shape[0], coeff.shape[-1])


@torch.library.custom_op("kanzoo::contract_backward", mutates_args=())
def _contract_backward(first: Tensor, values: Tensor, coeff: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    (rows, size, num_inputs), (_, num_basis, num_outputs) = values.shape, coeff.shape
    first, values, coeff, gradient = (tensor.contiguous() for tensor in (first, values, coeff, gradient))
    d_values, d_coeff = torch.empty_like(values), torch.empty_like(coeff)
    function = _function("backward", size, values.dtype)
    tensors = (first, values, coeff, gradient, d_values, d_coeff)

    def work(begin: int, end: int) -> None:
        function(*_at(*tensors), *_int(rows, begin, end, num_inputs, num_basis, num_outputs))

    _share(num_inputs, 2 * values.numel() * num_outputs, work)
    return d_values, d_coeff


@_contract_backward.register_fake
def _(first: Tensor, values: Tensor, coeff: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(values), torch.empty_like(coeff)


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
    first, values, coeff = ctx.saved_tensors
    if torch.is_grad_enabled():  # a derivative of this derivative is wanted
        d_values = spread_back(first, torch.einsum("no,iko->nki", gradient, coeff), values.shape[-2])
        features = spread(first, values, coeff.shape[1])
        return None, d_values, torch.einsum("nki,no->iko", features, gradient)
    d_values, d_coeff = _contract_backward(first, values, coeff, gradient)
    return None, d_values, d_coeff


def spread_back(first: Tensor, features: Tensor, size: int) -> Tensor:
    """Return the `size` rows of `(N, K, in)` that begin at `first`: `(N, size, in)`."""
    index = first.unsqueeze(-2) + torch.arange(size, device=first.device).unsqueeze(-1)
    return features.gather(-2, index)


@_contract.register_kernel("cuda")
def _(first: Tensor, values: Tensor, coeff: Tensor) -> Tensor:
    from kanzoo.kernels import compact_triton

    return compact_triton.forward(first.contiguous(), values.contiguous(), coeff.contiguous())


@_contract_backward.register_kernel("cuda")
def _(first: Tensor, values: Tensor, coeff: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    from kanzoo.kernels import compact_triton

    return compact_triton.backward(first.contiguous(), values.contiguous(), coeff.contiguous(), gradient.contiguous())


_contract.register_autograd(_differentiate, setup_context=_remember)


@cache
def _function(direction: str, size: int, dtype: torch.dtype) -> Any:
    function = getattr(library(), f"{direction}_{size}_{_DTYPES[dtype]}")
    function.restype = None
    return function


def _at(*tensors: Tensor) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]


def _int(*numbers: int) -> list[ctypes.c_int64]:
    return [ctypes.c_int64(number) for number in numbers]


def _share(count: int, work_size: int, work: Any) -> None:
    """Do `work(begin, end)` over a range, by as many threads as torch has when it is large: ctypes lets go of the interpreter lock."""
    threads = min(torch.get_num_threads(), count) if work_size > _PARALLEL else 1
    if threads <= 1:
        work(0, count)
        return
    cuts = [count * part // threads for part in range(threads + 1)]
    list(_pool(threads, os.getpid()).map(work, cuts[:-1], cuts[1:]))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kanzoo")
