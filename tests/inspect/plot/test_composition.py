import pytest

from kanzoo.inspect import basis_figures
from kanzoo.inspect.plot import composition
from kanzoo.models import KAN
from kanzoo_bases.mixture import Mixture


def test_bars_have_the_lengths_and_the_order_of_the_shares():
    axes = composition({"0": {"a": 0.75, "b": 0.25}, "1": {"b": 0.9, "c": 0.1}}).axes[0]
    found = [[(bar.get_x(), bar.get_width()) for bar in bars] for bars in axes.containers]
    expected = [[(0, 0.75), (0, 0)], [(0.75, 0.25), (0, 0.9)], [(1, 0), (0.9, 0.1)]]
    assert [[pytest.approx(one) for one in bars] for bars in expected] == found
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1"]
    assert axes.yaxis_inverted()


def test_draws_a_network_of_mixtures(tmp_path):
    figure = composition(basis_figures(KAN([2, 3, 1], Mixture)))
    figure.savefig(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 1000


@pytest.mark.parametrize("figures", [{}, {"0": {}}, {"0": {"a": 0.5}}, {"0": {"a": 1.5, "b": -0.5}}])
def test_refuses_what_are_no_shares(figures):
    with pytest.raises(ValueError, match="figures must be shares that add up to one in every layer"):
        composition(figures)
