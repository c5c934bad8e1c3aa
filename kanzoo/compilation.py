"""Networks compiled by `torch.compile`, with the options that KANs want, and an eager way round where it cannot serve."""

import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

#: Inductor inlines what is cheap into each of its uses: a recurrence of degree K would grow like the numbers of Fibonacci.
_OPTIONS = {"realize_opcount_threshold": 8}


def compile(model: nn.Module, *, dynamic: bool | None = None) -> "Compiled":
    """Return a network that computes what `model` does, with its parameters, compiled as one at the first call.

    The basis becomes one pass over the data, and is computed again in the backward pass instead of being kept: less time and less
    memory. The first call takes seconds; a later process finds most of it in torch's cache. A call whose inputs need a gradient (a
    differential equation wants derivatives of derivatives, which compiled networks cannot give) and every call where there is no C++
    compiler go to `model` itself, with one warning.

    Args:
        model: any network; `Compiled.model` is the same object.
        dynamic: as in `torch.compile`: None compiles again, for all sizes, when a second batch size comes.

    Example:
        >>> net = compile(nn.Linear(2, 3))
        >>> net.model
        Linear(in_features=2, out_features=3, bias=True)
    """
    return Compiled(model, dynamic)


class Compiled(nn.Module):
    """A compiled network; see `compile`."""

    def __init__(self, model: nn.Module, dynamic: bool | None = None) -> None:
        super().__init__()
        self.model, self.dynamic = model, dynamic
        self._function: Callable[..., Tensor] | None = None
        self._warned = False

    def forward(self, *inputs: Any) -> Tensor:
        """Apply the network."""
        if self._warned and self._function is None:
            return self.model(*inputs)  # type: ignore[no-any-return]
        if torch.is_grad_enabled() and any(isinstance(item, Tensor) and item.requires_grad for item in inputs):
            self._warn("inputs that need a gradient are served without compilation")
            return self.model(*inputs)  # type: ignore[no-any-return]
        if self._function is None:
            self._function = torch.compile(_own_code(self.model), dynamic=self.dynamic, options=dict(_OPTIONS))
        try:
            return self._function(self.model, *inputs)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            self._function = None
            self._warn(f"the network could not be compiled and runs without: {str(error).strip().splitlines()[0][:300]}", again=True)
            return self.model(*inputs)  # type: ignore[no-any-return]

    def _warn(self, message: str, *, again: bool = False) -> None:
        if again or not self._warned:
            warnings.warn(message, stacklevel=3)
        self._warned = True

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled code behind: a copy compiles for itself."""
        return self.__dict__ | {"_function": None, "_warned": False}


def _own_code(model: nn.Module) -> Callable[..., Tensor]:
    """Return a function with code of its own: torch counts recompilations by code, and 8 networks would share those of one function."""

    def forward(model: nn.Module, *inputs: Any) -> Tensor:
        return model(*inputs)  # type: ignore[no-any-return]

    return FunctionType(forward.__code__.replace(co_name=f"forward_of_{type(model).__name__}"), globals(), None, None, forward.__closure__)
