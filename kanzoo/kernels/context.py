"""When a kernel may stand in for torch's own operators."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module

import torch

_PLAIN = False


@contextmanager
def plain_operators() -> Iterator[None]:
    """Let layers use torch's own operators alone, which forward mode and `vmap` know, whatever is compiled inside."""
    global _PLAIN
    before, _PLAIN = _PLAIN, True
    try:
        yield
    finally:
        _PLAIN = before


def kernels_serve() -> bool:
    """Tell whether this call may go to a kernel: not in an export, under autocast, or under a transform of `torch.func`."""
    if _PLAIN or torch.is_autocast_enabled("cpu"):
        return False
    if torch.compiler.is_compiling():
        return not torch.compiler.is_exporting()
    return torch._C._functorch.peek_interpreter_stack() is None


@cache
def prepare_forward_mode() -> None:
    """Import what `torch.func.jvp` imports at its first call, without the warning of torch about a function of its own."""
    with warnings.catch_warnings():
        # torch 2.14 scripts its formulas by torch.jit.script, which it deprecates
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
        import_module("torch._decomp.decompositions_for_jvp")
