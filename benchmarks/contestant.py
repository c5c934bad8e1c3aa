"""Who is timed: all registered bases, eager and compiled, MLPs, layers in the manner of others, and the packages of others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.reference import ArccosChebyshevLinear, CoxDeBoorLinear, NormedRBFLinear
from benchmarks.workload import Workload, step, step_at_once, step_on_onednn
from kanzoo.basis import BasisFactory, EdgeBasis, is_edge_factory
from kanzoo.compilation import compile as compiled
from kanzoo.layers.conv import KANConv2d
from kanzoo.models import KAN, MLP
from kanzoo.registry import find, plugins

#: The most values of a (batch, out, in) tensor that an edge basis may make: above, it takes gigabytes.
_LARGEST_EDGE_TENSOR = 50_000_000

#: What makes a forward and backward pass of a network on a batch.
Step = Callable[[nn.Module, Tensor], Callable[[], Tensor]]

#: Who is timed once more with torch's products by oneDNN: what the layer costs, apart from the library that multiplies.
_ALSO_ON_ONEDNN = ("efficient-kan's manner", "fast-kan's manner", "ChebyKAN's manner", "inkan compiled", "mlp same parameters")


@dataclass(frozen=True)
class Contestant:
    """A network under test.

    Attributes:
        name: for the tables.
        kind: `basis`, `baseline`, `manner` or `peer`.
        build: makes the network, compiled if need be.
        step: makes a forward and backward pass of it.
    """

    name: str
    kind: str
    build: Callable[[], nn.Module]
    step: Step = step


def contestants(workload: Workload, *, eager: bool = True) -> list[Contestant]:
    """Return everybody who can do the workload."""
    found = []
    for name in sorted(plugins("basis")):
        build = _ours(name, workload)
        if build is None:
            continue
        found.append(Contestant(f"{name}", "basis", lambda build=build: compiled(build(), dynamic=False)))  # type: ignore[misc]
        if workload.is_small:
            found.append(Contestant(f"{name} at once", "basis", build, step_at_once))
        if eager:
            found.append(Contestant(f"{name} eager", "basis", build))
    if workload.image:
        return found
    columns = workload.num_basis + 1
    found += [
        Contestant("mlp same width", "baseline", partial(_mlp, workload.widths)),
        Contestant("mlp same parameters", "baseline", partial(_wide_mlp, workload, columns)),
        Contestant("efficient-kan's manner", "manner", partial(_stack, workload, partial(CoxDeBoorLinear, grid_size=workload.grid_size))),
        Contestant("fast-kan's manner", "manner", partial(_stack, workload, partial(NormedRBFLinear, num_centers=workload.num_basis))),
    ]
    if workload.grid_size == 5:
        found.append(Contestant("ChebyKAN's manner", "manner", partial(_stack, workload, partial(ArccosChebyshevLinear, degree=8))))
    found += [Contestant(name, "peer", partial(build, workload)) for name, build in peers.installed(workload).items()]
    others = [other for other in found if other.name in _ALSO_ON_ONEDNN and not workload.is_small]
    return found + [replace(other, name=f"{other.name}, oneDNN", step=step_on_onednn) for other in others]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def factory(name: str, workload: Workload) -> BasisFactory:
    """Return a registered basis with as many functions an edge as a cubic B-spline of the workload's grid."""
    basis = find("basis", name).load()
    if issubclass(basis, EdgeBasis):
        return basis  # type: ignore[no-any-return]
    arguments = {"grid_size": workload.num_basis if name == "gaussian_rbf" else workload.grid_size}
    if basis.resolution == "degree":
        arguments = {"degree": workload.num_basis // (2 if name == "fourier" else 1)}
    elif basis.resolution == "levels":
        arguments = {"levels": max(1, (workload.num_basis + 1).bit_length() - 1)}
    return partial(basis, **arguments)


def _ours(name: str, workload: Workload) -> Callable[[], nn.Module] | None:
    """Return the builder of our network, or None where it would be nobody's wish."""
    basis = factory(name, workload)
    if is_edge_factory(basis):
        if workload.image or max(workload.batch * fan_in * out for fan_in, out in pairwise(workload.widths)) > _LARGEST_EDGE_TENSOR:
            return None
    elif workload.grid_size > 20 and find("basis", name).load().resolution != "grid_size":  # polynomials of degree 100
        return None
    if workload.image:
        fan_in, out = workload.widths
        return lambda: KANConv2d(fan_in, out, 3, basis, padding=1, generator=_generator())
    return lambda: KAN(workload.widths, basis, generator=_generator())


def _mlp(widths: tuple[int, ...]) -> nn.Module:
    return MLP(widths, generator=_generator())


def _wide_mlp(workload: Workload, columns: int) -> nn.Module:
    """Return the MLP whose hidden width gives the parameter count of the KAN; of one layer, one hidden layer."""
    first, *hidden, last = workload.widths
    wanted = columns * sum(fan_in * out for fan_in, out in pairwise(workload.widths))
    depth = max(1, len(hidden))

    def count(width: int) -> int:
        return first * width + (depth - 1) * width * width + width * last

    width = 1
    while count(width) < wanted:
        width += 1
    return _mlp((first, *[width] * depth, last))


def _stack(workload: Workload, layer: Callable[[int, int], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(*(layer(fan_in, out) for fan_in, out in pairwise(workload.widths)))
