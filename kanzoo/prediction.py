"""What a recorded network predicts for new rows of a table, in the units of the columns."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kanzoo import experiment
from kanzoo.errors import InvalidInput
from kanzoo.place import Place
from kanzoo.task import Task, Variables
from kanzoo.tracking import Tracker

#: Rows that go through the network at once.
_ROWS = 4096


@dataclass(frozen=True)
class Predictions:
    """The rows of a file, each with what the network says of it.

    Attributes:
        header: names of the columns: those of the file, then the predicted ones.
        rows: the cells of each row.
        outside: rows with a value beyond those of the training rows, where nothing is known of the network.
    """

    header: list[str]
    rows: list[list[str]]
    outside: int

    def to_csv(self) -> str:
        """Return the header and the rows as comma-separated text."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


def predict(prefix: str, file: Path, place: Place) -> Predictions:
    """Return what the network of a run predicts for the rows of a CSV file, whose columns are found by their names.

    A regression adds a column `predicted_NAME` for each target, in its own units; a classification adds `predicted`, the most probable
    class, and `share`, its probability by the softmax of the network's outputs.

    Args:
        prefix: id of the run, or how no other one begins.
        file: comma-separated, with the names of its columns in the first line; columns that the network does not see are kept as they are.
        place: the store, where data lie, and the device. The data that the network was trained on must be there: its units are theirs.

    Raises:
        InvalidInput: the run is not there, or not FINISHED, or not of a task on columns; the file has no such columns, or no numbers there.
    """
    tracker = Tracker(place.tracking_uri)
    row = tracker.trained(prefix)
    _, task = experiment.load_cell(row.run_id, tracker.uri, place.data_dir)
    known = task.variables()
    if known.inputs is None or known.input_units is None:
        raise InvalidInput(f"run must be of a task whose inputs are columns of a table, got {row.task}", "See kanzoo list runs.")
    header, cells, x = _read(file, known.inputs)
    task = task.to(experiment.device(place)).eval()
    center, scale = (unit.cpu().double() for unit in known.input_units)
    seen = task.inputs(task.data.train.tensors)[0].cpu().float()
    z = ((x - center) / scale).float()
    span = 1e-6 * (seen.amax(0) - seen.amin(0))
    outside = ((z < seen.amin(0) - span) | (z > seen.amax(0) + span)).any(1)
    names, told = _told(_outputs(task, z), known)
    rows = [[*own, *new] for own, new in zip(cells, told, strict=True)]
    return Predictions([*header, *names], rows, int(outside.sum()))


@torch.no_grad()
def _outputs(task: Task, z: Tensor) -> Tensor:
    return torch.cat([task.model(part.to(task.device)).cpu() for part in torch.split(z, _ROWS)]).double()


def _told(outputs: Tensor, known: Variables) -> tuple[list[str], list[list[str]]]:
    """Return names and cells of the predicted columns."""
    if known.classes:
        assert known.outputs is not None
        shares, chosen = outputs.softmax(-1).max(-1)
        pairs = zip(chosen.tolist(), shares.tolist(), strict=True)
        return ["predicted", "share"], [[known.outputs[index], f"{share:.4f}"] for index, share in pairs]
    if known.output_units is not None:
        center, scale = (unit.cpu().double() for unit in known.output_units)
        outputs = outputs * scale + center
    count = outputs.shape[1]
    names = known.outputs or tuple("y" if count == 1 else f"y{index}" for index in range(1, count + 1))
    return [f"predicted_{name}" for name in names], [[f"{value:.7g}" for value in line] for line in outputs.tolist()]


def _read(file: Path, wanted: Sequence[str]) -> tuple[list[str], list[list[str]], Tensor]:
    """Return the header, the cells, and the numbers of the wanted columns."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"the file must be readable, got {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the file must be UTF-8 text, got byte {error.object[error.start]:#04x} in {file}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    numbers, cells = list[list[float]](), list[list[str]]()
    try:
        header = [name.strip() for name in next(reader, [])]
        places = [_place(header, name, file) for name in wanted]
        for own in reader:
            if not own:
                continue
            if len(own) != len(header):
                raise InvalidInput(f"the file must have {len(header)} cells a line, got {len(own)} in line {reader.line_num} of {file}")
            numbers.append([_number(own[place], header[place], reader.line_num, file) for place in places])
            cells.append(own)
    except csv.Error as error:
        raise InvalidInput(f"the file must be comma-separated text, got line {reader.line_num} of {file}: {error}") from None
    if not cells:
        raise InvalidInput(f"the file must hold a row under its header, got none in {file}")
    return header, cells, torch.tensor(numbers, dtype=torch.float64)


def _place(header: Sequence[str], name: str, file: Path) -> int:
    if header.count(name) != 1:
        got = f"{header.count(name)} of it" if header else "no header"
        single = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
        hint = f"The file is separated by {single!r}: save it with commas." if single else f"The network sees {name!r}."
        raise InvalidInput(f"the file must have one column {name!r}, got {got} in {file}", hint)
    return header.index(name)


def _number(cell: str, name: str, line: int, file: Path) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInput(f"column {name!r} must hold finite numbers, got {cell!r} in line {line} of {file}")
    return value
