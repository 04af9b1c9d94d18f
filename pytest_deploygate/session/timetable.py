"""Whether a run is at its planned time: outside its window a phase warns, in a freeze it stops unless overridden."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from pytest_deploygate.checklist import windows
from pytest_deploygate.checklist.parser import Checklist, slug
from pytest_deploygate.inventory.contacts import Contact
from pytest_deploygate.inventory.policy import Freeze, Timetable
from pytest_deploygate.problems import nearest, one_line
from pytest_deploygate.visible import says

#: Used to run items in a freeze for a rollback or to re-measure an open incident: those are never frozen.
OWN = "deploygate"


def remarks(
    schedule: Timetable | None,
    checklist: Checklist,
    items: Sequence[str],
    override: str | None,
    now: datetime,
    contacts: Sequence[Contact] = (),
) -> tuple[str, ...]:
    """Return remarks about the time of a run. Raises pytest.UsageError in a freeze that nobody overrides.

    The overriding role must be one that signs or is in the contact list, if there are any.
    """
    role = _role(override, checklist, contacts)
    if schedule is None:
        return ()
    mine = {item.phase for item in checklist.items if item.id in items}
    phases = [phase for phase in checklist.phases if phase.id in mine]
    said = [
        f"{phase.id} is planned for {windows.local_words(window, schedule.zone)} and runs outside that window"
        for phase in phases
        if (window := windows.planned(phase, schedule.t0, schedule.zone))
        and not window[0] <= now <= window[1]
    ]
    frozen = [freeze for freeze in schedule.freezes if freeze.start <= now < freeze.end]
    if frozen and any(not phase.read_only for phase in phases):
        said.append(_overridden(frozen[0], role))
    return tuple(said)


def _role(override: str | None, checklist: Checklist, contacts: Sequence[Contact]) -> tuple[str, str] | None:
    """Return role and reason of an override, looked at in every run. Raises pytest.UsageError for a role that nobody has."""
    if override is None:
        return None
    role, colon, reason = override.partition(":")
    if not colon or not says(role) or len(list(filter(says, reason.split()))) < 2:
        raise pytest.UsageError(
            "--override-freeze: give role and reason, for example 'deployment-lead: security fix, approved in CHG-7'"
        )
    roles = dict.fromkeys(slug(one) for one in (*checklist.roles, *(contact.role for contact in contacts)))
    if slug(role) not in (*roles, OWN):
        hint = (
            nearest(slug(role), roles)
            or "; the checklist names no role: list them under its sign-off heading"
        )
        raise pytest.UsageError(f"--override-freeze: unknown role {slug(role)!r}{hint}")
    return one_line(role.strip()), one_line(" ".join(reason.split()))


def _overridden(freeze: Freeze, override: tuple[str, str] | None) -> str:
    what = f"a freeze until {freeze.end:%Y-%m-%d %H:%M} UTC ({freeze.reason})"
    if override is None:
        raise pytest.UsageError(
            f"no deployments now: {what}; a role may override it: --override-freeze 'ROLE: REASON'"
        )
    role, reason = override
    return f"{what} was overridden by {role}: {reason}"
