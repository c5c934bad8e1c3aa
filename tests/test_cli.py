import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kanzoo import cli, cli_options, config, section, terminal, terminal_plugin
from kanzoo.basis import ColumnBasis
from kanzoo.config import compose
from kanzoo.config_file import names, path_of
from kanzoo.errors import InvalidInput
from kanzoo.record import columns, parse
from kanzoo.registry import Plugin, plugins
from kanzoo.signature import arguments, arguments_in_source, class_constant
from kanzoo.testing import CheckResult, basis_checks

COMMANDS = ("run", "bench", "list", "show", "check", "new", "inspect", "recommend", "predict", "submit", "leaderboard", "ui", "data")
CSV = "size,rooms,price\n" + "".join(f"{i},{i % 5},{i * 2.5}\n" for i in range(20))
SOUND = "task: {name: image, dataset: digits}\nbasis: {name: bspline}\n"


@pytest.fixture
def kanzoo(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command line here, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KANZOO_DATA", raising=False)

    def kanzoo(*arguments):
        capsys.readouterr()
        code = cli._code(list(arguments))
        return code, *capsys.readouterr()

    return kanzoo


@pytest.fixture
def launch(tmp_path):
    """Return a function that runs `python -m kanzoo.cli` in an empty folder: (exit code, stdout, stderr, CPU seconds, wall seconds)."""

    def launch(*arguments, site=None):
        environment = {key: value for key, value in os.environ.items() if key not in ("KANZOO_DATA", "COLUMNS", "PYTHONPATH")}
        if site is not None:
            environment["PYTHONPATH"] = str(site)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        result = subprocess.run(
            [sys.executable, "-m", "kanzoo.cli", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=120,
            check=False,
        )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return result.returncode, result.stdout, result.stderr, cpu, wall

    return launch


@pytest.fixture
def site(tmp_path, tmp_path_factory, monkeypatch):
    """Return a folder on the path with a distribution of three bases, each of which leaves a file when it is imported.

    `broken_hat` raises on import, `package_hat` lies in a package that raises, `[red]odd[/red]` tells its arguments only when imported.
    """
    folder = tmp_path_factory.mktemp("site")
    touch = f"from pathlib import Path\nPath({str(folder / 'imported')!r}).touch()\n"
    hat = "class Hat:\n    def __init__(self, in_features: int, *, degree: int = 2) -> None: ...\n"
    (folder / "kanzoo_fake_broken.py").write_text(f"{touch}raise RuntimeError('no [b]luck[/b]')\n{hat}")
    (folder / "kanzoo_fake_package").mkdir()
    (folder / "kanzoo_fake_package" / "__init__.py").write_text(f"{touch}raise RuntimeError('no luck')\n")
    (folder / "kanzoo_fake_package" / "hat.py").write_text(hat)
    (folder / "kanzoo_fake_odd.py").write_text(touch + hat.replace("= 2", "= 1 + 1"))
    info = folder / "kan_fake-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kan-fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[kanzoo.bases]\nbroken_hat = kanzoo_fake_broken:Hat\npackage_hat = kanzoo_fake_package.hat:Hat\n<odd>../x = kanzoo_fake_odd:Hat\n"
    )
    cached = (plugins, arguments, arguments_in_source, class_constant, section._schema)
    monkeypatch.syspath_prepend(folder)
    for one in cached:
        one.cache_clear()
    yield folder
    monkeypatch.undo()
    for one in cached:
        one.cache_clear()


def refused(result, message, hint=""):
    """Assert that a result is exit code 2 with at most two lines, the message first."""
    code, out, err = result[:3]
    lines = err.splitlines()
    assert code == 2
    assert out == ""
    assert lines[0].startswith(f"Error: {message}")
    assert len(lines) == (2 if hint else 1)
    assert not hint or hint in lines[1]
    assert "Traceback" not in err


# Help and speed


def test_help_is_instant_and_lists_the_commands(launch, tmp_path):
    code, out, _, cpu, _ = launch("--help")
    assert code == 0
    for command in COMMANDS:
        assert f" {command} " in out
    assert cpu < 1.2  # measured: 0.2 s; with torch it would be several
    assert list(tmp_path.iterdir()) == []


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom kanzoo.cli import _code\n_code(['--help'])\n"
        "print('HEAVY', {'torch', 'omegaconf', 'mlflow', 'numpy', 'yaml', 'pytorch_lightning'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "HEAVY set()"


def test_bad_input_imports_nothing_heavy(tmp_path):
    code = (
        "import sys\nfrom kanzoo.cli import _code\n"
        "assert _code(['run', 'digits_dense', 'basis.degree=a']) == 2\nassert _code(['list']) == 0\n"
        "assert _code(['run', 'digits_dense', '--print-config']) == 0\n"
        "print('HEAVY', {'torch', 'mlflow', 'pandas', 'sklearn', 'scipy', 'pytorch_lightning'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "HEAVY set()"


def test_every_command_has_help(kanzoo):
    for command in COMMANDS:
        code, out, _ = kanzoo(command, "--help")
        assert code == 0
        assert f"kanzoo {command}" in out


def test_no_command_shows_the_help(kanzoo):
    code, out, _ = kanzoo()
    assert code == 0
    assert "leaderboard" in out


# Bad input, as real processes


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("run", "digits_dense", "basis.degre=3"), "unknown key 'basis.degre'", "Did you mean 'degree'?"),
        (("run", "digits_dense", "basis.name=chebyshev", "basis.degree=0"), "basis.degree must be >= 1, got 0", ""),
        (("run", "digits_dense", "task.dataset=mnits"), "task.dataset must be one of mnist, ", ""),
        (("run", "mnits"), "unknown experiment 'mnits'", "Did you mean 'mnist'?"),
        (("run", "none.yaml"), "experiment must be an existing file, got 'none.yaml'", "Configs: "),
        (("run", "bomb.yaml"), "bomb.yaml, line 1 must be readable YAML, got: anchors are not allowed", ""),
        (("run", "tag.yaml"), "tag.yaml, line 1 must be readable YAML, got: tags are not allowed", ""),
        (("run", "secret.yaml"), "trainer.lr must not hold an interpolation, got '${oc.env:HOME}'", "Secrets"),
        (("run", "large.yaml"), "unknown key 'k0'", "Keys: "),
        (
            ("run", "regression", "task.dataset=csv", "task.file=nan.csv", "task.target=price"),
            "task.file must hold finite numbers in column 'rooms', got 'nan' in line 5 of nan.csv",
            "",
        ),
        (
            ("run", "regression", "task.dataset=csv", "task.file=ok.csv", "task.target=prize"),
            "task.target must be a column of ok.csv, got 'prize'",
            "Did you mean 'price'?",
        ),
        (("bench", "quikc"), "unknown benchmark 'quikc'", "Did you mean 'quick'?"),
        (("bench", "quick", "trainer.max_epochs=0"), "trainer.max_epochs must be >= 1, got 0", ""),
        (("run", "digits_dense", "--job", "3"), "No such option", "See kanzoo --help."),
    ],
)
def test_bad_input_ends_in_two_seconds_and_leaves_nothing(launch, tmp_path, arguments, message, hint):
    anchors = "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True))
    files = {
        "bomb.yaml": f"a: &a [x]\n{anchors}",
        "tag.yaml": "task: !!python/object/apply:os.mkdir [runs]\n",
        "secret.yaml": SOUND + "trainer: {lr: '${oc.env:HOME}'}\n",
        "large.yaml": "{" + ",".join(f"k{i}: 1" for i in range(9000)) + "}",
        "ok.csv": CSV,
        "nan.csv": CSV.replace("3,3,", "3,nan,"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    result = launch(*arguments)
    if hint == "" and len(result[2].splitlines()) == 2:
        hint = result[2].splitlines()[1]
    refused(result, message, hint)
    assert result[3] < 2
    assert result[4] < 2 or result[3] < 1  # a machine that others load may be slow by the clock alone
    assert {path.name for path in tmp_path.iterdir()} == set(files)


# Refusals


@pytest.mark.parametrize("name", ["../../x", "<script>", "[red]x[/red]", "/etc/passwd", ".."])
@pytest.mark.parametrize(("command", "noun"), [("run", "experiment"), ("bench", "benchmark")])
def test_names_that_are_no_names_are_refused(kanzoo, command, noun, name):
    refused(kanzoo(command, name), f"{noun} must be a plain name or a path that ends in .yaml, got {name!r}")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("run", "digits_dense", "--acelerator", "gpu"), "No such option: --acelerator", "See kanzoo --help."),
        (("rnu",), "No such command 'rnu'", "See kanzoo --help."),
        (("run",), "Missing argument", "See kanzoo --help."),
        (("run", "digits_dense", "--jobs", "many"), "Invalid value for '--jobs'", "See kanzoo --help."),
        (("run", "digits_dense", "--jobs", "-1"), "Invalid value for '--jobs'", "See kanzoo --help."),
        (("run", "digits_dense", "--accelerator", "tpu"), "accelerator must be one of auto, cpu, gpu, got 'tpu'", ""),
        (("run", "digits_dense", "--data-dir", "none"), "--data-dir must be a folder, got 'none'", ""),
        (("list", "basis"), "unknown listing 'basis'", "Did you mean 'bases'?"),
        (("check",), "check needs the name of a basis or task, got none", "For example: "),
        (("check", "basis.degree=3"), "check needs the name of a basis or task, got none", "For example: "),
        (("check", "chebychev"), "unknown basis or task 'chebychev'", "Did you mean 'chebyshev'?"),
        (("check", "imgae"), "unknown basis or task 'imgae'", "Did you mean 'image'?"),
        (("check", "chebyshev", "basis.degre=3"), "unknown key 'basis.degre' of basis 'chebyshev'", "Did you mean 'basis.degree'?"),
        (("check", "chebyshev", "basis.degree=0"), "basis.degree must be >= 1, got 0", ""),
        (("check", "chebyshev", "task.degree=1"), "unknown key 'task.degree' of basis 'chebyshev'", "Keys: "),
        (("check", "image", "task.dataset=mnits"), "task.dataset must be one of ", ""),
        (("show", "chebychev"), "unknown basis, task, config, benchmark, preset or run 'chebychev'", "Did you mean 'chebyshev'?"),
        (("show", "../../x"), "unknown basis, task, config, benchmark, preset or run '../../x'", "Known: "),
        (("show", "chebyshev", "basis.degree=two"), "basis.degree must be an integer, got 'two'", ""),
        (("show", "chebyshev", "--out", "a.jpg"), "--out must end in .svg, .png, .pdf, got 'a.jpg'", ""),
        (("show", "image", "--out", "a.svg"), "--out needs a basis to draw, got the task 'image'", ""),
        (("show", "digits_dense", "--out", "a.svg"), "overrides and --out need the name of a basis or task, got 'digits_dense'", ""),
    ],
)
def test_wrong_arguments(kanzoo, tmp_path, arguments, message, hint):
    refused(kanzoo(*arguments), message, hint)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_the_environment_must_exist(kanzoo, monkeypatch):
    monkeypatch.setenv("KANZOO_DATA", "/no/such/folder")
    refused(kanzoo("run", "digits_dense"), "KANZOO_DATA must be a folder, got '/no/such/folder'")


