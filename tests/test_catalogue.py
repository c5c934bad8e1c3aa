from pathlib import Path

import pytest

from kanzoo import catalogue
from kanzoo.registry import plugins
from kanzoo.signature import class_constant

PAGE = Path(__file__).parent.parent / "bases" / "README.md"
OURS = [name for name, owners in plugins("basis").items() if owners[0].distribution == "kanzoo"]


def test_each_basis_is_in_one_family() -> None:
    names = [name for group in catalogue.by_family().values() for name in group]
    assert sorted(names) == sorted(plugins("basis"))


@pytest.mark.parametrize("name", OURS)
def test_ours_name_family_formula_and_reference(name: str) -> None:
    plugin = plugins("basis")[name][0]
    assert catalogue.family(plugin) != "other"
    assert class_constant(plugin, "formula")
    assert class_constant(plugin, "reference")


def test_a_page_has_each_basis_with_its_picture(tmp_path: Path) -> None:
    page = catalogue.write(tmp_path / "made").read_text(encoding="utf-8")
    for name in plugins("basis"):
        assert f"| `{name}` |" in page
        assert (tmp_path / "made" / "pictures" / f"{name}.svg").read_text(encoding="utf-8").count("<path") > 2


@pytest.mark.skipif(sorted(plugins("basis")) != sorted(OURS), reason="another distribution has registered a basis")
def test_the_committed_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == catalogue.markdown()
    assert {path.stem for path in (PAGE.parent / "pictures").glob("*.svg")} == set(OURS)
