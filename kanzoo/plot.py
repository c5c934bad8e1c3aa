"""A picture of a basis: its functions, their derivatives, and the domain. Imports matplotlib, its object-oriented part alone."""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from torch import Tensor

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.derivative import derivatives

#: Edges of an `EdgeBasis` that are drawn, the first as it is initialised.
EDGES = 6
#: Functions that are told apart by number in the colour bar.
MAX_TICKS = 20

_POINTS, _FEW_POINTS, _MARGIN = 1601, 301, 0.12  # the margin shows how functions go on beyond the domain
_INK, _SHADE, _GRID = "#222222", "#eef3fb", "#d9dde3"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "svg.hashsalt": "kanzoo",  # the same picture gives the same file
}


def plot_basis(basis: Basis | EdgeBasis, path: Path, *, title: str, facts: str = "", formula: str = "") -> None:
    """Draw the functions of the first input over the domain, and their derivatives below; write SVG, PNG or PDF by the suffix.

    Args:
        basis: with one input; of an `EdgeBasis` each output is one edge, and all but the first get other parameters.
        path: file to write; its folder is there.
        title: name of the basis.
        facts: K, arguments and reference, in a few words.
        formula: a line of text, with LaTeX between dollars.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 6.6), layout="constrained", facecolor="white")
        upper, lower = figure.subplots(2, 1, sharex=True)
        x, values, slopes = _evaluate(basis)
        colours = _colours(values.shape[1])
        symbol = r"\psi" if isinstance(basis, EdgeBasis) else r"\phi"
        for axes, curves, label in ((upper, values, rf"${symbol}_k(x)$"), (lower, slopes, rf"${symbol}_k'(x)$")):
            _draw(axes, x, curves, colours, basis.domain)
            axes.set_ylabel(label, fontsize=13)
        figure.align_ylabels()
        lower.set_xlabel("x")
        lower.set_xlim(float(x[0]), float(x[-1]))
        _number(figure, [upper, lower], colours, "edge" if isinstance(basis, EdgeBasis) else "k")
        words = "\n".join(line for line in (*_lines(formula), facts.replace("$", r"\$")) if line)
        upper.set_title(words, loc="left", fontsize=10, color="#555555", linespacing=1.5, pad=10)
        heading = figure.suptitle(title, ha="left", fontsize=17, fontweight="bold", parse_math=False)
        figure.draw_without_rendering()
        heading.set_x(upper.get_position().x0)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw_functions(basis: Basis | EdgeBasis, path: Path) -> None:
    """Draw the functions alone, small, for a gallery; see `plot_basis`."""
    with matplotlib.rc_context(_STYLE | {"font.size": 8}):
        figure = Figure(figsize=(3.2, 1.9), layout="constrained", facecolor="white")
        axes = figure.subplots()
        x, family = _family(basis, _FEW_POINTS)
        curves = family(x[:, None])[:, 0].detach()
        _draw(axes, x, curves, _colours(curves.shape[1]), basis.domain)
        axes.set_xlim(float(x[0]), float(x[-1]))
        figure.savefig(path, dpi=100, metadata={"Date": None} if path.suffix == ".svg" else None)


def _evaluate(basis: Basis | EdgeBasis) -> tuple[Tensor, Tensor, Tensor]:
    """Return points `(N,)`, and the functions and their derivatives there `(N, K)`."""
    x, family = _family(basis, _POINTS)
    return x, family(x[:, None])[:, 0].detach(), derivatives(family, x[:, None])[:, 0].detach()


def _family(basis: Basis | EdgeBasis, count: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return points `(N,)` and what maps `(N, 1)` to the functions `(N, 1, K)`; of an `EdgeBasis`, the edges get other parameters."""
    basis = basis.double()
    low, high = basis.domain
    margin = _MARGIN * (high - low)
    if isinstance(basis, EdgeBasis):
        _vary(basis)

    def family(x: Tensor) -> Tensor:
        value: Tensor = basis(x)
        return value.transpose(-1, -2) if isinstance(basis, EdgeBasis) else value

    return torch.linspace(low - margin, high + margin, count, dtype=torch.float64), family


