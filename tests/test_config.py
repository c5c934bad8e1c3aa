import json
import os
import re
import time
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kanzoo import config, config_file, section
from kanzoo.config import compose, compose_grid, expand
from kanzoo.errors import InvalidInput
from kanzoo.registry import plugins
from kanzoo.signature import arguments, arguments_in_source, class_constant

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None
CSV = "size,rooms,price\n" + "".join(f"{i},{i % 5},{i * 2.5}\n" for i in range(20))
TABLE = ["task.dataset=csv", "task.target=price"]
CONFIGS = [path.stem for path in config_file.folder().glob("*.yaml")]
#: Bases that every benchmark compares.
COMPARED = {"bspline", "chebyshev", "fourier", "gaussian_rbf", "jacobi", "wav_kan", "wavelet"}
BENCHMARKS = [path.stem for path in config_file.folder().glob("benchmark/*.yaml")]

#: Benchmarks of other models: a search for formulas is 20 minutes a basis, and published systems are presets.
FEW_BASES = {
    "mnist_published": {"fast_kan", "efficient_kan", "bsrbf_kan", "mlp"},
    "symbolic": {"bspline", "chebyshev", "gaussian_rbf"},
}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a config or a table and returns its path as text."""

    def write(text, name="own.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a distribution with one basis on the path, as an installer would."""

    def install(source, *, version="1.0", name="fake_hat", group="kanzoo.bases"):
        folder = tmp_path / "site"
        info = folder / "kan_fake.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kan-fake\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = kanzoo_fake_{name}:Hat\n")
        (folder / f"kanzoo_fake_{name}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        forget()

    def forget():
        for cached in (plugins, arguments, arguments_in_source, class_constant, section._schema):
            cached.cache_clear()

    yield install
    monkeypatch.undo()
    forget()


def one(name="digits_dense", *overrides, **options):
    (cell,) = compose(name, overrides, **options)
    return cell


def refusal(*arguments, **options):
    with pytest.raises(InvalidInput) as caught:
        compose(*arguments, **options)
    return caught.value


# Sweeps


@pytest.mark.parametrize(
    ("overrides", "combinations"),
    [
        ([], [()]),
        (["seed=0"], [("seed=0",)]),
        (["a=1,2", "b=3,4"], [("a=1", "b=3"), ("a=1", "b=4"), ("a=2", "b=3"), ("a=2", "b=4")]),
        (["task.hidden=[5,5],[3]"], [("task.hidden=[5,5]",), ("task.hidden=[3]",)]),
        (["task.ranges=[[0,1],[0,2]]"], [("task.ranges=[[0,1],[0,2]]",)]),
        (["task.formula=min(x1,x2),max(x1,x2)"], [("task.formula=min(x1,x2)",), ("task.formula=max(x1,x2)",)]),
        (["task.target='a,b',\"c,d\""], [("task.target='a,b'",), ('task.target="c,d"',)]),
        (["x={a: 1, b: 2}"], [("x={a: 1, b: 2}",)]),
        (["name=a=b,c=d"], [("name=a=b",), ("name=c=d",)]),
    ],
)
def test_expand(overrides, combinations):
    assert list(expand(overrides)) == combinations


@pytest.mark.parametrize("override", ["noequals", "=3", ""])
def test_an_override_needs_a_key_and_a_value(override):
    with pytest.raises(InvalidInput, match=f"^an override must be key=value, got {override!r}$"):
        list(expand([override]))


def test_a_sweep_gives_every_combination():
    cells = compose("digits_dense", ["basis.name=bspline,chebyshev", "seed=0,1"])
    assert [(cell.basis["name"], cell.seed) for cell in cells] == [("bspline", 0), ("bspline", 1), ("chebyshev", 0), ("chebyshev", 1)]


# Filling in and conversion


def test_defaults_come_from_the_signature():
    cell = one("digits_dense", "basis.name=bspline")
    assert cell.basis == {"name": "bspline", "degree": 3, "grid_size": 5, "domain": (-1.0, 1.0), "grid_uniformity": 0.02}
    conv = {"channels", "kernel_size", "padding", "batch_norm", "strides", "average"}
    assert set(cell.task) == {"name", "dataset", "network", "hidden"} | conv
    assert (cell.model["residual"], cell.trainer["optimizer"], cell.seed) == ("silu", "adamw", 0)
    assert (cell.score, cell.direction, cell.name) == ("accuracy", "max", "digits_dense")


def test_types_are_converted():
    cell = one("digits_dense", "basis.domain=[-2,2]", "trainer.lr=1", "name=7")
    assert cell.basis["domain"] == (-2.0, 2.0)
    assert isinstance(cell.basis["domain"], tuple)
    assert isinstance(cell.trainer["lr"], float)
    assert cell.name == "7"


@pytest.mark.parametrize("text", ["1e-3", "0.001", ".001", "1.0e-3", "1E-3"])
def test_every_way_to_write_a_number(text):
    assert one("digits_dense", f"trainer.lr={text}").trainer["lr"] == 0.001


@pytest.mark.parametrize("text", ["010", "1:30", "2024-01-01", "no", "on", "yes", "0x10", "1_000"])
def test_text_stays_what_it_seems(write, text):
    assert one("digits_dense", f"name={text}").name == text
    again = one(write(one("digits_dense", f"name={text}").to_yaml()))
    assert again.name == text


@pytest.mark.parametrize("text", ["1e-3", "true", "null", "~", "1.5", ".nan"])
def test_quoted_text_survives_yaml(write, text):
    cell = one("digits_dense", f"name='{text}'")
    assert cell.name == text
    assert one(write(cell.to_yaml())).name == text


def test_arguments_of_the_old_basis_are_dropped(write):
    path = write("task: {name: image, dataset: digits}\nbasis: {name: bspline, grid_size: 7}\n")
    assert one(path).basis["grid_size"] == 7
    assert "grid_size" not in one(path, "basis.name=chebyshev").basis
    assert one(path, "basis.name=gaussian_rbf").basis["grid_size"] == 8  # its own default
    assert one(path, "basis.name=bspline").basis["grid_size"] == 7  # no change of name
    assert one(path, "basis.degree=4", "basis.name=chebyshev").basis["degree"] == 4  # in whatever order


def test_arguments_of_the_old_task_are_dropped():
    assert one("digits_dense", "task.name=regression").task["hidden"] == [5]


def test_arguments_of_another_basis_are_refused():
    error = refusal("digits_dense", ["basis.name=chebyshev", "basis.grid_size=5"])
    assert error.message == "unknown key 'basis.grid_size'"
    assert error.hint.startswith("Keys: degree, name")


def test_configs_are_not_changed_by_composing():
    first = one("digits_dense")
    first.task["hidden"].append(99)
    assert one("digits_dense").task["hidden"] == [32]


# Labels


@pytest.mark.parametrize(
    ("name", "overrides", "task", "model"),
    [
        ("digits_dense", [], "digits_dense", "bspline"),
        ("digits_dense", ["basis.degree=3", "seed=4"], "digits_dense", "bspline"),
        ("digits_dense", ["basis.degree=4"], "digits_dense", "bspline(degree=4)"),
        ("digits_dense", ["trainer.lr=1e-2", "model.squash=clamp"], "digits_dense", "bspline(squash=clamp, lr=0.01)"),
        ("digits_dense", ["task.hidden=[8,8]"], "digits_dense(hidden=[8, 8])", "bspline"),
        ("feynman", ["task.formula=I.12.11"], "feynman(formula=I.12.11)", "bspline"),
        ("digits_dense", ["model.name=baseline"], "digits_dense", "mlp"),
        ("digits_conv", ["model.name=baseline", "trainer.max_epochs=3"], "digits_conv", "cnn(max_epochs=3)"),
        ("digits_dense", ["model.name=siren", "model.omega=1"], "digits_dense", "mlp[siren](omega=1)"),
        ("digits_conv", ["model.name=learnable_activation", "basis.grid_size=9"], "digits_conv", "cnn[bspline](grid_size=9)"),
        ("sbm", ["model.name=learnable_activation", "basis.name=fourier"], "sbm", "sage[fourier]"),
        ("feynman", ["model.name=fourier_features", "model.features=64"], "feynman", "mlp[fourier_features](features=64)"),
        ("sbm", ["model.name=power_mlp", "model.power=2"], "sbm", "sage[power_mlp](power=2)"),
        ("digits_dense", ["name=<script>"], "<script>", "bspline"),
    ],
)
def test_labels(name, overrides, task, model):
    cell = one(name, *overrides)
    assert (cell.task_label, cell.model_label) == (task, model)


def test_labels_do_not_depend_on_the_order_or_the_spelling_of_overrides():
    first = one("digits_dense", "trainer.lr=1e-2", "trainer.max_epochs=3", "task.hidden=[8]", "task.network=dense")
    other = one("digits_dense", "task.network=dense", "task.hidden=[ 8 ]", "trainer.max_epochs=3", "trainer.lr=0.01")
    assert (first.task_label, first.model_label) == (other.task_label, other.model_label)


def test_the_command_repeats_the_cell():
    import shlex

    cell = one("regression", "task.formula=sin(pi*x1)*x2", "seed=3")
    _, command, name, *overrides = shlex.split(cell.command)
    assert (command, name) == ("run", "regression")
    assert one(name, *overrides).config_hash == cell.config_hash


# Identity


@pytest.mark.parametrize(
    "overrides",
    [
        ["basis.degree=3"],
        ["basis.name=bspline"],
        ["model.name=kan", "model.residual=silu"],
        ["trainer.weight_decay=0.0001"],
        ["basis.domain=[-1,1]"],
        ["seed=0"],
        ["task.kernel_size=3"],
    ],
)
def test_spelling_a_default_changes_nothing(overrides):
    assert one("digits_dense", *overrides).config_hash == one("digits_dense").config_hash


def test_the_order_of_overrides_changes_nothing():
    overrides = ["basis.name=fourier", "basis.degree=3", "seed=2", "trainer.lr=0.1"]
    assert len({one("digits_dense", *order).config_hash for order in (overrides, overrides[::-1])}) == 1


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("padding=same", "padding=valid"),
        ("batch_norm=true", "batch_norm=false"),
        ("strides=[]", "strides=[1,2]"),
        ("average=false", "average=true"),
    ],
)
def test_a_late_argument_of_a_task_is_part_of_the_identity_where_it_is_not_its_default(usual, other):
    plain = one("digits_conv", "task.kernel_size=1")
    assert one("digits_conv", "task.kernel_size=1", f"task.{usual}").config_hash == plain.config_hash
    changed = one("digits_conv", "task.kernel_size=1", f"task.{other}")
    assert changed.config_hash != plain.config_hash
    assert changed.task_key != plain.task_key


