import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanzoo.inspect.plot import staircase


def line(figure, gid):
    return next(line for line in figure.axes[0].lines if line.get_gid() == gid)


def slope(figure):
    x, y = np.log(line(figure, "fit").get_xdata()), np.log(line(figure, "fit").get_ydata())
    return (y[1] - y[0]) / (x[1] - x[0])


@settings(deadline=None, max_examples=40)  # a picture takes a while
@given(st.dictionaries(st.integers(1, 500), st.floats(1e-9, 10), min_size=2, max_size=12))
def test_the_line_is_that_of_least_squares(points):
    figure = staircase(list(points.items()))
    known = np.polyfit(np.log(list(points)), np.log(list(points.values())), 1)
    assert slope(figure) == pytest.approx(known[0], rel=1e-6, abs=1e-6)
    assert figure.axes[0].get_legend().get_texts()[1].get_text() == f"slope {known[0]:.2f}".replace("-", "−") or abs(known[0]) < 5e-3
    low, high = figure.axes[0].get_ylim()
    assert low < min(*points.values(), *line(figure, "fit").get_ydata())
    assert high > max(*points.values(), *line(figure, "fit").get_ydata())
    assert line(figure, "fit").get_ydata()[0] == pytest.approx(math.exp(np.polyval(known, math.log(min(points)))), rel=1e-6)


def test_points_are_drawn_in_order_on_logarithmic_axes():
    figure = staircase([(20, 1e-5), (3, 1e-2), (10, 1e-4)])
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert list(line(figure, "errors").get_xdata()) == [3, 10, 20]
    assert list(line(figure, "errors").get_ydata()) == [1e-2, 1e-4, 1e-5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "10", "20"]


@pytest.mark.parametrize(
    "points", [[], [(3, 0.1)], [(3, 0.1), (3, 0.2)], [(3, 0.1), (5, 0.0)], [(0, 0.1), (5, 0.1)], [(3, math.nan), (5, 1)]]
)
def test_what_cannot_be_drawn_is_refused(points):
    with pytest.raises(ValueError, match=r"points must be .grid size, error. of two or more grid sizes, all positive and finite, got"):
        staircase(points)
