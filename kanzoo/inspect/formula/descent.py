"""Least squares on the numbers of a stack of layers: Levenberg-Marquardt, float64."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kanzoo.inspect.formula.symbolic import SymbolicLayer


def forward(stack: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Return the output of a stack of layers."""
    for layer in stack:
        x = layer(x)
    return x


def residual_and_jacobian(stack: Sequence[nn.Module], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return y minus the output, `(N·out,)`, and the derivative of the output by all free numbers, `(N·out, numbers)`."""
    inputs, outputs = [], []
    value = x.detach()
    with torch.enable_grad():
        for layer in stack:
            inputs.append(value.detach())
            value = layer(value)
            outputs.append(value)
        blocks = []
        wanted = [output for layer, output in zip(stack, outputs, strict=True) if isinstance(layer, SymbolicLayer)]
        for column in range(y.shape[1]):
            slopes = torch.autograd.grad(value[:, column].sum(), wanted, retain_graph=True, allow_unused=True)
            sensitivity = iter(torch.zeros_like(w) if s is None else s for s, w in zip(slopes, wanted, strict=True))
            blocks.append(
                torch.cat(
                    [
                        layer.jacobian(inside, next(sensitivity))
                        for layer, inside in zip(stack, inputs, strict=True)
                        if isinstance(layer, SymbolicLayer)
                    ],
                    1,
                )
            )
    return (y - value.detach()).T.flatten(), torch.cat(blocks)


def descend(
    stack: Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    steps: int,
    *,
    ridge: float = 0.0,
    goal: float = 0.0,
    start: float = 1e-3,
    patience: int = 3,
) -> float:
    r"""Fit all free numbers of a stack to data in place, and return the root mean squared error over the standard deviation of y.

    Args:
        stack: `SymbolicLayer` and `Multiply`.
        x: inputs `(N, in)`, float64.
        y: targets `(N, out)`, float64.
        steps: of Levenberg-Marquardt; those that would raise the error are taken back.
        ridge: weight of $\lVert\theta\rVert^2$ for the numerical edges beside the mean squared error, in units of the variance of y.
        goal: relative error at which to stop.
        start: first damping.
        patience: steps in a row that may lower the squared error by less than a thousandth.
    """
    pairs = [pair for layer in stack if isinstance(layer, SymbolicLayer) for pair in layer.numbers()]
    variance = float((y - y.mean(0)).square().mean().clamp_min(1e-300))

    def read() -> Tensor:
        return torch.cat([tensor[mask] for tensor, mask in pairs])

    def write(numbers: Tensor) -> None:
        for (tensor, _), mask, part in zip(pairs, masks, torch.split(numbers, sizes), strict=True):
            tensor[mask] = part

    masks = [mask for _, mask in pairs]
    sizes = [int(mask.sum()) for mask in masks]
    theta = read()
    weight = ridge * variance * len(y)
    damping, slow = start, 0

    def loss(theta: Tensor) -> float:
        with torch.no_grad():
            value = (y - forward(stack, x)).square().sum()
        total = float(value + weight * theta.square().sum())
        return total if total == total else float("inf")

    current = loss(theta)
    while steps > 0 and current < float("inf") and len(theta):
        residual, jacobian = residual_and_jacobian(stack, x, y)
        jacobian = jacobian.nan_to_num(0, 0, 0)
        gram = jacobian.T @ jacobian
        gram.diagonal().add_(weight)
        side = jacobian.T @ residual - weight * theta
        size = gram.diagonal().clamp_min(1e-12 * float(gram.diagonal().max()) + 1e-300)
        before = current
        while steps > 0:
            steps -= 1
            factor, info = torch.linalg.cholesky_ex(gram + torch.diag(damping * size))
            if int(info) == 0:
                trial = theta + torch.cholesky_solve(side.unsqueeze(1), factor).squeeze(1)
                write(trial)
                error = loss(trial)
                if error < current:
                    theta, current, damping = trial, error, max(damping / 5, 1e-13)
                    break
            damping *= 4
            if damping > 1e8:
                steps = 0
        slow = slow + 1 if before - current <= 1e-3 * before else 0
        if slow >= patience or current <= goal**2 * variance * y.numel():
            break
    write(theta)
    return float((current / (variance * y.numel())) ** 0.5)


def relative_error(stack: Sequence[nn.Module], x: Tensor, y: Tensor) -> float:
    """Return the root mean squared error over the standard deviation of y, infinite where the stack is not defined."""
    with torch.no_grad():
        error = (y - forward(stack, x)).square().mean() / (y - y.mean(0)).square().mean().clamp_min(1e-300)
    value = float(error.sqrt())
    return value if value == value else float("inf")
