"""Error against grid size: how fast a network becomes more exact as it is refined."""

import math
from collections.abc import Sequence
from statistics import linear_regression

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from kanzoo.inspect.plot.style import ACCENT, INK, QUIET, RULE, STYLE

_LABELS = 8  # of grid sizes
_ROOM = 2.0  # a factor of the error, above and below


def staircase(points: Sequence[tuple[float, float]]) -> Figure:
    r"""Draw root mean squared errors against grid sizes on logarithmic axes, with the line $\log e = a + b \log G$ of least squares.

    Splines of degree p approximate a smooth function with an error of order $G^{-(p+1)}$: cubic ones have the slope b = −4.

    Args:
        points: (grid size, error), two or more, in any order.

    Raises:
        ValueError: there are fewer than two grid sizes, or a number is not positive and finite.

    Reference:
        Liu et al., KAN: Kolmogorov-Arnold networks, arXiv:2404.19756, section 2.4.

    Example:
        >>> figure = staircase([(3, 1e-2), (6, 1e-2 / 16), (12, 1e-2 / 256)])
        >>> figure.axes[0].get_legend().get_texts()[1].get_text()
        'slope −4.00'
    """
    numbers = sorted((float(size), float(error)) for size, error in points)
    sizes, errors = [size for size, _ in numbers], [error for _, error in numbers]
    if len(set(sizes)) < 2 or not all(0 < value < math.inf for value in (*sizes, *errors)):
        raise ValueError(f"points must be (grid size, error) of two or more grid sizes, all positive and finite, got {list(points)}")
    slope, offset = linear_regression([math.log(size) for size in sizes], [math.log(error) for error in errors])
    ends = [sizes[0], sizes[-1]]
    fitted = [math.exp(offset + slope * math.log(size)) for size in ends]
    heights = (min(errors + fitted) / _ROOM, max(errors + fitted) * _ROOM)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.2), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log", ylim=heights, xlabel="grid size", ylabel="RMSE")
        axes.grid(color=RULE, alpha=0.35, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.plot(sizes, errors, "o-", color=ACCENT, linewidth=1.6, markersize=6, label="RMSE", gid="errors")
        text = f"slope {slope:.2f}".replace("-", "−")
        axes.plot(ends, fitted, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label=text, gid="fit")
        axes.legend(frameon=False, labelcolor=QUIET)
        ticks = sorted(set(sizes))
        ticks = ticks if len(ticks) <= _LABELS else ticks[:: math.ceil(len(ticks) / _LABELS)]
        axes.set_xticks(ticks, [f"{size:g}" for size in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
    return figure
