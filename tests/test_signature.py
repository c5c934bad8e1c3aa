import subprocess
import sys
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf

from kanzoo.errors import InvalidInput
from kanzoo.registry import Plugin, find, plugins
from kanzoo.signature import Argument, arguments, arguments_of, check_values, checked, class_constant

NAMES = sorted(plugins("basis"))


class Family:
    @checked
    def __init__(
        self,
        in_features: int,
        *,
        degree: Annotated[int, Ge(1)] = 8,
        share: Annotated[float, Ge(0), Lt(1)] = 0.5,
        kind: Literal["even", "odd"] = "even",
        widths: Annotated[list[Annotated[int, Ge(1)]], MinLen(2)] = [1, 1],  # noqa: B006
        limit: Annotated[int, Gt(0)] | None = None,
    ) -> None:
        self.values = (in_features, degree, share, kind, widths, limit)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"degree": 0}, "degree must be >= 1, got 0"),
        ({"share": 1.0}, "share must be >= 0 and < 1, got 1.0"),
        ({"share": -0.1}, "share must be >= 0 and < 1, got -0.1"),
        ({"kind": "odd?"}, r"kind must be one of even, odd, got 'odd\?'"),
        ({"widths": [3]}, r"widths must be of length >= 2, got \[3\]"),
        ({"widths": [3, 0]}, r"widths must be >= 1, got 0 in \[3, 0\]"),
        ({"limit": 0}, "limit must be > 0, got 0"),
    ],
)
def test_rules_are_enforced(values, message):
    with pytest.raises(ValueError, match=message):
        Family(2, **values)
    with pytest.raises(InvalidInput, match=f"^basis.{message}"):
        check_values(arguments_of(Family, "family"), values, "basis.")


def test_allowed_values_pass():
    assert Family(2, degree=1, share=0, kind="odd", widths=[3, 4]).values == (2, 1, 0, "odd", [3, 4], None)
    check_values(arguments_of(Family, "family"), {"degree": 1, "unknown": -5}, "")


def test_wrong_argument_is_a_type_error():
    with pytest.raises(TypeError, match="degre"):
        Family(2, degre=3)


def test_checked_keeps_name_and_docstring():
    assert Family.__init__.__name__ == "__init__"
    assert list(arguments_of(Family, "family")) == ["degree", "share", "kind", "widths", "limit"]


def test_arguments_in_words():
    found = arguments_of(Family, "family")
    assert found["degree"].rules == ">= 1"
    assert found["share"].rules == ">= 0 and < 1"
    assert found["kind"].rules == ""
    assert found["degree"].plain_type is int
    assert found["widths"].plain_type == list[int]
    assert found["degree"].default == 8


@pytest.mark.parametrize(
    ("rule", "words", "good", "bad"),
    [
        (Ge(1), ">= 1", 1, 0),
        (Gt(1), "> 1", 2, 1),
        (Le(1), "<= 1", 1, 2),
        (Lt(1), "< 1", 0, 1),
        (MinLen(1), "of length >= 1", [1], []),
        (MaxLen(1), "of length <= 1", [1], [1, 2]),
        (MultipleOf(2), "a multiple of 2", 4, 3),
    ],
)
def test_each_rule(rule, words, good, bad):
    argument = Argument("x", Annotated[object, rule], None)
    assert argument.rules == words
    assert argument.violation(good) is None
    assert argument.violation(bad) == f"must be {words}, got {bad!r}"
    assert argument.violation(None) is None


class AnyKeywords:
    def __init__(self, **options) -> None: ...


class AnyPositions:
    def __init__(self, *sizes) -> None: ...


class NoDefault:
    def __init__(self, *, degree: int) -> None: ...


class NoType:
    def __init__(self, *, degree=3) -> None: ...


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (AnyKeywords, r"x takes \*\*options, which cannot be checked"),
        (AnyPositions, r"x takes \*sizes, which cannot be checked"),
        (NoDefault, "argument 'degree' of x must have a type and a default"),
        (NoType, "argument 'degree' of x must have a type and a default"),
    ],
)
def test_what_cannot_be_a_schema_is_refused(cls, message):
    with pytest.raises(InvalidInput, match=message):
        arguments_of(cls, "x")


