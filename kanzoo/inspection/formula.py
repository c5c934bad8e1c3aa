"""Read formulas off the network of a run, in the units and names of its data."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kanzoo.inspect.formula import LIBRARY, Affine, Candidate, Report, as_stack, read_formula
from kanzoo.inspect.formula.network import EXACT
from kanzoo.inspect.formula.report import Formula, latex_name
from kanzoo.inspect.shrink import edge_mask
from kanzoo.inspect.stack import dense_stack
from kanzoo.inspection.subject import Finding, Subject
from kanzoo.inspection.tools import Prune

#: Edges that are read: each costs a re-fit of everything, and the formula of more is none that anybody would read.
MOST_EDGES = 40


class Expressed(nn.Module):
    """Formulas in the place of a network: the same inputs and outputs, without parameters.

    Args:
        report: the formulas, of some columns of the input.
        columns: which ones.
        inputs: units of these columns.
        outputs: units of the outputs.
    """

    def __init__(self, report: Report, columns: Sequence[int], inputs: Affine, outputs: Affine) -> None:
        super().__init__()
        self.report, self.columns = report, list(columns)
        self.units = inputs, outputs  # in a tuple: they are no part of a state to be saved

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in)` to `(N, out)`."""
        inputs, outputs = self.units
        values = outputs(self.report(x[:, self.columns].double().cpu() * inputs.scale + inputs.center))
        return values.to(x)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ReadFormula:
    """Read a formula for each output, see `kanzoo.inspect.formula.read_formula`.

    Attributes:
        seconds: after which no further improvement is begun.
        goal: relative error at which a formula is good enough.
        functions: names of candidates that edges may be; the whole library when None.
        threshold: edges that score less are cut first, see `kanzoo.inspect.prune`.
    """

    name, finetune = "formula", 0
    seconds: float = 30.0
    goal: float = EXACT
    functions: Sequence[str] | None = None
    threshold: float | None = None

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        library, model = self._library(), subject.task.model
        as_stack(model)  # refuses what has no formula, before anything else is looked at
        y = _targets(subject)
        if self.threshold is not None:
            model = Prune(threshold=self.threshold)(subject).model or model
        stack, x = dense_stack(model), subject.stack_input().double().cpu()
        edges = sum(int(edge_mask(layer).sum()) for layer in stack.layers)
        if edges > MOST_EDGES:
            raise ValueError(f"the network must have at most {MOST_EDGES} edges, got {edges}; a threshold cuts those that score less")
        columns = list(range(stack.in_features)) if stack.select is None else stack.select.index.tolist()
        variables = subject.task.variables()
        inputs, outputs = _affine(variables.input_units, x.shape[1]), _affine(variables.output_units, y.shape[1])
        inputs = Affine(inputs.center[columns], inputs.scale[columns])
        names = variables.inputs or [f"x{column + 1}" for column in range(x.shape[1])]
        report = read_formula(
            nn.Sequential(inputs, *copy.deepcopy(stack.layers)).cpu(),
            x[:, columns] * inputs.scale + inputs.center,
            y,
            [names[column] for column in columns],
            units=outputs,
            library=library,
            goal=self.goal,
            seconds=self.seconds,
        )
        called = variables.outputs or (["y"] if y.shape[1] == 1 else [f"y{column + 1}" for column in range(y.shape[1])])
        figures, content = _summary(report, called)
        return Finding(Expressed(report, columns, inputs, outputs), figures, content, {"formula.tex": _tex(report, called)})

    def _library(self) -> tuple[Candidate, ...]:
        if self.functions is None:
            return LIBRARY
        known = {candidate.name: candidate for candidate in LIBRARY}
        for name in self.functions:
            if name not in known:
                raise ValueError(f"functions must be of {', '.join(known)}, got {name!r}")
        return tuple(candidate for candidate in LIBRARY if candidate.name in self.functions)


@torch.no_grad()
def _targets(subject: Subject) -> Tensor:
    """Return the targets of the samples, as they are compared with predictions, float64."""
    subject.task.eval()
    _, prediction, target = subject.task.loss(subject.batch)
    if not target.is_floating_point() or target.shape != prediction.shape:
        kind = "numbers" if target.is_floating_point() else "classes"
        raise ValueError(f"the task must have a number as target of each output, got {kind} of shape {tuple(target.shape)}")
    return target.double().cpu()


def _affine(units: tuple[Tensor, Tensor] | None, count: int) -> Affine:
    center, scale = (torch.zeros(count), torch.ones(count)) if units is None else units
    return Affine(center.double().cpu(), scale.double().cpu())


def _summary(report: Report, names: Sequence[str]) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the figures of each output, and all there is to know."""
    figures: dict[str, float] = {}
    outputs = []
    for name, formula, pareto, of_network, of_data in zip(
        names, report.outputs, report.pareto, report.r2_network, report.r2_data, strict=True
    ):
        own = {"r2_network": of_network, "r2_data": of_data, "error": formula.error, "complexity": float(formula.complexity)}
        figures |= {f"{what}/{name}": value for what, value in own.items()}
        outputs.append({"name": name, **_plain(formula), **own, "pareto": [_plain(one) for one in pareto]})
    rest = {
        "inputs": list(report.names),
        "error_network": report.error_network,
        "seconds": report.seconds,
        "choices": [asdict(choice) for choice in report.choices],
    }
    return figures, {"outputs": outputs, **rest}


def _plain(formula: Formula) -> dict[str, Any]:
    return {
        "expression": str(formula.expression),
        "latex": formula.latex,
        "error": formula.error,
        "r2": formula.r2,
        "complexity": formula.complexity,
    }


def _tex(report: Report, names: Sequence[str]) -> str:
    lines = [f"{latex_name(name)} &= {formula.latex}" for name, formula in zip(names, report.outputs, strict=True)]
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"
