import subprocess
import sys

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data.formula import check_finite, check_ranges, parse, sample

ATTACKS = [
    "__import__('os').system('true')",
    "x1.__class__",
    "().__class__.__bases__[0]",
    "(lambda: x1)()",
    "[x1 for x1 in (1, 2)]",
    "{x1}",
    "{x1: 1}",
    "'x1'",
    "b'x1'",
    "f'{x1}'",
    "(x1 := 1)",
    "x1 if x1 else 1",
    "x1 and x1",
    "not x1",
    "x1 < 1",
    "x1[0]",
    "x1, x1",
    "x1 // 2",
    "x1 % 2",
    "x1 @ x1",
    "x1 ^ 2",
    "x1 << 9999999",
    "~x1",
    "1j*x1",
    "True + x1",
    "None",
    "...",
    "sin(*x1)",
    "sin(**x1)",
    "sin(x=x1)",
    "sin(cos)(x1)",
    "(sin)(x1)(x1)",
    "eval(x1)",
    "exec('1')",
    "open('/etc/passwd')",
    "getattr(x1, x1)",
    "__builtins__",
    "_x1 + x1",
    "await x1",
    "yield x1",
    "import os",
    "x1; x1",
    "x1 = 2",
    "x1\nx1",
    "x1\0",
    "x1\ud800",
    "x²",
    "ｘ1 + １",
    "sin + x1",
    "9**9**9**9*x1",
    "x1**(9**9)",
    "x1**-101",
    "x1**(1/0)",
    "x1**(0/0)",
    "x1*1e999",
    "x1*" + "9" * 3000,
    "x1*" + "9" * 4500,
    "sin(x1, x1)",
    "sin()",
    "max(x1)",
    "x0",
    "x01",
    "x1001",
    "x99999999999",
    "1 + 2",
    "pi",
    "",
    " ",
    "(",
    "2x1",
    "1_0if x1 else 2",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_anything_but_a_formula_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^task\.formula") as raised:
        parse(text)
    assert len(raised.value.message) < 250
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "x1" + "+x1" * 5000,
        "(" * 1900 + "x1" + ")" * 1900,
        "-" * 3990 + "x1",
        "x1" + "**x1" * 900,
        "sin(" * 300 + "x1" + ")" * 300,
        "x1" + "+x1" * 300,
    ],
    ids=["long", "parentheses", "minus", "powers", "calls", "sum"],
)
def test_long_and_deep_formulas_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^task\.formula"):
        parse(text)


def test_messages_name_key_rule_and_value() -> None:
    with pytest.raises(InvalidInput, match=r"may call only known functions, got 'sine'") as raised:
        parse("sine(x1)")
    assert "Did you mean 'sin" in raised.value.hint
    with pytest.raises(InvalidInput, match=r"may hold only variables x1\.\.xn, got 'y'"):
        parse("x1 + y")
    with pytest.raises(InvalidInput, match=r"may hold only variables m, c, got 'x1'"):
        parse("m*c**x1", ["m", "c"])
    with pytest.raises(InvalidInput, match=r"\+ - \* / \*\* and functions such as sin.*got 'x1 \^ 2'") as raised:
        parse("x1 ^ 2")
    assert raised.value.hint == "A power is written **."


def test_a_formula_of_a_hundred_variables_is_read() -> None:
    text = "exp(" + "+".join(f"sin(pi*x{index}/2)**2" for index in range(1, 101)) + ")"
    x = np.full((2, 100), 0.5)
    np.testing.assert_allclose(parse(text)(x), np.exp(100 * np.sin(np.pi / 4) ** 2))


x1, x2 = np.random.default_rng(0).uniform(0.1, 0.9, size=(2, 50))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp(sin(pi*x1) + x2**2)", np.exp(np.sin(np.pi * x1) + x2**2)),
        ("x1*x2", x1 * x2),
        ("-x1**2", -(x1**2)),
        ("+x1 - -x2", x1 + x2),
        ("x1/x2/2", x1 / x2 / 2),
        ("2**x1**x2", 2 ** (x1**x2)),
        ("e**x1 + pi", np.exp(x1) + np.pi),
        ("sqrt(x1) + abs(-x2) + sign(-x1)", np.sqrt(x1) + x2 - 1),
        ("log(x1) + ln(x2) + log10(x1)", np.log(x1) + np.log(x2) + np.log10(x1)),
        ("tan(x1) + sinh(x1) + cosh(x1) + tanh(x1)", np.tan(x1) + np.sinh(x1) + np.cosh(x1) + np.tanh(x1)),
        ("asin(x1) + acos(x1) + atan(x1)", np.arcsin(x1) + np.arccos(x1) + np.arctan(x1)),
        ("arcsin(x1) + arccos(x1) + arctan(x1)", np.arcsin(x1) + np.arccos(x1) + np.arctan(x1)),
        ("asinh(x1) + arccosh(1 + x1) + atanh(x1)", np.arcsinh(x1) + np.arccosh(1 + x1) + np.arctanh(x1)),
        ("Max(x1, x2) - min(x1, x2)", np.abs(x1 - x2)),
        ("erf(x1)", scipy.special.erf(x1)),
        ("J0(20*x1)", scipy.special.j0(20 * x1)),
        ("besselj(1, x1) + besseli(0, x2)", scipy.special.jv(1, x1) + scipy.special.iv(0, x2)),
        ("ellipkinc(x1, x2/9) + ellipeinc(x1, x2/9)", scipy.special.ellipkinc(x1, x2 / 9) + scipy.special.ellipeinc(x1, x2 / 9)),
        ("lpmv(2, 3, x1)", 15 * x1 * (1 - x1**2)),
        ("x2", x2),
        ("  x1 + 1e-3 ", x1 + 1e-3),
    ],
)
def test_values_agree_with_numpy(text: str, expected: np.ndarray) -> None:
    formula = parse(text)
    values = formula(np.stack([x1, x2], 1)[:, : len(formula.variables)])
    np.testing.assert_allclose(values, expected, rtol=1e-14)


