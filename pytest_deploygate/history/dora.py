"""DORA's four figures for each inventory, and the times from go-live to decision. What records cannot give is unknown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime

from pytest_deploygate.history.change import Part, State
from pytest_deploygate.lazy import dataclass

#: What each figure means, and which lines of the journals it comes from. The page, the help and the documentation say this.
DEFINITIONS = {
    "deployment": (
        "A change that went live on an inventory: its go-live phase began, and then a run of that whole phase was decided GO, "
        "an incident opened, or a rollback was begun. The go-live phase is the policy's rollback_from. It begins with the first "
        "run that asks for it by name (line `run`); without one, with a run of the whole checklist that was decided GO, with a "
        "run of named phases or items in which an incident opened, or with the run of the incident that was rolled back (lines "
        "`incident`, `rollback`), whichever is first. A change whose go-live began without any of these is not settled, and "
        "in no figure. Runs without --change are no change."
    ),
    "deployment_frequency": (
        "Deployments per week between the first and the last go-live: their number less one, divided by that time. Unknown "
        "with fewer than two deployments, or where less than a day lies between them."
    ),
    "lead_time_for_changes": (
        "Median time from the commit to the first GO of the go-live phase (line `decision`, or a person's GO in a line "
        "`incident`). The commit is that of the repository in which the deciding run was started (`source` of its line "
        "`run`). Unknown without a GO, without a commit or its time, or where files differed from the commit."
    ),
    "change_failure_rate": (
        "Share of the deployments in which an incident opened (line `incident`) or a rollback was begun (line `rollback`) "
        "after the go-live began. Unknown without a deployment."
    ),
    "time_to_restore": (
        "Median time from the opening of such an incident to the end of its last GO, by a run or a person, or to its verified "
        "rollback (lines `incident`). Incidents that are not over are counted apart. Unknown without an incident that is over."
    ),
    "go_live_to_decision": (
        "Median time from the begin of the go-live to the first GO or ROLLBACK, by a run of that phase (line `decision`) or "
        "by a person or deadline (line `incident`). A HOLD ends nothing. Unknown without such a decision."
    ),
    "flakiness": (
        "Share of the pairs of runs of one change, one after the other, in which an item's verdict differs although commit, "
        "inventory, checklist and the values that the inventory refers to are the same. Then the platform changed, or the "
        "check is not steady. Unknown without such pairs, as without commits or with changed files."
    ),
    "held": "Decisions of runs with the item in scope in which a rule that says HOLD or ROLLBACK names it.",
}


@dataclass(frozen=True)
class Median:
    """A median in seconds of `known` deployments; None if there are none, and `why` says so. `unknown` are the others."""

    seconds: float | None
    known: int
    unknown: int
    highest: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Dora:
    """The figures of one inventory. None is unknown; the field of the same name with `why_` says why."""

    inventory: str
    changes: int
    deployments: int
    not_settled: int
    failed: int
    first: datetime | None
    last: datetime | None
    per_week: float | None
    why_per_week: str
    lead_time: Median
    failure_rate: float | None
    why_failure_rate: str
    restore: Median
    open_incidents: int
    decision: Median


def dora(parts: Sequence[Part]) -> list[Dora]:
    """Return the figures of each inventory, by name; parts of runs without `--change` are left out."""
    numbered = [part for part in parts if part.numbered]
    names = sorted({part.inventory for part in numbered})
    return [_dora(name, [part for part in numbered if part.inventory == name]) for name in names]


def _dora(name: str, mine: Sequence[Part]) -> Dora:
    live = [part.deployment for part in mine if part.deployment.state in (State.SUCCEEDED, State.FAILED)]
    times = sorted(one.began for one in live if one.began)
    per_week, why_per_week = _frequency(times)
    failed = sum(one.state is State.FAILED for one in live)
    incidents = [incident for one in live for incident in one.incidents]
    reasons = [one.no_lead for one in live if one.no_lead]
    return Dora(
        inventory=name,
        changes=len(mine),
        deployments=len(live),
        not_settled=sum(part.deployment.state is State.UNSETTLED for part in mine),
        failed=failed,
        first=times[0] if times else None,
        last=times[-1] if times else None,
        per_week=per_week,
        why_per_week=why_per_week,
        lead_time=_median([one.lead_s for one in live], _most_common(reasons) or "no deployment"),
        failure_rate=failed / len(live) if live else None,
        why_failure_rate="" if live else "no deployment",
        restore=_median(
            [one.restored_s for one in incidents], "no incident is over" if incidents else "no incident"
        ),
        open_incidents=sum(one.restored_s is None for one in incidents),
        decision=_median(
            [part.deployment.decided_s for part in mine if part.deployment.began],
            "no go-live that was decided",
        ),
    )


def _frequency(times: Sequence[datetime]) -> tuple[float | None, str]:
    if len(times) < 2:
        return None, "fewer than two deployments"
    days = (times[-1] - times[0]).total_seconds() / 86400
    return ((len(times) - 1) / days * 7, "") if days >= 1 else (None, "all deployments are of one day")


def _median(values: Sequence[float | None], why: str) -> Median:
    known = [value for value in values if value is not None]
    if not known:
        return Median(None, 0, len(values), why=why)
    return Median(statistics.median(known), len(known), len(values) - len(known), max(known))


def _most_common(reasons: Sequence[str]) -> str:
    return max(sorted(set(reasons)), key=reasons.count, default="")