def test_how_seeds_are_trained_is_no_part_of_the_identity():
    cell, plain = one("regression", "trainer.batch_seeds=false"), one("regression")
    assert (cell.trainer["batch_seeds"], plain.trainer["batch_seeds"]) == (False, "auto")
    assert (cell.config_hash, cell.model_key, cell.model_label) == (plain.config_hash, plain.model_key, plain.model_label)
    with pytest.raises(InvalidInput, match=r"trainer\.batch_seeds must be"):
        one("regression", "trainer.batch_seeds=3")


def test_the_name_changes_nothing():
    assert one("digits_dense", "name=other").config_hash == one("digits_dense").config_hash


@pytest.mark.parametrize(
    ("override", "same_task", "same_model"),
    [
        ("seed=1", True, True),
        ("basis.degree=4", True, False),
        ("basis.name=chebyshev", True, False),
        ("model.residual=none", True, False),
        ("model.name=baseline", True, False),
        ("trainer.max_epochs=3", True, False),
        ("task.dataset=mnist_5k", False, False),
        ("task.hidden=[33]", False, False),
    ],
)
def test_what_changes_the_identity(override, same_task, same_model):
    cell, plain = one("digits_dense", override), one("digits_dense")
    assert cell.config_hash != plain.config_hash
    assert (cell.task_key == plain.task_key) is same_task
    assert (cell.model_key == plain.model_key) is same_model


