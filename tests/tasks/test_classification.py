from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import PlainLayers
from kanzoo.testing import check_task
from kanzoo_tasks.classification import TabularClassification
from kanzoo_tasks.data import classes


def written(path: Path, labels: list[str], header: str = "width,kind,height") -> Path:
    path.write_text(header + "\n" + "".join(f"{index},{label},{index % 7}\n" for index, label in enumerate(labels)))
    return path


@pytest.mark.parametrize("dataset", ["iris", "wine", "breast_cancer"])
def test_bundled_tables_are_those_of_scikit_learn(dataset: str) -> None:
    ours, theirs = classes.bundled(dataset), getattr(datasets, f"load_{dataset}")()
    np.testing.assert_array_equal(ours.x, theirs.data)
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert list(ours.targets) == list(theirs.target_names)
    assert len(ours.features) == len(theirs.feature_names) == theirs.data.shape[1]


def test_a_file_with_classes_in_words(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", ["ash", "oak", " elm"] * 20)
    read = classes.read_csv(path, "kind")
    assert read.features == ("width", "height")
    assert read.targets == ("ash", "elm", "oak")
    assert read.y.tolist() == [0, 2, 1] * 20
    assert read.x[:, 0].tolist() == list(range(60))


def test_classes_in_numbers_are_in_their_order(tmp_path: Path) -> None:
    assert classes.read_csv(written(tmp_path / "t.csv", ["10", "9"] * 10), "kind").targets == ("9", "10")


@pytest.mark.parametrize(
    ("labels", "header", "message"),
    [
        (["a"] * 20, "x,y,z", r"task\.target must name a column that varies, got 'y', which is 'a'"),
        (
            [str(index) for index in range(40)],
            "x,y,z",
            r"task\.target must name a column of at most 20 classes in 40 rows, got 'y' .* with 40",
        ),
        (["a", "b", " "] * 10, "x,y,z", r"task\.target must name a class in each row, got none in line 4 "),
        (["a", "b"] * 2, "x,y,z", r"task\.file must hold at least 10 rows, got 4"),
        (["a", "b"] * 10, "x,k,z", r"task\.target must be a column of .*, got 'y'"),
        (["a", "b"] * 10, "y,k,z", r"task\.file must hold finite numbers in column 'k', got 'a' in line 2"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, labels: list[str], header: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        classes.read_csv(written(tmp_path / "t.csv", labels, header), "y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "csv", "file": None, "target": "y"}, r"task\.file must be the path of a CSV file"),
        ({"dataset": "wine", "file": None, "target": "y"}, r"task\.target may be given only with task\.dataset=csv"),
    ],
)
def test_sources_refuse_what_does_not_fit(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        classes.sources(arguments, None)


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, labels) for name, labels in (("a.csv", ["a", "b"] * 10), ("b.csv", ["a", "c"] * 10)))
    digests = {classes.sources({"dataset": "csv", "file": str(path), "target": "kind"}, None) for path in (first, second)}
    assert len(digests | {classes.sources({"dataset": "iris", "file": None, "target": None}, None)}) == 3


def test_contract() -> None:
    check_task("tabular_classification", {"dataset": "iris"})


def test_inputs_are_scaled_by_the_training_part_and_columns_are_named() -> None:
    task = TabularClassification(dataset="wine")
    task.prepare(PlainLayers(generator=torch.Generator().manual_seed(0)), seed=3)
    x, y = task.data.train.tensors
    assert torch.allclose(x.amin(0), torch.tensor(-1.0))
    assert torch.allclose(x.amax(0), torch.tensor(1.0))
    assert tuple(map(len, (task.data.train, task.data.validation, task.data.test))) == (124, 27, 27)
    assert (y.dtype, task.variables().outputs, task.variables().inputs[0]) == (torch.int64, ("class_0", "class_1", "class_2"), "alcohol")
    whole = torch.from_numpy(datasets.load_wine().data).float()
    original = x[0] * task.input_scale + task.input_center
    assert (whole - original).abs().amax(1).min() < 1e-3