def test_names_of_sympy_are_variables_when_named() -> None:
    names = ["E", "I", "S", "N", "Q", "gamma", "beta", "e", "sin"]
    x = np.arange(1.0, 10.0)[None]
    np.testing.assert_allclose(parse("E + I*S - N*Q + gamma*beta + e + sin(sin)", names)(x), 1 + 6 - 20 + 42 + 8 + np.sin(9))


def test_an_input_may_be_missing_in_the_formula() -> None:
    assert parse("x1 + x3").variables == ("x1", "x2", "x3")


POINTS = np.random.default_rng(1).uniform(-2, 2, size=(20, 3))
Pair = tuple[str, np.ndarray]


def _grow(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    unary = {"sin": np.sin, "cos": np.cos, "tanh": np.tanh, "exp": np.exp, "atan": np.arctan, "abs": np.abs, "sqrt": np.sqrt, "log": np.log}
    binary = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}

    def call(name: str, one: Pair) -> Pair:
        return f"{name}({one[0]})", unary[name](one[1])

    def combine(mark: str, one: Pair, two: Pair) -> Pair:
        return f"({one[0]} {mark} {two[0]})", binary[mark](one[1], two[1])

    return st.one_of(
        st.builds(call, st.sampled_from(sorted(unary)), inner),
        st.builds(combine, st.sampled_from(sorted(binary)), inner, inner),
        st.builds(lambda one: (f"(-{one[0]})", -one[1]), inner),
        st.builds(lambda one, n: (f"({one[0]})**{n}", np.power(one[1], float(n))), inner, st.integers(0, 5)),
    )


_numbers = st.floats(0, 10).map(lambda number: (repr(number), np.float64(number)))
_leaves = st.one_of(_numbers, st.sampled_from([(f"x{index + 1}", POINTS[:, index]) for index in range(3)]))


@pytest.fixture
def silent_numpy():
    """The values that hypothesis builds beside the text divide by zero, as they should: NaN is compared with NaN."""
    with np.errstate(all="ignore"):
        yield


@pytest.mark.usefixtures("silent_numpy")
@settings(deadline=None, max_examples=200)
@given(st.recursive(_leaves, _grow, max_leaves=12))
def test_random_expressions_agree_with_numpy(pair: Pair) -> None:
    np.testing.assert_array_equal(parse(f"({pair[0]}) + 0*x3")(POINTS), pair[1] + 0 * POINTS[:, 2])


def test_ranges() -> None:
    np.testing.assert_array_equal(check_ranges([[0, 1]], ["x1", "x2"]), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(check_ranges([[0, 1], [1, 3]], ["x1", "x2"]), [[0, 1], [1, 3]])


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([[0, 1], [0, 1]], r"must be one pair \[low, high\], or 3 for x1, x2, x3, got 2"),
        ([], "got 0"),
        ([[1, 0]], r"low < high, got \[1, 0\]"),
        ([[1, 1]], r"low < high, got \[1, 1\]"),
        ([[1]], r"pairs \[low, high\].*got \[1\]"),
        ([[0, float("inf")]], "inf"),
        ([[float("nan"), 1]], "nan"),
    ],
)
def test_wrong_ranges_are_refused(ranges: list[list[float]], message: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^task\.ranges.*{message}"):
        check_ranges(ranges, ["x1", "x2", "x3"])


def test_points_where_it_is_not_finite_are_drawn_again() -> None:
    formula, ranges = parse("sqrt(x1)"), check_ranges([[-1, 1]], ["x1"])
    check_finite(formula, ranges)
    x, y = sample(formula, ranges, 100, np.random.default_rng(0))
    assert x.shape == y.shape == (100, 1)
    assert np.isfinite(y).all()
    assert (x >= 0).all()


@pytest.mark.parametrize("text", ["sqrt(x1 - 5)", "exp(10000 + x1)", "x1/0", "1e18 + exp(x1)*1e18"])
def test_a_formula_that_is_nowhere_finite_is_refused(text: str) -> None:
    formula, ranges = parse(text), check_ranges([[-1, 1]], ["x1"])
    with pytest.raises(InvalidInput, match="must be finite on its ranges"):
        check_finite(formula, ranges)
    with pytest.raises(InvalidInput, match="must be finite on its ranges"):
        sample(formula, ranges, 10, np.random.default_rng(0))


def test_reading_imports_neither_torch_nor_sympy() -> None:
    code = "import sys, kanzoo_tasks.data.sources; print(sorted({'torch', 'sympy', 'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
