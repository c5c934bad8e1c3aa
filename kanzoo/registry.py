"""Names of plug-ins to classes, by entry point. Listing imports nothing; loading imports only what is named."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from kanzoo.errors import InvalidInput, suggest

Kind = Literal["basis", "task"]
GROUPS: dict[Kind, str] = {"basis": "kanzoo.bases", "task": "kanzoo.tasks"}


@dataclass(frozen=True)
class Plugin:
    """A registered class that is not imported yet.

    Attributes:
        kind: `basis` or `task`.
        name: its registry name.
        target: `module:Class`.
        distribution: the installed distribution that registers it.
        version: that distribution's version.
    """

    kind: Kind
    name: str
    target: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import and return the class.

        Raises:
            InvalidInput: the plug-in cannot be imported; the hint holds its own error.
        """
        try:
            return EntryPoint(self.name, self.target, GROUPS[self.kind]).load()
        except InvalidInput:
            raise
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything
            raise InvalidInput(
                f"{self.kind} {self.name!r} of {self.distribution} {self.version} cannot be imported from {self.target}",
                f"{type(error).__name__}: {error}",
            ) from error


@cache
def plugins(kind: Kind) -> dict[str, list[Plugin]]:
    """Return all registered plug-ins of a kind, by name; more than one under a name is a conflict."""
    found: dict[str, list[Plugin]] = {}
    for point in sorted(entry_points(group=GROUPS[kind]), key=lambda point: point.name):
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        plugin = Plugin(kind, point.name, point.value, distribution, version)
        rivals = found.setdefault(point.name, [])
        if plugin not in rivals:  # an editable install may be listed twice
            rivals.append(plugin)
    return found


def find(kind: Kind, name: str) -> Plugin:
    """Return the plug-in of this name.

    Raises:
        InvalidInput: the name is unknown, or two distributions claim it.
    """
    known = plugins(kind)
    if name not in known:
        raise InvalidInput(f"unknown {kind} {name!r}", suggest(name, known, "Installed"))
    if len(known[name]) > 1:
        owners = " and ".join(f"{plugin.distribution} {plugin.version}" for plugin in known[name])
        raise InvalidInput(f"{kind} {name!r} is registered by {owners}", "Uninstall one of them.")
    return known[name][0]
