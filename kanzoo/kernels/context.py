"""When a kernel may stand in for torch's own operators."""

from collections.abc import Iterator
from contextlib import contextmanager

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
