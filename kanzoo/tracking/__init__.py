"""Records in MLflow. The one room that imports it: its switches are set here, before it is imported."""

import logging
import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # one call to a dead server blocks 246 s by default
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow.telemetry import set_telemetry_client

from kanzoo.tracking.recorder import RUN_TAG, Recorder
from kanzoo.tracking.tracker import EXPERIMENT_TAG, Tracker, cell_tags, default_uri

set_telemetry_client()  # type: ignore[no-untyped-call]  # reads the switch again: somebody may have imported mlflow before

for _name in ("mlflow", "alembic"):  # the creation of a database is not news
    logging.getLogger(_name).setLevel(logging.WARNING)

__all__ = ["EXPERIMENT_TAG", "RUN_TAG", "Recorder", "Tracker", "cell_tags", "default_uri"]