def test_paths_are_no_part_of_the_identity(write):
    first, second = write(CSV, "a/houses.csv"), write(CSV, "b/other.csv")
    hashes = {one("regression", *TABLE, f"task.file={path}").config_hash for path in (first, second)}
    assert len(hashes) == 1


def test_the_content_of_data_is_part_of_the_identity(write):
    first, second = write(CSV, "a/houses.csv"), write(CSV.replace("\n3,", "\n3.5,"), "b/houses.csv")
    one_key, other_key = (one("regression", *TABLE, f"task.file={path}").task_key for path in (first, second))
    assert one_key != other_key


@pytest.mark.parametrize(
    "overrides", [[], ["model.name=baseline"], ["model.name=baseline", "model.width=8"], ["basis.name=wavelet", "trainer.lr=1e-5"]]
)
@pytest.mark.parametrize("name", ["digits_conv", "regression"])
def test_a_cell_is_repeated_by_its_own_yaml(write, name, overrides):
    cell = one(name, "seed=3", *overrides)
    again = one(write(cell.to_yaml()))
    assert again.config_hash == cell.config_hash
    assert (again.task, again.model, again.basis, again.trainer, again.seed) == (cell.task, cell.model, cell.basis, cell.trainer, cell.seed)


def test_a_plugin_enters_with_its_version_and_is_not_imported(install, tmp_path):
    source = (
        "from pathlib import Path\n"
        f"Path({str(tmp_path / 'imported')!r}).touch()\n"
        "class Hat:\n    def __init__(self, in_features: int, *, degree: int = 2) -> None: ...\n"
    )
    install(source)
    first = one("digits_dense", "basis.name=fake_hat")
    assert first.basis == {"name": "fake_hat", "degree": 2}
    assert first.plugin == "kan-fake 1.0"
    install(source, version="1.1")
    assert one("digits_dense", "basis.name=fake_hat").config_hash != first.config_hash
    assert not (tmp_path / "imported").exists()


def test_a_task_enters_with_its_version(install):
    keys = set()
    for version in ("1.0", "1.1"):
        install(
            "class Hat:\n    score = 'loss'\n    def __init__(self, *, size: int = 2) -> None: ...\n", version=version, group="kanzoo.tasks"
        )
        cell = one("digits_dense", "task.name=fake_hat", "model.name=baseline")
        assert (cell.score, cell.task) == ("loss", {"name": "fake_hat", "size": 2})
        keys.add((cell.task_key, cell.config_hash))
    assert len({task for task, _ in keys}) == len({whole for _, whole in keys}) == 2


# Benchmarks


def with_data(names: list[str], *without: str) -> list[object]:
    """Return parameters of a test; those without a download are skipped where there is no folder of data."""
    needs = pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")
    return [pytest.param(name, marks=needs) if name in without else name for name in names]


def test_a_file_that_changed_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for name, slope in (("one", 2), ("two", 3), ("two", 4)):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        Path("data.csv").write_text("a,y\n" + "".join(f"{i},{slope * i}\n" for i in range(20)))
        found.append(one("regression", "task.dataset=csv", "task.file=data.csv", "task.target=y").config_hash)
    assert len(set(found)) == 3


@pytest.mark.parametrize("name", with_data(CONFIGS, "proteins", "nci1", "housing"))
def test_every_config_composes(name):
    assert one(name, data_dir=DATA).name == name


@pytest.mark.parametrize("name", with_data(BENCHMARKS, "graph_full", "full"))
def test_every_benchmark_composes_fast_and_holds_the_bases_to_compare(name):
    start = time.process_time()
    grid, cells = compose_grid(name, data_dir=DATA)
    assert time.process_time() - start < 5 + 5e-3 * len(cells)  # measured: 0.7 ms a cell of full
    assert grid.name == name
    assert len({cell.config_hash for cell in cells}) == len(cells)
    assert {cell.seed for cell in cells} == set(grid.seeds)
    tasks = {cell.task_key for cell in cells}
    bases = FEW_BASES.get(name, COMPARED)
    assert len(cells) >= len(tasks) * len(bases) * len(grid.seeds)
    assert models_of(cells) >= bases


def test_the_zoo_holds_every_registered_basis():
    _, cells = compose_grid("zoo")
    assert models_of(cells) == {*plugins("basis"), "mlp"}


def models_of(cells):
    """Return the names of bases and baselines, without their arguments."""
    return {cell.model_label.partition("(")[0] for cell in cells}


def test_the_number_of_cells_is_experiments_times_models_times_seeds():
    grid, cells = compose_grid("quick")
    experiments = sum(len(list(expand(line.split()[1:]))) for line in grid.experiments)
    models = sum(len(list(expand(line.split()))) for line in grid.models)
    assert len(cells) == experiments * models * len(grid.seeds)


GRID = """
experiments: [digits_dense, "feynman task.formula=I.6.2,I.12.11"]
models: ["basis.name=bspline,chebyshev", model.name=baseline]
seeds: [0, 1]
overrides: [trainer.max_epochs=2]
"""


