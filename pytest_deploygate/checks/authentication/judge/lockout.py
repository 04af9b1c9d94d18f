"""Judges an account that was locked and unlocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.authentication.facts import Locking
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.authentication.section import Authentication


def judge_lockout(found: Locking | None, criterion: Authentication) -> Judgement:
    """Pass if the right password is refused after the wrong ones, others are let in, and the account can be unlocked."""
    collector = Collector(confirmed=True)
    lockout = criterion.lockout
    if found is None or lockout is None:
        if "lockout" in criterion.without:
            collector.read(Reading("locked accounts", "left out by the inventory"))
        else:
            collector.unknown(
                "no account was locked: name one that is made for it in `authentication.lockout`, or give the reason in "
                "`without: {lockout: …}`"
            )
        return collector.judgement(lambda: "the platform locks no account, by the inventory")
    if not found.before_good:
        collector.unknown(
            f"{found.name} cannot log in before anything was tried ({found.before}): it may be locked since a run before; unlock it, "
            "or correct its password"
        )
        return collector.judgement(lambda: "")
    tries = f"{found.wrong} wrong passwords"
    collector.read(
        Reading(f"the right password after {tries}", found.after, limit="refused", ok=not found.after_good),
    )
    if found.after_good:
        collector.wrong(
            f"{found.name} is let in with the right password after {tries} ({found.after}): lock accounts after "
            f"{lockout.after}"
        )
    else:
        _others(found, criterion, collector)
    return collector.judgement(
        lambda: (
            f"after {tries} {found.name} is refused with the right one ({found.after}), {lockout.other} is let in, and "
            f"{found.name} again when it is unlocked"
        )
    )


def _others(found: Locking, criterion: Authentication, collector: Collector) -> None:
    lockout = criterion.lockout
    other = lockout.other if lockout else ""
    collector.read(Reading(f"{other} meanwhile", found.other, limit="let in", ok=bool(found.other_good)))
    if not found.other_good:
        collector.wrong(
            f"while {found.name} is locked, {other} is not let in from here either ({found.other}): the lock is on this address, so "
            "anybody can lock out an office"
        )
    if found.problem:
        collector.unknown(f"{found.name} was not unlocked: {found.problem}")
    elif found.unlocked_good is not None:
        collector.read(
            Reading(
                "the right password when unlocked", found.unlocked, limit="let in", ok=found.unlocked_good
            )
        )
        if not found.unlocked_good:
            collector.wrong(f"{found.name} is not let in when it should be unlocked again ({found.unlocked})")
