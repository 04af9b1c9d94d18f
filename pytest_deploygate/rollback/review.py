"""The runbook as the checklist reviews it before the day: linted, every step dry-run, estimated, rehearsed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pytest_deploygate.checks.way_back.judge.rollback_plan import PlanSeen
from pytest_deploygate.checks.way_back.section.rollback import Rollback, Step
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.inventory.contacts import Contact
from pytest_deploygate.model import CannotTell
from pytest_deploygate.rollback import going_back, runbook
from pytest_deploygate.rollback.actions import Tools


def look(section: Rollback, tools: Tools, contacts: Sequence[Contact], at: datetime) -> PlanSeen:
    """Review the runbook without changing anything. Raises CannotTell if a hook fails to return its steps."""
    try:
        following = going_back.steps(section, tools.hooks)
    except going_back.Refusal as refused:
        raise CannotTell(str(refused)) from None
    plan = runbook.plan(section, following, tools)
    known = runbook.rehearsed(section.rehearsals)
    return PlanSeen(
        steps=plan.steps,
        estimate_s=plan.estimate_s,
        problems=plan.problems,
        at=at,
        rehearsed_at=runbook.last_rehearsed(section.rehearsals),
        unrehearsed=tuple(step.name for step in plan.steps if step.name not in known),
        callable_roles=tuple(contact.role for contact in contacts),
        status_only=tuple(
            check.name for check in _checks(section, following) if check.url and check.trusts_the_status
        ),
    )


def _checks(section: Rollback, steps: Sequence[Step]) -> Iterator[HealthCheck]:
    """Yield the health checks whose answers decide. Controls need not be healthy: that they answer at all is enough."""
    yield from section.old_side or []
    yield from (
        step.verify.health for step in steps if step.verify is not None and step.verify.health is not None
    )
