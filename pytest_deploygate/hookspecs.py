"""The hooks of pytest-deploygate. A `conftest.py` at the top of a repository or in `suites/` implements any of them.

In a pytest run with `--inventory` plugins may, too. They are called by those runs, by `deploygate decide` and by
`deploygate rollback`, each implementation by itself: an error in one is said, written to the journal, and stops no
other. It never changes a verdict, and never makes anything good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every pytest run reads this file, also those that gate nothing
    from pytest_deploygate.checks.way_back.section.rollback import QuickFix, Step
    from pytest_deploygate.model import Decision, Finding


@pytest.hookspec
def pytest_deploygate_classify(finding: Finding) -> str | None:
    """Say more about a finding that is not good: a cause, an owner, a link to a runbook.

    Called by a run, once for each such finding when an incident opens. All implementations are asked; what they say
    stands in the report. Without one nothing is added; one that raises adds nothing.
    """


@pytest.hookspec
def pytest_deploygate_quickfix(items: Sequence[str]) -> QuickFix | None:
    """Offer a quick fix for the red items, after those of the inventory. None: nothing to offer.

    Called by `deploygate decide --quick-fix`. Without one, or where it raises, there are those of the inventory.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rerun(items: Sequence[str]) -> Sequence[str] | None:
    """Say which items a re-run has to measure beside the red ones, which are always measured.

    Called by `deploygate decide --rerun`, `--wait --measure` and after a quick fix. Without an answer: those that
    depend on the red ones, and the invariants of the inventory.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_decide(decision: Decision) -> str | None:
    """Say GO, HOLD or ROLLBACK in the place of a person who is asked; the answer is journalled as the hook's.

    Called by a run, while an incident is assessed. It can be as strict as the rules or stricter, never milder: GO over
    a HOLD is refused and said. ROLLBACK executes nothing by itself. Without an answer, or where it raises, people decide.
    """


@pytest.hookspec
def pytest_deploygate_rollback_steps() -> Sequence[Step] | None:
    """Give further steps of the runbook; they come after those of the inventory, in the order of the plugins.

    Called by `deploygate rollback`, by `--rollback=execute` and by the check of `day.rollback-plan`. Without one the
    inventory's steps are all. Where it raises, or gives what is no Step, nothing is begun: steps would be missing.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rollback_execute(step: Step) -> str | None:
    """Do a step in place of what the inventory says. Return what went wrong, or an empty text when it was done.

    Called for each step that is not done yet. None from everybody: the inventory's action is taken. It must bear being
    called again after a crash unless the step says `idempotent: false`. Where it raises the step has failed.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rollback_verify(step: Step) -> bool | None:
    """Say whether a step has taken.

    Called where the step has no verification of its own. None from everybody, or where it raises, means that it was
    NOT verified, and the rollback has not succeeded.
    """


@pytest.hookspec
def pytest_deploygate_post_rollback(verified: bool, tasks: Sequence[str]) -> None:
    """Be told that a rollback ended. `verified` is false when a step failed; `tasks` are the tasks that remain.

    Called at the end of `deploygate rollback execute` and of `--rollback=execute`, each time. Without one, or where
    it raises, nothing is different.
    """


@pytest.hookspec
def pytest_deploygate_notify(event: str, text: str) -> None:
    """Pass on what people must know: an incident opened, a deadline passed, a rollback began or ended.

    Called by runs, `decide` and `rollback`, at least once for each event: after a crash maybe twice. `event` is one of
    `opened`, `deadline`, `decided`, `rollback begun`, `rollback ended`. Without one nobody is told by us; an error is
    written down and nothing waits for it.
    """


@pytest.hookspec
def pytest_deploygate_report_section() -> tuple[str, str] | None:
    """Give a section of the report: its title and its text (plain text; paragraphs with an empty line between).

    Called at the end of a run and kept in the journal, so that the report can be made again. Without one, or where it
    raises, there is no section. It has no say in the decision.
    """