def test_messages_are_short_plain_lines(kanzoo, capsys):
    code = cli._complain("name must be\nplain, got \x1b[31m\udcff \u202e", "x" * 10_000)
    first, second = capsys.readouterr().err.splitlines()
    assert code == 2
    assert first == "Error: name must be plain, got \\x1b[31m\\udcff \\u202e"
    assert len(second) < 700
    refused(kanzoo("run", "a\x1b[31m\n.yaml"), "experiment must be an existing file, got 'a\\x1b[31m\\n.yaml'", "Configs")


def test_interruption_is_130(kanzoo, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "compose", interrupt)
    assert kanzoo("run", "digits_dense") == (130, "", "Interrupted.\n")


def test_main_ends_with_the_code(kanzoo):
    with pytest.raises(SystemExit) as caught:
        cli.main(["list", "nothing"])
    assert caught.value.code == 2


# Plug-ins


def test_a_broken_plugin_is_listed_and_not_imported(kanzoo, site):
    code, out, _ = kanzoo("list", "bases")
    assert code == 0
    for name in ("broken_hat", "package_hat", "<odd>../x", "chebyshev"):
        (line,) = [line for line in out.splitlines() if line.strip().startswith(name)]
        assert ("kan-fake 1.0" in line) is (name != "chebyshev")
        assert ("degree=2" in line) is (name not in ("<odd>../x", "chebyshev"))  # from the source
    assert "told when imported" in out
    assert not (site / "imported").exists()