def _vary(basis: EdgeBasis) -> None:
    """Give all edges but the first other parameters, as training would."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in basis.parameters():
            change = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.ndim and parameter.shape[0] == basis.out_features:
                change[0] = 0
                parameter.add_(0.8 * change)


def _draw(axes: Axes, x: Tensor, curves: Tensor, colours: ListedColormap, domain: tuple[float, float]) -> None:
    low, high = domain
    axes.axvspan(low, high, color=_SHADE, zorder=0)
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    axes.grid(color=_GRID, linewidth=0.6, zorder=1)
    axes.set_axisbelow(True)
    inside = (x >= low) & (x <= high)
    curves = _without_zeros(curves)
    for index in range(curves.shape[1]):
        colour = colours(index)
        axes.plot(x.tolist(), curves[:, index].tolist(), color=colour, alpha=0.35, linewidth=1.0, linestyle=(0, (3, 2)))
        axes.plot(x[inside].tolist(), curves[inside, index].tolist(), color=colour, linewidth=1.9, solid_capstyle="round")
    axes.set_ylim(*_limits(curves[inside]))


def _limits(curves: Tensor) -> tuple[float, float]:
    """Return the ends of the vertical axis: of all values, or of most where the rest is steep, as polynomials are at the ends."""
    finite = curves[curves.isfinite()]
    if not len(finite):
        return -1.0, 1.0
    most = 1.6 * float(finite.abs().quantile(0.95))
    bottom, top = max(float(finite.min()), -most), min(float(finite.max()), most)
    room = 0.08 * (top - bottom) or 1.0
    return bottom - room, top + room


def _without_zeros(curves: Tensor) -> Tensor:
    """Leave out where a function is zero for a while: the lines of local functions would cover each other there."""
    zero = (curves == 0).double()
    around = torch.nn.functional.max_pool1d(-zero.T, 3, stride=1, padding=1).T  # -1 where the neighbours are zero, too
    return curves.masked_fill(around == -1, torch.nan)


def _colours(count: int) -> ListedColormap:
    whole = matplotlib.colormaps["viridis"]
    return ListedColormap([whole(0.93 * index / max(1, count - 1)) for index in range(count)])


def _number(figure: Figure, axes: list[Axes], colours: ListedColormap, label: str) -> None:
    """Put a colour bar beside both panels that tells the functions by number."""
    count = colours.N
    bar = figure.colorbar(
        ScalarMappable(BoundaryNorm([k + 0.5 for k in range(count + 1)], count), colours), ax=axes, fraction=0.03, pad=0.015
    )
    bar.set_ticks(list(range(1, count + 1)) if count <= MAX_TICKS else [1, count])
    bar.ax.tick_params(length=0, which="both")
    bar.set_label(label, rotation=0, labelpad=10)
    bar.outline.set_visible(False)


def _lines(formula: str) -> list[str]:
    """Return text with LaTeX in lines that matplotlib can set; without dollars where it cannot."""
    # A formula between dollars is one word: it must not be broken.
    plain = re.sub(r"\\[bB]igg?[lr]?\b", "", " ".join(formula.split()))  # what matplotlib does not know of LaTeX
    plain = re.sub(r"\\[td]frac(?=\{)", r"\\frac", re.sub(r"\\[td]?frac(\d)(\d)", r"\\frac{\1}{\2}", plain))
    words = re.sub(r"\$[^$]*\$", lambda found: found[0].replace(" ", "\x00"), plain)
    lines = [line.replace("\x00", " ") for line in textwrap.wrap(words, 135, break_long_words=False, break_on_hyphens=False)]
    try:
        for line in lines:
            MathTextParser("path").parse(line)
    except ValueError:
        return [line.replace("$", "") for line in lines]
    return lines
