"""Formulas: read off a trained network, found from data, compared, and compiled into a network."""

from kanzoo.inspect.formula.descent import descend, relative_error
from kanzoo.inspect.formula.discover import discover
from kanzoo.inspect.formula.equivalence import equivalent
from kanzoo.inspect.formula.fit import Fit, fit_curves, pareto
from kanzoo.inspect.formula.kanpiler import kanpiler, samples, to_basis
from kanzoo.inspect.formula.library import EXTENDED, LIBRARY, Candidate, power
from kanzoo.inspect.formula.mult import Affine, Multiply
from kanzoo.inspect.formula.network import as_stack, read_formula
from kanzoo.inspect.formula.report import Formula, Report, agreement
from kanzoo.inspect.formula.shape import Node, build
from kanzoo.inspect.formula.symbolic import Edge, SymbolicLayer

__all__ = [
    "EXTENDED",
    "LIBRARY",
    "Affine",
    "Candidate",
    "Edge",
    "Fit",
    "Formula",
    "Multiply",
    "Node",
    "Report",
    "SymbolicLayer",
    "agreement",
    "as_stack",
    "build",
    "descend",
    "discover",
    "equivalent",
    "fit_curves",
    "kanpiler",
    "pareto",
    "power",
    "read_formula",
    "relative_error",
    "samples",
    "to_basis",
]
