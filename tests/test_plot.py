"""Pictures of bases: every registered one is drawn, as text that is the same each time, without a trace in global state."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from functools import partial

import pytest
import torch
from torch import nn

from kanzoo.basis import Basis, EdgeBasis
from kanzoo.derivative import derivatives
from kanzoo.plot import EDGES, _evaluate, _limits, _lines, _without_zeros, plot_basis
from kanzoo.registry import find, plugins


class Step(Basis):
    """One on the right half: a function without a derivative, zero on a half."""

    resolution, support, reference = "none", "local", "none"

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, num_basis=1, domain=(-1.0, 1.0))

    def forward(self, x):
        return (x > 0).to(x.dtype).unsqueeze(-1)


class Shifted(EdgeBasis):
    reference = "none"

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, (-1.0, 1.0))
        self.shift = nn.Parameter(torch.zeros(out_features, in_features))

    def forward(self, x):
        return (x.unsqueeze(-2) + self.shift) ** 2


def basis(name):
    cls = find("basis", name).load()
    return cls(1, EDGES) if issubclass(cls, EdgeBasis) else cls(1)


@pytest.mark.parametrize("name", plugins("basis"))
def test_every_basis_is_drawn(name, tmp_path):
    before = torch.get_rng_state()
    plot_basis(basis(name), tmp_path / "a.svg", title=name, facts="K = 8", formula=r"Of degree $\tfrac12$.")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_suffix_decides_the_format(tmp_path, suffix, magic):
    plot_basis(Step(1), tmp_path / f"a.{suffix}", title="step")
    assert (tmp_path / f"a.{suffix}").read_bytes().startswith(magic)


def test_the_same_basis_gives_the_same_file(tmp_path):
    for name in ("a.svg", "b.svg"):
        plot_basis(Shifted(1, 3), tmp_path / name, title="shifted")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_values_and_derivatives_are_those_of_the_basis():
    x, values, slopes = _evaluate(partial(find("basis", "chebyshev").load(), degree=3)(1))
    assert torch.allclose(values, torch.stack([x, 2 * x**2 - 1, 4 * x**3 - 3 * x], -1))
    assert torch.allclose(slopes, torch.stack([torch.ones_like(x), 4 * x, 12 * x**2 - 3], -1))
    assert float(x[0]) == pytest.approx(-1.24)
    assert float(x[-1]) == pytest.approx(1.24)


def test_a_function_without_a_derivative_has_zero():
    _, values, slopes = _evaluate(Step(1))
    assert values.unique().tolist() == [0, 1]
    assert slopes.unique().tolist() == [0]


def test_edges_differ_and_the_first_is_the_initial_one():
    x, values, _ = _evaluate(Shifted(1, 3))
    assert torch.allclose(values[:, 0], x**2)
    assert not torch.allclose(values[:, 1], values[:, 2])


def test_derivatives_can_be_differentiated_again():
    x = torch.tensor([0.5, 2.0], dtype=torch.float64)
    second = derivatives(lambda x: derivatives(lambda x: (x**3).unsqueeze(-1), x), x)
    assert second[:, 0].tolist() == [3.0, 12.0]


def test_steep_ends_leave_the_axis_and_others_do_not():
    flat, steep = torch.sin(torch.linspace(-9, 9, 1000)), torch.linspace(-1, 1, 1000) ** 101
    assert _limits(flat)[1] == pytest.approx(1.16, abs=0.01)
    assert _limits(steep)[1] < 0.7
    assert _limits(torch.full((5,), torch.nan)) == (-1.0, 1.0)


def test_zeros_are_left_out_where_they_last():
    curve = torch.tensor([[0.0], [0.0], [0.0], [1.0], [0.0], [-1.0]])
    assert _without_zeros(curve).isnan()[:, 0].tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("formula", "lines"),
    [
        (r"$\psi\big(\tfrac12 x\big)$", [r"$\psi(\frac{1}{2} x)$"]),
        (r"no $\nonsense{x}$ here", [r"no \nonsense{x} here"]),
        ("", []),
    ],
)
def test_formulas_are_set_or_shown_as_text(formula, lines):
    assert _lines(formula) == lines


def test_dollars_in_names_are_dollars(tmp_path):
    plot_basis(Step(1), tmp_path / "a.svg", title=r"a $\nonsense$", facts=r"b $\nonsense$")
    assert (tmp_path / "a.svg").exists()


def test_pyplot_is_not_imported():
    code = "import sys, kanzoo.plot; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
