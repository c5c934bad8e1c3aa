"""What is timed: networks of a shape on a batch, and the bare matrix products that a dense layer cannot do without."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.compilation import gradients
from kanzoo.kernels.gemm import SMALLEST


@dataclass(frozen=True)
class Workload:
    """A network and a batch.

    Attributes:
        name: short.
        widths: of a dense network; of a convolution the channels.
        batch: samples.
        grid_size: of local bases; others get as many functions, `grid_size + 3`.
        x_needs_grad: whether the gradient by the inputs is taken too, as in the middle of a network.
        image: pixels on a side of a convolution's image, or 0.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    grid_size: int = 5
    x_needs_grad: bool = False
    image: int = 0

    @property
    def num_basis(self) -> int:
        """Functions on an edge: those of a cubic B-spline."""
        return self.grid_size + 3

    @property
    def is_small(self) -> bool:
        """Whether calls cost more than numbers: no layer has a million multiplications."""
        places = self.image**2 if self.image else 1
        return all(self.batch * places * self.num_basis * fan_in * out < SMALLEST for fan_in, out in pairwise(self.widths))

    def inputs(self) -> Tensor:
        """Return the batch: normal numbers, of which a third lies outside [-1, 1]."""
        shape = (self.batch, self.widths[0], self.image, self.image) if self.image else (self.batch, self.widths[0])
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        return x.requires_grad_(self.x_needs_grad)


WORKLOADS = {
    workload.name: workload
    for workload in [
        Workload("mnist", (784, 64, 10), 256),
        Workload("mnist_64", (784, 64, 10), 64),
        Workload("mnist_1024", (784, 64, 10), 1024),
        *(Workload(f"width_{width}", (width, width, width), 256, x_needs_grad=True) for width in (32, 128, 512)),
        Workload("wide", (512, 512), 1024, x_needs_grad=True),
        *(Workload(f"deep_{size}", (256,) * 5, 256, size) for size in (5, 20, 50, 100)),
        Workload("tiny", (2, 5, 1), 1000),
        Workload("conv", (16, 32), 64, x_needs_grad=True, image=28),
    ]
}


def step(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Return one forward and backward pass."""
    leaves = [*model.parameters(), x]

    def forward_backward() -> Tensor:
        for leaf in leaves:
            leaf.grad = None
        y: Tensor = model(x.view_as(x))  # as in the middle of a network: not a leaf
        y.sum().backward()
        return y

    return forward_backward


def step_at_once(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Return the same as one compiled graph, by `kanzoo.compilation.gradients`."""
    return partial(gradients(model, lambda net, x: net(x).sum(), dynamic=False), x)


def step_on_onednn(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Return one forward and backward pass with torch's products by oneDNN, which its setting `medium` takes; the setting is put back."""
    work = step(model, x)

    def forward_backward() -> Tensor:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            return work()
        finally:
            torch.set_float32_matmul_precision(before)

    return forward_backward


def bare_products(workload: Workload, backend: str) -> Callable[[], None]:
    """Return the products of forward and backward pass alone, with K functions and one residual column an edge.

    Args:
        workload: its network.
        backend: `onednn` or `mkl`, torch's own choice.
    """
    columns = workload.num_basis + 1
    generator = torch.Generator().manual_seed(0)
    if workload.image:
        fan_in, out = workload.widths
        size = (workload.batch, fan_in * columns, workload.image, workload.image)
        x = torch.randn(size, generator=generator).contiguous(memory_format=torch.channels_last).requires_grad_()
        weight = (
            torch.randn(out, fan_in * columns, 3, 3, generator=generator).contiguous(memory_format=torch.channels_last).requires_grad_()
        )

        def convolve() -> None:
            x.grad = weight.grad = None
            F.conv2d(x, weight, padding=1).sum().backward()

        return convolve
    layers = [
        tuple(
            torch.randn(*shape, generator=generator)
            for shape in ((workload.batch, fan_in * columns), (out, fan_in * columns), (workload.batch, out))
        )
        for fan_in, out in pairwise(workload.widths)
    ]

    def product(x: Tensor, weight: Tensor) -> Tensor:
        if backend == "onednn":
            return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")  # type: ignore[no-any-return]
        return F.linear(x, weight)

    def multiply() -> None:
        with torch.no_grad():
            for index, (features, weight, gradient) in enumerate(layers):
                product(features, weight)
                product(gradient.T, features.T)
                if index or workload.x_needs_grad:
                    product(gradient, weight.T)

    return multiply
