"""Which bases a network has chosen: the weights of the members of mixtures, layer by layer."""

from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure

from kanzoo.inspect.plot.style import STYLE

_COLOURS = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]


def composition(figures: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw shares that add up to one as a bar a layer, the first layer on top.

    Args:
        figures: of `kanzoo.inspect.basis_figures` on a network of mixtures: shares by name, by layer.

    Raises:
        ValueError: there is no layer, a share is negative, or those of a layer do not add up to one.

    Example:
        >>> figure = composition({"0": {"bspline": 0.75, "fourier": 0.25}, "1": {"bspline": 0.1, "fourier": 0.9}})
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['bspline', 'fourier']
    """
    shares = {layer or "network": dict(members) for layer, members in figures.items()}
    if not shares or any(min(one.values(), default=-1) < 0 or abs(sum(one.values()) - 1) > 1e-6 for one in shares.values()):
        raise ValueError(f"figures must be shares that add up to one in every layer, got {shares}")
    names = list(dict.fromkeys(name for members in shares.values() for name in members))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 1.2 + 0.35 * len(shares)), layout="constrained")
        axes = figure.add_subplot(xlabel="weight", ylabel="layer", xlim=(0, 1))
        left = dict.fromkeys(shares, 0.0)
        for place, name in enumerate(names):
            widths = {layer: members.get(name, 0.0) for layer, members in shares.items()}
            colour = _COLOURS[place % len(_COLOURS)]
            axes.barh(list(shares), list(widths.values()), left=list(left.values()), height=0.6, color=colour, label=name)
            left = {layer: left[layer] + width for layer, width in widths.items()}
        axes.invert_yaxis()
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside upper left", ncols=min(len(names), 5))
    return figure
