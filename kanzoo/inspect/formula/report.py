"""What was read off a network."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy as sp
import torch
from sympy.printing.pretty.pretty_symbology import greek_letters
from torch import Tensor

from kanzoo.inspect.formula.snap import Choice

_ESCAPED = {letter: f"\\{letter}" for letter in "_%&#$ {}"} | {"\\": r"\backslash ", "^": r"\hat{\ }", "~": r"\sim "}


@dataclass(frozen=True)
class Formula:
    """One expression for one output, and how well it does.

    Attributes:
        expression: in sympy, of the names of the inputs.
        error: root mean squared error on the validation part, over the standard deviation of the target.
        complexity: operations, functions and symbols of the expression.
    """

    expression: sp.Expr
    error: float
    complexity: int

    @property
    def r2(self) -> float:
        """Coefficient of determination on the validation part."""
        return 1 - self.error**2

    @property
    def latex(self) -> str:
        """The expression in LaTeX."""
        names = {symbol: latex_name(symbol.name) for symbol in self.expression.free_symbols}
        return str(sp.latex(sp.N(self.expression, 5), symbol_names=names))


def latex_name(name: str) -> str:
    r"""Return a name in LaTeX: a letter, Greek ones too, with a number as its index; any other text, of a table's column, upright.

    Example:
        >>> print(latex_name("x12"), latex_name("theta1"), latex_name("m_0"), latex_name("blood_pressure %"))
        x_{12} \theta_{1} m_{0} \mathrm{blood\_pressure\ \%}
    """
    plain = re.fullmatch(r"([A-Za-z]+?)_?(\d*)", name)
    if plain and (len(plain[1]) == 1 or plain[1] in greek_letters):
        return str(sp.latex(sp.Symbol(name)))
    escaped = "".join(_ESCAPED.get(letter, letter) for letter in name)
    return rf"\mathrm{{{escaped}}}"


def complexity(expression: sp.Expr) -> int:
    """Count the operations, functions, symbols and numbers of an expression; a number that is not exact counts 4.

    Example:
        >>> complexity(sp.sympify("x*y + 1"))
        5
    >>> complexity(sp.sympify("2.0*x"))
    6
    """
    return sum(4 if part.is_Float else 1 for part in sp.preorder_traversal(expression))


def front(formulas: Sequence[Formula]) -> list[Formula]:
    """Return the formulas that none of their complexity or below beats in error, simplest first."""
    kept: list[Formula] = []
    for formula in sorted(formulas, key=lambda formula: (formula.complexity, formula.error)):
        if not kept or formula.error < kept[-1].error:
            kept.append(formula)
    return kept


@dataclass(frozen=True)
class Report:
    """Formulas for all outputs of a network.

    Attributes:
        names: of the inputs.
        outputs: the chosen formula of each output.
        pareto: of each output, complexity against error, simplest first.
        choices: what became of each edge, in the order of reading.
        r2_network: of the formulas against the network's outputs, one an output; NaN where there was no network.
        r2_data: of the formulas against the targets.
        error_network: relative error of the network against the targets before anything became a formula.
        seconds: of work.
        shape: the shape that was read, where several were tried.
    """

    names: tuple[str, ...]
    outputs: tuple[Formula, ...]
    pareto: tuple[tuple[Formula, ...], ...]
    choices: tuple[Choice, ...]
    r2_network: tuple[float, ...]
    r2_data: tuple[float, ...]
    error_network: float
    seconds: float
    shape: str = ""
    symbols: tuple[sp.Symbol, ...] = field(default=(), repr=False)

    @property
    def expression(self) -> sp.Expr:
        """The formula of the first output."""
        return self.outputs[0].expression

    @property
    def latex(self) -> str:
        """All formulas in LaTeX, one a line."""
        return "\n".join(formula.latex for formula in self.outputs)

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate the formulas at x `(N, inputs)`: `(N, outputs)`, float64, NaN where one is not defined."""
        function = sp.lambdify(self.symbols, [formula.expression for formula in self.outputs], modules=["scipy", "numpy"])
        with np.errstate(all="ignore"):
            values = function(*x.detach().double().cpu().numpy().T)
        return torch.stack([torch.as_tensor(value, dtype=torch.float64).expand(len(x)) for value in values], 1)


def agreement(expressions: Sequence[sp.Expr]) -> float:
    """Return the share of the expressions, of several seeds for example, that have the commonest form; numbers count to 3 digits.

    Raises:
        ValueError: there is no expression.

    Example:
        >>> x = sp.Symbol("x")
        >>> agreement([2.0 * x, 1.99999 * x, x**2])
        0.6666666666666666
    """
    if not expressions:
        raise ValueError("expressions must hold one or more expressions, got none")
    forms = Counter(str(sp.nsimplify(sp.N(expression, 3), rational=True).evalf(3)) for expression in expressions)
    return forms.most_common(1)[0][1] / len(expressions)