def test_a_grid(write):
    grid, cells = compose_grid(write(GRID))
    assert (grid.name, len(cells)) == ("own", 3 * 3 * 2)
    assert {cell.trainer["max_epochs"] for cell in cells} == {2}
    assert {cell.task_label for cell in cells} == {"digits_dense", "feynman(formula=I.6.2)", "feynman(formula=I.12.11)"}


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["seed=5"], 3 * 3),
        (["seed=5,6,7"], 3 * 3 * 3),
        (["basis.name=fourier"], 3 * 2),
        (["basis.name=fourier,jacobi,fourier"], 3 * 2 * 2),
        (["model.name=baseline"], 3 * 2),
        (["trainer.lr=0.1,0.2"], 3 * 3 * 2 * 2),
    ],
)
def test_overrides_of_a_grid_replace(write, overrides, count):
    _, cells = compose_grid(write(GRID), overrides)
    assert len(cells) == count
    for override in overrides:
        key, _, values = override.partition("=")
        *section, last = key.split(".")
        found = {str((getattr(cell, section[0]) if section else vars(cell))[last]) for cell in cells}
        assert found == set(values.split(","))


def test_a_grid_has_no_duplicates(write):
    _, cells = compose_grid(
        write("experiments: [digits_dense, digits_dense basis.degree=3]\nmodels: ['', basis.name=bspline]\nseeds: [1, 1]\n")
    )
    assert len(cells) == 1


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("experimnts: [digits_dense]", "unknown key 'experimnts'", "Did you mean 'experiments'?"),
        ("experiments: []", "experiments must be of length >= 1", ""),
        ("seeds: [0]", "experiments must be of length >= 1", ""),
        ("experiments: digits_dense", "experiments must be a list of texts, got 'digits_dense'", ""),
        ("experiments: [digits_dens]", "unknown experiment 'digits_dens'", "Did you mean 'digits_dense'?"),
        ("experiments: [digits_dense]\nseeds: [a]", "seeds must be a list of integers, got ['a']", ""),
        ("experiments: [digits_dense]\nseeds: [-1]", "seed must be >= 0", ""),
        ("experiments: [digits_dense]\nmodels: [basis.name=chebychev]", "unknown basis 'chebychev'", "Did you mean 'chebyshev'?"),
        ("experiments: [digits_dense]\noverrides: [trainer.lrr=1]", "unknown key 'trainer.lrr'", "Did you mean 'lr'?"),
        ("experiments: [../../x]", "experiment must be a plain name", ""),
    ],
)
def test_a_bad_grid_is_refused(write, text, message, hint):
    with pytest.raises(InvalidInput) as caught:
        compose_grid(write(text))
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)


# Bad input: each message names the key, the rule and the value


