"""One matrix product, by the faster of torch's two float32 libraries on this machine.

torch multiplies float32 matrices by MKL, which takes AVX2 kernels on processors that are not Intel's, though they have AVX-512; oneDNN,
which torch carries too, takes AVX-512: 1.1 times as fast on Zen 4, twice on Zen 5. `linear` sends large products to oneDNN on such a
processor. The choice rests on the processor alone, not on a measurement: the last bits of a result must not depend on who else was
busy at its start. It is true float32 arithmetic, no global setting is changed, and gradients of any order come out.
`KANZOO_GEMM=onednn` or `mkl` chooses by hand.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kanzoo.kernels.context import kernels_serve

#: Multiplications from which oneDNN pays; below, its call costs more than it saves.
SMALLEST = 1_000_000


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x Wᵀ + b as `torch.nn.functional.linear` does: `(*batch, in)` and `(out, in)` to `(*batch, out)`.

    Example:
        >>> linear(torch.ones(2, 3), torch.ones(4, 3)).shape
        torch.Size([2, 4])
    """
    if not _onednn_serves(x) or x.numel() * weight.shape[0] < SMALLEST:
        return F.linear(x, weight, bias)
    y: Tensor = _product(x.reshape(-1, x.shape[-1]), weight).reshape(*x.shape[:-1], weight.shape[0])
    return y if bias is None else y + bias


def _onednn_serves(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and kernels_serve() and onednn_is_faster()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def onednn_is_faster() -> bool:
    """Tell whether oneDNN is the faster one here, and as exact as float32 should be."""
    return _chosen(os.environ.get("KANZOO_GEMM", ""))


@cache
def _chosen(wish: str) -> bool:
    if wish not in ("", "onednn", "mkl"):
        raise ValueError(f"KANZOO_GEMM must be onednn, mkl or empty, got {wish!r}")
    wanted = wish == "onednn" or (not wish and torch.backends.cpu.get_cpu_capability() == "AVX512" and _vendor() == "AuthenticAMD")
    return wanted and _onednn_is_exact()


def _vendor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id"))
    except (OSError, StopIteration):  # not Linux
        return ""


def _onednn_is_exact() -> bool:
    try:
        generator = torch.Generator().manual_seed(0)
        x, weight = torch.randn(64, 512, generator=generator), torch.randn(32, 512, generator=generator)
        exact = x.double() @ weight.double().T
        with torch.no_grad():
            return bool((_onednn(x, weight) - exact).abs().max() <= 1e-5 * exact.abs().max())
    except (AttributeError, RuntimeError):  # a private operator, which another torch or another machine may not have
        return False


def _onednn(x: Tensor, weight: Tensor) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return y


@torch.library.custom_op("kanzoo::product", mutates_args=())
def _product(x: Tensor, weight: Tensor) -> Tensor:
    """Return x Wᵀ by oneDNN."""
    return _onednn(x, weight)


@_product.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    x, weight = ctx.saved_tensors
    needs_x, needs_weight = ctx.needs_input_grad
    return (
        _product(gradient, weight.T) if needs_x else None,
        _product(gradient.T, x.T) if needs_weight else None,
    )


_product.register_autograd(_differentiate, setup_context=_remember)
