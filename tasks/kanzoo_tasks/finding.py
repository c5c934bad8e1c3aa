"""What a search for a formula found."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special
import sympy as sp
import torch
from torch import Tensor, nn

from kanzoo.inspect.formula import Formula

#: What sympy's printer for scipy does not know.
_ELLIPTIC = {"elliptic_f": scipy.special.ellipkinc, "elliptic_e": scipy.special.ellipeinc}


@dataclass(frozen=True)
class Finding:
    """The formula that a search chose, and what else it saw.

    Attributes:
        method: who searched: a basis, or a package with its version.
        formula: the chosen one.
        pareto: formulas that none of their complexity or below beats in error, simplest first.
        shape: of the network that the formula was read from.
        seconds: processor time that the search took.
    """

    method: str
    formula: Formula
    pareto: Sequence[Formula]
    shape: str
    seconds: float

    def to_json(self, **more: object) -> str:
        """Return all of it and `more` as JSON, expressions as text and in LaTeX."""
        chosen = {
            "formula": str(self.formula.expression),
            "latex": self.formula.latex,
            "complexity": self.formula.complexity,
            "error": self.formula.error,
            "shape": self.shape,
            "seconds": self.seconds,
            "method": self.method,
        }
        front = [{"formula": str(each.expression), "complexity": each.complexity, "error": each.error} for each in self.pareto]
        return json.dumps(chosen | more | {"pareto": front}, indent=2)


class Expression(nn.Module):
    """An expression as a network without parameters.

    Args:
        expression: of symbols with these names.
        names: of the inputs, in order.

    Example:
        >>> x, y = sp.symbols("x y")
        >>> Expression(x / y, ["x", "y"])(torch.tensor([[3.0, 2.0]], dtype=torch.float64))
        tensor([[1.5000]], dtype=torch.float64)
    """

    def __init__(self, expression: sp.Expr, names: Sequence[str]) -> None:
        super().__init__()
        self.expression, self.names = expression, tuple(names)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, names)` to `(N, 1)`, float64: NaN where the expression is not a real number."""
        own = {symbol.name: symbol for symbol in self.expression.free_symbols}
        function = sp.lambdify(
            [own.get(name, sp.Symbol(name)) for name in self.names], self.expression, modules=[_ELLIPTIC, "scipy", "numpy"]
        )
        with np.errstate(all="ignore"):
            values = np.asarray(function(*x.detach().double().cpu().numpy().T))
        real = np.where(np.isreal(values), values.real, np.nan).astype(np.float64)
        return torch.from_numpy(np.broadcast_to(real, len(x)).copy())[:, None].to(x.device)
