"""The tools of `kanzoo.inspect` on a recorded run: its task is rebuilt, the network looked at or changed, and the outcome recorded."""

from kanzoo.inspection.record import Outcome, inspect
from kanzoo.inspection.subject import Finding, Subject, Tool
from kanzoo.inspection.tools import Attribute, Convert, Coverage, Prune, Refine

__all__ = ["Attribute", "Convert", "Coverage", "Finding", "Outcome", "Prune", "Refine", "Subject", "Tool", "inspect"]
