"""`kanzoo new basis NAME` and `new task NAME`: what they write is a package that works, and what they refuse leaves nothing behind."""

import ast
import os
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
import yaml

from kanzoo import cli, scaffold
from kanzoo.errors import InvalidInput
from kanzoo.registry import GROUPS, Plugin
from kanzoo.signature import arguments_in_source, class_constant
from kanzoo.testing import check_task

FILES = {
    "basis": ["README.md", "kan_my_hat.py", "pyproject.toml", "tests/test_my_hat.py"],
    "task": ["README.md", "kan_my_hat.py", "my_hat.yaml", "pyproject.toml", "tests/test_my_hat.py"],
}
both = pytest.mark.parametrize("kind", ["basis", "task"])


@pytest.fixture
def kanzoo(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command line here, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def kanzoo(*arguments):
        capsys.readouterr()
        code = cli._code(list(arguments))
        return code, *capsys.readouterr()

    return kanzoo


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# What it writes


@both
def test_it_writes_a_package_and_tells_what_is_next(kanzoo, tmp_path, kind):
    code, out, err = kanzoo("new", kind, "my_hat")
    assert (code, err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["my_hat"]
    assert files(tmp_path / "my_hat") == FILES[kind]
    readme = (tmp_path / "my_hat" / "README.md").read_text(encoding="utf-8")
    assert "  pip install -e ./my_hat\n" in out
    last = {"basis": "kanzoo bench quick basis.name=my_hat", "task": "kanzoo run ./my_hat/my_hat.yaml basis.name=chebyshev"}[kind]
    for command in ("kanzoo check my_hat", last):
        assert f"  {command}\n" in out
        assert f"\n{command.replace('./my_hat/', '')}\n" in readme


@both
def test_it_writes_into_another_folder(kanzoo, tmp_path, kind):
    (tmp_path / "deep down").mkdir()
    code, out, _ = kanzoo("new", kind, "my_hat", "--folder", "deep down/package")
    assert code == 0
    assert files(tmp_path / "deep down" / "package") == FILES[kind]
    assert "  pip install -e './deep down/package'\n" in out


@pytest.mark.parametrize(("name", "cls"), [("my_hat", "MyHat"), ("hat", "Hat"), ("b2_spline3", "B2Spline3"), ("x" * 40, "X" + "x" * 39)])
@both
def test_entry_point_names_the_class_in_the_module(tmp_path, name, cls, kind):
    folder = scaffold.new(kind, name, tmp_path / "package")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"] == {GROUPS[kind]: {name: f"kan_{name}:{cls}"}}
    assert project["project"]["dependencies"] == ["kanzoo"]
    assert project["tool"]["setuptools"]["py-modules"] == [f"kan_{name}"]
    tree = ast.parse((folder / f"kan_{name}.py").read_text(encoding="utf-8"))
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == [cls]
    test = (folder / "tests" / f"test_{name}.py").read_text(encoding="utf-8")
    assert test.splitlines()[-1] == f'test_contract = parametrize_with_{kind}_checks("{name}")'


def test_schema_is_read_without_an_import(tmp_path, monkeypatch):
    folder = scaffold.new("basis", "scaffold_hat", tmp_path / "package")
    monkeypatch.syspath_prepend(folder)
    plugin = Plugin("basis", "scaffold_hat", "kan_scaffold_hat:ScaffoldHat", "kan-scaffold-hat", "0.1.0")
    found = arguments_in_source(plugin)
    assert {name: (argument.plain_type, argument.default, argument.rules) for name, argument in found.items()} == {
        "grid_size": (int, 8, ">= 2"),
        "width": (float, 1.0, "> 0"),
    }
    assert class_constant(plugin, "resolution") == "grid_size"
    assert class_constant(plugin, "reference").startswith("arXiv:")
    assert "kan_scaffold_hat" not in sys.modules


def test_schema_of_a_task_is_read_without_an_import(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(scaffold.new("task", "scaffold_wave", tmp_path / "package"))
    plugin = Plugin("task", "scaffold_wave", "kan_scaffold_wave:ScaffoldWave", "kan-scaffold-wave", "0.1.0")
    assert list(arguments_in_source(plugin)) == ["samples", "frequency", "hidden"]
    assert [class_constant(plugin, name) for name in ("score", "direction", "version")] == ["accuracy", "max", 1]
    assert "kan_scaffold_wave" not in sys.modules


def test_the_config_names_arguments_of_the_task(tmp_path):
    folder = scaffold.new("task", "my_wave", tmp_path / "package")
    config = yaml.safe_load((folder / "my_wave.yaml").read_text(encoding="utf-8"))
    assert config["task"] == {"name": "my_wave", "samples": 500, "hidden": [8]}
    assert set(config) == {"task", "basis", "trainer"}


def test_the_task_passes_the_contract(tmp_path):
    path = scaffold.new("task", "my_wave", tmp_path / "package") / "kan_my_wave.py"
    module = types.ModuleType("kan_my_wave")
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module.__dict__)
    assert all(result.passed for result in check_task(module.MyWave, {"samples": 100}))


@both
def test_nothing_of_a_template_is_left(tmp_path, kind):
    folder = scaffold.new(kind, "my_hat", tmp_path / "package")
    for path in files(folder):
        content = (folder / path).read_text(encoding="utf-8")
        assert not {"{{", "}}", "{%"} & {content[i : i + 2] for i in range(len(content))}
        assert content.endswith("\n")
        assert not content.endswith("\n\n")
        assert max(map(len, content.splitlines())) <= 140


def test_it_imports_nothing_heavy(tmp_path):
    code = (
        "import sys\nfrom kanzoo.cli import _code\n"
        "assert _code(['new', 'basis', 'my_hat']) == 0\nassert _code(['new', 'task', 'my_wave']) == 0\n"
        "print('HEAVY', {'torch', 'omegaconf', 'mlflow', 'numpy', 'pytorch_lightning'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "HEAVY set()"


# What it refuses


@pytest.mark.parametrize(
    "name", ["", "MyHat", "my-hat", "my hat", "2hat", "_hat", "hat_", "my__hat", "hüt", "../hat", "hat\n", "a/b", "x.y"]
)
def test_name_must_be_words(kanzoo, tmp_path, name):
    refused(kanzoo, tmp_path, name, f"name must be lower-case letters and digits, words joined by one underscore, got {name!r}")


@pytest.mark.parametrize("name", ["class", "lambda", "none", "null", "true", "false", "basis", "tensor", "annotated", "ge", "gt"])
def test_name_must_be_free_in_python_and_yaml(kanzoo, tmp_path, name):
    refused(kanzoo, tmp_path, name, f"name must not be a keyword of Python or YAML, nor one that the module imports, got {name!r}")


@pytest.mark.parametrize("name", ["class", "null", "task", "data", "batch", "layers", "path", "generator"])
def test_name_of_a_task_must_be_free_too(kanzoo, tmp_path, name):
    rule = f"name must not be a keyword of Python or YAML, nor one that the module imports, got {name!r}"
    assert "kanzoo new task my_task" in refused(kanzoo, tmp_path, name, rule, kind="task")


def test_name_must_be_short(kanzoo, tmp_path):
    refused(kanzoo, tmp_path, "x" * 41, "name must have at most 40 characters, got 41:")


@both
@pytest.mark.parametrize(("name", "owner"), [("bspline", "basis"), ("image", "task")])
def test_name_must_not_be_registered(kanzoo, tmp_path, kind, name, owner):
    err = refused(kanzoo, tmp_path, name, f"name must not be registered yet, got {name!r}", kind=kind)
    assert f"It is a {owner} of kanzoo " in err


def refused(kanzoo, folder, name, message, kind="basis"):
    code, out, err = kanzoo("new", kind, "--", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {message}")
    assert list(folder.iterdir()) == []
    return err


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_folder_must_not_exist(kanzoo, tmp_path, kind):
    path = tmp_path / "my_hat"
    {"folder": path.mkdir, "file": path.touch, "link": lambda: path.symlink_to("nowhere")}[kind]()
    code, out, err = kanzoo("new", "basis", "my_hat")
    assert (code, out) == (2, "")
    assert err.startswith("Error: folder must not exist yet, got 'my_hat'")
    assert list(tmp_path.iterdir()) == [path]
    assert kind != "folder" or list(path.iterdir()) == []


@pytest.mark.parametrize("folder", ["no/such/package", "x" * 300])
def test_folder_must_be_writable(kanzoo, tmp_path, folder):
    code, out, err = kanzoo("new", "basis", "my_hat", "--folder", folder)
    assert (code, out) == (2, "")
    assert err.startswith("Error: folder must be one that can be written, got ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch, error):
    write = Path.write_text

    def full(self, *args, **kwargs):
        if self.suffix == ".py":
            raise error
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InvalidInput if isinstance(error, OSError) else KeyboardInterrupt):
        scaffold.new("basis", "my_hat", tmp_path / "package")
    assert list(tmp_path.iterdir()) == []


# What it writes, installed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "run"),
    [
        ("basis", ("digits_dense", "basis.name=my_hat", "trainer.max_epochs=1")),
        ("task", ("package/my_hat.yaml", "basis.name=chebyshev", "trainer.max_epochs=1")),
    ],
)
def test_the_package_installs_passes_the_contract_and_trains(tmp_path, kind, run):
    folder, site = scaffold.new(kind, "my_hat", tmp_path / "package"), tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(folder)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    environment = {key: value for key, value in os.environ.items() if key != "KANZOO_DATA"}
    environment |= {"PYTHONPATH": str(site), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", "COLUMNS": "200"}

    def launch(*arguments):
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    checked = launch("kanzoo.cli", "check", "my_hat")
    assert "FAILED" not in checked
    assert checked.count("passed") > 5
    assert "kan-my-hat 0.1.0" in launch("kanzoo.cli", "list", "bases" if kind == "basis" else "tasks")
    launch("kanzoo.cli", "run", *run)
    assert " passed" in launch("pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")).splitlines()[-1]