@pytest.mark.parametrize(
    ("name", "override", "message", "hint"),
    [
        # a typo in a key
        ("digits_conv", "basis.degre=3", "unknown key 'basis.degre'", "Did you mean 'degree'? Keys: "),
        ("digits_conv", "trainer.max_epoch=3", "unknown key 'trainer.max_epoch'", "Did you mean 'max_epochs'? Keys: "),
        ("digits_conv", "task.chanels=[3]", "unknown key 'task.chanels'", "Did you mean 'channels'? Keys: "),
        ("digits_conv", "model.squas=none", "unknown key 'model.squas'", "Did you mean 'squash'? Keys: "),
        ("digits_conv", "bais.degree=3", "unknown key 'bais.degree'", "Did you mean 'basis'? Sections: "),
        ("digits_conv", "sead=3", "unknown key 'sead'", "Did you mean 'seed'? Keys: "),
        ("digits_conv", "a.b.c=3", "unknown key 'a.b.c'", "Keys are section.name, for example trainer.max_epochs"),
        # a wrong type
        ("digits_conv", "basis.degree=1.5", "basis.degree must be an integer, got 1.5", ""),
        ("digits_conv", "basis.degree=two", "basis.degree must be an integer, got 'two'", ""),
        ("digits_conv", "basis.degree=true", "basis.degree must be an integer, got True", ""),
        ("digits_conv", "basis.degree=", "basis.degree must be an integer, got None", ""),
        ("digits_conv", "basis.degree=[1]", "basis.degree must be an integer, got [1]", ""),
        ("digits_conv", "basis.degree={a: 1}", "basis.degree must be an integer, got {'a': 1}", ""),
        ("digits_conv", "basis.domain=[1]", "basis.domain must be a list of 2 finite numbers, got [1]", ""),
        ("digits_conv", "basis.domain=[1,2,3]", "basis.domain must be a list of 2 finite numbers, got [1, 2, 3]", ""),
        ("digits_conv", "basis.domain=[a,b]", "basis.domain must be a list of 2 finite numbers, got ['a', 'b']", ""),
        ("digits_conv", "basis.domain=1", "basis.domain must be a list of 2 finite numbers, got 1", ""),
        ("digits_conv", "task.hidden=3", "task.hidden must be a list of integers, got 3", ""),
        ("digits_conv", "task.hidden=[a]", "task.hidden must be a list of integers, got ['a']", ""),
        ("digits_conv", "task.hidden=[[1]]", "task.hidden must be a list of integers, got [[1]]", ""),
        ("digits_conv", "task.hidden={a: 1}", "task.hidden must be a list of integers, got {'a': 1}", ""),
        ("digits_conv", "trainer.lr=fast", "trainer.lr must be a finite number, got 'fast'", ""),
        ("digits_conv", "trainer.lr=true", "trainer.lr must be a finite number, got True", ""),
        ("digits_conv", "name=[1]", "name must be text, got [1]", ""),
        ("digits_conv", "seed=a", "seed must be an integer, got 'a'", ""),
        ("digits_conv", "task.name=3", "task.name must be text, got 3", ""),
        (
            "digits_conv",
            "basis={name: fourier}",
            "basis must be set key by key, got {'name': 'fourier'}",
            "For example: basis.name=chebyshev",
        ),
        ("regression", "task.ranges=[1]", "task.ranges must be a list of lists of finite numbers or null, got [1]", ""),
        ("digits_conv", "basis.name=fourier basis.smooth=3", "basis.smooth must be true or false, got 3", ""),
        # an unknown name
        ("digits_conv", "basis.name=chebychev", "unknown basis 'chebychev'", "Did you mean 'chebyshev'? Installed: "),
        ("digits_conv", "basis.name=../../x", "unknown basis '../../x'", "Installed: "),
        ("digits_conv", "task.name=imag", "unknown task 'imag'", "Did you mean 'image'? Installed: "),
        ("digits_conv", "task.name=<script>", "unknown task '<script>'", "Installed: "),
        ("digits_conv", "task.dataset=mnits", "task.dataset must be one of mnist, fashion_mnist, mnist_5k, digits, got 'mnits'", ""),
        ("digits_conv", "task.dataset=", "task.dataset must be one of mnist, fashion_mnist, mnist_5k, digits, got None", ""),
        (
            "digits_conv",
            "model.squash=none,sigmoid",
            "model.squash must be one of tanh, layernorm, standardize, clamp, none, got 'sigmoid'",
            "",
        ),
        ("digits_conv", "model.name=mlp", "model.name must be one of kan, baseline, learnable_activation, siren, f", ""),
        ("feynman", "task.formula=I.6.3", "task.formula must be the number of a Feynman equation, got 'I.6.3'", "Did you mean "),
        # out of range
        ("digits_conv", "basis.name=chebyshev basis.degree=0", "basis.degree must be >= 1, got 0", ""),
        ("digits_conv", "basis.grid_size=0", "basis.grid_size must be >= 1, got 0", ""),
        ("digits_conv", "basis.grid_uniformity=1.5", "basis.grid_uniformity must be >= 0 and <= 1, got 1.5", ""),
        ("digits_conv", "basis.domain=[1,-1]", "basis.domain must be two finite numbers in rising order, got [1.0, -1.0]", ""),
        ("digits_conv", "basis.domain=[.nan,1]", "basis.domain must be a list of 2 finite numbers, got [nan, 1]", ""),
        ("digits_conv", "task.hidden=[0]", "task.hidden must be >= 1, got 0 in [0]", ""),
        ("digits_conv", "task.channels=[]", "task.channels must be of length >= 1, got []", ""),
        ("digits_conv", "task.channels=[0]", "task.channels must be >= 1, got 0 in [0]", ""),
        ("digits_conv", "task.kernel_size=2", "task.kernel_size must be odd, got 2", ""),
        ("digits_conv", "trainer.lr=0", "trainer.lr must be > 0, got 0.0", ""),
        ("digits_conv", "trainer.lr=.nan", "trainer.lr must be a finite number, got nan", ""),
        ("digits_conv", "trainer.lr=1e400", "trainer.lr must be a finite number, got inf", ""),
        ("digits_conv", "trainer.max_epochs=0", "trainer.max_epochs must be >= 1, got 0", ""),
        ("digits_conv", "trainer.batch_size=-1", "trainer.batch_size must be >= 0, got -1", ""),
        ("digits_conv", "seed=-1", "seed must be >= 0 and <= 4294967295, got -1", ""),
        ("digits_conv", "seed=4294967296", "seed must be >= 0 and <= 4294967295, got 4294967296", ""),
        ("digits_conv", "name=''", "name must be of length >= 1 and of length <= 200, got ''", ""),
        ("regression", "task.formula=__import__('os')", "task.formula ", ""),
        # a secret, or what only a machine can read
        ("digits_conv", "task.dataset=${oc.env:SECRET}", "task.dataset must not hold an interpolation, got '${oc.env:SECRET}'", "Secrets "),
        ("digits_conv", "name=x${name}", "name must not hold an interpolation", "Secrets "),
        ("digits_conv", "basis.domain=['${oc.env:SECRET}',1]", "basis.domain must not hold an interpolation", "Secrets "),
        ("digits_conv", "basis.degree=???", "basis.degree must be printable text in one line, got '???'", ""),
        ("digits_conv", "name=a\x1b[31m", "name must be printable text in one line, got 'a\\x1b[31m'", ""),
        ("digits_conv", "name=\udcff", "name must be printable text in one line, got '\\udcff'", ""),
        ("digits_conv", "basis.degree=!!python/object/apply:os.system [id]", "basis.degree must be an integer, got '!!python", ""),
    ],
)
def test_a_bad_value_is_refused(name, override, message, hint):
    error = refusal(name, override.split(" ") if " basis." in override else [override])
    assert error.message.startswith(message)
    assert error.hint.startswith(hint)
    assert (error.hint == "") is (hint == "") or message == "task.formula "


def file_cases():
    table = "task.file must hold finite numbers in column"
    return [
        ([], None, "task.file must be an existing file, got /no/such.csv"),
        ([], CSV.replace("3,3,", "3,Paris,"), f"{table} 'rooms', got 'Paris' in line 5 of"),
        ([], CSV.replace("3,3,", "3,nan,"), f"{table} 'rooms', got 'nan' in line 5 of"),
        (["task.target=cost"], CSV, "task.target must be a column of"),
        (["task.dataset=formula"], CSV, "task.file may be given only with task.dataset=csv"),
    ]


@pytest.mark.parametrize(("overrides", "text", "message"), file_cases())
def test_a_bad_table_is_refused(write, overrides, text, message):
    path = "/no/such.csv" if text is None else write(text, "houses.csv")
    error = refusal("regression", [*TABLE, f"task.file={path}", *overrides])
    assert message in error.message


def test_a_missing_target_is_suggested(write):
    path = write(CSV, "houses.csv")
    error = refusal("regression", ["task.dataset=csv", f"task.file={path}", "task.target=prize"])
    assert error.message == f"task.target must be a column of {path}, got 'prize'"
    assert error.hint == "Did you mean 'price'? Columns: price, rooms, size"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)
