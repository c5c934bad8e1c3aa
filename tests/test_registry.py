import pickle
import subprocess
import sys

import pytest

from kanzoo.errors import InvalidInput, suggest
from kanzoo.registry import find, plugins


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a distribution with entry points on the path, as an installer would."""
    count = 0

    def install(distribution, points, *, group="kanzoo.bases", version="1.0", modules=None):
        nonlocal count
        count += 1
        site = tmp_path / f"site{count}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", encoding="utf-8")
        lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        for module, source in (modules or {}).items():
            (site / f"{module}.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(site)
        plugins.cache_clear()

    before = set(sys.modules)
    yield install
    plugins.cache_clear()
    for module in set(sys.modules) - before:
        if module.startswith("kanzoo_fake"):
            del sys.modules[module]


def test_built_in_bases_are_registered():
    assert {"bspline", "chebyshev", "fourier", "gaussian_rbf", "jacobi", "legendre", "wav_kan", "wavelet"} <= set(plugins("basis"))
    plugin = find("basis", "chebyshev")
    assert (plugin.kind, plugin.name, plugin.target) == ("basis", "chebyshev", "kanzoo_bases.chebyshev:Chebyshev")
    assert plugin.distribution == "kanzoo"
    assert plugin.load().__name__ == "Chebyshev"


def test_stranger_is_found_and_loaded(install):
    install("kan-fake", {"mexican_hat": "kanzoo_fake_hat:Hat"}, version="2.3", modules={"kanzoo_fake_hat": "class Hat: pass"})
    plugin = find("basis", "mexican_hat")
    assert (plugin.distribution, plugin.version) == ("kan-fake", "2.3")
    assert "kanzoo_fake_hat" not in sys.modules
    assert plugin.load().__name__ == "Hat"
    assert "mexican_hat" not in plugins("task")


def test_tasks_have_their_own_group(install):
    install("kan-fake", {"riddle": "kanzoo_fake_riddle:Riddle"}, group="kanzoo.tasks")
    assert find("task", "riddle").kind == "task"
    assert "riddle" not in plugins("basis")


def test_two_distributions_with_one_name_are_both_named(install):
    install("kan-one", {"hat": "kanzoo_fake_one:Hat"}, version="1.1")
    install("kan-two", {"hat": "kanzoo_fake_two:Hat"}, version="2.2")
    with pytest.raises(InvalidInput, match="basis 'hat' is registered by") as caught:
        find("basis", "hat")
    assert "kan-one 1.1" in caught.value.message
    assert "kan-two 2.2" in caught.value.message
    assert caught.value.hint == "Uninstall one of them."
    assert find("basis", "chebyshev").distribution == "kanzoo"  # the others still work


def test_nobody_replaces_a_built_in_silently(install):
    install("kan-fake", {"chebyshev": "kanzoo_fake_cheb:Chebyshev"})
    with pytest.raises(InvalidInput, match=r"kan-fake 1\.0") as caught:
        find("basis", "chebyshev")
    assert "kanzoo " in caught.value.message


def test_distribution_that_is_listed_twice_is_no_conflict(install):
    for _ in range(2):
        install("kan-fake", {"hat": "kanzoo_fake_hat:Hat"})
    assert find("basis", "hat").distribution == "kan-fake"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import kanzoo_fake_missing", "ModuleNotFoundError: No module named 'kanzoo_fake_missing'"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("class Other: pass", "AttributeError"),
        ("class Hat", "SyntaxError"),
    ],
)
def test_broken_plugin_never_breaks_listing(install, source, cause):
    install("kan-broken", {"hat": "kanzoo_fake_broken:Hat"}, modules={"kanzoo_fake_broken": source})
    assert {"hat", "chebyshev"} <= set(plugins("basis"))
    with pytest.raises(InvalidInput, match=r"basis 'hat' of kan-broken 1\.0 cannot be imported from kanzoo_fake_broken:Hat") as caught:
        find("basis", "hat").load()
    assert cause in caught.value.hint


def test_unknown_name_suggests():
    with pytest.raises(InvalidInput, match="unknown basis 'chebychev'") as caught:
        find("basis", "chebychev")
    assert caught.value.hint.startswith("Did you mean 'chebyshev'? Installed: ")
    assert "bspline, bsrbf, chebyshev" in caught.value.hint
    with pytest.raises(InvalidInput, match="unknown task 'zzz'") as caught:
        find("task", "zzz")
    assert caught.value.hint.startswith("Installed: ")


def test_nothing_to_suggest():
    assert suggest("x", [], "Installed") == "Installed: none"


def test_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(InvalidInput("a", "b")))
    assert (error.message, error.hint, str(error)) == ("a", "b", "a")
    assert isinstance(error, ValueError)


def test_listing_imports_no_plugin():
    code = (
        "import sys; from kanzoo.registry import plugins; plugins('basis'), plugins('task'); print({'torch', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
