"""Faults of schedulers: the old side's one runs as well, or none runs."""

from __future__ import annotations

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import platform
from pytest_deploygate.lab.state import Lab

_INVENTORY = "lab-application"
_ITEMS = {"guard.one-scheduler": "fail"}
_NEEDS = (platform.BALANCER, *platform.SCHEDULERS.values())
_RECENT = (
    "SELECT count(*) FROM application.scheduler_runs WHERE side = '{}' AND ran_at > now() - interval '{}'"
)
_LATE_S = 61


def _runs(lab: Lab, side: str, within: str = "5 s") -> bool:
    return bool(sql.value(lab, _RECENT.format(side, within)))


def _both(lab: Lab) -> None:
    platform.change(lab, scheduler_old_runs=True)
    sql.wait_until("a run of the old side's scheduler", lambda: _runs(lab, "old"), 20.0)


def _only_new(lab: Lab) -> None:
    platform.change(lab, scheduler_old_runs=None)
    # A run may have begun meanwhile; what it leaves is taken away with the others.
    sql.wait_until("an end of the old side's runs", lambda: not _runs(lab, "old", "2500 ms"), 20.0)
    sql.execute(
        lab, "DELETE FROM application.scheduler_runs WHERE side = 'old' AND ran_at > now() - interval '1 day'"
    )


def _none(lab: Lab) -> None:
    """Stop the new side's scheduler, as if that were more than a minute ago."""
    platform.change(lab, scheduler_stopped=True)
    sql.wait_until("an end of the new side's runs", lambda: not _runs(lab, "new", "2500 ms"), 20.0)
    sql.execute(
        lab,
        f"UPDATE application.scheduler_runs SET ran_at = ran_at - interval '{_LATE_S} s' WHERE side = 'new'",
    )


def _again(lab: Lab) -> None:
    platform.change(lab, scheduler_stopped=None)
    sql.wait_until("a run of the new side's scheduler", lambda: _runs(lab, "new"), 20.0)


BOTH = Fault(
    "scheduler-on-both-sides",
    "the old side's scheduler was started again after the cutover: sessions are cleaned up twice",
    _ITEMS,
    _both,
    _only_new,
    says="runs on both sides, so its work is done twice",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
NONE = Fault(
    "scheduler-on-no-side",
    "the new side's scheduler stands still, and the old side's one since the cutover",
    _ITEMS,
    _none,
    _again,
    says="session clean-up runs nowhere",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
