"""The hooks of pytest-deploygate. A `conftest.py` at the top of a repository, or a plugin, implements any of them.

They are called by pytest runs with `--inventory` and by `deploygate decide` and `deploygate rollback`. An error in an
implementation is written to the journal; it never changes a verdict, and never makes one good.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_deploygate.inventory.rollback import QuickFix, Step
from pytest_deploygate.model import Decision, Finding


@pytest.hookspec
def pytest_deploygate_classify(finding: Finding) -> str | None:
    """Say more about a finding that is not good, when an incident opens: a cause, an owner, a link to a runbook.

    All implementations are asked; what they return stands beside the finding. Without one nothing is added.
    """


@pytest.hookspec
def pytest_deploygate_quickfix(items: Sequence[str]) -> QuickFix | None:
    """Offer a quick fix for the red items, after those of the inventory. None: nothing to offer."""


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rerun(items: Sequence[str]) -> Sequence[str] | None:
    """Say which items a re-run has to measure. Without an answer: the red ones, what they depend on, the invariants."""


@pytest.hookspec(firstresult=True)
def pytest_deploygate_decide(decision: Decision) -> str | None:
    """Say GO, HOLD or ROLLBACK in the place of a person who is asked; the answer is journalled as the hook's.

    It can make a decision stricter, never better: GO over a HOLD is refused. Without an answer people decide.
    """


@pytest.hookspec
def pytest_deploygate_rollback_steps() -> Sequence[Step] | None:
    """Give further steps of the runbook; they come after those of the inventory, in the order of the plugins."""


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rollback_execute(step: Step) -> str | None:
    """Do a step in place of its `run`, `dns` or `haproxy`. Return what went wrong, or an empty text when it was done.

    None: not mine. It must bear being called again after a crash unless the step says `idempotent: false`.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rollback_verify(step: Step) -> bool | None:
    """Say whether a step has taken. Asked where the step has no verification of its own; None from everybody means
    that it was NOT verified, and the rollback has not succeeded.
    """


@pytest.hookspec
def pytest_deploygate_post_rollback(verified: bool, tasks: Sequence[str]) -> None:
    """Be told that a rollback ended. `verified` is false when a step failed; `tasks` are the tasks that remain."""


@pytest.hookspec
def pytest_deploygate_notify(event: str, text: str) -> None:
    """Pass on what people must know: an incident opened, a deadline passed, a rollback began or ended.

    It is called at least once for each event: after a crash maybe twice. `event` is one of `opened`, `deadline`,
    `decided`, `rollback begun`, `rollback ended`.
    """


@pytest.hookspec
def pytest_deploygate_report_section() -> tuple[str, str] | None:
    """Give a section of the report: its title and its text (plain text; paragraphs with an empty line between)."""