SOUND = "task: {name: image, dataset: digits}\nbasis: {name: bspline}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 1 must be readable YAML, got: anchors are not allowed"),
        ("a: *a\n", "line 1 must be readable YAML, got: aliases are not allowed"),
        ("name: &x foo\n" + SOUND, "line 1 must be readable YAML, got: anchors are not allowed"),
        ("a: &a [*a]\n", "must be readable YAML"),
        ("seed: 1\ntask: !!python/object/apply:os.system [id]\n", "line 2 must be readable YAML, got: tags are not allowed"),
        ("!!python/name:os.system : 1\n", "must be readable YAML, got: tags are not allowed"),
        ("seed: !!str 3\n" + SOUND, "must be readable YAML, got: tags are not allowed"),
        ("seed: !mine 3\n" + SOUND, "must be readable YAML, got: tags are not allowed"),
        ("seed: 1\nseed: 2\n", "line 2 must be readable YAML, got: key 'seed' must be text and stand once"),
        ("task: {name: image, name: image}\n", "line 1 must be readable YAML, got: key 'name' must be text and stand once"),
        ("1: 2\n", "key '1' must be text and stand once"),
        ("? [1]\n: 2\n", "key of a sequence must be text and stand once"),
        ("~: 2\n", "key '~' must be text and stand once"),
        ("<<: {seed: 1}\n" + SOUND, "unknown key '<<'"),
        ("", "must hold a mapping of keys to values, got NoneType"),
        ("- 1\n", "must hold a mapping of keys to values, got list"),
        ("seed\n", "must hold a mapping of keys to values, got str"),
        ("seed: 1\n---\nseed: 2\n", "line 2 must be readable YAML"),
        ("a: [1\n", "must be readable YAML, got: expected ',' or ']'"),
        ("a:\n\t- 1\n", "line 2 must be readable YAML"),
        ("name: \x00\n", "must be readable YAML"),
        (b"name: \xff\n", "must be readable YAML, got: 'utf-8' codec can't decode byte 0xff"),
        (SOUND.encode("utf-16"), "must be readable YAML"),
        ("# " + "x" * 100_000, "must be smaller than 100000 bytes, got 100002"),
        ("a: " + "[" * 30_000, "line 1 must be readable YAML, got: more than 20 levels"),
        ("a: " + "{a: " * 30 + "1" + "}" * 30, "line 1 must be readable YAML, got: more than 20 levels"),
        ("seed: " + "9" * 5000 + "\n" + SOUND, "seed must be an integer"),
        ("seed: 2024-13-45\n" + SOUND, "seed must be an integer, got '2024-13-45'"),
        ("task: 3\n", "task must be a section of keys, got 3"),
        ("task: {}\n", "task.name must be given"),
        ("task: {name: image, dataset: digits}\n", "basis.name must be given"),
        (SOUND + "trainer: {lrr: 1}\n", "unknown key 'trainer.lrr'"),
        (SOUND + "trainer: {lr: '${oc.env:SECRET}'}\n", "trainer.lr must not hold an interpolation, got '${oc.env:SECRET}'"),
        (SOUND + "name: '${oc.env:SECRET}'\n", "name must not hold an interpolation"),
        (SOUND + "'${oc.env:SECRET}': 1\n", "unknown key '${oc.env:SECRET}'"),
        (SOUND + 'name: "a\\nb"\n', "name must be printable text in one line, got 'a\\nb'"),
        ("{" + ",".join(f"k{i}: 1" for i in range(8000)) + "}", "unknown key 'k0'"),
    ],
)
def test_a_bad_file_is_refused_in_time(write, text, message):
    path = write(text)
    start = time.process_time()
    error = refusal(path)
    assert time.process_time() - start < 10  # measured: 1 s at most; a file that unfolds would take minutes
    assert message in error.message


def test_secrets_are_refused_though_they_are_set(write, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    error = refusal(write(SOUND + "trainer: {lr: '${oc.env:SECRET}'}\n"))
    assert "hunter2" not in error.message + error.hint


def test_omegaconf_has_no_way_to_the_environment(monkeypatch):
    from omegaconf import OmegaConf

    monkeypatch.setenv("SECRET", "hunter2")
    assert not OmegaConf.has_resolver("oc.env")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnits", "unknown experiment 'mnits'"),
        ("no/such.yaml", "experiment must be an existing file, got 'no/such.yaml'"),
        ("a/../../x", "experiment must be a plain name or a path that ends in .yaml, got 'a/../../x'"),
        ("../../x", "experiment must be a plain name or a path that ends in .yaml, got '../../x'"),
        ("<script>", "experiment must be a plain name or a path that ends in .yaml, got '<script>'"),
        ("/etc/passwd", "experiment must be a plain name or a path that ends in .yaml, got '/etc/passwd'"),
        ("", "experiment must be a plain name or a path that ends in .yaml, got ''"),
        ("a" * 5000, "unknown experiment 'aaa"),
        ("a" * 5000 + ".yaml", "experiment must be an existing file, got 'aaa"),
        ("a\0.yaml", "experiment must be an existing file, got 'a\\x00.yaml'"),
        ("\udcff.yaml", "experiment must be an existing file, got '\\udcff.yaml'"),
    ],
)
def test_a_config_that_is_not_there(name, message):
    assert refusal(name).message.startswith(message)


def test_names_that_are_not_there_are_suggested():
    assert refusal("mnits").hint.startswith("Did you mean 'mnist'? Configs: ")
    assert refusal("somewhere/mnits.yaml").hint.startswith("Did you mean 'mnist'? Configs: ")


def test_a_folder_is_no_config(tmp_path):
    (tmp_path / "x.yaml").mkdir()
    assert "must be an existing file" in refusal(str(tmp_path / "x.yaml")).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_config_that_may_not_be_read(write):
    path = Path(write(SOUND))
    path.chmod(0)
    assert "must be readable YAML, got" in refusal(str(path)).message


