import copy
import os
import pickle
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer

from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.registry import Plugin
from kanzoo.signature import arguments, check_values, class_constant
from kanzoo.task import Optimization
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_tasks.data.sources import regression_sources
from kanzoo_tasks.regression import Regression

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None
PLUGIN = Plugin("task", "regression", "kanzoo_tasks.regression:Regression", "kanzoo", "0")
DEFAULTS = {name: argument.default for name, argument in arguments(PLUGIN).items()}


def sources(data_dir: Path | None = None, **changes: object) -> str:
    return regression_sources(DEFAULTS | changes, data_dir)


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(60, 3))
    path = tmp_path / "houses.csv"
    path.write_text("size,rooms,price\n" + "".join(f"{a},{b},{1000 * (a * b + c)}\n" for a, b, c in values))
    return path


def prepared(seed: int = 0, layers: Layers | None = None, **changes: object) -> Regression:
    task = Regression(**changes)  # type: ignore[arg-type]
    task.prepare(layers or PlainLayers(generator=torch.Generator().manual_seed(0)), data_dir=DATA, seed=seed)
    return task


def test_the_schema_is_read_from_the_source() -> None:
    assert class_constant(PLUGIN, "sources") == Regression.sources
    assert DEFAULTS["hidden"] == [5]
    for values, message in [
        ({"dataset": "csb"}, "must be one of formula, feynman"),
        ({"hidden": [5, 0]}, "must be >= 1, got 0"),
        ({"num_train": 1}, "must be >= 2"),
        ({"noise": -0.1}, "must be >= 0"),
        ({"noise": float("nan")}, "must be >= 0"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            check_values(arguments(PLUGIN), values, "task.")
        with pytest.raises(ValueError, match=message):
            Regression(**values)  # type: ignore[arg-type]


def test_sources_name_the_data(houses: Path) -> None:
    assert sources() == "formula"
    digests = {
        sources(dataset="feynman", formula="I.6.2"),
        sources(dataset="feynman", formula="I.6.2a"),
        sources(dataset="diabetes"),
        sources(dataset="linnerud"),
        sources(dataset="csv", file=str(houses), target="price"),
    }
    assert len(digests) == 5
    assert all(len(digest) == 64 for digest in digests)
    houses.write_text(houses.read_text() + "1,2,3\n")
    assert sources(dataset="csv", file=str(houses), target="price") not in digests


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formula": "__import__('os')"}, r"task\.formula may call only known functions, got '__import__'"),
        ({"formula": "I.6.2"}, r"task\.formula must be a formula when task\.dataset is formula, got 'I\.6\.2'"),
        ({"formula": "sqrt(x1 - 5)"}, "must be finite"),
        ({"ranges": [[0, 1], [0, 1], [0, 1]]}, r"task\.ranges must be one pair \[low, high\], or 2 for x1, x2, got 3"),
        ({"dataset": "feynman"}, "must be the number of a Feynman equation"),
        ({"dataset": "feynman", "formula": "I.6.2", "ranges": [[0, 1]] * 3}, "or 2 for sigma, theta, got 3"),
        ({"dataset": "housing"}, r"tabular/housing\.csv"),
        ({"dataset": "csv"}, r"task\.file must be the path of a CSV file"),
        ({"dataset": "csv", "file": "a.csv"}, r"task\.target must be the column to predict"),
        ({"dataset": "csv", "file": "a.csv", "target": "b"}, r"task\.file must be an existing file"),
        ({"file": "a.csv"}, r"task\.file may be given only with task\.dataset=csv"),
        ({"dataset": "diabetes", "target": "a"}, r"task\.target may be given only with task\.dataset=csv"),
    ],
)
def test_sources_refuse_what_is_wrong(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        sources(**changes)


def test_sources_import_no_torch() -> None:
    code = (
        "import sys\n"
        "from kanzoo.registry import Plugin\n"
        "from kanzoo.signature import arguments\n"
        "from kanzoo_tasks.data.sources import image_sources, regression_sources\n"
        "for name, check, datasets in (('Regression', regression_sources, ['formula', 'diabetes', 'linnerud']),\n"
        "                              ('Image', image_sources, ['mnist', 'mnist_5k', 'digits'])):\n"
        "    plugin = Plugin('task', name, f'kanzoo_tasks.{name.lower()}:{name}', 'kanzoo', '0')\n"
        "    values = {key: argument.default for key, argument in arguments(plugin).items()}\n"
        "    for dataset in datasets:\n"
        "        check(values | {'dataset': dataset}, None)\n"
        "print(sorted({'torch', 'sklearn', 'mlxtend', 'pandas', 'scipy', 'pytorch_lightning'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("changes", "features", "targets", "sizes"),
    [
        ({"num_train": 50, "num_test": 30}, 2, 1, (50, 30, 30)),
        ({"dataset": "feynman", "formula": "I.9.18", "num_train": 50, "num_test": 30}, 9, 1, (50, 30, 30)),
        ({"dataset": "diabetes"}, 10, 1, (310, 66, 66)),
        ({"dataset": "linnerud", "hidden": []}, 3, 3, (14, 3, 3)),
        pytest.param({"dataset": "housing"}, 8, 1, (14448, 3096, 3096), marks=pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")),
    ],
)
def test_every_dataset_is_scaled_by_its_training_part(changes, features, targets, sizes) -> None:
    task = prepared(**changes)
    parts = (task.data.train, task.data.validation, task.data.test)
    assert tuple(map(len, parts)) == sizes
    x, y = task.data.train.tensors
    assert x.dtype == y.dtype == torch.float32
    assert (x.shape[1], y.shape[1]) == (features, targets)
    torch.testing.assert_close(x.amin(0), torch.full((features,), -1.0))
    torch.testing.assert_close(x.amax(0), torch.full((features,), 1.0))
    torch.testing.assert_close(y.mean(0), torch.zeros(targets), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(targets), atol=1e-4, rtol=0)
    assert all(torch.isfinite(tensor).all() for part in parts for tensor in part.tensors)
    loss, prediction, target = task.loss((x, y))
    assert loss.shape == ()
    assert prediction.shape == target.shape == (sizes[0], targets)
    metrics = task.metrics()
    assert set(metrics(prediction, target)) == {"rmse", "mae", "r2"}


def test_metrics_are_in_original_units(houses: Path) -> None:
    task = prepared(dataset="csv", file=str(houses), target="price")
    x, y = task.data.test.tensors
    _, prediction, target = task.loss((x, y))
    stored = {f"{float(line.split(',')[2]):.3g}" for line in houses.read_text().splitlines()[1:]}
    assert {f"{value:.3g}" for value in target[:, 0].tolist()} <= stored
    found = task.metrics()(prediction, target)
    torch.testing.assert_close(found["rmse"], (prediction - target).square().mean().sqrt())
    assert found["rmse"] > 10


def test_constant_features_become_zero(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "".join(f"7,{index},{index**2}\n" for index in range(20)))
    x = prepared(dataset="csv", file=str(path), target="c").data.train.tensors[0]
    assert (x[:, 0] == 0).all()


def test_a_formula_keeps_its_values() -> None:
    task = prepared(formula="3*x1 + 100", ranges=[[2.0, 4.0]], num_train=100)
    x, y = task.data.test.tensors
    inputs = x * task.input_scale + task.input_center
    assert 2 <= inputs.min() <= inputs.max() <= 4
    torch.testing.assert_close(y * task.target_std + task.target_mean, 3 * inputs + 100)


def test_noise_is_on_the_training_targets_alone() -> None:
    clean, noisy = prepared(num_train=5000), prepared(num_train=5000, noise=0.1)
    torch.testing.assert_close(clean.data.train.tensors[0], noisy.data.train.tensors[0])

    def original(task: Regression, part: str) -> torch.Tensor:
        return getattr(task.data, part).tensors[1] * task.target_std + task.target_mean

    torch.testing.assert_close(original(clean, "test"), original(noisy, "test"), rtol=1e-4, atol=1e-4)
    difference = original(noisy, "train") - original(clean, "train")
    assert abs(float(difference.std() / original(clean, "train").std()) - 0.1) < 0.005


@pytest.mark.parametrize("changes", [{}, {"dataset": "diabetes"}, {"noise": 0.1}])
def test_the_seed_decides(changes: dict[str, object]) -> None:
    one, again, other = (prepared(seed, **changes).data for seed in (1, 1, 2))
    for name in ("train", "validation", "test"):
        tensors = [getattr(data, name).tensors for data in (one, again, other)]
        assert all(torch.equal(*pair) for pair in zip(tensors[0], tensors[1], strict=True))
        assert not torch.equal(tensors[0][0], tensors[2][0])


def test_test_samples_do_not_depend_on_the_training_set() -> None:
    few, many = prepared(num_train=10), prepared(num_train=1000)
    points = [task.data.test.tensors[0] * task.input_scale + task.input_center for task in (few, many)]
    torch.testing.assert_close(*points)


def test_global_random_states_stay() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002  the state that must not move
    prepared(noise=0.1, layers=KANLayers(Chebyshev, generator=torch.Generator()))
    prepared(dataset="diabetes")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


def test_scaling_is_saved_and_copied() -> None:
    task, other = prepared(seed=1), prepared(seed=2)
    assert {"input_center", "input_scale", "target_mean", "target_std"} <= set(task.state_dict())
    other.load_state_dict(task.state_dict())
    torch.testing.assert_close(other.input_center, task.input_center)
    x = torch.zeros(3, 2)
    torch.testing.assert_close(pickle.loads(pickle.dumps(task))(x), task(x))
    torch.testing.assert_close(copy.deepcopy(task)(x), task(x))


def test_arguments_are_not_shared() -> None:
    hidden = [3]
    task = Regression(hidden=hidden)
    task.hidden.append(4)
    assert hidden == [3]
    Regression().hidden.append(4)
    assert Regression().hidden == [5]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6.6 with torch 2.14
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning: the data are tensors in memory, workers would slow it
@pytest.mark.parametrize("plain", [True, False])
def test_training_lowers_the_loss(plain: bool, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    layers = PlainLayers(generator=generator) if plain else KANLayers(partial(Chebyshev, degree=4), generator=generator)
    task = prepared(0, layers, hidden=[16] if plain else [5])
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
    assert after < 0.6 * before
    assert {"test/rmse", "test/mae", "test/r2"} <= set(trainer.callback_metrics)
    assert float(trainer.callback_metrics["test/r2"]) > 0.3


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"formula": "x1*x3"}, (("x1", "x2", "x3"), ("y",))),
        ({"dataset": "feynman", "formula": "I.6.2"}, (("sigma", "theta"), ("y",))),
        ({"dataset": "linnerud"}, (("Chins", "Situps", "Jumps"), ("Weight", "Waist", "Pulse"))),
    ],
)
def test_variables_undo_the_scaling(changes: dict[str, object], names: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    task = prepared(**changes)  # type: ignore[arg-type]
    found = task.variables()
    assert (found.inputs, found.outputs) == names
    assert found.input_units is not None
    assert found.output_units is not None
    batch = task.data.train.tensors
    (center, scale), (mean, std) = found.input_units, found.output_units
    raw = task._read(None, 0).train
    np.testing.assert_allclose((batch[0] * scale + center).numpy(), raw.x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose((batch[1] * std + mean).numpy(), raw.y, rtol=1e-4, atol=1e-5)


def test_houses_have_the_names_of_their_columns(houses: Path) -> None:
    found = prepared(dataset="csv", file=str(houses), target="price").variables()
    assert (found.inputs, found.outputs) == (("size", "rooms"), ("price",))