def test_a_plugin_that_no_config_names_is_not_imported(kanzoo, site):
    assert kanzoo("run", "digits_dense", "--print-config")[0] == 0
    assert kanzoo("show", "digits_dense")[0] == 0
    refused(kanzoo("run", "digits_dense", "basis.name=broken_hta"), "unknown basis 'broken_hta'", "Did you mean 'broken_hat'?")
    assert not (site / "imported").exists()


def test_showing_a_broken_plugin_tells_its_own_error(kanzoo, site):
    refused(kanzoo("show", "broken_hat"), "basis 'broken_hat' of kan-fake 1.0 cannot be imported", "RuntimeError: no [b]luck[/b]")
    assert (site / "imported").exists()


@pytest.mark.slow
def test_running_a_broken_plugin_tells_its_own_error_and_records_nothing(launch, site, tmp_path):
    result = launch("run", "digits_dense", "basis.name=broken_hat", site=site)
    refused(result, "basis 'broken_hat' of kan-fake 1.0 cannot be imported from kanzoo_fake_broken:Hat", "RuntimeError: no [b]luck[/b]")
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_can_only_be_imported_tells_its_own_error(kanzoo, site):
    (site / "kanzoo_fake_odd.py").write_text("raise OSError('no luck')\n")
    refused(
        kanzoo("run", "digits_dense", "basis.name=<odd>../x"), "basis '<odd>../x' of kan-fake 1.0 cannot be imported", "OSError: no luck"
    )


