"""What bases there are: grouped by family, with facts that are measured, as a page with pictures. Imports stay inside the functions."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kanzoo.registry import Plugin, find, plugins
from kanzoo.signature import class_constant

if TYPE_CHECKING:
    from kanzoo.facts import Facts

_INTRODUCTION = """# Bases

Every basis that is registered, by family. Each edge of a layer learns a combination of a basis's functions (of an *edge basis*: one
function with trainable numbers inside). `kanzoo show NAME` draws one large, with its derivatives, arguments and what they mean.

**Safe defaults** are the families `spline` and `radial`: their functions are local, or nearly so, and do not oscillate. A coefficient then
acts on a part of the domain alone, gradients stay of the size of the function, a grid can be refined where data lie, and an error in one
place stays there. Polynomials and periodic functions are global: cheap, and exact to many digits on smooth functions, but high degrees
oscillate between samples and are steep at the ends, so that deep networks of them want small degrees and inputs that are kept inside the
domain. Wavelets oscillate by nature. What is true of your data the [leaderboard](../leaderboard/README.md) knows better than a rule.

K is the number of functions an edge at the default arguments. Parameters and operations are those of one edge in a dense layer of 64
inputs and outputs, without residual branch, what is shared by its share; a plain linear layer has 1 and 2. An exp or sin counts 10
operations (`kanzoo.operations`). The order p says how fast the best error falls with the cell size h, as h^p.

This page is made by `kanzoo catalogue --out bases`.
"""


def by_family() -> dict[str, list[str]]:
    """Return the names of the registered bases by family, nothing imported; those that name none are `other`, the last.

    Example:
        >>> "chebyshev" in by_family()["polynomial"]
        True
    """
    groups: dict[str, list[str]] = {}
    for name, owners in plugins("basis").items():
        groups.setdefault(family(owners[0]), []).append(name)
    return {key: groups[key] for key in sorted(groups, key=lambda key: (key == "other", key))}


def family(plugin: Plugin) -> str:
    """Return the family of a basis without importing it."""
    return str(class_constant(plugin, "family") or "other")


def write(folder: Path) -> Path:
    """Write README.md with all bases into a folder, and a picture of each into its `pictures`; return the page.

    Raises:
        InvalidInput: a basis cannot be imported.
    """
    from kanzoo.basis import EdgeBasis
    from kanzoo.plot import EDGES, draw_functions

    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for name in plugins("basis"):
        cls = find("basis", name).load()
        draw_functions(cls(1, EDGES) if issubclass(cls, EdgeBasis) else cls(1), pictures / f"{name}.svg")
    page = folder / "README.md"
    page.write_text(markdown(), encoding="utf-8")
    return page


def markdown() -> str:
    """Return the page.

    Raises:
        InvalidInput: a basis cannot be imported.
    """
    return "\n".join([_INTRODUCTION, *(line for key, names in by_family().items() for line in _section(key, names))])


def _section(key: str, names: list[str]) -> Iterator[str]:
    from kanzoo.facts import measure

    yield f"## {key.capitalize()}\n"
    yield "| basis | | function | K | support | order | parameters | operations | reference |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in names:
        cls = find("basis", name).load()
        facts = measure(cls)
        cells = (
            f"`{name}`",
            f'<img src="pictures/{name}.svg" width="220" alt="functions of {name}">',
            cls.formula.replace("|", "\\|"),
            *words(facts),
            _link(cls.reference),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def words(facts: "Facts") -> tuple[str, str, str, str, str]:
    """Return functions, support, order, parameters and operations as people read them."""
    order = "" if facts.order is None else str(facts.order)
    return (str(facts.num_basis), facts.support or "edge", order, f"{facts.parameters:.3g}", f"{facts.operations:.3g}")


def _link(reference: str) -> str:
    if reference.startswith("arXiv:"):
        return f"[{reference}](https://arxiv.org/abs/{reference.removeprefix('arXiv:')})"
    if reference.startswith("doi:"):
        return f"[{reference}](https://doi.org/{reference.removeprefix('doi:')})"
    return reference
