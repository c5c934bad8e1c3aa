"""A basis inside the generic layers: it can be exported, it trains, and it convolves."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.layers import KANConv1d, KANConv2d, KANConv3d, KANConvTranspose1d, KANConvTranspose2d, KANLinear
from kanzoo.models import KAN
from kanzoo.testing.broken import Broken
from kanzoo.testing.check import basis_check
from kanzoo.testing.random_state import generator
from kanzoo.testing.subject import Subject, points

#: A hundred steps of Adam must divide the loss of a small regression by this.
TRAINING_FACTOR = 5.0


@basis_check(Basis, EdgeBasis)
def layer_can_be_exported(subject: Subject) -> None:
    """`torch.export` takes a `KANLinear` with this basis, and the exported program gives the same values."""
    layer = KANLinear(3, 2, subject.factory, generator=generator()).eval()
    x = points((-1.0, 1.0), 5, 3, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own future
        try:
            program = torch.export.export(layer, (x,)).module()
        except Exception as error:
            raise Broken(subject.name, "torch.export must take a layer", f"{type(error).__name__}: {str(error)[:400]}") from error
        difference = float((program(x) - layer(x)).detach().abs().max())
    subject.require(difference <= 1e-5, "the exported program must give the values of the layer", f"a difference of {difference:.3g}")


@basis_check(Basis, EdgeBasis)
def network_trains(subject: Subject) -> None:
    """A hundred steps of Adam lower the loss of a small regression well."""
    net = KAN([2, 5, 1], subject.factory, generator=generator())
    x = points((-1.0, 1.0), 64, 2, dtype=torch.float32)
    target = torch.sin(math.pi * x[:, :1]) + x[:, 1:].square()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    with _one_thread():
        for _ in range(100):
            loss = (net(x) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    shown = f"{losses[0]:.3g} before and {losses[-1]:.3g} after"
    subject.require(losses[-1] * TRAINING_FACTOR <= losses[0], f"a hundred steps must divide the loss by {TRAINING_FACTOR:g}", shown)


@basis_check(Basis, EdgeBasis)
def convolution_runs(subject: Subject) -> None:
    """Convolutions of signals, images and volumes with this basis, and transposed ones, map their inputs and pass gradients on."""
    for kind, size in ((KANConv1d, 3), (KANConv2d, 3), (KANConv3d, 3), (KANConvTranspose1d, 9), (KANConvTranspose2d, 9)):
        layer = kind(4, 6, 3, subject.factory, stride=2, padding=1, groups=2, generator=generator())
        x = points((-1.0, 1.0), 2, 4, *(5,) * kind.dimensions, dtype=torch.float32).requires_grad_()
        y, expected = layer(x), (2, 6, *(size,) * kind.dimensions)
        subject.require(tuple(y.shape) == expected, f"{kind.__name__} must give the shape {expected}", tuple(y.shape))
        y.sum().backward()
        bad = [name for name, tensor in (("x", x), *layer.named_parameters()) if tensor.grad is None or not tensor.grad.isfinite().all()]
        subject.require(not bad, f"{kind.__name__} must pass finite gradients on", f"none for {', '.join(bad)}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: for tiny tensors several only wait for each other, for seconds on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