@pytest.mark.parametrize("name", NAMES)
def test_source_and_import_agree(name):
    plugin = find("basis", name)
    from_source, imported = arguments(plugin), arguments_of(plugin.load(), name)
    assert list(from_source) == list(imported)
    for key, argument in from_source.items():
        assert argument.default == imported[key].default
        assert argument.plain_type == imported[key].plain_type
        assert argument.rules == imported[key].rules


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_read_from_the_source(name):
    plugin = find("basis", name)
    assert class_constant(plugin, "reference") == plugin.load().reference
    assert class_constant(plugin, "no_such_thing") is None


def test_source_is_read_without_an_import():
    code = (
        "import sys\n"
        "from kanzoo.registry import plugins\n"
        "from kanzoo.signature import arguments, class_constant\n"
        "found = [arguments(one) for same in plugins('basis').values() for one in same]\n"
        "[class_constant(one, 'reference') for same in plugins('basis').values() for one in same]\n"
        "print(len(found), {'torch', 'pywt', 'kanzoo_bases.chebyshev'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"{len(NAMES)} set()"


SOURCES = {
    "plain": """
class Thing:
    kind: str = 'a'
    size = SIZE = 3
    def __init__(self, *, n: Annotated[int, Ge(1)] = 2, s: 'str' = 'x'): ...
""",
    "pairs": """
class Thing:
    kind, size, = 'a', 3
    first, second = pair()
    def __init__(self, *, n: int = 2): ...
""",
    "computed": """
SIZE = 3
class Thing:
    kind = str(SIZE)
    undecided: int
    def __init__(self, *, n: int = SIZE, m: int = 1): ...
""",
    "variable": "class Thing:\n    def __init__(self, **options): ...",
    "inherited": "class Base:\n    def __init__(self, *, n: int = 2): ...\nclass Thing(Base): ...",
}


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def make(kind):
        head = "from typing import Annotated\nfrom annotated_types import Ge\n"
        (tmp_path / f"kanzoo_signature_{kind}.py").write_text(head + SOURCES[kind], encoding="utf-8")
        return Plugin("basis", kind, f"kanzoo_signature_{kind}:Thing", "dist", "1.0")

    yield make
    for kind in SOURCES:
        sys.modules.pop(f"kanzoo_signature_{kind}", None)


def test_source_alone_suffices_for_plain_arguments(make):
    plugin = make("plain")
    found = arguments(plugin)
    assert {name: (argument.plain_type, argument.default, argument.rules) for name, argument in found.items()} == {
        "n": (int, 2, ">= 1"),
        "s": (str, "x", ""),
    }
    assert (class_constant(plugin, "kind"), class_constant(plugin, "size"), class_constant(plugin, "SIZE")) == ("a", 3, 3)
    assert "kanzoo_signature_plain" not in sys.modules


def test_class_constants_in_one_line_are_read(make):
    plugin = make("pairs")
    assert (class_constant(plugin, "kind"), class_constant(plugin, "size"), class_constant(plugin, "first")) == ("a", 3, None)


def test_a_class_without_a_constructor_has_no_arguments():
    assert arguments_of(type("Thing", (), {}), "thing") == {}


def test_computed_defaults_need_the_import(make):
    plugin = make("computed")
    assert {name: argument.default for name, argument in arguments(plugin).items()} == {"n": 3, "m": 1}
    assert class_constant(plugin, "kind") is None
    assert class_constant(plugin, "undecided") is None


def test_inherited_constructor_needs_the_import(make):
    assert list(arguments(make("inherited"))) == ["n"]


def test_variable_arguments_are_refused(make):
    with pytest.raises(InvalidInput, match=r"variable takes \*\*options"):
        arguments(make("variable"))


def test_missing_module_is_told():
    plugin = Plugin("basis", "gone", "kanzoo_no_such_module:Thing", "dist", "1.0")
    with pytest.raises(InvalidInput, match=r"basis 'gone' of dist 1\.0 cannot be imported") as caught:
        arguments(plugin)
    assert "ModuleNotFoundError" in caught.value.hint
