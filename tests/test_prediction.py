"""Predictions of new rows are the network's, in the units of the columns."""

import csv
import io
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kanzoo import cli
from kanzoo.benchmark import run_one
from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.experiment import load_run
from kanzoo.place import Place
from kanzoo.prediction import predict
from kanzoo.record import Row

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    draw = random.Random(0)
    houses = [(draw.uniform(50, 150), draw.randint(1, 6)) for _ in range(120)]
    lines = [f"{area},{rooms},{3 * area + 20 * rooms},{'big' if area > 100 else 'small'}" for area, rooms in houses]
    (tmp_path / "prices.csv").write_text("area,rooms,price\n" + "".join(f"{line.rpartition(',')[0]}\n" for line in lines))
    (tmp_path / "kinds.csv").write_text(
        "area,rooms,kind\n" + "".join(",".join(line.split(",")[i] for i in (0, 1, 3)) + "\n" for line in lines)
    )
    return tmp_path


def trained(config: str, uri: str, *overrides: str) -> tuple[Row, Place]:
    place = Place(uri, "predict", accelerator="cpu", threads=1)
    (cell,) = compose(config, ["basis.name=chebyshev", "basis.degree=3", *overrides])
    row = run_one(cell, place)
    assert row.status == "FINISHED", row.reason
    return row, place


def test_prices_in_their_own_unit(table: Path, uri: str) -> None:
    row, place = trained(
        "regression", uri, "task.dataset=csv", f"task.file={table}/prices.csv", "task.target=price", "trainer.max_epochs=20"
    )
    (table / "new.csv").write_text('\ufeffrooms,note,area\n3,a,100\n\n5,"b, c",60\n2,d,1000\n')
    found = predict(row.run_id[:12], table / "new.csv", place)
    assert found.header == ["rooms", "note", "area", "predicted_price"]
    assert [line[:3] for line in found.rows] == [["3", "a", "100"], ["5", "b, c", "60"], ["2", "d", "1000"]]
    assert [float(line[3]) for line in found.rows[:2]] == pytest.approx([360, 280], rel=0.1)
    assert found.outside == 1, "a thousand square metres were never seen"
    task = load_run(row.run_id, uri).eval()
    known = task.variables()
    assert known.input_units is not None
    assert known.output_units is not None
    (center, scale), (mean, deviation) = known.input_units, known.output_units
    with torch.no_grad():
        right = task.model((torch.tensor([[100.0, 3.0], [60.0, 5.0], [1000.0, 2.0]]) - center) / scale) * deviation + mean
    assert [float(line[3]) for line in found.rows] == pytest.approx(right[:, 0].tolist(), rel=1e-5)
    assert list(csv.reader(io.StringIO(found.to_csv()))) == [found.header, *found.rows]


def test_kinds_with_their_shares(table: Path, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("task.dataset=csv", f"task.file={table}/kinds.csv", "task.target=kind", "trainer.max_epochs=30", "trainer.lr=0.02")
    row, place = trained("classification", uri, *options)
    (table / "new.csv").write_text("area,rooms\n145,3\n55,3\n")
    found = predict(row.run_id, table / "new.csv", place)
    assert found.header == ["area", "rooms", "predicted", "share"]
    assert [line[2] for line in found.rows] == ["big", "small"]
    assert all(0.5 < float(line[3]) <= 1 for line in found.rows)
    capsys.readouterr()
    command = ["predict", row.run_id[:12], str(table / "new.csv"), "--tracking-uri", uri, "--accelerator", "cpu"]
    assert cli._code(command) in (0, None)
    assert capsys.readouterr().out == found.to_csv()
    assert cli._code([*command, "--out", str(table / "out" / "told.csv")]) in (0, None)
    assert (table / "out" / "told.csv").read_text() == found.to_csv()
    assert re.search(r"Written: .*told\.csv, 2 rows", capsys.readouterr().out.replace("\n", ""))
    assert cli._code([*command, "--out", str(table / "out" / "told.csv")]) == 2
    assert "must not exist yet" in capsys.readouterr().err


def test_what_is_refused(table: Path, uri: str) -> None:
    row, place = trained(
        "regression", uri, "task.dataset=csv", f"task.file={table}/prices.csv", "task.target=price", "trainer.max_epochs=1"
    )
    for text, message in (
        ("area\n3\n", "must have one column 'rooms', got 0 of it"),
        ("area,rooms,rooms\n3,1,1\n", "must have one column 'rooms', got 2 of it"),
        ("area;rooms\n3;1\n", "must have one column 'area', got 0 of it"),
        ("", "must have one column 'area', got no header"),
        ("area,rooms\n", "must hold a row under its header, got none"),
        ("area,rooms\n3,1\n3\n", "must have 2 cells a line, got 1 in line 3"),
        ("area,rooms\n3,many\n", "column 'rooms' must hold finite numbers, got 'many' in line 2"),
        ("area,rooms\n3,\n", "column 'rooms' must hold finite numbers, got '' in line 2"),
        ("area,rooms\n3,inf\n", "column 'rooms' must hold finite numbers, got 'inf' in line 2"),
    ):
        (table / "new.csv").write_text(text)
        with pytest.raises(InvalidInput, match=re.escape(message)):
            predict(row.run_id, table / "new.csv", place)
    with pytest.raises(InvalidInput, match="must be readable"):
        predict(row.run_id, table / "none.csv", place)
    (table / "new.csv").write_bytes(b"area,rooms\n\xff,1\n")
    with pytest.raises(InvalidInput, match="must be UTF-8 text, got byte 0xff"):
        predict(row.run_id, table / "new.csv", place)


def test_pictures_have_no_columns(table: Path, uri: str) -> None:
    row, place = trained("digits_dense", uri, "trainer.max_epochs=1")
    with pytest.raises(InvalidInput, match="must be of a task whose inputs are columns of a table, got digits_dense"):
        predict(row.run_id, table / "prices.csv", replace(place, experiment="other"))