# What is shown


@pytest.mark.parametrize("overrides", [(), ("model.name=baseline",), ("basis.name=fourier", "seed=3", "name=[red]x[/red]")])
def test_print_config_prints_yaml_that_composes_again(kanzoo, tmp_path, overrides):
    code, out, err = kanzoo("run", "digits_dense", *overrides, "--print-config")
    assert (code, err) == (0, "")
    (tmp_path / "again.yaml").write_text(out)
    (cell,), (again,) = compose("digits_dense", overrides), compose(str(tmp_path / "again.yaml"))
    assert again.config_hash == cell.config_hash
    assert kanzoo("run", "again.yaml", "--print-config")[1] == out


def test_print_config_of_a_sweep_is_one_document_a_cell(kanzoo, tmp_path):
    _, out, _ = kanzoo("bench", "quick", "seed=0,1", "basis.name=fourier", "--print-config")
    documents = list(yaml.safe_load_all(out))
    assert {document["seed"] for document in documents} == {0, 1}
    assert {document["basis"]["name"] for document in documents} == {"fourier"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("configs", names()),
        ("presets", names("preset")),
        ("benchmarks", names("benchmark")),
        ("tasks", list(plugins("task"))),
        ("bases", [*plugins("basis"), "polynomial", "spline"]),
    ],
)
def test_listings(kanzoo, what, names):
    code, out, _ = kanzoo("list", what)
    assert code == 0
    listed = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert set(names) <= listed


def test_listing_of_facts(kanzoo):
    code, out, _ = kanzoo("list", "bases", "--facts")
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.split()[:1] == ["chebyshev"])
    assert line.split()[1:] == ["8", "global", "8", "17", "arXiv:2405.07200"]
    code, _, error = kanzoo("list", "tasks", "--facts")
    assert code == 2
    assert "--facts needs the listing of bases, got 'tasks'" in error


def test_catalogue(kanzoo, tmp_path):
    code, out, _ = kanzoo("catalogue", "--out", "made")
    assert code == 0
    assert "made/README.md" in out
    assert (tmp_path / "made" / "pictures" / "bspline.svg").is_file()
    (tmp_path / "file").write_text("")
    code, _, error = kanzoo("catalogue", "--out", "file")
    assert code == 2
    assert "--out must be a folder that can be written" in error


def test_show_a_config(kanzoo, tmp_path):
    code, out, _ = kanzoo("show", "digits_dense")
    assert code == 0
    assert yaml.safe_load(out)["task"]["dataset"] == "digits"
    (tmp_path / "own.yaml").write_text(SOUND)
    assert "name: own" in kanzoo("show", "own.yaml")[1]


def test_show_a_benchmark(kanzoo):
    code, out, _ = kanzoo("show", "quick")
    assert code == 0
    assert "digits_dense" in yaml.safe_load(out)["experiments"]


@pytest.mark.slow
def test_show_a_basis(kanzoo, tmp_path):
    code, out, _ = kanzoo("show", "chebyshev")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["degree", "int", "8", ">=", "1", "highest", "degree", "D;", "K", "=", "D."] in lines
    assert "Chebyshev polynomials $T_1, \\dots, T_D$ on $[-1, 1]$." in out.splitlines()
    for fact in (
        "reference:  SS et al., Chebyshev polynomial-based Kolmogorov-Arnold networks, arXiv:2405.07200.",
        "domain:     [-1, 1]",
        "K:          8 functions, refined by degree",
        "support:    global",
        "order:      spectral or unknown",
        "picture:    runs/plots/chebyshev.svg",
    ):
        assert fact in out.splitlines()
    assert (tmp_path / "runs" / "plots" / "chebyshev.svg").stat().st_size > 10_000


