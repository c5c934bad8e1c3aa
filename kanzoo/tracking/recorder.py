"""The record of one run, as it is written."""

import json
import re
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from mlflow.entities import Metric, Param, RunTag

from kanzoo.record import Row, Status

#: Metrics are sent in one request of at most this many: a call a metric costs 20 times more.
_BATCH = 200
#: Seconds after which people who watch a run see its curves grow.
_PATIENCE = 5.0
#: The tag that holds a run's row.
ROW = "kanzoo.row"
#: Length that MLflow 3.17 takes of a run's tag.
RUN_TAG = 8_000


class Recorder:
    """Writes one run: metrics in batches, artifacts with their sha256, and how it ended."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self._metrics: list[Metric] = []
        self._sent = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            self.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Buffer metrics; they are sent in batches, at the latest with the first that comes `_PATIENCE` seconds after the last batch."""
        now = int(time.time() * 1000)
        self._metrics += [Metric(re.sub(r"[^\w./ -]", "_", name), float(value), now, step) for name, value in metrics.items()]
        if len(self._metrics) >= _BATCH or time.monotonic() - self._sent > _PATIENCE:
            self.flush()

    def flush(self) -> None:
        """Send what is buffered."""
        for start in range(0, len(self._metrics), _BATCH):
            self.client.log_batch(self.run_id, metrics=self._metrics[start : start + _BATCH])
        self._metrics, self._sent = [], time.monotonic()

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        params = [Param(key, str(value)[:500]) for key, value in values.items()]
        for start in range(0, len(params), 100):
            self.client.log_batch(self.run_id, params=params[start : start + 100])

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self.client.log_batch(self.run_id, tags=[RunTag(key, value[:RUN_TAG]) for key, value in values.items()])

    def row(self, row: Row) -> None:
        """Write the run's row, and its description: why it failed, and the command that repeats it."""
        why = f"{row.status}:\n\n```text\n{row.reason}\n```\n\n" if row.reason else ""
        note = f"{why}Run it again:\n\n```sh\n{row.command}\n```\n"
        self.tags({ROW: json.dumps(asdict(row)), "kanzoo.reason": row.reason, "mlflow.note.content": note})

    def artifact(self, name: str, content: bytes | str) -> None:
        """Write a file and its sha256."""
        data = content.encode() if isinstance(content, str) else content
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            path.write_bytes(data)
            self.client.log_artifact(self.run_id, str(path))
        self.tags({f"kanzoo.sha256.{path.name}": sha256(data).hexdigest()})

    def failure(self, error: BaseException) -> None:
        """Write the traceback of a failure."""
        self.artifact("traceback.txt", "".join(traceback.format_exception(error)))

    def close(self, status: Status) -> None:
        """Send the rest and end the run."""
        self.flush()
        self.client.set_terminated(self.run_id, status)
