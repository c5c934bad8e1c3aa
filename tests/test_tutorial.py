"""The pages that teach are run as they stand: docs/tutorial.md in an environment of its own, those of docs/tutorials as doctests."""

import doctest
import os
import random
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import torch

from kanzoo import cli

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
WALKS = sorted((TUTORIAL.parent / "tutorials").glob("*.md"))
PICTURE = re.compile(r"!\[[^]]+\]\((\S+)\)")
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return the variables of an environment that sees kanzoo and all that it needs, and installs into itself."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    own = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    (own / "kanzoo.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")  # with its .pth files
    for command, module in (("pip", "pip"), ("kanzoo", "kanzoo.cli")):
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KANZOO_", "MLFLOW_", "PYTHON", "VIRTUAL_ENV"))}
    return kept | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "COLUMNS": "120", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.mark.slow
def test_every_block_does_what_it_says(environment, tmp_path):
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    assert {language for language, _, _ in blocks} == {"sh", "python", "diff", "text", "yaml"}
    printed = ""
    for (language, name, content), (following, _, expected) in zip(blocks, [*blocks[1:], ("", "", "")], strict=True):
        if language in ("python", "yaml"):
            (tmp_path / name).write_text(content, encoding="utf-8")
        elif language == "diff":
            apply(tmp_path / name, content)
        elif language == "sh":
            printed = run(content, environment, tmp_path, fails=following == "text" and "FAILED" in expected)
        else:
            assert missing(content, printed) == [], printed
    assert {path.name for path in (tmp_path / "runs" / "leaderboard").iterdir()} >= {"index.html", "results.csv", "README.md"}
    assert (tmp_path / "runs" / "plots" / "cardinal.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKS, ids=lambda page: page.stem)
def test_every_walk_prints_what_stands_there(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, attempted = doctest.testfile(str(page), module_relative=False, optionflags=options)
    assert attempted
    assert not failed
    pictures = set(PICTURE.findall(page.read_text(encoding="utf-8")))
    assert pictures == {path.name for path in tmp_path.iterdir()}
    for name in pictures:
        assert 1000 < (page.parent / name).stat().st_size < 150_000
        assert curves(tmp_path / name) == curves(page.parent / name)


# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
@pytest.mark.slow
def test_predictions_are_made_as_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (language, _, commands), (_, _, command), *blocks = BLOCK.findall((TUTORIAL.parent / "predict.md").read_text(encoding="utf-8"))
    assert language == "sh"
    draw = random.Random(0)
    houses = [(draw.uniform(50, 150), draw.randint(1, 6)) for _ in range(120)]
    prices = [3 * area + 20 * rooms for area, rooms in houses]
    for name, head, targets in (
        ("houses", "area,rooms,price", prices),
        ("plants", "area,rooms,kind", ["tall" if p > 360 else "low" for p in prices]),
    ):
        rows = [f"{area},{rooms},{target}" for (area, rooms), target in zip(houses, targets, strict=True)]
        Path(f"{name}.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
        new = [f"7,{rooms},{area}" for area, rooms in houses]  # columns in another order, and one more
        Path(f"new_{name}.csv").write_text("\n".join(["other,rooms,area", *new]), encoding="utf-8")
    assert [cli._code(shlex.split(command)[1:]) for command in commands.splitlines()] == [0, 0]
    found = dict(
        zip(("regression", "classification"), re.findall(r"^Run ([0-9a-f]{32})", capsys.readouterr().out, re.MULTILINE), strict=True)
    )
    assert cli._code(shlex.split(command.replace("1a2b3c4d", found["regression"][:8]))[1:]) in (0, None)
    assert Path("predicted.csv").read_text(encoding="utf-8").startswith("other,rooms,area,predicted_price\n7,")
    for _, _, block in blocks[:2]:
        exec(block, found)
    errors = [abs(float(price) - true) for price, true in zip(found["prices"], prices, strict=True)]
    assert sum(errors) / len(errors) < 20
    assert sum(kind == ("tall" if price > 360 else "low") for kind, price in zip(found["kinds"], prices, strict=True)) > 110
    code = (
        "import sys; sys.modules |= dict.fromkeys(('kanzoo', 'kanzoo_bases', 'kanzoo_tasks'))\n"
        + blocks[2][2]
        + "print(*prices.flatten().tolist())"
    )
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    whole = found["whole"](torch.tensor([[120.0, 4.0], [80.0, 2.0]]))
    assert [float(price) for price in alone] == pytest.approx(whole.flatten().tolist(), rel=1e-5)
    assert float(alone[0]) == pytest.approx(440, abs=40)


def curves(picture):
    """Return the names of the edges that a diagram draws."""
    found = set(re.findall(r'id="(edge-[\d-]+)"', picture.read_text(encoding="utf-8")))
    assert found
    return found


def run(commands, environment, folder, *, fails):
    """Run a block as a shell would, until a command fails; return what is printed."""
    done = subprocess.run(
        ["bash", "-ec", commands], env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == int(fails), done.stdout
    return done.stdout


def apply(path, diff):
    """Replace the lines that begin with - by those that begin with +."""
    old, new = ("".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] == sign) for sign in "-+")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def missing(expected, printed):
    """Return the lines that were not printed; … stands for anything, and spaces and frames do not count."""

    def plain(text):
        return " ".join(re.sub(r"[─│]", " ", text).split())

    lines = [plain(line) for line in printed.splitlines()]
    patterns = {line: ".*".join(map(re.escape, plain(line).split("…"))) for line in expected.splitlines()}
    return [line for line, pattern in patterns.items() if not any(re.search(pattern, printed_line) for printed_line in lines)]


def test_missing_lines_are_told():
    assert missing("a   b\n… c …\n", "x a b\nb c d\n") == []
    assert missing("a c\n", "a b c\n") == ["a c"]


def test_the_interpreter_is_that_of_the_tests(environment):
    command = [Path(environment["PATH"].split(":")[0]) / "python", "-c", "import kanzoo, sys; print(kanzoo.__file__, sys.version)"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    import kanzoo

    assert printed.strip() == f"{kanzoo.__file__} {sys.version}"