@pytest.mark.slow
def test_show_a_basis_with_other_arguments(kanzoo, tmp_path):
    code, out, _ = kanzoo("show", "bspline", "basis.degree=2", "basis.grid_size=4", "--out", "deep/b.png")
    assert code == 0
    assert "K:          6 functions, refined by grid_size" in out
    assert "order:      3" in out
    assert "4 (given)" in out
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["b.png"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_show_a_task(kanzoo, tmp_path):
    code, out, _ = kanzoo("show", "regression")
    assert code == 0
    assert "score:      rmse" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_picture_that_cannot_be_written_or_a_basis_that_cannot_be_drawn(kanzoo, tmp_path):
    (tmp_path / "file").touch()
    refused(kanzoo("show", "chebyshev", "--out", "file/a.svg"), "--out must be a file that can be written, got 'file/a.svg'")
    refused(
        kanzoo("show", "wavelet", "basis.wavelet=haa"),
        "basis 'wavelet' cannot be drawn, got ValueError: wavelet must be",
        "See kanzoo check.",
    )


def test_pictures_stay_in_their_folder():
    plugin = Plugin("basis", "<odd>../x.y", "a:b", "c", "1")
    assert terminal_plugin.picture(plugin, None).as_posix() == "runs/plots/_odd____x_y.svg"


# Checks


@pytest.mark.slow
def test_check_prints_each_check_and_their_number(kanzoo):
    code, out, _ = kanzoo("check", "chebyshev", "basis.degree=3")
    assert code == 0
    assert "FAILED" not in out
    count = len(basis_checks(ColumnBasis))
    assert f"chebyshev: {count} of {count} checks hold, " in out.splitlines()[-1]


@pytest.mark.slow
def test_check_takes_tasks_and_bases_with_arguments_of_each(kanzoo):
    code, out, _ = kanzoo("check", "regression", "wav_kan", "task.num_train=50", "task.num_test=20", "basis.wavelet=gaus1")
    assert code == 0
    assert "regression against the contract of a task" in out
    assert "wav_kan against the contract of a basis" in out


def test_a_failure_is_shown_with_rule_smallest_input_and_what_was_found(capsys, monkeypatch):
    broken = CheckResult("values_are_finite", False, 0.1, "hat: must be finite, got nan", "must be finite", "nan", "x = 1")
    raised = CheckResult("network_trains", False, 0.1, "hat: RuntimeError: no [b]luck[/b]")
    monkeypatch.setattr("kanzoo.testing.check_basis", lambda *arguments, **options: [broken, raised])
    assert terminal_plugin.check(Plugin("basis", "hat", "a:b", "c", "1"), {}, None) is False
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for line in ("rule must be finite", "got nan", "smallest x = 1", "error hat: RuntimeError: no [b]luck[/b]"):
        assert line.split() in lines
    assert lines[-1] == ["hat:", "0", "of", "2", "checks", "hold,", "0.2", "s."]


def test_an_error_that_breaks_many_rules_is_shown_once(capsys, monkeypatch):
    first = CheckResult("values_have_the_shape", False, 0.1, "", "must have shape", "KeyError: 3 (hat.py, line 7)", "x = 1")
    others = [CheckResult(name, False, 0.1, "hat: KeyError: 3 (hat.py, line 7)") for name in ("network_trains", "convolution_runs")]
    other = CheckResult("copies_are_equal", False, 0.1, "hat: KeyError: 4 (hat.py, line 9)")
    monkeypatch.setattr("kanzoo.testing.check_basis", lambda *arguments, **options: [first, *others, other])
    assert terminal_plugin.check(Plugin("basis", "hat", "a:b", "c", "1"), {}, None) is False
    out = capsys.readouterr().out
    assert (out.count("KeyError: 3"), out.count("KeyError: 4")) == (1, 1)
    assert "The error of values_have_the_shape is that of network_trains, convolution_runs too." in " ".join(out.split())


@pytest.fixture
def namesakes(site):
    """Register a basis and a task under the same name."""
    (site / "kan_fake-1.0.dist-info" / "entry_points.txt").write_text(
        "[kanzoo.bases]\nsame = kanzoo_bases.wav_kan:WavKAN\n[kanzoo.tasks]\nsame = kanzoo_tasks.regression:Regression\n"
    )


@pytest.mark.slow
def test_a_name_of_both_kinds_is_checked_and_shown_as_both(kanzoo, namesakes):
    code, out, _ = kanzoo("check", "same", "task.num_train=50", "task.num_test=20", "basis.wavelet=gaus1")
    assert code == 0
    assert "same against the contract of a basis" in out
    assert "same against the contract of a task" in out
    code, out, _ = kanzoo("show", "same")
    assert code == 0
    assert "wavelet" in out
    assert "num_train" in out


def test_data_tells_where_each_set_is(kanzoo, tmp_path):
    code, out, _ = kanzoo("data")
    assert code == 0
    for name in ("digits", "diabetes", "feynman", "mnist", "fashion_mnist", "housing"):
        assert f" {name} " in out
    assert "set KANZOO_DATA" in out
    (tmp_path / "[red]data" / "tabular").mkdir(parents=True)
    (tmp_path / "[red]data" / "tabular" / "housing.csv").touch()
    _, out, _ = kanzoo("data", "--data-dir", "[red]data")
    assert "[red]data" in out.replace("\n", "")


def test_markup_is_printed_literally(capsys, kanzoo):
    terminal.say("[red]x[/red] [link=file:///etc]y[/link]")
    assert capsys.readouterr().out == "[red]x[/red] [link=file:///etc]y[/link]\n"
    _, out, _ = kanzoo("show", _named("[red]x[/red]"))
    assert "name: '[red]x[/red]'" in out


def test_markup_in_the_name_of_a_run_is_printed_literally(capsys):
    (cell,) = compose("digits_dense", ["name=[bold]x[/bold]", "task.hidden=[8]"])
    with terminal.one_run(cell) as progress:
        progress(1.0)
    assert "[bold]x[/bold](hidden=[8]) bspline seed=0" in capsys.readouterr().out


def _named(name):
    Path("own.yaml").write_text(f"{SOUND}name: '{name}'\n")
    return "own.yaml"


def test_completion_offers_names():
    assert "digits_dense" in cli_options.complete_config("digits")
    assert cli_options.complete_benchmark("qui") == ["quick"]
    assert cli_options.complete_plugin("cheb") == ["chebyshev"]
    assert cli_options.complete_plugin("imag") == ["image"]
    assert "basis.name=chebyshev" in cli_options.complete_override("basis.name=c")
    assert cli_options.complete_override("+preset=fas") == ["+preset=fast_kan", "+preset=faster_kan"]


def test_a_preset_is_shown_as_it_is_written(kanzoo):
    code, out, _ = kanzoo("show", "fast_kan")
    assert (code, out.strip()) == (0, path_of("fast_kan", "preset").read_text().strip())


def test_an_unknown_preset_is_refused_with_a_suggestion(kanzoo):
    code, _, err = kanzoo("run", "digits_dense", "+preset=fastkan")
    assert code == 2
    assert err.startswith("Error: unknown preset 'fastkan'\nDid you mean 'fast_kan'?")


def test_two_lines_of_an_error_travel():
    error = InvalidInput("a", "b")
    assert (error.message, error.hint) == ("a", "b")


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
@pytest.mark.parametrize(("options", "opens"), [((), True), (("--no-open",), False)])
def test_ui_tells_the_newest_ranking_first_and_opens_it(kanzoo, monkeypatch, tmp_path, options, opens):
    from kanzoo import browser
    from kanzoo.publish import publish
    from kanzoo.tracking import Tracker

    uri = f"sqlite:///{tmp_path / 'm.db'}"
    tracker = Tracker(uri)
    row = parse(dict.fromkeys(columns(), "0") | {"status": "FINISHED", "direction": "max", "track": "default"})
    for name, date in (("a_old", "2026-11-01T10:00:00+00:00"), ("b_new", "2026-11-02T10:00:00+00:00")):
        recorder = tracker.start(name, "run", key=name, kind="cell", tags={})
        recorder.row(replace(row, experiment=name, date=date, config_hash=name))
        recorder.close("FINISHED")
        publish(tracker, name, None, tracker.rows(name))
    served, opened = [], []
    monkeypatch.setattr(os, "execve", lambda path, command, environment: served.append(command))
    monkeypatch.setattr(browser, "has_screen", lambda: True)
    monkeypatch.setattr(browser, "open_later", opened.append)
    code, out, _ = kanzoo("ui", "--port", "5999", "--tracking-uri", uri, *options)
    first = f"http://127.0.0.1:5999/{tracker.view_url('b_new', 'Ranking')}"
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"b_new: {first}"
    assert lines[1].startswith("a_old: ")
    assert opened == ([first] if opens else [])
    assert "5999" in served[0]
