"""The hooks of pytest-deploygate. A `conftest.py` at the top of a repository or in `suites/` can implement any of them.

So can plugins in a pytest run with `--inventory`. Hooks are called by those runs, by `deploygate decide` and by
`deploygate rollback`, each implementation separately: an error in one is printed, written to the journal, and does
not stop the others. A hook never changes a verdict and never makes anything good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every pytest run imports this file, even without the gate
    from pytest_deploygate.checks.way_back.section.rollback import QuickFix, Step
    from pytest_deploygate.model import Decision, Finding


@pytest.hookspec
def pytest_deploygate_classify(finding: Finding) -> str | None:
    """Add information to a finding that is not good: a cause, an owner, a link to a runbook.

    Called by a run, once for each such finding when an incident opens. All implementations are called; their answers are
    shown in the report. Without one nothing is added; one that raises adds nothing.
    """


@pytest.hookspec
def pytest_deploygate_quickfix(items: Sequence[str]) -> QuickFix | None:
    """Offer a quick fix for the red items, after those of the inventory. None: no fix to offer.

    Called by `deploygate decide --quick-fix`. Without one, or if it raises, only those of the inventory exist.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rerun(items: Sequence[str]) -> Sequence[str] | None:
    """Return the items that a re-run must measure in addition to the red ones, which are always measured.

    Called by `deploygate decide --rerun`, `--wait --measure` and after a quick fix. Without an answer: those that
    depend on the red ones, and the inventory's invariants.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_decide(decision: Decision) -> str | None:
    """Decide GO, HOLD or ROLLBACK in place of a person; the answer is journalled as the hook's.

    Called by a run, while an incident is assessed. It can be as strict as the rules or stricter, never milder: GO over
    a HOLD is refused and reported. ROLLBACK by itself executes nothing. Without an answer, or if it raises, people decide.
    """


@pytest.hookspec
def pytest_deploygate_rollback_steps() -> Sequence[Step] | None:
    """Add steps to the runbook; they run after those of the inventory, in the order of the plugins.

    Called by `deploygate rollback`, by `--rollback=execute` and by the check of `day.rollback-plan`. Without one
    there are only the inventory's steps. If it raises, or returns something that is not a Step, nothing is begun: steps
    would be missing.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rollback_execute(step: Step) -> str | None:
    """Do a step instead of the inventory's action. Return what went wrong, or an empty text if it was done.

    Called for each step that is not done yet. If all return None, the inventory's action runs. It must be safe to call
    again after a crash unless the step sets `idempotent: false`. If it raises, the step has failed.
    """


@pytest.hookspec(firstresult=True)
def pytest_deploygate_rollback_verify(step: Step) -> bool | None:
    """Tell whether a step has taken effect.

    Called if the step has no verification of its own. If all return None, or one raises, the step was NOT verified and
    the rollback has not succeeded.
    """


@pytest.hookspec
def pytest_deploygate_post_rollback(verified: bool, tasks: Sequence[str]) -> None:
    """Called when a rollback has ended. `verified` is false if a step failed; `tasks` are the remaining tasks.

    Called each time `deploygate rollback execute` or `--rollback=execute` ends. Without one, or if it raises, nothing
    changes.
    """


@pytest.hookspec
def pytest_deploygate_notify(event: str, text: str) -> None:
    """Notify people: an incident opened, a deadline passed, a rollback began or ended.

    Called by runs, `decide` and `rollback`, at least once for each event, after a crash possibly twice. `event` is one
    of `opened`, `deadline`, `decided`, `rollback begun`, `rollback ended`. Without one nobody is notified; an error is
    recorded and nothing waits for it.
    """


@pytest.hookspec
def pytest_deploygate_report_section() -> tuple[str, str] | None:
    """Add a section to the report: its title and its text (plain text; paragraphs separated by an empty line).

    Called at the end of a run and stored in the journal, so that the report can be rebuilt. Without one, or if it
    raises, there is no section. It does not influence the decision.
    """
