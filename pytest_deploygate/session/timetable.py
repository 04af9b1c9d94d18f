"""Whether a run is at its time: outside its window a phase warns, inside a freeze it refuses unless a role overrides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from pytest_deploygate.checklist import windows
from pytest_deploygate.checklist.parser import Checklist, slug
from pytest_deploygate.inventory.contacts import Contact
from pytest_deploygate.inventory.policy import Freeze, Timetable
from pytest_deploygate.problems import nearest

#: Who runs items in a freeze to go back or to measure an open incident again: that is never frozen.
OWN = "deploygate"


def remarks(
    schedule: Timetable | None,
    checklist: Checklist,
    items: Sequence[str],
    override: str | None,
    now: datetime,
    contacts: Sequence[Contact] = (),
) -> tuple[str, ...]:
    """Return what a run at this time has to say. Raises pytest.UsageError inside a freeze that nobody overrides.

    Who overrides is one of the roles that sign or are in the contact list, where there are any.
    """
    if schedule is None:
        return ()
    mine = {item.phase for item in checklist.items if item.id in items}
    phases = [phase for phase in checklist.phases if phase.id in mine]
    said = [
        f"{phase.id} is planned for {windows.local_words(window, schedule.zone)} and runs outside of it"
        for phase in phases
        if (window := windows.planned(phase, schedule.t0, schedule.zone))
        and not window[0] <= now <= window[1]
    ]
    frozen = [freeze for freeze in schedule.freezes if freeze.start <= now < freeze.end]
    if frozen and any(not phase.read_only for phase in phases):
        roles = [slug(role) for role in (*checklist.roles, *(contact.role for contact in contacts))]
        said.append(_overridden(frozen[0], override, roles))
    return tuple(said)


def _overridden(freeze: Freeze, override: str | None, roles: Sequence[str]) -> str:
    what = f"a freeze until {freeze.end:%Y-%m-%d %H:%M} UTC ({freeze.reason})"
    if override is None:
        raise pytest.UsageError(
            f"nothing is deployed now: {what}; a role may override it: --override-freeze 'ROLE: REASON'"
        )
    role, colon, reason = override.partition(":")
    if not colon or not role.strip() or len(reason.split()) < 2:
        raise pytest.UsageError(
            "--override-freeze: say who and why, for example 'deployment-lead: security fix, approved in CHG-7'"
        )
    if roles and slug(role) not in (*roles, OWN):
        raise pytest.UsageError(
            f"--override-freeze: there is no role {slug(role)!r}{nearest(slug(role), roles)}"
        )
    return f"{what} was overridden by {role.strip()}: {' '.join(reason.split())}"
