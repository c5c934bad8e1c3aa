"""Every tool on every kind of run: it works, or is refused by name and leaves no trace."""

from typing import Any

import pytest

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.slow,
]

RUNS = {
    "image": ("digits_conv", "task.channels=[2]", "basis.name=chebyshev", "basis.degree=2"),
    "layernorm": ("digits_dense", "task.hidden=[3]", "basis.name=chebyshev", "basis.degree=2"),
    "classes": ("digits_dense", "task.hidden=[3]", "model.squash=tanh", "basis.name=chebyshev", "basis.degree=2"),
    "nodes": ("karate", "basis.name=bspline"),
    "graphs": ("mutag", "task.hidden=[4]", "basis.name=chebyshev", "basis.degree=2"),
    "cycles": ("cycles", "task.num_train=20", "task.num_test=10", "task.hidden=[4]", "basis.name=chebyshev", "basis.degree=2"),
    "continual": ("continual_peaks", "basis.name=bspline", "basis.grid_size=10"),
    "classes in turn": ("continual_digits", "task.hidden=[3]", "basis.name=chebyshev", "basis.degree=2"),
}
TOOLS = {
    "prune": ("prune", "--sparsity", "0.2"),
    "refine": ("refine", "--to", "12"),
    "convert": ("convert", "--basis", "fourier"),
    "attribute": ("attribute",),
    "coverage": ("coverage",),
    "formula": ("formula",),
}
WORKING = {
    "image": ("refine", "convert", "coverage"),
    "layernorm": ("prune", "refine", "convert", "attribute", "coverage"),
    "classes": ("prune", "refine", "convert", "attribute", "coverage"),
    "nodes": ("refine", "convert", "coverage"),
    "graphs": ("refine", "convert", "coverage"),
    "cycles": ("refine", "convert", "coverage"),
    "continual": (),
    "classes in turn": (),
}
ONE_INPUT = "the network must have one input, got {}"
WHY = {
    "image": {"": "model must be a stack of KANLinear, each there once, got KANConv2d", "formula": "got KANConv2d in layer '0'"},
    "layernorm": {"formula": "every squash must be elementwise for edges to be functions, got 'layernorm' in layer '0'"},
    "classes": {"formula": "the task must have a number as target of each output, got classes"},
    "nodes": {"": ONE_INPUT.format(2), "formula": "must be made of KANLinear"},
    "graphs": {"": ONE_INPUT.format(3), "formula": "must be made of KANLinear"},
    "cycles": {"": ONE_INPUT.format(3), "formula": "must be made of KANLinear"},
    "continual": {"": "the score must be one of the task's metrics, got 'worst_rmse' of its report"},
    "classes in turn": {"": "the score must be one of the task's metrics, got 'average_accuracy' of its report"},
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", RUNS)
def test_each_tool_works_or_is_refused_by_name(recorded: Any, capsys: pytest.CaptureFixture[str], kind: str, tool: str) -> None:
    row = recorded.other(*RUNS[kind])
    if tool in WORKING[kind]:
        _, run = recorded.inspect(row.run_id, *TOOLS[tool])
        assert run.data.metrics[f"test/{row.score_name}/before"] == pytest.approx(row.score, rel=1e-5)
        return
    error = recorded.refused(capsys, row.run_id, *TOOLS[tool])
    assert error.startswith(f"Error: {tool} of ")
    assert WHY[kind].get(tool, WHY[kind].get("", "-")) in error
