"""One row of raw results: what a finished or failed run leaves for the leaderboard. Numbers are raw; rounding is the renderer's."""

from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

Status = Literal["FINISHED", "FAILED", "KILLED", "RUNNING"]


@dataclass(frozen=True)
class Row:
    """One run of one cell: a task, a model, a seed.

    Attributes:
        run_id: MLflow run id.
        experiment: name of the MLflow experiment.
        task: label of the task, as people see it: `digits_dense`, `feynman[formula=I.6.2]`.
        task_key: hash of all that makes scores comparable: the task with its data and arguments.
        model: label of the model: `bspline`, `bspline(degree=5)`, `mlp`.
        model_key: hash of the whole config but the seed: runs that differ in it are never averaged.
        basis: registry name of the basis; empty for a baseline.
        plugin: distribution and version that registers the basis: `kanzoo 0.1.0`.
        seed: sets initialisation, data order and split together.
        status: how the run ended.
        reason: why it failed; empty when it finished.
        score_name: the ranked metric: `rmse`, `accuracy`.
        direction: `min` or `max`: which scores are better.
        score: its value on the test data; NaN when the run failed.
        num_parameters: trainable parameters.
        num_coefficients: those of them that are coefficients of basis functions.
        train_time_s: seconds in the training loop.
        step_time_ms: median milliseconds of one optimiser step.
        peak_memory_mb: growth of the process's resident memory while training, in MB.
        epochs: epochs trained.
        hardware: short fingerprint of the machine and its settings; times compare only within one.
        cpu: processor name, for people.
        threads: threads that torch used.
        torch: version of torch.
        kanzoo: version of kanzoo.
        config_hash: identity of the cell; what is finished is not run again.
        date: start of the run, ISO 8601 in UTC.
        command: the line that runs this cell again.
        seeds_together: networks that were trained at once, this one among them; times and memory are its share of theirs.
        track: the rules that it was run by: `default`, `parameters=5000`, `seconds=10`, `trials=12`; scores of two tracks are not compared.
        operations: arithmetic operations of one sample through the network, see `kanzoo.operations`; 0 when unknown.
        latency_ms: median milliseconds of one sample through the network; NaN when unknown.
    """

    run_id: str
    experiment: str
    task: str
    task_key: str
    model: str
    model_key: str
    basis: str
    plugin: str
    seed: int
    status: Status
    reason: str
    score_name: str
    direction: Literal["min", "max"]
    score: float
    num_parameters: int
    num_coefficients: int
    train_time_s: float
    step_time_ms: float
    peak_memory_mb: float
    epochs: int
    hardware: str
    cpu: str
    threads: int
    torch: str
    kanzoo: str
    config_hash: str
    date: str
    command: str
    seeds_together: int = 1
    track: str = "default"
    operations: int = 0
    latency_ms: float = float("nan")


def columns() -> list[str]:
    """Return the column names in their order."""
    return [field.name for field in fields(Row)]


def parse(values: dict[str, Any]) -> Row:
    """Build a row from strings, as a CSV file or a tracking store holds them; a column with a default may be missing.

    Raises:
        ValueError: another column is missing, or a number does not parse.
    """
    kinds: dict[str, type] = {"int": int, "float": float}
    parsed = {}
    for field in fields(Row):
        if field.name not in values:
            if field.default is not MISSING:
                continue
            raise ValueError(f"column {field.name!r} is missing")
        kind = field.type if isinstance(field.type, type) else kinds.get(str(field.type), str)
        try:
            parsed[field.name] = kind(values[field.name]) if kind in (int, float) else str(values[field.name])
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {field.name!r} must be {kind.__name__}, got {values[field.name]!r}") from error
    return Row(**parsed)  # type: ignore[arg-type]
