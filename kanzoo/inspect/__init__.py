"""Tools on trained networks. Each sees a layer by its edge functions at points, so that it serves every basis."""

from kanzoo.inspect.attribution import Attribution, attribution, edge_magnitudes
from kanzoo.inspect.convert import Conversion, convert
from kanzoo.inspect.coverage import coverage
from kanzoo.inspect.edge import EdgeFunctions, edge_functions
from kanzoo.inspect.figures import basis_figures
from kanzoo.inspect.layer import kan_layers, layer_inputs
from kanzoo.inspect.prune import Pruning, prune
from kanzoo.inspect.refine import Refinement, refine
from kanzoo.inspect.shrink import shrink
from kanzoo.inspect.sparsity import EdgeMagnitudes, edge_entropy
from kanzoo.inspect.stack import Select
from kanzoo.inspect.structure import Verdict, separability, symmetry

__all__ = [
    "Attribution",
    "Conversion",
    "EdgeFunctions",
    "EdgeMagnitudes",
    "Pruning",
    "Refinement",
    "Select",
    "Verdict",
    "attribution",
    "basis_figures",
    "convert",
    "coverage",
    "edge_entropy",
    "edge_functions",
    "edge_magnitudes",
    "kan_layers",
    "layer_inputs",
    "prune",
    "refine",
    "separability",
    "shrink",
    "symmetry",
]