def test_the_folder_of_data_must_be_one(monkeypatch, tmp_path):
    monkeypatch.setenv("KANZOO_DATA", str(tmp_path / "none"))
    with pytest.raises(InvalidInput, match=r"^KANZOO_DATA must be a folder, got '.*none'$"):
        config.data_dir_from_environment()
    monkeypatch.setenv("KANZOO_DATA", str(tmp_path))
    assert config.data_dir_from_environment() == tmp_path.resolve()
    monkeypatch.delenv("KANZOO_DATA")
    assert config.data_dir_from_environment() is None


def test_a_cell_holds_plain_values():
    cell = one("digits_dense", "basis.domain=[-2,2]")
    assert json.loads(json.dumps(cell.resolved())) == yaml.safe_load(cell.to_yaml())


KEYS = st.sampled_from(
    ["seed", "name", "basis.name", "basis.degree", "basis.domain", "task.hidden", "task.dataset", "trainer.lr", "model.name", "x"]
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=30) | st.text("[]{}(),:'\"!&*?-#|>%@`~ \n\t0123456789.eab$", max_size=30)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.builds("{}={}".format, KEYS, TEXT) | TEXT)
@example("basis.domain=!!python/name:os.system")
@example("task.hidden=!!omap [a: 1]")
@example("task.hidden={1: 2}")
@example("seed=!!timestamp 2024-13-45")
@example("name=? [1]")
@example("seed=1\n---\n2")
def test_no_override_raises_anything_but_invalid_input(override):
    try:
        cells = compose("digits_dense", [override])
    except InvalidInput as error:
        message = error.message
    else:
        message = "composed"
        for cell in cells:
            cell.to_yaml().encode()
    assert not re.search(r"^$|typing\.|<class|[Oo]mega[Cc]onf", message)


def test_a_model_is_labelled_by_what_differs_from_its_config():
    assert one("digits_dense").model_label == "bspline"  # whose config sets another squash than the schema's default
    assert one("digits_dense", "model.squash=tanh").model_label == "bspline(squash=tanh)"
    assert one("digits_dense", "model.name=baseline", "model.width=8").model_label == "mlp(width=8)"


def test_a_label_holds_no_path(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("a,y\n" + "\n".join(f"{i},{i}" for i in range(20)))
    cell = one("regression", "task.dataset=csv", f"task.file={table}", "task.target=y")
    assert cell.task_label == "regression(dataset=csv, file=mine.csv, target=y)"


# trainer.refine


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.refine=5"], "trainer.refine must be a mapping of keys to values or null, got 5"),
        (["trainer.refine={every: 2}"], "trainer.refine.to must be given"),
        (["trainer.refine={to: [9]}"], "trainer.refine.every must be given"),
        (["trainer.refine={every: 2, to: [9], at: 1}"], "unknown key 'trainer.refine.at'"),
        (["trainer.refine={every: 0, to: [9]}"], "trainer.refine.every must be >= 1, got 0"),
        (["trainer.refine={every: 2, to: []}"], "trainer.refine.to must be of length >= 1, got []"),
        (["trainer.refine={every: 2, to: [9, 9]}"], "trainer.refine.to must rise from basis.grid_size=5 or more, got [9, 9]"),
        (["trainer.refine={every: 2, to: [4, 9]}"], "trainer.refine.to must rise from basis.grid_size=5 or more, got [4, 9]"),
        (["trainer.refine={every: 2, to: [5]}"], "trainer.refine.to must rise from basis.grid_size=5 or more, got [5]"),
        (["trainer.refine={every: 2, to: [9]}", "basis.name=wav_kan"], "trainer.refine needs a basis with a resolution, got 'wav_kan'"),
        (["trainer.refine={every: 2, to: [9]}", "model.name=baseline"], "trainer.refine needs a basis with a resolution, got 'a baseline'"),
    ],
    ids=str,
)
def test_wrong_refinement_is_refused_by_key(overrides, message):
    with pytest.raises(InvalidInput) as error:
        compose("digits_dense", ["basis.name=bspline", *overrides])
    assert error.value.message == message


def test_refinement_is_part_of_the_identity_where_it_refines(write):
    (plain,) = compose("digits_dense", ["basis.name=bspline"])
    (null,) = compose("digits_dense", ["basis.name=bspline", "trainer.refine=null"])
    (cell,) = compose("digits_dense", ["basis.name=bspline", "trainer.refine={every: 2, to: [9, 20]}"])
    (same,) = compose("digits_dense", ["basis.name=bspline", "trainer.refine={every: 2, to: [5, 9, 20]}"])
    assert plain.config_hash == null.config_hash
    assert cell.config_hash == same.config_hash != plain.config_hash
    assert cell.trainer["refine"] == {"every": 2, "to": [9, 20]}
    (again,) = compose(write(cell.to_yaml()))
    assert again.config_hash == cell.config_hash
    assert "refine" not in config.trainer_identity(plain.trainer)


def test_a_budget_makes_a_track():
    plain, sized, timed, tuned = (
        compose("digits_dense", overrides)[0]
        for overrides in ([], ["model.parameters=5000"], ["trainer.max_seconds=2.5"], ["tuner.trials=3"])
    )
    assert [cell.track for cell in (plain, sized, timed, tuned)] == ["default", "parameters=5000", "seconds=2.5", "trials=3"]
    assert {cell.model_label for cell in (plain, sized, timed, tuned)} == {"bspline"}
    assert len({cell.task_key for cell in (plain, sized, timed, tuned)}) == 1
    assert len({cell.config_hash for cell in (plain, sized, timed, tuned)}) == 4
    assert compose("digits_dense", ["model.parameters=5000", "tuner.trials=3"])[0].track == "parameters=5000, trials=3"


