"""Packages of others on PyPI, as published: `pip install 'kanzoo[peers]'`. One that is not installed is left out, by name."""

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

from torch import nn

from benchmarks.workload import Workload


def _pykan(workload: Workload, *, fast: bool) -> nn.Module:
    from kan import KAN

    with redirect_stdout(Path(os.devnull).open("w")):
        model = KAN(list(workload.widths), grid=workload.grid_size, k=3, seed=0, auto_save=False)
        if fast:
            model.speed()
    return model  # type: ignore[no-any-return]


def _inkan(workload: Workload, *, compiled: bool) -> nn.Module:
    from inkan import KANNetwork

    return KANNetwork(list(workload.widths), grid_size=workload.grid_size, compile_basis=compiled)  # type: ignore[no-any-return]


def _flashkan(workload: Workload) -> nn.Module:
    from flashkan import KANNetwork

    return KANNetwork(list(workload.widths), grid_size=workload.grid_size)  # type: ignore[no-any-return]


def _kanditioned(workload: Workload) -> nn.Module:
    from itertools import pairwise

    from KANditioned import KANLayer

    return nn.Sequential(
        *(
            KANLayer(fan_in, out, init="random_normal", num_control_points=workload.num_basis, impl="embedding_bag")
            for fan_in, out in pairwise(workload.widths)
        )
    )


#: Name, module that must be there, builder.
_ALL: list[tuple[str, str, Callable[[Workload], nn.Module]]] = [
    ("pykan", "kan", partial(_pykan, fast=False)),
    ("pykan speed()", "kan", partial(_pykan, fast=True)),
    ("inkan eager", "inkan", partial(_inkan, compiled=False)),
    ("inkan compiled", "inkan", partial(_inkan, compiled=True)),
    ("flashkan", "flashkan", _flashkan),
    ("kanditioned", "KANditioned", _kanditioned),
]


def installed(workload: Workload) -> dict[str, Callable[[Workload], nn.Module]]:
    """Return the builders of the peers that are installed and can do the workload in reasonable time and memory."""
    if workload.image:
        return {}
    size = sum(fan_in * out for fan_in, out in zip(workload.widths, workload.widths[1:], strict=False))
    found = {}
    for name, module, build in _ALL:
        if name == "pykan" and size > 1000:  # it calls each edge's symbolic function in a loop
            continue
        if name == "pykan speed()" and size * workload.batch > 20_000_000:  # it makes a tensor of batch x out x in x K
            continue
        try:
            importlib.import_module(module)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        found[name] = build
    return found
