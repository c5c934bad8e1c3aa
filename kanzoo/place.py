"""Where an experiment runs and leaves its record: all that is not part of its identity."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Called with the share of the training that is done, 0 to 1.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Place:
    """Where an experiment runs and leaves its record: all that is not part of its identity.

    Attributes:
        tracking_uri: the MLflow store.
        experiment: the name of the MLflow experiment.
        parent: run id of the benchmark that it belongs to, or None.
        data_dir: where data sets lie, or None.
        accelerator: Lightning's name of it: `auto`, `cpu`, `gpu`.
        threads: threads for torch; 0 leaves torch's choice.
    """

    tracking_uri: str
    experiment: str
    parent: str | None = None
    data_dir: Path | None = None
    accelerator: str = "auto"
    threads: int = 0
