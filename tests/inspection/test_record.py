"""Tools on recorded runs through the command line: what they print, what they record, and what they refuse without a trace."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from kanzoo import experiment, inspection, terminal
from kanzoo.errors import InvalidInput
from kanzoo.inspect import attribution, prune, refine
from kanzoo.place import Place

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def net(recorded: Any) -> Any:
    return experiment.load_run(recorded.kan.run_id, recorded.uri)


def test_prune_records_a_child_with_scores_sizes_report_and_weights(recorded: Any, net: Any, tmp_path: Path) -> None:
    out, run = recorded.inspect(recorded.kan.run_id[:12], "prune", "--sparsity", "0.5")
    small, done = prune(net.model, net.data.train.tensors[0], sparsity=0.5)
    metrics, tags = run.data.metrics, run.data.tags
    assert tags["kanzoo.kind"] == "inspection"
    assert tags["mlflow.parentRunId"] == recorded.kan.run_id
    assert (tags["kanzoo.tool"], tags["kanzoo.tool.sparsity"], tags["kanzoo.tool.parts"]) == ("prune", "0.5", "edges")
    assert run.info.status == "FINISHED"
    assert (metrics["edges/before"], metrics["edges/after"]) == done.edges
    assert (metrics["parameters/before"], metrics["parameters/after"]) == (recorded.kan.num_parameters, done.parameters[1])
    assert metrics["test/rmse/before"] == pytest.approx(recorded.kan.score, rel=1e-6)
    net.model = small
    with torch.no_grad():
        net.test_metrics.update(*net.loss(net.data.test.tensors)[1:])
    assert metrics["test/rmse/after"] == pytest.approx(net.test_metrics.compute()["test/rmse"].item(), rel=1e-6)
    weights = load(recorded.artifact(run.info.run_id, "weights.safetensors", tmp_path))
    assert {name: value.shape for name, value in weights.items()} == {name: value.shape for name, value in small.state_dict().items()}
    report = json.loads(recorded.artifact(run.info.run_id, "report.json", tmp_path))
    assert report["run"] == recorded.kan.run_id
    assert tuple(report["report"]["edges"]) == done.edges
    for word in ("validation/rmse", "test/rmse", "parameters", "edges", run.info.run_id):
        assert word in out


def test_max_loss_holds_on_validation_data(recorded: Any) -> None:
    _, run = recorded.inspect(recorded.kan.run_id, "prune", "--max-loss", "0.05")
    metrics = run.data.metrics
    assert metrics["validation/rmse/after"] <= metrics["validation/rmse/before"] + 0.05
    assert metrics["edges/after"] < metrics["edges/before"]


def test_finetuning_makes_up_for_pruning(recorded: Any) -> None:
    how = ("prune", "--sparsity", "0.5")
    _, plain = recorded.inspect(recorded.kan.run_id, *how)
    _, tuned = recorded.inspect(recorded.kan.run_id, *how, "--finetune", "60")
    assert tuned.data.metrics["validation/rmse/after"] < plain.data.metrics["validation/rmse/after"]
    assert tuned.data.metrics["edges/after"] == plain.data.metrics["edges/after"]
    assert len(recorded.tracker.client.get_metric_history(tuned.info.run_id, "train/loss")) == 60


def test_failure_of_finetuning_is_recorded_and_told(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise FloatingPointError("training loss is nan")

    monkeypatch.setattr("kanzoo.fitting.fit", fail)
    place = Place(recorded.uri, "", accelerator="cpu")
    outcome = inspection.inspect(recorded.kan.run_id, inspection.Prune(sparsity=0.5, finetune=1), place)
    assert outcome.reason == "FloatingPointError: training loss is nan"
    assert recorded.tracker.run(outcome.run_id).info.status == "FAILED"


def test_refine_keeps_the_score_and_records_residuals(recorded: Any, net: Any) -> None:
    _, run = recorded.inspect(recorded.kan.run_id, "refine", "--to", "10")
    done = refine(net.model, 10, *net.inputs(net.data.train.tensors))
    metrics = run.data.metrics
    assert metrics["test/rmse/after"] == pytest.approx(metrics["test/rmse/before"], rel=1e-4)
    assert metrics["parameters/after"] > metrics["parameters/before"]
    assert metrics["residual/1"] == pytest.approx(done["1"].residual, abs=1e-6)


def test_convert_takes_arguments_as_run_does(recorded: Any) -> None:
    _, run = recorded.inspect(recorded.kan.run_id, "convert", "--basis", "chebyshev", "basis.degree=16")
    metrics = run.data.metrics
    assert run.data.tags["kanzoo.tool.basis"] == "chebyshev"
    assert run.data.tags["kanzoo.tool.arguments"] == "{'degree': 16}"
    assert metrics["test/rmse/after"] == pytest.approx(metrics["test/rmse/before"], rel=0.02)
    assert 0 < metrics["residual/0"] < 0.05


def test_attribute_ranks_the_inputs(recorded: Any, net: Any) -> None:
    out, run = recorded.inspect(recorded.kan.run_id, "attribute", "--outputs", "0")
    scores = attribution(net.model, net.data.train.tensors[0]).inputs
    assert [run.data.metrics[f"attribution/{index}"] for index in range(2)] == pytest.approx(scores.tolist(), rel=1e-5)
    lines = [line.split() for line in out.splitlines() if "█" in line]
    assert [line[0] for line in lines] == [("x1", "x2")[index] for index in scores.argsort(descending=True).tolist()]
    assert len(lines[0][2]) > len(lines[1][2])
    assert "weights.safetensors" not in [file.path for file in recorded.tracker.client.list_artifacts(run.info.run_id)]


def test_coverage_is_told_by_layer(recorded: Any) -> None:
    _, run = recorded.inspect(recorded.kan.run_id, "coverage")
    assert run.data.metrics["coverage/0"] == 1
    assert 0 <= run.data.metrics["coverage/1"] <= 1
    assert run.data.metrics["edges/before"] == run.data.metrics["edges/after"] == 9


def test_a_child_is_no_cell(recorded: Any) -> None:
    before = recorded.tracker.rows()
    _, run = recorded.inspect(recorded.kan.run_id, "coverage")
    assert recorded.tracker.rows() == before
    with pytest.raises(InvalidInput, match=r"must be an experiment's, got .* of kind 'inspection'"):
        recorded.tracker.trained(run.info.run_id)


@pytest.mark.parametrize(
    ("run", "arguments", "message"),
    [
        ("0" * 32, ["coverage"], "unknown run '000"),
        ("%", ["coverage"], "unknown run '%'"),
        ("failed", ["coverage"], "run must be FINISHED, got"),
        ("mlp", ["coverage"], "coverage of tiny"),
        ("mlp", ["prune", "--sparsity", "0.5"], "prune of tiny"),
        ("kan", ["prune"], "prune needs one of --threshold, --sparsity, --max-loss, got none"),
        (
            "kan",
            ["prune", "--sparsity", "0.5", "--max-loss", "1"],
            "prune needs one of --threshold, --sparsity, --max-loss, got --sparsity and",
        ),
        ("kan", ["prune", "--sparsity", "1"], "prune of tiny"),
        ("kan", ["prune", "--threshold", "1e9"], "prune of tiny"),
        ("kan", ["prune", "--sparsity", "0.5", "--parts", "layers"], "--parts must be one of edges, nodes, inputs, got 'layers'"),
        ("kan", ["refine", "--to", "2"], "refine of tiny"),
        ("mlp", ["formula"], "formula of tiny"),
        ("mlp", ["plot"], "plot of tiny"),
        ("kan", ["formula", "--functions", "x,sinus"], "formula of tiny"),
        ("kan", ["formula", "--threshold", "1e9"], "formula of tiny"),
        ("kan", ["convert", "--basis", "wav_kan"], "convert of tiny"),
        ("kan", ["convert", "--basis", "chebishev"], "unknown basis 'chebishev'"),
        ("kan", ["convert", "--basis", "chebyshev", "basis.grid=3"], "unknown key 'basis.grid' of basis 'chebyshev'"),
        ("kan", ["convert", "--basis", "chebyshev", "basis.degree=0"], "basis.degree must be >= 1, got 0"),
        ("kan", ["attribute", "--outputs", "1"], "attribute of tiny"),
        ("kan", ["attribute", "--outputs", "x"], "--outputs must be numbers such as 0,2, got 'x'"),
        ("kan", ["prune", "--sparsity", "0.5", "--accelerator", "abacus"], "accelerator must be one of"),
    ],
    ids=str,
)
def test_bad_requests_are_refused_and_leave_no_trace(
    recorded: Any, capsys: pytest.CaptureFixture[str], run: str, arguments: list[str], message: str
) -> None:
    run_id = getattr(recorded, run).run_id if hasattr(recorded, run) else run
    assert recorded.refused(capsys, run_id, *arguments).startswith(f"Error: {message}")


@pytest.mark.parametrize("kind", ["baseline", "learnable_activation", "siren", "fourier_features", "power_mlp"])
def test_a_baseline_is_refused_by_every_tool(recorded: Any, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    row = recorded.other(recorded.tiny, f"model.name={kind}")
    tools = (["refine", "--to", "9"], ["convert", "--basis", "chebyshev"], ["prune", "--threshold", "0.1"])
    for arguments in (*tools, ["attribute"], ["coverage"], ["formula"], ["plot"]):
        error = recorded.refused(capsys, row.run_id, *arguments)
        assert error.startswith(f"Error: {arguments[0]} of {row.task} {row.model}: the run must be of a KAN, got model.name={kind}\n")


def test_ambiguous_prefix_is_refused(recorded: Any) -> None:
    while len({run_id[0] for run_id in recorded.runs()}) == len(recorded.runs()):
        recorded.inspect(recorded.kan.run_id, "coverage")
    firsts = [run_id[0] for run_id in recorded.runs()]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(InvalidInput, match=f"run must begin the id of one run, got '{twice}' of {firsts.count(twice)}"):
        recorded.tracker.trained(twice)


def test_runs_are_listed_and_shown_by_the_beginning_of_their_id(recorded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    terminal.runs(recorded.uri)
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if re.match(r"\s*[0-9a-f]{8,}\s", line)]
    assert listed == [row.run_id[:8] for row in recorded.tracker.rows()]
    terminal.show(recorded.kan.run_id[:8], recorded.uri)
    assert "basis.grid_size" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="run must begin the id of one run, got '00000000' of 0"):
        terminal.show("00000000", recorded.uri)
