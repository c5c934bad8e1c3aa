"""The contraction of local bases on a GPU: the sums of `compact.cpp`, in Triton. Import it only where Triton is."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 128


@triton.jit  # type: ignore[untyped-decorator]
def _forward(first, values, coeff, y, inputs, functions, outputs, SIZE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """One program: a row of y and a block of its outputs."""
    row = tl.program_id(0).to(tl.int64)
    out = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = out < outputs
    total = tl.zeros((BLOCK,), dtype=y.dtype.element_ty)
    for i in range(inputs):
        cell = tl.load(first + row * inputs + i)
        cell = tl.minimum(tl.maximum(cell, 0), functions - SIZE)
        for r in tl.static_range(SIZE):
            value = tl.load(values + (row * SIZE + r) * inputs + i)
            total += value * tl.load(coeff + (i * functions + cell + r) * outputs + out, mask=inside, other=0.0)
    tl.store(y + row * outputs + out, total, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _backward_values(first, coeff, gradient, d_values, inputs, functions, outputs, SIZE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """One program: a row and an input."""
    row, i = tl.program_id(0).to(tl.int64), tl.program_id(1)
    cell = tl.load(first + row * inputs + i)
    cell = tl.minimum(tl.maximum(cell, 0), functions - SIZE)
    for r in tl.static_range(SIZE):
        total = tl.zeros((BLOCK,), dtype=d_values.dtype.element_ty)
        for start in range(0, outputs, BLOCK):
            out = start + tl.arange(0, BLOCK)
            inside = out < outputs
            g = tl.load(gradient + row * outputs + out, mask=inside, other=0.0)
            total += g * tl.load(coeff + (i * functions + cell + r) * outputs + out, mask=inside, other=0.0)
        tl.store(d_values + (row * SIZE + r) * inputs + i, tl.sum(total, 0))


@triton.jit  # type: ignore[untyped-decorator]
def _backward_coeff(first, values, gradient, d_coeff, rows, inputs, functions, outputs, SIZE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """One program: all functions of an input, for a block of outputs; it alone writes there, row after row, so the order is fixed."""
    i = tl.program_id(0).to(tl.int64)
    out = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = out < outputs
    for row in range(rows):
        cell = tl.load(first + row * inputs + i)
        cell = tl.minimum(tl.maximum(cell, 0), functions - SIZE)
        g = tl.load(gradient + row * outputs + out, mask=inside, other=0.0)
        for r in tl.static_range(SIZE):
            value = tl.load(values + (row * SIZE + r) * inputs + i)
            tl.atomic_add(d_coeff + (i * functions + cell + r) * outputs + out, value * g, mask=inside)


def forward(first: Tensor, values: Tensor, coeff: Tensor) -> Tensor:
    """Return y `(N, out)`; see `kanzoo.kernels.compact.contract`."""
    (rows, size, inputs), (_, functions, outputs) = values.shape, coeff.shape
    y = values.new_zeros(rows, outputs)
    if y.numel():
        grid = (rows, triton.cdiv(outputs, _BLOCK))
        _forward[grid](first, values, coeff, y, inputs, functions, outputs, SIZE=size, BLOCK=_BLOCK)
    return y


def backward(first: Tensor, values: Tensor, coeff: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients by values and coefficients."""
    (rows, size, inputs), (_, functions, outputs) = values.shape, coeff.shape
    d_values, d_coeff = torch.zeros_like(values), torch.zeros_like(coeff)
    if values.numel():
        _backward_values[(rows, inputs)](first, coeff, gradient, d_values, inputs, functions, outputs, SIZE=size, BLOCK=_BLOCK)
        grid = (inputs, triton.cdiv(outputs, _BLOCK))
        _backward_coeff[grid](first, values, gradient, d_coeff, rows, inputs, functions, outputs, SIZE=size, BLOCK=_BLOCK)
    return d_values, d_coeff
