"""Random numbers of a check come from its own generator; the global states of torch, numpy and Python are watched."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator


def generator(seed: int = 0) -> Generator:
    """Return a generator of its own for a check."""
    return torch.Generator().manual_seed(seed)


def _states() -> dict[str, Any]:
    found = {"torch": torch.get_rng_state().tolist(), "random": random.getstate()}
    if "numpy" in sys.modules:
        kind, keys, *rest = sys.modules["numpy"].random.get_state()
        found["numpy"] = (kind, keys.tolist(), *rest)
    return found


@contextmanager
def same_random_state(require: Callable[[object, str, object], None], what: str) -> Iterator[None]:
    """Require that the block leaves the global random states alone; put them back in any case."""
    numpy = sys.modules.get("numpy")
    saved = torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None
    # States that no plug-in would set by chance, so that a seed set inside shows.
    torch.manual_seed(718281828)
    random.seed(718281828)
    if numpy:
        numpy.random.seed(718281828)
    try:
        before = _states()
        yield
        after = _states()
    finally:
        torch.set_rng_state(saved[0])
        random.setstate(saved[1])
        if numpy:
            numpy.random.set_state(saved[2])
    touched = [name for name, state in before.items() if after[name] != state]
    require(not touched, f"{what} must leave the global random state alone", f"a changed state of {', '.join(touched)}")
