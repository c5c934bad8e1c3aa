"""Whether two expressions are the same function: by algebra within a time limit, else by numbers."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Literal

import numpy as np
import sympy as sp

from kanzoo.inspect.formula.constants import Model, refit

Verdict = Literal["algebraic", "numerical", "different"]


def equivalent(
    found: sp.Expr,
    true: sp.Expr,
    ranges: Mapping[str, tuple[float, float]],
    *,
    tolerance: float = 1e-6,
    samples: int = 2000,
    seconds: float = 3.0,
    seed: int = 0,
) -> Verdict:
    r"""Say whether an expression equals a true one: `algebraic`, `numerical` or `different`.

    Algebra: sympy simplifies the difference to 0 within the time limit (outside of the main thread this step is left out).
    Numbers: on fresh samples the root mean squared difference is at most `tolerance` times the standard deviation of the true
    values, after a last fit of the floating-point numbers of `found` to other samples.

    Args:
        found: the expression to judge; names of its symbols count, not their assumptions.
        true: the expression to compare with.
        ranges: low and high of each variable.
        tolerance: relative.
        samples: of each of the two sets.
        seconds: for the algebra.
        seed: of the samples.

    Raises:
        ValueError: a variable has no range, a range is not rising, or the true expression is not finite on its ranges.

    Example:
        >>> x, y = sp.symbols("x y", positive=True)
        >>> equivalent((x + y) ** 2 / 4 - (x - y) ** 2 / 4, x * y, {"x": (1, 2), "y": (1, 2)})
        'algebraic'
    """
    for name, (low, high) in ranges.items():
        if not low < high:
            raise ValueError(f"ranges must rise, got {name}: {(low, high)}")
    symbols = [sp.Symbol(name, positive=True) if low > 0 else sp.Symbol(name, real=True) for name, (low, _) in ranges.items()]
    by_name = {symbol.name: symbol for symbol in symbols}
    missing = sorted({symbol.name for symbol in (found.free_symbols | true.free_symbols)} - set(by_name))
    if missing:
        raise ValueError(f"ranges must hold every variable, got none for {', '.join(missing)}")
    found, true = (each.xreplace({s: by_name[s.name] for s in each.free_symbols}) for each in (found, true))
    generator = np.random.default_rng(seed)
    low_high = np.array(list(ranges.values()), dtype=np.float64)
    x, fresh = (generator.uniform(low_high[:, 0], low_high[:, 1], (samples, len(symbols))) for _ in range(2))
    exact = Model(true, symbols)
    y, y_fresh = exact.value(x, exact.start), exact.value(fresh, exact.start)
    if not (np.isfinite(y).all() and np.isfinite(y_fresh).all()):
        raise ValueError(f"true must be finite on its ranges, got {true}")
    fitted, _ = refit(found, symbols, x, y)
    model = Model(fitted, symbols)
    error = float(np.sqrt(np.mean((model.value(fresh, model.start) - y_fresh) ** 2)))
    if not error <= tolerance * (float(y_fresh.std()) or 1.0):
        return "different"
    if not found.has(sp.Float) and not true.has(sp.Float):
        with _time_limit(seconds) as is_limited:
            if is_limited and sp.simplify(found - true) == 0:
                return "algebraic"
    return "numerical"


class _Late(Exception):
    pass


@contextmanager
def _time_limit(seconds: float) -> Iterator[bool]:
    """Leave the block when the time is up; give False where that cannot be done, outside of the main thread."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield False
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield True
    except _Late:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
