"""What the terminal shows of a plug-in: its page with a picture, and how it fares against its contract."""

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kanzoo import registry
from kanzoo.catalogue import by_family, words
from kanzoo.errors import InvalidInput, suggest
from kanzoo.plain_yaml import parse
from kanzoo.registry import Plugin
from kanzoo.section import cell_schema
from kanzoo.signature import class_constant
from kanzoo.terminal import console, defaults, new_table, say, short

if TYPE_CHECKING:
    from kanzoo.testing import CheckResult

#: Formats of a picture.
SUFFIXES = (".svg", ".png", ".pdf")


def given(plugin: Plugin, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that overrides such as `basis.degree=5` fill in; nothing is imported for it.

    Raises:
        InvalidInput: a key is unknown, or a value is of the wrong type or out of range.
    """
    schema, found = cell_schema(plugin.kind, plugin.name), {}
    for override in overrides:
        key, _, text = override.partition("=")
        section, _, name = key.partition(".")
        if section != plugin.kind or name not in schema:
            known = [f"{plugin.kind}.{name}" for name in schema]
            raise InvalidInput(f"unknown key {key!r} of {plugin.kind} {plugin.name!r}", suggest(key, known, "Keys"))
        value = parse(text, key)
        if wrong := schema[name].mismatch(value) or schema[name].violation(value):
            raise InvalidInput(f"{key} {wrong}")
        found[name] = value
    return found


def bases() -> None:
    """Print the registered bases by family; none is imported."""
    table = new_table("name", "distribution", "function", "support", "arguments", title="Bases")
    for family, names in by_family().items():
        table.add_section()
        table.add_row(Text(family, "bold"))
        for name in names:
            owners = registry.plugins("basis")[name]
            plugin = owners[0]
            try:
                if len(owners) > 1:
                    raise InvalidInput("registered more than once")
                shown, style = defaults(plugin), ""
            except InvalidInput as error:
                shown, style = error.message, "red"
            formula, support = (str(class_constant(plugin, key) or "") for key in ("formula", "support"))
            distribution = f"{plugin.distribution} {plugin.version}"
            table.add_row(Text(f"  {name}"), Text(distribution), Text(formula), Text(support), Text(shown, style))
    console.print(table)


def facts() -> None:
    """Print the registered bases by family with what is measured of them; one that cannot be imported is shown in red."""
    from kanzoo.facts import measure

    table = new_table("name", "K", "support", "order", "parameters an edge", "operations an edge", "reference", title="Bases")
    for family, names in by_family().items():
        table.add_section()
        table.add_row(Text(family, "bold"))
        for name in names:
            try:
                cls = registry.find("basis", name).load()
                row = [*words(measure(cls)), cls.reference]
            except Exception as error:  # a stranger's code may raise anything
                row = ["", "", "", "", "", Text(f"{type(error).__name__}: {error}", "red")]
            table.add_row(Text(f"  {name}"), *row)
    console.print(table)
    say("Of a dense layer of 64 inputs and outputs without residual branch; a plain linear layer has 1 parameter and 2 operations an edge.")


def picture(plugin: Plugin, out: Path | None) -> Path:
    """Return the file to draw a basis into: `out`, or one of its name in runs/plots.

    Raises:
        InvalidInput: the suffix is none of the formats, or the plug-in is no basis.
    """
    if out is None:
        return Path("runs/plots", re.sub(r"[^\w-]", "_", plugin.name)).with_suffix(".svg")
    if plugin.kind != "basis":
        raise InvalidInput(f"--out needs a basis to draw, got the {plugin.kind} {plugin.name!r}")
    if out.suffix not in SUFFIXES:
        raise InvalidInput(f"--out must end in {', '.join(SUFFIXES)}, got {str(out)!r}")
    return out


def show(plugin: Plugin, arguments: Mapping[str, Any], path: Path) -> None:
    """Print formula, arguments and facts of a plug-in; draw a basis into a file.

    Raises:
        InvalidInput: it cannot be imported or built, or the file cannot be written.
    """
    cls = plugin.load()
    text, meanings, reference = _documentation(inspect.getdoc(cls) or "no documentation")
    facts = _draw(plugin, cls, arguments, text, path) if plugin.kind == "basis" else _facts_of_task(cls)
    console.rule(Text(f"{plugin.name}  ({plugin.distribution} {plugin.version}, {plugin.target})"))
    say(text)
    say("")
    table = new_table("argument", "type", "default", "rule", "meaning", title="Arguments")
    for argument in cell_schema(plugin.kind, plugin.name).values():
        plain = argument.plain_type
        kind = plain.__name__ if type(plain) is type else str(plain).replace("typing.", "")
        default = short(argument.default) if argument.name not in arguments else f"{short(arguments[argument.name])} (given)"
        row = (argument.name, kind, default, argument.rules, meanings.get(argument.name, ""))
        table.add_row(*map(Text, row))
    console.print(table)
    for name, value in ({"reference": reference or getattr(cls, "reference", "")} | facts).items():
        if value != "":
            say(f"{name + ':':<12}{value}")


def check(plugin: Plugin, arguments: Mapping[str, Any], data_dir: Path | None) -> bool:
    """Run the conformance suite on a plug-in, print each check, and what is wrong; return whether all passed."""
    from kanzoo.testing import basis_checks, check_basis, check_task, task_checks

    rules = {check.name: check.rule for check in (*basis_checks(), *task_checks())}
    results = (
        check_basis(plugin.name, arguments, raise_on_failure=False)
        if plugin.kind == "basis"
        else check_task(plugin.name, arguments, data_dir, raise_on_failure=False)
    )
    table = new_table("check", "result", "seconds", title=Text(f"{plugin.name} against the contract of a {plugin.kind}"))
    for result in results:
        verdict = Text("passed", "green") if result.passed else Text("FAILED", "bold red")
        table.add_row(Text(result.name), verdict, f"{result.seconds:.2f}")
    console.print(table)
    failed = [result for result in results if not result.passed]
    same: dict[str, list[str]] = {}  # an error of the plug-in itself breaks many rules: it is shown once
    for result in failed:
        error = re.search(r"\b\w+(?:Error|Exception): .*", result.got or result.message, re.DOTALL)
        named = same.setdefault(error[0] if error else result.name, [])
        named.append(result.name)
        if len(named) == 1:
            _failure(result, rules.get(result.name, ""))
    for first, *others in same.values():
        if others:
            say(f"The error of {first} is that of {', '.join(others)} too.")
    good = len(results) - len(failed)
    say(f"{plugin.name}: {good} of {len(results)} checks hold, {sum(result.seconds for result in results):.1f} s.")
    return not failed


def _failure(result: "CheckResult", rule: str) -> None:
    console.print(Text(f"{result.name}: {rule}", "bold red"), soft_wrap=True)
    block = Table.grid(padding=(0, 2))
    lines = (("rule", result.rule), ("got", result.got), ("smallest", result.smallest)) if result.rule else (("error", result.message),)
    for name, value in lines:
        if value:
            block.add_row(Text(name, "dim"), Text(value))
    console.print(Padding(block, (0, 0, 1, 2)))


def _documentation(doc: str) -> tuple[str, dict[str, str], str]:
    """Return a docstring's text above its sections, what its section Args says of each argument, and its section Reference."""
    text, *sections = re.split(r"\n\n?(?=(?:Args|Attributes|Example|Examples|Raises|Reference|References|Returns):\n)", doc)
    args, reference = (
        next((section.partition("\n")[2] for section in sections if section.startswith(title)), "") for title in ("Args:", "Reference")
    )
    entries = re.findall(r"^ {4}(\w+)[^:\n]*: (.*(?:\n {5,}.*)*)", args, re.MULTILINE)
    return text.strip(), {name: " ".join(meaning.split()) for name, meaning in entries}, " ".join(reference.split())


def _draw(plugin: Plugin, cls: type, arguments: Mapping[str, Any], text: str, path: Path) -> dict[str, object]:
    """Draw a basis, and return the facts that only an instance knows."""
    from kanzoo.basis import EdgeBasis
    from kanzoo.plot import EDGES, plot_basis

    edge = issubclass(cls, EdgeBasis)
    chosen = {name: arguments.get(name, one.default) for name, one in cell_schema("basis", plugin.name).items()}
    try:
        basis = cls(1, EDGES, **arguments) if edge else cls(1, **arguments)
        functions = "one function an edge" if edge else f"K = {basis.num_basis}"
        words = [functions, *(f"{name} = {value}" for name, value in chosen.items()), cls.reference]  # type: ignore[attr-defined]
        path.parent.mkdir(parents=True, exist_ok=True)
        plot_basis(basis, path, title=plugin.name, facts="  ·  ".join(words), formula=text.split("\n\n")[0])
    except OSError as error:
        raise InvalidInput(f"--out must be a file that can be written, got {str(path)!r}: {error.strerror or error}") from error
    except Exception as error:  # a stranger's code may raise anything
        raise InvalidInput(f"basis {plugin.name!r} cannot be drawn, got {type(error).__name__}: {error}", "See kanzoo check.") from error
    low, high = basis.domain
    return {
        "domain": f"[{low:g}, {high:g}]",
        **(
            {"functions": "one an edge, with trainable numbers inside"}
            if edge
            else {
                "K": f"{basis.num_basis} function{'s' * (basis.num_basis > 1)}, refined by {basis.resolution or 'nothing'}",
                "support": basis.support,
                "order": "spectral or unknown" if basis.order is None else basis.order,
            }
        ),
        "picture": path,
    }


def _facts_of_task(cls: type) -> dict[str, object]:
    return {name: getattr(cls, name) for name in ("score", "direction", "version") if hasattr(cls, name)}
