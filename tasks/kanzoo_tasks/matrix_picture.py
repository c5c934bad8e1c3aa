"""The accuracy matrix as a heat map."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from kanzoo_tasks.accuracy_matrix import Direction

#: Errors of one matrix that are this many times apart are coloured by their logarithm.
_WIDE = 100.0


def draw(scores: ArrayLike, untrained: ArrayLike, names: Sequence[str], score: str, direction: Direction = "max") -> bytes:
    """Return a PNG: a row for the untrained network and one after each experience, a column on each experience, numbers in the cells.

    Accuracies are coloured from 0 to 1, dark is good; errors from their smallest to their largest, dark is small, on a logarithmic
    scale when they differ a lot. A line marks the cells in which an experience has just been fitted.

    Args:
        scores: R of `kanzoo_tasks.accuracy_matrix`, `(T, T)`.
        untrained: scores before fitting, `(T,)`.
        names: what each experience consists of.
        score: what the numbers are.
        direction: whether the score is better when smaller (`min`) or larger (`max`).
    """
    # matplotlib comes with mlflow; its figures are used directly, because pyplot keeps global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    table = np.vstack([np.asarray(untrained, dtype=np.float64), np.asarray(scores, dtype=np.float64)])
    size = len(names)
    positive = table[table > 0]
    wide = direction == "min" and len(positive) == table.size and positive.max() > _WIDE * positive.min()
    norm = LogNorm(positive.min(), positive.max()) if wide else Normalize(0.0, 1.0 if direction == "max" else float(table.max()) or 1.0)
    colours = "Blues" if direction == "max" else "Blues_r"
    figure = Figure(figsize=(2.4 + 0.85 * size, 1.7 + 0.62 * (size + 1)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap=colours, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        red, green, blue, _ = image.cmap(norm(value))
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
        text = f"{value:.2f}" if direction == "max" else f"{value:.2g}" if wide else f"{value:.3f}"
        axes.text(column, row, text, ha="center", va="center", color="black" if light else "white", fontsize=10)
    for index in range(size):
        axes.add_patch(Rectangle((index - 0.47, index + 0.54), 0.94, 0.93, fill=False, edgecolor="darkorange", linewidth=1.8))
    axes.axhline(0.5, color="white", linewidth=4, zorder=1.5)
    axes.set_xticks(range(size), [f"{index + 1}\n{name}" for index, name in enumerate(names)])
    axes.set_yticks(range(size + 1), ["untrained", *(str(index + 1) for index in range(size))])
    axes.set_xlabel("on experience j")
    axes.set_ylabel("after experience i")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label=f"{score} ({'higher' if direction == 'max' else 'lower'} is better)")
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
