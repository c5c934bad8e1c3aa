"""The conformance suite for plug-ins, shipped with the package: it checks the contract and the mathematics.

In a plug-in's own tests one line is enough:

    from kanzoo.testing import parametrize_with_basis_checks

    test_contract = parametrize_with_basis_checks("mexican_hat")

`parametrize_with_task_checks("my_task")` does it for a task. Without pytest, `check_basis("mexican_hat")` and `check_task("my_task")`
do the same. A check is a function that raises AssertionError with name, rule and value, and with the smallest input that shows the
fault where the rule is about inputs. No check leaves a trace in a global random state.
"""

# Checks run in the order in which they are registered, that is, in which these modules are imported.
# isort: off
from kanzoo.testing import contract as contract
from kanzoo.testing import calculus as calculus
from kanzoo.testing import instance as instance
from kanzoo.testing import in_layers as in_layers
from kanzoo.testing import grid_update as grid_update
# isort: on

from kanzoo.testing.broken import Broken
from kanzoo.testing.calculus import ERROR_FACTOR, ERROR_FLOOR, ORDER_TOLERANCE, RANK_TOLERANCE
from kanzoo.testing.check import Check, CheckResult, basis_checks, check_basis, is_a_basis, parametrize_with_basis_checks
from kanzoo.testing.grid_update import UPDATE_TOLERANCE
from kanzoo.testing.in_layers import TRAINING_FACTOR
from kanzoo.testing.subject import Subject
from kanzoo.testing.task import TaskSubject, check_task, parametrize_with_task_checks, task_checks

__all__ = [
    "ERROR_FACTOR",
    "ERROR_FLOOR",
    "ORDER_TOLERANCE",
    "RANK_TOLERANCE",
    "TRAINING_FACTOR",
    "UPDATE_TOLERANCE",
    "Broken",
    "Check",
    "CheckResult",
    "Subject",
    "TaskSubject",
    "basis_checks",
    "check_basis",
    "check_task",
    "is_a_basis",
    "parametrize_with_basis_checks",
    "parametrize_with_task_checks",
    "task_checks",
]
