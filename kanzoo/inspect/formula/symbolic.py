"""A layer whose edges are formulas, beside a numerical layer for the edges that are not formulas yet."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp
import torch
from torch import Tensor, nn

from kanzoo.inspect.formula.fit import Fit
from kanzoo.inspect.formula.library import LINE, Candidate
from kanzoo.inspect.formula.mult import Affine
from kanzoo.layers.expansion import residual_branch
from kanzoo.layers.linear import KANLinear


@dataclass(frozen=True)
class Edge:
    """The formula $c f(a x + b)$ from one input to one output of a layer.

    Attributes:
        output: where it ends.
        input: where it begins.
        candidate: f.
        a: scale of the argument.
        b: shift of the argument.
        c: scale of the value.
        free: which of a, b and c a refit may change.
        complexity: of f and its shift.
    """

    output: int
    input: int
    candidate: Candidate
    a: float = 1.0
    b: float = 0.0
    c: float = 1.0
    free: tuple[bool, bool, bool] = (True, True, True)
    complexity: int = 1


def identity(output: int, input_: int) -> Edge:
    """Return the edge that passes its input on, for ever."""
    return Edge(output, input_, LINE, free=(False, False, False), complexity=0)


def edge_of(fit: Fit, output: int, input_: int) -> Edge:
    """Return the edge that a fit describes; its d belongs to the node."""
    return Edge(output, input_, fit.candidate, fit.a, fit.b, fit.c, (*fit.free, True), fit.complexity)


class SymbolicLayer(nn.Module):
    r"""A layer $y_j = d_j + \sum_i c_{ij} f_{ij}(a_{ij} x_i + b_{ij})$, plus the edges of a `KANLinear` that are not formulas yet.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        edges: the formulas.
        bias: d, `(out_features,)`; zeros when None.
        free_bias: which of them a refit may change, `(out_features,)`; all when None.
        numeric: the layer of the other edges, its `edge_mask` false where an edge is a formula or was cut.
        units: change of units in front of the numerical layer alone.

    Attributes:
        affine: a, b, c of each edge, `(edges, 3)`.

    Raises:
        ValueError: an edge begins or ends outside the layer, or two edges share their ends.

    Example:
        >>> from kanzoo.inspect.formula.library import power
        >>> SymbolicLayer(1, 1, [Edge(0, 0, power(2), b=1.0)])(torch.tensor([[2.0]], dtype=torch.float64))
        tensor([[9.]], dtype=torch.float64, grad_fn=<StackBackward0>)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        edges: Sequence[Edge] = (),
        *,
        bias: Tensor | None = None,
        free_bias: Tensor | None = None,
        numeric: KANLinear | None = None,
        units: Affine | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.edges = in_features, out_features, tuple(edges)
        ends = [(edge.output, edge.input) for edge in self.edges]
        if len(set(ends)) < len(ends) or not all(0 <= j < out_features and 0 <= i < in_features for j, i in ends):
            raise ValueError(f"edges must have different ends inside ({out_features}, {in_features}), got {ends}")
        numbers = [[edge.a, edge.b, edge.c] for edge in self.edges]
        self.affine = nn.Parameter(torch.tensor(numbers, dtype=torch.float64).reshape(-1, 3))
        self.bias = nn.Parameter(torch.zeros(out_features, dtype=torch.float64) if bias is None else bias.detach().double().clone())
        self.free: Tensor
        self.free_bias: Tensor
        self.register_buffer("free", torch.tensor([edge.free for edge in self.edges], dtype=torch.bool).reshape(-1, 3), persistent=False)
        kept = torch.ones(out_features, dtype=torch.bool) if free_bias is None else free_bias.clone()
        self.register_buffer("free_bias", kept, persistent=False)
        self.numeric, self.units = numeric, units

    def forward(self, x: Tensor) -> Tensor:
        """Map `(*batch, in_features)` to `(*batch, out_features)`."""
        bias = torch.where(self.free_bias, self.bias, self.bias.detach())
        affine = torch.where(self.free, self.affine, self.affine.detach())  # what is not free learns nothing in any optimiser
        columns: list[Tensor] = [bias[j].expand(x.shape[:-1]) for j in range(self.out_features)]
        for edge, (a, b, c) in zip(self.edges, affine.unbind(0), strict=True):
            columns[edge.output] = columns[edge.output] + c * edge.candidate.function(a * x[..., edge.input] + b)
        y = torch.stack(columns, -1)
        return y if self.numeric is None else y + self.numeric(self._inside(x))

    def open_edges(self) -> list[tuple[int, int]]:
        """Return the ends (output, input) of the edges that are still numerical."""
        if self.numeric is None:
            return []
        mask = self.numeric.edge_mask
        return [(j, i) for j in range(self.out_features) for i in range(self.in_features) if mask is None or bool(mask[j, i])]

    @torch.no_grad()
    def curve(self, output: int, input_: int, points: Tensor) -> Tensor:
        """Return the numerical edge function at points `(P,)` of its input."""
        assert self.numeric is not None
        if self.units is not None:
            points = (points - self.units.center[input_]) / self.units.scale[input_]
        return self.numeric.edge_functions(points)[:, input_, output]

    def replaced(self, output: int, input_: int, fit: Fit | None) -> "SymbolicLayer":
        """Return a layer in which a numerical edge is a formula, or is cut when there is none."""
        numeric = copy.deepcopy(self.numeric)
        assert numeric is not None
        mask = torch.ones(self.out_features, self.in_features, dtype=torch.bool) if numeric.edge_mask is None else numeric.edge_mask.clone()
        mask[output, input_] = False
        numeric.mask_edges(mask)
        bias = self.bias.detach().clone()
        edges = self.current_edges()
        if fit is not None:
            edges.append(edge_of(fit, output, input_))
            bias[output] += fit.d
        left = numeric if bool(mask.any()) else None
        return SymbolicLayer(
            self.in_features,
            self.out_features,
            edges,
            bias=bias,
            free_bias=self.free_bias,
            numeric=left,
            units=self.units if left else None,
        )

    def with_edges(self, edges: Sequence[Edge], bias: Tensor | None = None) -> "SymbolicLayer":
        """Return a layer with other formulas, the rest as it is."""
        return SymbolicLayer(
            self.in_features,
            self.out_features,
            edges,
            bias=self.bias if bias is None else bias,
            free_bias=self.free_bias,
            numeric=self.numeric,
            units=self.units,
        )

    def current_edges(self) -> list[Edge]:
        """Return the edges with the numbers that they have now."""
        numbers = self.affine.detach().tolist()
        return [replace(edge, a=a, b=b, c=c) for edge, (a, b, c) in zip(self.edges, numbers, strict=True)]

    def expressions(self, inputs: Sequence[sp.Expr]) -> list[sp.Expr]:
        """Return every output in sympy, for inputs in sympy.

        Raises:
            ValueError: an edge is still numerical.
        """
        if self.open_edges():
            raise ValueError(f"layer must be all formulas, got the numerical edges {self.open_edges()}")
        outputs = [number(value) for value in self.bias.detach().tolist()]
        for edge in self.current_edges():
            outputs[edge.output] += number(edge.c) * edge.candidate.symbol(number(edge.a) * inputs[edge.input] + number(edge.b))
        return outputs

    def jacobian(self, x: Tensor, sensitivity: Tensor) -> Tensor:
        """Return the derivative of a network's output by each free number of this layer, `(N, numbers)`, in the order of `numbers`.

        Args:
            x: inputs `(N, in_features)`.
            sensitivity: derivative of the network's output by each output of this layer, `(N, out_features)`.
        """
        columns: list[Tensor] = []
        for edge, (a, b, c), free in zip(self.edges, self.affine.detach().unbind(0), self.free, strict=True):
            value = x[:, edge.input]
            z = (a * value + b).requires_grad_()
            with torch.enable_grad():
                f = edge.candidate.function(z)
                slope = torch.autograd.grad(f.sum(), z)[0]
            gain = sensitivity[:, edge.output]
            parts = (gain * c * slope * value, gain * c * slope, gain * f.detach())
            columns += [part for part, is_free in zip(parts, free.tolist(), strict=True) if is_free]
        columns += [sensitivity[:, j] for j in self.free_bias.nonzero().squeeze(1).tolist()]
        blocks = [torch.stack(columns, 1)] if columns else [x.new_zeros(len(x), 0)]
        if self.numeric is not None:
            blocks += self._numeric_jacobian(self._inside(x), sensitivity)
        return torch.cat(blocks, 1)

    def numbers(self) -> list[tuple[Tensor, Tensor]]:
        """Return parameters with masks of what is free in them, in the order of the columns of `jacobian`."""
        pairs = [(self.affine.data, self.free), (self.bias.data, self.free_bias)]
        layer = self.numeric
        if layer is None:
            return pairs
        if layer.expansion is None:
            return pairs + [(parameter.data, torch.ones_like(parameter, dtype=torch.bool)) for parameter in layer.parameters()]
        kept = self._kept()
        pairs.append((layer.coeff.data, kept.unsqueeze(-1).expand(layer.coeff.shape)))
        if layer.residual_weight is not None:
            pairs.append((layer.residual_weight.data, kept))
        return pairs

    def _inside(self, x: Tensor) -> Tensor:
        return x if self.units is None else self.units(x)

    def _kept(self) -> Tensor:
        assert self.numeric is not None
        mask = self.numeric.edge_mask
        return torch.ones(self.out_features, self.in_features, dtype=torch.bool) if mask is None else mask

    def _numeric_jacobian(self, x: Tensor, sensitivity: Tensor) -> list[Tensor]:
        layer = self.numeric
        assert layer is not None
        if layer.expansion is None:  # functions with parameters inside: sample by sample
            return [_edge_jacobian(layer, x, sensitivity)]
        kept = self._kept().nonzero()  # by output, then input: as masked entries of (out, in, K) are ordered
        features = layer.expansion(x).detach().transpose(1, 2)  # (N, in, K)
        blocks = [(sensitivity[:, kept[:, 0], None] * features[:, kept[:, 1]]).flatten(1)]
        if layer.residual_weight is not None:
            blocks.append(sensitivity[:, kept[:, 0]] * residual_branch(layer.residual, x)[:, kept[:, 1]])
        return blocks


