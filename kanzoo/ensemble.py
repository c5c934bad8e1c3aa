"""Many networks of one shape at once: the same experiment for several seeds in the time of little more than one."""

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from kanzoo.kernels.context import plain_operators


class Ensemble(nn.Module):
    """S networks of equal structure, evaluated together; each keeps its own parameters and gradients.

    A small network leaves a processor waiting for calls; S of them stacked share each call. The sum of the members' losses has for
    each member the gradient of its own loss, so Adam and SGD train each exactly as if it were alone (LBFGS does not: its line search
    would be shared). Compile it with `kanzoo.compilation.compile`.

    Args:
        models: networks that differ in the values of their parameters and buffers alone.

    Raises:
        ValueError: there is none, or their parameters differ in name, shape or dtype.

    Example:
        >>> import torch
        >>> both = Ensemble([nn.Linear(3, 2), nn.Linear(3, 2)])
        >>> both(torch.zeros(5, 3)).shape
        torch.Size([2, 5, 2])
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        shapes = [[(name, value.shape, value.dtype) for name, value in model.state_dict().items()] for model in models]
        if not models or any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                f"models must be one or more networks of the same parameters, got {[type(model).__name__ for model in models]}"
            )
        parameters, buffers = stack_module_state(list(models))
        self._names = {name.replace(".", "/"): name for name in [*parameters, *buffers]}
        self.stacked = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(value.detach()) for name, value in parameters.items()})
        for name, value in buffers.items():
            self.register_buffer(f"buffer/{name.replace('.', '/')}", value)
        self._buffer_names = list(buffers)
        # One network without data of its own, whose code is called with the stacked values; hidden from `parameters()`.
        self._skeleton = [copy.deepcopy(models[0]).to("meta")]
        self._models = list(models)

    def forward(self, x: Tensor, *, shared: bool = True) -> Tensor:
        """Map inputs `(N, in)` for all members, or `(S, N, in)` when not `shared`, to `(S, N, out)`."""
        values = {self._names[name]: value for name, value in self.stacked.items()}
        values |= {name: getattr(self, f"buffer/{name.replace('.', '/')}") for name in self._buffer_names}

        def one(state: dict[str, Tensor], inputs: Tensor) -> Any:
            return functional_call(self._skeleton[0], state, (inputs,))

        with plain_operators():
            return vmap(one, in_dims=(0, None if shared else 0), randomness="different")(values, x)  # type: ignore[no-any-return]

    def members(self) -> list[nn.Module]:
        """Return the networks that were given, with the members' present parameters and buffers."""
        for index, model in enumerate(self._models):
            state = {self._names[name]: value[index].detach().clone() for name, value in self.stacked.items()}
            state |= {name: getattr(self, f"buffer/{name.replace('.', '/')}")[index].clone() for name in self._buffer_names}
            model.load_state_dict(state, strict=False)  # buffers that are not saved are there too
        return self._models
