"""Saved views of MLflow's run list, in the undocumented format that its UI reads since 3.15."""

import json
import time
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256


def shared_view(
    key: str, name: str, *, columns: Mapping[str, int], filter: str, order: str, ascending: bool, group: Sequence[str] = ()
) -> tuple[str, str]:
    """Return the experiment tag that makes MLflow's UI (3.15 and later) offer a saved view of the run list.

    The format is not documented: `deflate;` and the base64 of the zlib-compressed JSON state. A UI that does not know it ignores
    the tag. It is checked in a browser by the tests marked `browser`.

    Args:
        key: by which the address names the view.
        name: by which the UI offers it.
        columns: widths in pixels by column, in their order: `metrics.`score``, `attributes.`Run Name``.
        filter: which runs, in MLflow's search language.
        order: the column that they are sorted by.
        ascending: whether the smallest value comes first.
        group: by which runs are grouped, with means over each group: `param.basis.name`, `tag.kanzoo.task`; empty for a plain list.
    """
    keys = [dict(zip(("mode", "groupByData"), name.split(".", 1), strict=True)) for name in group]
    state = {
        "searchFilter": filter,
        "orderByKey": order,
        "orderByAsc": ascending,
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": dict(columns),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": keys} if keys else None,
    }
    packed = "deflate;" + b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    return f"mlflow.sharedViewState.{key}", json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": packed})


def view_key(experiment: str, name: str) -> str:
    """Return the key by which the address of a view names it."""
    return sha256(f"{experiment}/{name}".encode()).hexdigest()[:32]
