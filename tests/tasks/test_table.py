import os
import time
from pathlib import Path

import numpy as np
import pytest

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import table

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "houses.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def rows(count: int, *, start: int = 0) -> str:
    return "".join(f"{index},{index * 2.5},{index**2}\n" for index in range(start, start + count))


def test_a_sound_file_is_read(write) -> None:
    text = "\ufeffsize, rooms ,price\r\n" + rows(12).replace("\n", "\r\n") + "\r\n"
    found = table.read_csv(write(text), "rooms")
    assert found.features == ("size", "price")
    assert found.targets == ("rooms",)
    np.testing.assert_array_equal(found.x, [[index, index**2] for index in range(12)])
    np.testing.assert_array_equal(found.y[:, 0], np.arange(12) * 2.5)


def test_quotes_and_blank_lines(write) -> None:
    found = table.read_csv(write('"a, b","c"\n' + "".join(f'"{index}", {index}\n\n' for index in range(10))), "c")
    assert found.features == ("a, b",)
    assert len(found.x) == 10


HEADER = "size,rooms,price\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold a header and rows, got an empty file"),
        ("\n \n", "got an empty file"),
        (HEADER, "must hold at least 10 rows, got 0"),
        (HEADER + rows(9), "must hold at least 10 rows, got 9"),
        ("size,size,price\n" + rows(12), "must name each column once, got 'size' twice"),
        ("size,,price\n" + rows(12), "must name every column in its first line, got none for column 2"),
        (rows(12, start=1), "must have the names of its columns in the first line, got '1, 2.5, 1'"),
        ("size,rooms,cost\n" + rows(12), "must be a column of .*houses.csv, got 'price'"),
        ("price\n" + "1\n2\n" * 6, "must hold a column besides the target 'price'"),
        (HEADER + rows(5) + "7,Paris,3\n" + rows(9), "in column 'rooms', got 'Paris' in line 7 of"),
        (HEADER + rows(5) + "7,1,\n" + rows(9), "in column 'price', got '' in line 7 of"),
        (HEADER + rows(5) + "nan,1,3\n" + rows(9), "in column 'size', got 'nan' in line 7 of"),
        (HEADER + rows(5) + "\n1,1,-inf\n" + rows(9), "in column 'price', got '-inf' in line 8 of"),
        (HEADER + rows(5) + "1,1e300,3\n" + rows(9), r"in column 'rooms', got '1e\+300' in line 7 of"),
        (HEADER + rows(5) + "1,2\n" + rows(9), "must have 3 values in each line, got 2 in line 7"),
        (HEADER + rows(5) + "1,2,3,4\n" + rows(9), "must have 3 values in each line, got 4 in line 7"),
        (HEADER + rows(5) + '1,"2"3,4\n' + rows(9), "must be comma-separated text, got line 7"),
        (HEADER + rows(5) + '1,"2,4\n' + rows(9), "must be comma-separated text"),
        (HEADER + "1,2,3\n" * 12, "must name a column that varies, got 'price', which is 3 in all rows"),
        (HEADER.encode() + b"1,2,\xff\n", "must be UTF-8 text, got byte 0xff at 21"),
        (b"PK\x03\x04\x00\x00\xff\xfe", "must be UTF-8 text"),
        (HEADER + rows(5) + "1,2\0,3\n" + rows(9), r"in column 'rooms', got '2\\x00' in line 7|comma-separated"),
    ],
)
def test_a_bad_file_is_refused(write, text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^task\.(file|target) .*({message})"):
        table.read_csv(write(text), "price")


def test_hints(write) -> None:
    with pytest.raises(InvalidInput) as raised:
        table.read_csv(write("size,rooms,prices\n" + rows(12)), "price")
    assert raised.value.hint == "Did you mean 'prices'? Columns: prices, rooms, size"
    with pytest.raises(InvalidInput) as raised:
        table.read_csv(write((HEADER + rows(12)).replace(",", ";")), "price")
    assert "separated by ';'" in raised.value.hint
    for column, hint in (("prices", "If its values are classes: kanzoo run classification"), ("rooms", "Remove the column")):
        cells = {"size": "1", "rooms": "2", "prices": "3"} | {column: "high"}
        with pytest.raises(InvalidInput, match=f"in column '{column}', got 'high' in line 2") as raised:
            table.read_csv(write("size,rooms,prices\n" + ",".join(cells.values()) + "\n" + rows(10)), "prices")
        assert raised.value.hint.startswith(hint)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"task\.file must be an existing file, got .*none\.csv"):
        table.read_csv(tmp_path / "none.csv", "price")
    with pytest.raises(InvalidInput, match=r"must be a file, got"):
        table.read_csv(tmp_path, "price")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(write) -> None:
    path = write(HEADER + rows(12))
    path.chmod(0)
    with pytest.raises(InvalidInput, match="must be readable"):
        table.read_csv(path, "price")


