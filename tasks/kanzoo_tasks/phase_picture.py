"""Learnt functions of one variable, phase by phase."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def draw(x: ArrayLike, target: ArrayLike, curves: Sequence[ArrayLike], shown: Sequence[tuple[float, float]]) -> bytes:
    """Return a PNG with a panel for each phase: the target, the learnt function, and the interval that was shown in this phase.

    Panels have the same scale, a little more than the target's; what leaves it is cut off.

    Args:
        x: places, `(N,)`, rising.
        target: at these places, `(N,)`.
        curves: the learnt function after each phase, `(N,)` each.
        shown: the interval of each phase's samples.
    """
    # As in matrix_picture: matplotlib comes with mlflow, and pyplot keeps global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places, wanted = np.asarray(x), np.asarray(target)
    margin = 0.35 * float(np.ptp(wanted))
    figure = Figure(figsize=(2.5 * len(curves), 2.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for index, (axes, curve, (low, high)) in enumerate(zip(panels, curves, shown, strict=True)):
        axes.axvspan(low, high, color="darkorange", alpha=0.15, linewidth=0, label="samples of this phase")
        axes.plot(places, np.asarray(curve), color="tab:blue", linewidth=1.2, label="learnt")
        axes.plot(places, wanted, color="black", linewidth=1.0, linestyle=(0, (2, 2)), label="wanted")
        axes.set_title(f"after experience {index + 1}", fontsize=10)
        axes.set_xlim(places[0], places[-1])
        axes.set_ylim(wanted.min() - margin, wanted.max() + margin)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
