"""Tables of numbers: scikit-learn's bundled ones to regress on, California housing, and a user's CSV file."""

import csv
import hashlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanzoo.errors import InvalidInput, suggest
from kanzoo_tasks.data.formula import MAX_VALUE
from kanzoo_tasks.data.parts import Part, Parts

Array = NDArray[np.float64]

MIN_ROWS = 10
_HOUSING_SHA256 = "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e"


@dataclass(frozen=True)
class Table:
    """A regression problem.

    Attributes:
        features: names of the inputs.
        targets: names of the outputs.
        x: inputs `(rows, features)`; NaN marks a gap, to be filled by the median of the training part.
        y: outputs `(rows, targets)`.
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    x: Array
    y: Array


def bundled_file(package: str, name: str) -> Path:
    """Return the path of a data file inside an installed package, which is not imported.

    Raises:
        InvalidInput: the installed version has no such file.
    """
    spec = importlib.util.find_spec(package)
    path = Path(*(spec.submodule_search_locations if spec and spec.submodule_search_locations else ["."])[:1]) / name
    if spec is None or not path.is_file():
        raise InvalidInput(f"package {package} must hold {name}, got none in {path.parent}", f"Install another version of {package}.")
    return path


def digest(*paths: Path) -> str:
    """Return the sha256 of files, that of their hashes when there are several."""
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def diabetes_files() -> tuple[Path, Path]:
    """Return the paths of scikit-learn's diabetes data: inputs and outputs."""
    return bundled_file("sklearn", "datasets/data/diabetes_data_raw.csv.gz"), bundled_file(
        "sklearn", "datasets/data/diabetes_target.csv.gz"
    )


def diabetes() -> Table:
    """Return 442 patients: ten measurements, and the progression of the disease a year later.

    Reference:
        Efron et al., Least angle regression, doi:10.1214/009053604000000067.
    """
    inputs, outputs = diabetes_files()
    names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    return Table(names, ("progression",), np.loadtxt(inputs), np.loadtxt(outputs)[:, None])


def linnerud_files() -> tuple[Path, Path]:
    """Return the paths of scikit-learn's Linnerud data: inputs and outputs."""
    return bundled_file("sklearn", "datasets/data/linnerud_exercise.csv"), bundled_file(
        "sklearn", "datasets/data/linnerud_physiological.csv"
    )


def linnerud() -> Table:
    """Return 20 men: three exercises, and three measurements of the body, each in its own unit."""
    inputs, outputs = linnerud_files()
    names = [tuple(path.read_text(encoding="utf-8").split("\n", 1)[0].split()) for path in (inputs, outputs)]
    return Table(names[0], names[1], np.loadtxt(inputs, skiprows=1), np.loadtxt(outputs, skiprows=1))


def housing_file(data_dir: Path | None) -> Path:
    """Return the path of California housing, `tabular/housing.csv` in the folder of data.

    Raises:
        InvalidInput: there is none, or it is not the published file.
    """
    hint = "Set KANZOO_DATA to a folder that holds tabular/housing.csv (github.com/ageron/handson-ml2, datasets/housing/housing.csv)."
    if data_dir is None:
        raise InvalidInput("task.dataset 'housing' must find tabular/housing.csv in the folder of data, got no folder", hint)
    path = data_dir / "tabular" / "housing.csv"
    if not path.is_file():
        raise InvalidInput(f"task.dataset 'housing' must find the file {path}, got none", hint)
    if digest(path) != _HOUSING_SHA256:
        raise InvalidInput(f"{path} must be the published file of sha256 {_HOUSING_SHA256[:12]}..., got {digest(path)[:12]}...", hint)
    return path


def housing(data_dir: Path | None) -> Table:
    """Return 20,640 blocks of the census of 1990 in California, with the eight features of scikit-learn's copy.

    The target is the median value of a house in 100,000 $. 207 blocks lack their bedrooms.

    Reference:
        Pace and Barry, Sparse spatial autoregressions, doi:10.1016/S0167-7152(96)00140-X.
    """
    with housing_file(data_dir).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    column = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0] if name != "ocean_proximity"}
    features = {
        "longitude": column["longitude"],
        "latitude": column["latitude"],
        "housing_median_age": column["housing_median_age"],
        "median_income": column["median_income"],
        "population": column["population"],
        "rooms_per_household": column["total_rooms"] / column["households"],
        "bedrooms_per_household": column["total_bedrooms"] / column["households"],
        "people_per_household": column["population"] / column["households"],
    }
    return Table(
        tuple(features), ("median_house_value",), np.stack(list(features.values()), 1), column["median_house_value"][:, None] / 1e5
    )


def read_csv(file: str | Path, target: str) -> Table:
    """Read a user's file: comma-separated, UTF-8, names of columns in the first line, numbers below.

    Args:
        file: its path.
        target: the column to predict; all others are features.

    Raises:
        InvalidInput: anything is amiss; the message names column, line and value.
    """
    header, values, _, path = read_cells(file, target)
    place = header.index(target)
    if np.ptp(values[:, place]) == 0:
        raise InvalidInput(
            f"task.target must name a column that varies, got {target!r}, which is {values[0, place]:g} in all rows of {path}"
        )
    return Table(tuple(header[:place] + header[place + 1 :]), (target,), np.delete(values, place, axis=1), values[:, [place]])


