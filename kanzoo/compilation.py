"""Networks compiled by `torch.compile`, with the options that KANs want, and an eager way round where it cannot serve."""

import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from kanzoo.kernels.context import plain_operators

#: Inductor inlines what is cheap into each of its uses: a recurrence of degree K would grow like the numbers of Fibonacci.
OPTIONS = {"realize_opcount_threshold": 12}

_COMPILER_FAILED = "the network could not be compiled and runs without: {}"


def compile(model: nn.Module, *, dynamic: bool | None = None) -> "Compiled":
    """Return a network that computes what `model` does, with its parameters, compiled as one at the first call.

    The basis becomes one pass over the data, and is computed again in the backward pass instead of being kept: less time and less
    memory. The first call takes seconds; a later process finds most of it in torch's cache. A call with leaf tensors that need a gradient
    (a differential equation wants derivatives of derivatives, which compiled networks cannot give) and every call where there is no C++
    compiler go to `model` itself, with one warning. Of a small network see `gradients` too.

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
        if torch.is_grad_enabled() and any(isinstance(item, Tensor) and item.requires_grad and item.is_leaf for item in inputs):
            self._warn("leaf inputs that need a gradient are served without compilation, so that they can be differentiated twice")
            return self.model(*inputs)  # type: ignore[no-any-return]
        if self._function is None:
            self._function = torch.compile(_own_code(self.model), dynamic=self.dynamic, options=dict(OPTIONS))
        try:
            return self._function(*inputs)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            self._function = None
            self._warn(_COMPILER_FAILED.format(_first_line(error)), again=True)
            return self.model(*inputs)  # type: ignore[no-any-return]

    def _warn(self, message: str, *, again: bool = False) -> None:
        if again or not self._warned:
            warnings.warn(message, stacklevel=3)
        self._warned = True

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled code behind: a copy compiles for itself."""
        return self.__dict__ | {"_function": None, "_warned": False}


def gradients(model: nn.Module, loss: Callable[..., Tensor], *, dynamic: bool | None = None) -> "Gradients":
    """Return what computes a loss and the gradients of a network's parameters as one compiled graph, without a tape.

    A small network spends more time in the tape of autograd than on its numbers. A large one (from about a million multiplications a
    layer and batch) is better served by `compile`, which may use the kernels of `kanzoo.kernels`: they do not go through the transforms
    of `torch.func`. Like a compiled network it runs without compilation, with one warning, where there is no compiler.

    Args:
        model: any small network without batch statistics of its own.
        loss: `loss(model, *batch)` to a number.
        dynamic: as in `compile`.

    Example:
        >>> net = nn.Linear(3, 1)
        >>> step = gradients(net, lambda net, x, y: (net(x) - y).square().mean())
        >>> step.loss(net, torch.ones(5, 3), torch.ones(5, 1)).shape
        torch.Size([])
    """
    return Gradients(model, loss, dynamic)


class Gradients:
    """A compiled loss with its gradients; see `gradients`."""

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], dynamic: bool | None = None) -> None:
        self.model, self.loss, self.dynamic = model, loss, dynamic
        self._function: Callable[..., Any] | None = None
        self._failed = self._served = False

    def __call__(self, *batch: Any) -> Tensor:
        """Return the loss of a batch, without a tape, and put its gradients into `grad` of the parameters that want one."""
        parameters = {name: item for name, item in self.model.named_parameters() if item.requires_grad}
        found: dict[str, Tensor]
        value: Tensor
        if not self._failed:
            if self._function is None:
                self._function = torch.compile(_own_code(self._evaluate), dynamic=self.dynamic, options=dict(OPTIONS))
            try:
                with torch.no_grad(), plain_operators():
                    found, value = self._function({name: item.detach() for name, item in parameters.items()}, *batch)
            except (torch._dynamo.exc.TorchDynamoException, RuntimeError) as error:
                if self._served:
                    raise
                self._failed = True  # an error of the loss itself comes again below
                warnings.warn(_COMPILER_FAILED.format(_first_line(error)), stacklevel=2)
        if self._failed:
            loss = self.loss(self.model, *batch)
            found = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
            value = loss.detach()
        for name, parameter in parameters.items():
            parameter.grad = found[name]
        self._served = True
        return value

    def _evaluate(self, parameters: dict[str, Tensor], *batch: Any) -> tuple[dict[str, Tensor], Tensor]:
        model = self.model

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            value: Tensor = self.loss(lambda *inputs: functional_call(model, parameters, inputs), *batch)
            return value

        found: tuple[dict[str, Tensor], Tensor] = grad_and_value(loss)(parameters)
        return found


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


def _own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with code of its own: torch counts recompilations by code, and 8 networks would share those of one function."""

    def forward(*inputs: Any) -> Any:
        return function(*inputs)

    return FunctionType(
        forward.__code__.replace(co_name=f"forward_of_{type(function).__name__}"), globals(), None, None, forward.__closure__
    )