def test_no_budget_is_no_part_of_the_identity():
    (cell,) = compose("digits_dense", ["tuner.trials=0"])
    assert cell.tuner == {}
    assert "tuner" not in cell.resolved()
    assert not {"parameters", "max_seconds"} & set(config.model_identity(cell.model) | config.trainer_identity(cell.trainer))
    assert cell.config_hash == compose("digits_dense")[0].config_hash


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.parameters=5000", "model.width=2"], "model.width must not be set with model.parameters, which decides it, got 2"),
        (
            ["trainer.max_seconds=2", "trainer.refine={every: 2, to: [9]}"],
            "trainer.refine counts epochs and must not be set with trainer.max_s",
        ),
        (["model.parameters=0"], "model.parameters must be >= 1, got 0"),
        (["trainer.max_seconds=-1"], "trainer.max_seconds must be > 0, got -1"),
        (["tuner.trials=-1"], "tuner.trials must be >= 0, got -1"),
        (["tuner.trial=1"], "unknown key 'tuner.trial'"),
    ],
)
def test_wrong_budgets_are_refused(overrides, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        compose("digits_dense", overrides)


def test_a_kind_of_network_has_its_own_keys_alone():
    usual = {"name", "width", "parameters", "norm", "norm_at"}
    own = {
        "baseline": set(),
        "learnable_activation": {"squash", "extrapolate"},
        "siren": {"omega"},
        "fourier_features": {"sigma", "features"},
        "power_mlp": {"power"},
    }
    for name, keys in own.items():
        assert one("digits_dense", f"model.name={name}").model.keys() == usual | keys
    assert not {"omega", "sigma", "features", "power"} & one("digits_dense").model.keys()


def test_a_control_with_a_basis_is_a_cell_of_its_own():
    kan, nodes, other = (
        one("digits_dense", *overrides)
        for overrides in ([], ["model.name=learnable_activation"], ["model.name=learnable_activation", "basis.degree=2"])
    )
    assert nodes.basis == kan.basis
    assert nodes.plugin == kan.plugin
    assert len({cell.model_key for cell in (kan, nodes, other)}) == 3
    assert one("digits_dense", "model.name=siren").config_hash != one("digits_dense", "model.name=siren", "model.omega=2").config_hash


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("digits_dense", ["model.omega=3"], "model.omega must not be set but with model.name=siren, got model.name=kan"),
        (
            "digits_dense",
            ["model.sigma=3", "model.name=siren"],
            "model.sigma must not be set but with model.name=fourier_features, got model.n",
        ),
        ("digits_dense", ["model.name=siren", "model.omega=0"], "model.omega must be > 0, got 0"),
        ("digits_dense", ["model.name=power_mlp", "model.power=0"], "model.power must be >= 1, got 0"),
        ("digits_dense", ["model.power=2"], "model.power must not be set but with model.name=power_mlp, got model.name=kan"),
        ("digits_dense", ["model.name=fourier_features", "model.features=7"], "model.features must be >= 2 and a multiple of 2, got 7"),
        ("digits_conv", ["model.name=fourier_features"], "must have a network of dense layers, got task.network=conv"),
        ("sbm", ["model.name=fourier_features"], "must have a network of dense layers, got task.network=sage"),
        (
            "symbolic",
            ["model.name=siren"],
            "model.name must be kan or baseline for the task symbolic, whose baseline is pykan, got 'siren'",
        ),
        ("digits_dense", ["model.name=learnable_activation", "basis.degree=-1"], "basis.degree must be >= 0, got -1"),
        (
            "digits_dense",
            ["model.name=learnable_activation", "trainer.refine={every: 2, to: [9]}"],
            "trainer.refine needs a basis with a resolution, got 'a baseline'",
        ),
        (
            "digits_dense",
            ["+preset=mlp_layernorm", "model.name=siren"],
            "model.name must be baseline with +preset=mlp_layernorm, got 'siren'",
        ),
    ],
)
def test_wrong_controls_are_refused_by_key(name, overrides, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        compose(name, overrides)


def test_a_benchmark_in_parts(tmp_path):
    """Each part has what the benchmark has where it names none; a cell of two parts is one cell."""
    path = tmp_path / "parts.yaml"
    path.write_text(
        "seeds: [0, 1]\nmodels: [basis.name=chebyshev]\nparts:\n"
        "  - experiments: [digits_dense, diabetes]\n"
        "  - {experiments: [digits_dense], models: [basis.name=fourier, basis.name=chebyshev], seeds: [0]}\n"
    )
    grid, cells = compose_grid(str(path))
    assert grid.name == "parts"
    found = [(cell.task_label, cell.model_label, cell.seed) for cell in cells]
    one_part = [(task, "chebyshev", seed) for task in ("digits_dense", "diabetes") for seed in (0, 1)]
    assert found == [*one_part, ("digits_dense", "fourier", 0)]
    assert {cell.model_label for cell in compose_grid(str(path), ["basis.name=jacobi"])[1]} == {"jacobi"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parts: [{experiment: [a]}]", "unknown key 'parts.experiment'"),
        ("parts: [{models: [basis.name=fourier]}]", "experiments must be of length >= 1"),
        ("parts: [{experiments: [digits_dense], seeds: [x]}]", "parts.seeds must be a list of integers"),
        ("parts: 3", "parts must be a list"),
    ],
)
def test_wrong_parts_are_refused(tmp_path, text, message):
    path = tmp_path / "parts.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        compose_grid(str(path))


def test_the_full_benchmark_has_every_basis_on_ten_tasks_or_more_in_four_tracks():
    pytest.importorskip("torch_geometric")
    found = defaultdict(set)
    try:
        cells = compose_grid("full", data_dir=config.data_dir_from_environment())[1]
    except InvalidInput as error:
        pytest.skip(str(error))  # a data set that is not here
    for cell in cells:
        found[cell.basis.get("name", ""), cell.model["name"], cell.track.partition("=")[0]].add(cell.task_key)
    assert all(len(found[name, "kan", "default"]) >= 10 for name in plugins("basis"))
    assert {track for _, _, track in found} == {"default", "parameters", "seconds", "trials"}
    assert {cell.seed for cell in cells} == {0, 1, 2, 3, 4}