def read_cells(file: str | Path, target: str, *, labels: bool = False) -> tuple[list[str], Array, list[str], Path]:
    """Return the columns, the numbers `(rows, columns)`, the labels and the path of a user's file.

    Args:
        file: its path.
        target: a column that it must have.
        labels: the cells of the target are text: they are the labels, and it is no longer among the columns.

    Raises:
        InvalidInput: anything is amiss; the message names column, line and value.
    """
    path = Path(file).expanduser()
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, target, path)
        place = header.index(target) if labels else None
        cells, lines, found = _cells(reader, header, path, place, target)
    except csv.Error as error:
        raise InvalidInput(f"task.file must be comma-separated text, got line {reader.line_num} of {path}: {error}") from None
    if len(lines) < MIN_ROWS:
        raise InvalidInput(f"task.file must hold at least {MIN_ROWS} rows, got {len(lines)} in {path}")
    columns = [name for index, name in enumerate(header) if index != place]
    values = np.array(cells, dtype=np.float64).reshape(len(lines), len(columns))
    wrong = np.argwhere(~(np.abs(values) < MAX_VALUE))  # NaN too
    if len(wrong):
        row, column = wrong[0]
        raise _not_a_number(columns[column], f"{values[row, column]:g}", lines[row], path)
    return columns, values, found, path


def split(table: Table, seed: int) -> Parts:
    """Return 70 % of the rows for training, 15 % for validation and 15 % for test, drawn by the seed; gaps are filled."""
    order = np.random.default_rng(seed).permutation(len(table.x))
    held = round(0.15 * len(order))
    train, validation, test = np.split(order, [len(order) - 2 * held, len(order) - held])
    x = table.x
    if np.isnan(x).any():
        x = np.where(np.isnan(x), np.nanmedian(x[train], axis=0), x)
    return Parts(*(Part(x[rows], table.y[rows]) for rows in (train, validation, test)))


def _text(path: Path) -> str:
    if not path.exists():
        raise InvalidInput(
            f"task.file must be an existing file, got {path}", f"It is looked for in {Path.cwd()}." if not path.is_absolute() else ""
        )
    if not path.is_file():
        raise InvalidInput(f"task.file must be a file, got {path}, which is none")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"task.file must be readable, got {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"task.file must be UTF-8 text, got byte {error.object[error.start]:#04x} at {error.start} in {path}") from None
    if not text.strip():
        raise InvalidInput(f"task.file must hold a header and rows, got an empty file {path}")
    return text


def _check_header(header: list[str], target: str, path: Path) -> None:
    if all(_is_number(name) for name in header):
        raise InvalidInput(f"task.file must have the names of its columns in the first line, got {_listed(header)} in {path}")
    for index, name in enumerate(header):
        if not name:
            raise InvalidInput(f"task.file must name every column in its first line, got none for column {index + 1} of {path}")
        if name in header[:index]:
            raise InvalidInput(f"task.file must name each column once, got {name!r} twice in {path}")
    if target not in header:
        separator = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
        hint = (
            f"The file is separated by {separator!r}: save it with commas, and numbers with points."
            if separator
            else suggest(target, header[:50], "Columns")
        )
        raise InvalidInput(f"task.target must be a column of {path}, got {target!r}", hint)
    if len(header) == 1:
        raise InvalidInput(f"task.file must hold a column besides the target {target!r}, got none in {path}")


def _cells(reader: Any, header: list[str], path: Path, label: int | None, target: str) -> tuple[list[float], list[int], list[str]]:
    cells: list[float] = []
    lines: list[int] = []
    labels: list[str] = []
    for row in reader:
        if len(row) != len(header):
            if not row:
                continue
            raise InvalidInput(f"task.file must have {len(header)} values in each line, got {len(row)} in line {reader.line_num} of {path}")
        if label is not None:
            labels.append(row[label].strip())
            row[label] = "0"
            if not labels[-1]:
                raise InvalidInput(f"task.target must name a class in each row, got none in line {reader.line_num} of {path}")
        try:
            numbers = list(map(float, row))
        except ValueError:
            place = next(index for index, cell in enumerate(row) if not _is_number(cell))
            error = _not_a_number(header[place], row[place], reader.line_num, path)
            if header[place] == target and row[place].strip():
                error.hint = "If its values are classes: kanzoo run classification; if they are numbers, write them with a point."
            raise error from None
        if label is not None:
            del numbers[label]
        cells.extend(numbers)
        lines.append(reader.line_num)
    return cells, lines, labels


def _not_a_number(column: str, value: str, line: int, path: Path) -> InvalidInput:
    shown = value if len(value) <= 40 else f"{value[:37]}..."
    return InvalidInput(
        f"task.file must hold finite numbers in column {column!r}, got {shown!r} in line {line} of {path}",
        "Remove the column, or write its values as numbers." if value.strip() else "Fill the gap, or remove the line.",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return repr(shown if len(names) <= 4 else f"{shown}, ...")
