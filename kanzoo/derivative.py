"""The derivative of a family of functions at each point, by automatic differentiation."""

from collections.abc import Callable

import torch
from torch import Tensor


def derivatives(family: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    r"""Return $\phi_k'(x)$ of functions that are evaluated elementwise, `(*shape of x, K)`, ready to be differentiated again.

    Args:
        family: from `x` to values `(*shape of x, K)`.
        x: points of any shape.

    Example:
        >>> derivatives(lambda x: torch.stack([x, x**2], -1), torch.tensor([3.0]))[0].tolist()
        [1.0, 6.0]
    """
    x = x if x.requires_grad else x.detach().requires_grad_()
    return torch.stack([_derivative(column, x) for column in family(x).unbind(-1)], -1)


def _derivative(values: Tensor, x: Tensor) -> Tensor:
    if not values.requires_grad:  # made of constants
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(values.sum(), x, create_graph=True, materialize_grads=True)
    return found