def test_a_hundred_thousand_rows_take_about_a_second(write) -> None:
    values = np.random.default_rng(0).normal(size=(1000, 10))
    text = "\n".join(",".join(map(str, row)) for row in values) + "\n"
    path = write(",".join("abcdefghij") + "\n" + text * 100)
    start = time.process_time()
    assert table.read_csv(path, "j").x.shape == (100_000, 9)
    assert time.process_time() - start < 8  # measured: 0.6 s


def test_split_is_by_seed_and_covers_every_row_once() -> None:
    data = table.Table(("a",), ("b",), np.arange(100.0)[:, None], np.arange(100.0)[:, None])
    parts, again, other = table.split(data, 1), table.split(data, 1), table.split(data, 2)
    assert [len(part.x) for part in parts] == [70, 15, 15]
    np.testing.assert_array_equal(np.sort(np.concatenate([part.x for part in parts])[:, 0]), np.arange(100))
    for part, same in zip(parts, again, strict=True):
        np.testing.assert_array_equal(part.x, same.x)
        np.testing.assert_array_equal(part.x, part.y)
    assert not np.array_equal(parts.test.x, other.test.x)


def test_the_smallest_table_leaves_two_rows_for_r2() -> None:
    data = table.Table(("a",), ("b",), np.zeros((10, 1)), np.zeros((10, 1)))
    assert [len(part.x) for part in table.split(data, 0)] == [6, 2, 2]


def test_gaps_are_filled_by_the_median_of_the_training_part() -> None:
    x = np.arange(100.0)[:, None]
    x[::7] = np.nan
    parts = table.split(table.Table(("a",), ("b",), x, x), 0)
    kept = ~np.isnan(parts.train.y[:, 0])
    median = np.median(parts.train.x[kept])
    for part in parts:
        gaps = np.isnan(part.y)
        np.testing.assert_array_equal(part.x[gaps], median)


def test_bundled_tables_have_the_shapes_of_scikit_learn() -> None:
    assert (table.diabetes().x.shape, table.diabetes().y.shape) == ((442, 10), (442, 1))
    assert (table.linnerud().x.shape, table.linnerud().y.shape) == ((20, 3), (20, 3))


@pytest.mark.slow
def test_bundled_tables_equal_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_diabetes, load_linnerud

    inputs, outputs = load_diabetes(return_X_y=True, scaled=False)
    np.testing.assert_array_equal(table.diabetes().x, inputs)
    np.testing.assert_array_equal(table.diabetes().y[:, 0], outputs)
    bunch, found = load_linnerud(), table.linnerud()
    np.testing.assert_array_equal(found.x, bunch.data)
    np.testing.assert_array_equal(found.y, bunch.target)
    assert [*found.features, *found.targets] == [*bunch.feature_names, *bunch.target_names]


def test_a_package_without_the_file_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"package sklearn must hold none\.csv"):
        table.bundled_file("sklearn", "none.csv")
    with pytest.raises(InvalidInput, match="package not_there_at_all must hold"):
        table.bundled_file("not_there_at_all", "none.csv")


def test_housing_says_which_file_it_wants(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"tabular/housing\.csv") as raised:
        table.housing(None)
    assert "KANZOO_DATA" in raised.value.hint
    with pytest.raises(InvalidInput, match=rf"must find the file {tmp_path}/tabular/housing\.csv"):
        table.housing(tmp_path)
    (tmp_path / "tabular").mkdir()
    (tmp_path / "tabular" / "housing.csv").write_text("longitude,latitude\n1,2\n")
    with pytest.raises(InvalidInput, match=r"housing\.csv must be the published file of sha256 8a3727f4cf54"):
        table.housing(tmp_path)


@pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")
def test_housing() -> None:
    found = table.housing(DATA)
    assert found.x.shape == (20640, 8)
    assert np.isnan(found.x).sum() == 207
    assert found.y.min() == 0.14999
    assert found.y.max() == 5.00001
    # first row of scikit-learn's fetch_california_housing: MedInc, HouseAge, AveRooms, AveBedrms, Population, AveOccup
    first = dict(zip(found.features, found.x[0], strict=True))
    names = ("median_income", "housing_median_age", "rooms_per_household", "bedrooms_per_household", "population", "people_per_household")
    np.testing.assert_allclose([first[name] for name in names], [8.3252, 41, 6.98412698, 1.02380952, 322, 2.55555556])
    assert not any(np.isnan(part.x).any() for part in table.split(found, 0))