def numeric_layer(layer: KANLinear, units: Affine | None = None) -> SymbolicLayer:
    """Return a copy of a layer, in float64, in which every edge is still numerical."""
    numeric = copy.deepcopy(layer).double()
    bias = None if numeric.bias is None else numeric.bias.detach().clone()
    if numeric.bias is not None:
        numeric.bias = None
    for parameter in numeric.parameters():
        parameter.requires_grad_(False)
    return SymbolicLayer(layer.in_features, layer.out_features, bias=bias, numeric=numeric, units=units)


def _edge_jacobian(layer: KANLinear, x: Tensor, sensitivity: Tensor) -> Tensor:
    parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}

    def weighted(parameters: dict[str, Tensor], x: Tensor, gain: Tensor) -> Tensor:
        total: Tensor = (gain * torch.func.functional_call(layer, parameters, (x,))).sum()
        return total

    slopes = torch.func.vmap(torch.func.grad(weighted), (None, 0, 0))(parameters, x, sensitivity)
    return torch.cat([slopes[name].flatten(1) for name in parameters], 1)


def number(value: float) -> sp.Expr:
    """Return a number, exact where it is a small integer: x to a power 1.0 would not simplify."""
    return sp.Integer(round(value)) if value == round(value) and math.fabs(value) < 1000 else sp.Float(value, 17)
