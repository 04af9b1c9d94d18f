"""One record for each way in which a change can end, as the banner distinguishes them. No tests here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import sample
import sample_night

from pytest_deploygate.model import Decision, Outcome, Rule, Verdict
from pytest_deploygate.report.record import GoneBack, Loss, Record, StepBack


def waived() -> Record:
    """Phase 2 with everything passed but one item, which is waived. GO."""
    record = sample.go()
    items = tuple(
        dataclasses.replace(
            r, verdict=Verdict.WAIVED, reason="waived until 2026-03-21 00:00 UTC (ticket OPS-17)"
        )
        if r.item.id == "phase2.backup-jobs"
        else r
        for r in record.items
    )
    rule = Rule("waived", Outcome.GO, "waived: phase2.backup-jobs", ("phase2.backup-jobs",))
    assert record.decision
    decision = dataclasses.replace(record.decision, rules=(*record.decision.rules, rule))
    waiver = sample_night._waiver("phase2.backup-jobs", 7)
    return dataclasses.replace(record, items=items, decision=decision, waivers=(waiver,))


def back() -> Record:
    """The bad night, rolled back: every step verified, one done again after a failure, writes counted before two."""
    return _went_back(23, "every step of the runbook was verified")


def back_failed() -> Record:
    """The bad night, with a rollback that stopped at its third step."""
    return _went_back(24, "step `dns` failed: app.example.com still answers with the new address")


def _went_back(code: int, why: str) -> Record:
    record = sample_night.bad()
    assert record.decision
    began = record.decision.at + timedelta(minutes=6)

    def at(seconds: float):
        return began + timedelta(seconds=seconds)

    whole = code == 23
    steps = (
        StepBack("page", "done", "503 on 2 of 2 addresses", at(0), at(1.2), 1.2),
        StepBack("fence", "done", "no session of the application is left on the new side", at(1.3), at(4.0), 2.7),
        StepBack("restore", "done", "db1 is at the state of 14:02:58 UTC", at(9.5), at(61.0), 51.5, counted_s=5.4),
        StepBack("dns", "done" if whole else "failed", "app.example.com answers with 192.0.2.10", at(80.0), at(95.0), 15.0, tries=2),
        StepBack("open", "done", "200 on 2 of 2 addresses", at(95.1), at(96.0), 0.9) if whole else StepBack("open", "not done"),
    )  # fmt: skip
    gone_back = GoneBack(
        began,
        at(96.0) if whole else None,
        3600.0,
        ((record.decision.at, "ROLLBACK decided by deployment-lead, 4 min after it opened"),),
        steps,
        (
            Loss(began, "a rollback loses 1204 rows that the new side accepted", "/var/lib/deploygate/lost.sql",
                 "executive-sponsor", "executive-sponsor@example.com", 1204),
            Loss(at(9.4), "a rollback loses 1231 rows that the new side accepted", "/var/lib/deploygate/lost.sql",
                 "executive-sponsor", "executive-sponsor@example.com", 1231),
        ),
        () if whole else (("dns", False, "app.example.com answers with 203.0.113.7"),),
    )  # fmt: skip
    name = "rolled back and verified" if whole else "the rollback failed"
    rules = (Rule(name, Outcome.ROLLBACK, why), *record.decision.rules)
    decision = Decision(Outcome.ROLLBACK, record.decision.scope, code, rules, at(96.5))
    return dataclasses.replace(record, decision=decision, gone_back=gone_back)


#: Every ending, in the order from best to worst.
ALL: dict[str, Callable[[], Record]] = {
    "go": sample.go,
    "go-waived": waived,
    "hold": sample.hold,
    "rollback": sample_night.bad,
    "back": back,
    "back-failed": back_failed,
}
