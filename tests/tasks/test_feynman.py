import csv
import os
from pathlib import Path

import numpy as np
import pytest

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data.feynman import equations, find
from kanzoo_tasks.data.formula import check_finite, check_ranges, parse, sample


def test_there_are_a_hundred() -> None:
    assert len(equations()) == 100
    assert {"I.6.2", "I.6.2a", "I.6.2b", "II.2.42", "III.21.20"} <= set(equations())


@pytest.mark.parametrize("number", equations())
def test_every_equation_is_finite_on_its_ranges(number: str) -> None:
    equation = find(number)
    formula = parse(equation.formula, list(equation.ranges))
    ranges = check_ranges(list(equation.ranges.values()), formula.variables)
    check_finite(formula, ranges)
    x, y = sample(formula, ranges, 1000, np.random.default_rng(0))
    assert y.std() > 0
    assert all(name in equation.formula for name in formula.variables)
    assert ((ranges[:, 0] <= x) & (x <= ranges[:, 1])).all()


def test_a_known_value() -> None:
    equation = find("I.6.2")
    values = parse(equation.formula, list(equation.ranges))(np.array([[2.0, 1.0]]))  # sigma, theta
    np.testing.assert_allclose(values, np.exp(-1 / 8) / (np.sqrt(2 * np.pi) * 2))


def test_unknown_numbers_are_refused_with_a_suggestion() -> None:
    with pytest.raises(InvalidInput, match=r"must be the number of a Feynman equation, got 'I\.6\.3'") as raised:
        find("I.6.3")
    assert "Did you mean" in raised.value.hint
    assert "I.6.2" in raised.value.hint
    with pytest.raises(InvalidInput) as raised:
        find("exp(sin(pi*x1) + x2**2)")
    assert raised.value.hint == "There are 100, from I.6.2a to III.21.20."


@pytest.mark.skipif("KANZOO_DATA" not in os.environ, reason="needs KANZOO_DATA")
def test_every_row_agrees_with_the_published_table() -> None:
    path = Path(os.environ["KANZOO_DATA"]) / "feynman" / "FeynmanEquations.csv"
    rows = [row for row in csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()) if row["Filename"]]
    assert [row["Filename"] for row in rows] == list(equations())
    functions = {name: getattr(np, name) for name in ("exp", "sqrt", "sin", "cos", "arcsin", "tanh", "pi")} | {"ln": np.log}
    for row in rows:
        names = [row[f"v{index}_name"] for index in range(1, 11) if row[f"v{index}_name"]]
        ranges = {name: (float(row[f"v{index + 1}_low"]), float(row[f"v{index + 1}_high"])) for index, name in enumerate(names)}
        equation = find(row["Filename"])
        assert equation.ranges == ranges
        assert list(equation.ranges) == names
        bounds = np.array(list(ranges.values()))
        x = np.random.default_rng(0).uniform(bounds[:, 0], bounds[:, 1], size=(200, len(names)))
        # The published formulas are trusted: they are those of the file whose checksum is known.
        expected = eval(row["Formula"], functions | dict(zip(names, x.T, strict=True)))
        np.testing.assert_allclose(parse(equation.formula, names)(x), expected, rtol=1e-12, err_msg=row["Filename"])
