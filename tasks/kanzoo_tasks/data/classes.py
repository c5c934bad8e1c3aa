"""Tables whose target is a class: scikit-learn's bundled ones, and a user's CSV file. The target holds the number of the class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import table
from kanzoo_tasks.data.sources import check_table

#: Of a file with more, the target is rather a number, or the name of the row.
MAX_CLASSES = 100

_CELL = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_FEATURES = {
    "iris": ("sepal length", "sepal width", "petal length", "petal width"),
    "wine": (
        *("alcohol", "malic acid", "ash", "alcalinity of ash", "magnesium", "total phenols", "flavanoids", "nonflavanoid phenols"),
        *("proanthocyanins", "color intensity", "hue", "od280/od315 of diluted wines", "proline"),
    ),
    "breast_cancer": tuple(f"{kind} {name}" for kind in ("mean", "error of", "worst") for name in _CELL),
}
_FILES = {"iris": "iris.csv", "wine": "wine_data.csv", "breast_cancer": "breast_cancer.csv"}


def sources(arguments: Mapping[str, Any], data_dir: Path | None) -> str:
    """Return the digest of the data of a `TabularClassification`.

    Args:
        arguments: all arguments of the task.
        data_dir: not used.

    Raises:
        InvalidInput: a file is wrong, or its target has one class or too many.
    """
    check_table(arguments)
    if arguments["dataset"] != "csv":
        return table.digest(bundled_file(arguments["dataset"]))
    read_csv(arguments["file"], arguments["target"])
    return table.digest(Path(arguments["file"]).expanduser())


def bundled_file(dataset: str) -> Path:
    """Return the path of a data set inside scikit-learn."""
    return table.bundled_file("sklearn", f"datasets/data/{_FILES[dataset]}")


def bundled(dataset: str) -> table.Table:
    """Return a table of scikit-learn: `iris` (150 flowers), `wine` (178 wines) or `breast_cancer` (569 tumours)."""
    path = bundled_file(dataset)
    classes = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")[2:]
    values = np.loadtxt(path, delimiter=",", skiprows=1)
    return table.Table(_FEATURES[dataset], tuple(classes), values[:, :-1], values[:, -1])


def read_csv(file: str | Path, target: str) -> table.Table:
    """Read a user's file, as `table.read_csv` does; the target may be text.

    Returns:
        The table, with the names of the classes, sorted, as its targets and the number of the class of each row as `y`.

    Raises:
        InvalidInput: anything is amiss; the message names column, line and value.
    """
    features, values, labels, path = table.read_cells(file, target, labels=True)
    classes = sorted(set(labels), key=_order)
    if len(classes) == 1:
        raise InvalidInput(f"task.target must name a column that varies, got {target!r}, which is {classes[0]!r} in all rows of {path}")
    if len(classes) > min(MAX_CLASSES, len(labels) // 2):
        raise InvalidInput(
            f"task.target must name a column of at most {min(MAX_CLASSES, len(labels) // 2)} classes in {len(labels)} rows, "
            f"got {target!r} of {path} with {len(classes)}",
            "For a target that is a number: kanzoo run regression",
        )
    number = {name: index for index, name in enumerate(classes)}
    return table.Table(tuple(features), tuple(classes), values, np.array([number[label] for label in labels], dtype=np.float64))


def _order(label: str) -> tuple[bool, float, str]:
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label
