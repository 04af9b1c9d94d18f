"""A bad night and a good one over the whole checklist, with figures, waivers, attestations and a rollback. No tests here."""

from __future__ import annotations

import dataclasses
import math
import random
import re
import zlib
from datetime import timedelta

import sample
from sample import START, digest, finding
from sample_items import PHASES, items

from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import (
    Decision,
    Distribution,
    Evidence,
    Figure,
    Finding,
    Item,
    Kind,
    Line,
    Outcome,
    Reading,
    Rule,
    Series,
    Severity,
    Spans,
    Verdict,
)
from pytest_deploygate.report.changes import Change
from pytest_deploygate.report.changes import Kind as Changed
from pytest_deploygate.report.leaving import _mapped
from pytest_deploygate.report.record import Contact, Event, Measured, Previous, Record, Run

ROLES = ("deployment-lead", "technical-lead", "operations-manager", "customer-success", "executive-sponsor")
MANUAL = frozenset(
    {"day.briefing", "day.support", "hand.briefing", "hand.documentation", "hand.runbook", "hand.escalation"}
)
FAILED = [
    "golive.errors",
    "golive.performance",
    "golive.logins",
    "golive.traffic",
    "golive.resources",
    "crit.p99",
    "crit.uptime",
    "crit.data-loss",
    "crit.login",
    "phase4.integrity",
    "phase4.calculations",
    "phase4.aggregations",
    "phase3.alerts",
    "phase3.pipeline",
    "phase2.replication",
    "phase2.aggregates",
    "after.alerts",
    "after.error-logs",
    "stab.slow-queries",
    "after.tickets",
]
UNKNOWN = ("after.overnight", "after.performance", "crit.dashboards", "phase3.smoke")
UNCOVERED = ("golive.workflows", "after.workflows", "phase2.backup-jobs")
WAIVED = ("phase3.integrations", "stab.caching")
WINDOWS = {
    "morning": (-8.0, -2.0),
    "phase1": (-2.0, 0.0),
    "phase2": (0.0, 2.0),
    "phase3": (2.0, 4.0),
    "phase4": (4.0, 6.0),
    "golive": (6.0, 8.0),
    "postdeploy": (16.0, 20.0),
}


def latency(limit: float, stall: bool) -> Distribution:
    """3,000 response times; with the stall, 2 % of them wait for it."""
    chance = random.Random(7)
    values = sorted(
        chance.lognormvariate(4.6, 0.35) + (600 + 900 * chance.random() if stall and n % 50 == 0 else 0)
        for n in range(3000)
    )
    points = tuple((v, (n + 1) / 3000) for n, v in enumerate(values))
    at = values[int(0.99 * 3000)]
    return Distribution(
        "Response time, all endpoints, open loop at 50/s", "ms", points, 0.99, limit, at * 0.86, at * 1.14
    )


def lag() -> Series:
    """Replication lag over ten minutes, with a gap where the replica could not be queried."""
    points = [(float(t), max(0.4, (t - 200) / 4.2) + 0.3 * math.sin(t / 9)) for t in range(0, 600, 5)]
    gap: list[tuple[float, float | None]] = [(t, None if 310 <= t <= 380 else v) for t, v in points]
    steady = tuple((t, 0.4 + 0.2 * math.sin(t / 13)) for t, _ in points)
    return Series(
        "Replication lag",
        "s",
        (Line("replica2", tuple(gap)), Line("replica1", steady)),
        10.0,
        (START - timedelta(minutes=10)).isoformat(),
    )


def burn() -> Series:
    points: list[tuple[float, float | None]] = [
        (t * 60.0, None if 30 < t < 42 else 0.02 + (0.9 if 60 < t < 75 else 0)) for t in range(120)
    ]
    return Series(
        "Error ratio at the load balancer", "%", (Line("5xx", tuple(points)),), 0.1, START.isoformat()
    )


def uptime() -> Spans:
    day = 86400.0
    return Spans(
        "The first 24 hours, two vantage points",
        (
            ("vantage A", ((0, 21000, "up"), (21000, 21540, "down"), (21540, 70000, "up"))),
            (
                "vantage B",
                ((0, 21010, "up"), (21010, 21530, "down"), (21530, 43000, "up"), (43000, 46600, "unknown"),
                 (46600, 70000, "up")),
            ),
        ),
        day,
        START.isoformat(),
    )  # fmt: skip


FIGURES: dict[str, tuple[Figure, ...]] = {
    "crit.p99": (latency(500, stall=True),),
    "crit.p50": (latency(900, stall=False),),
    "phase2.replication": (lag(),),
    "golive.errors": (burn(),),
    "crit.uptime": (uptime(),),
}
REASONS = {
    "golive.errors": "5xx are 0.92 % of 31,204 requests at the load balancer (upper bound 1.03 %); the budget is 0.1 %. "
    "All of them come from POST /api/readings on app2: take app2 out of the pool and look at its log",
    "crit.p99": "p99 is 1,114 ms (upper bound 1,270 ms) over 3,000 requests at 50/s; the limit is 500 ms. "
    "2 % of requests wait 600 ms and longer, all of them on GET /api/dashboards",
    "crit.uptime": "down from 2 of 2 vantage points for 520 s since t0; the budget of the day is 86.4 s and is spent",
    "crit.data-loss": "3 of 48,112 acknowledged writes are missing on replica2 (ids 48011, 48012, 48013); "
    "stop writing to the new side and compare WAL positions before anything else",
    "golive.logins": "2 of 3 test users cannot log in: the form answers 502 after 30 s; the session store is full",
}


#: What all items of phase4 fail for: one cause.
DOWN = "db2 (db2.example.com:5432) cannot be used: connection refused; start it, or correct host and port in the inventory"


def _measured(item: Item, verdict: Verdict) -> tuple[Finding, ...]:
    bad = verdict in (Verdict.FAIL, Verdict.WAIVED)
    value = 6 + zlib.crc32(item.id.encode()) % 900 / 100
    reason = REASONS.get(
        item.id, f"measured value is {value}, the limit is 5: look at the evidence for the rows concerned"
    )
    if item.phase == "phase4":
        reason = DOWN
    if verdict is Verdict.INCONCLUSIVE:
        reason = (
            "the worker that ran this check died after 12 s (signal 9), so nothing was measured: run it again"
        )
    if verdict is Verdict.PASS:
        reason = "as the checklist wants it: measured 2.1, the limit is 5"
    if verdict is Verdict.WAIVED:
        reason = f"waived until 2026-03-21 00:00 UTC by operations-manager, approved by deployment-lead (ticket OPS-17): {reason}"
    made = finding(
        item.id,
        "app2" if bad else "",
        verdict,
        reason,
        Reading("measured", value if bad else 2.1, "ms", "≤ 5 ms", not bad),
        Reading("samples", 3000),
        confirmed=bad,
        figures=FIGURES.get(item.id, ()),
        criterion="measured ≤ 5 ms over at least 1,000 samples",
    )
    if verdict is Verdict.INCONCLUSIVE:
        made = dataclasses.replace(made, readings=())
    when = _when(item.phase)
    return (dataclasses.replace(made, at=when),)


def _when(phase: str):
    start = WINDOWS.get(phase, (20.0, 21.0) if phase != "preflight" else (-150.0, -149.0))[0]
    return START + timedelta(hours=start, minutes=24)


def _attested(item: Item) -> tuple[Finding, ...]:
    return (
        Finding(
            item.id,
            "",
            Verdict.ATTESTED,
            "Operations manager on duty (operations-manager) attests: done as the runbook says; valid until 2026-06-12 00:00 UTC",
            f"checklist.md::{item.id}",
            _when(item.phase),
            0.0,
            (Reading("valid until", "2026-06-12 00:00 UTC", "", "not before now", True),),
            evidence=(Evidence(f"evidence/{item.id}/notes.pdf", digest(item.id), "minutes"),),
        ),
    )


def _result(item: Item, verdict: Verdict) -> ItemResult:
    if verdict is Verdict.NOT_COVERED:
        silent = f"1 of its tests yielded no finding: suites/test_{item.phase}.py::test_{item.id.rpartition('.')[2]}"
        return ItemResult(item, verdict, silent, True)
    if verdict is Verdict.NOT_APPLICABLE:
        return ItemResult(item, verdict, "no CDN in this region (decided by: security-lead)", True)
    found = _attested(item) if verdict is Verdict.ATTESTED else _measured(item, verdict)
    if item.id == "phase2.replication" and verdict is Verdict.FAIL:
        first, *rest = sample.FINDINGS[item.id]
        found = (dataclasses.replace(first, figures=FIGURES[item.id]), *rest)
    return ItemResult(item, verdict, found[0].reason, True, found)


def _verdict(item: Item) -> Verdict:
    for ids, verdict in (
        (FAILED, Verdict.FAIL),
        (UNKNOWN, Verdict.INCONCLUSIVE),
        (UNCOVERED, Verdict.NOT_COVERED),
        (WAIVED, Verdict.WAIVED),
        (("sec.cdn",), Verdict.NOT_APPLICABLE),
    ):
        if item.id in ids:
            return verdict
    return Verdict.ATTESTED if item.kind is Kind.MANUAL else Verdict.PASS


def _items() -> list[Item]:
    return [
        dataclasses.replace(i, kind=Kind.MANUAL, role="operations-manager") if i.id in MANUAL else i
        for i in items()
    ]


def _waiver(item: str, days: int) -> Waiver:
    return Waiver(
        f"waivers/{item}.yml",
        item,
        "operations-manager",
        "deployment-lead",
        "the partner's certificate is renewed next week; orders are queued until then",
        "OPS-17",
        START - timedelta(days=2),
        START + timedelta(days=days),
    )


def _runs() -> tuple[Run, ...]:
    def run(hours: float, minutes: float | None, scope: str, outcome: Outcome | None) -> Run:
        start = START + timedelta(hours=hours)
        end = start + timedelta(minutes=minutes) if minutes else None
        return Run(
            start, end, "deploy", "runner-3.eu-west.example.net",
            (("pytest-deploygate", "0.1.0"), ("pytest", "9.0.1")), end is None, scope, outcome, end,
        )  # fmt: skip

    return (
        run(-149.6, 9, "preflight", Outcome.GO),
        run(-7.6, 5, "morning", Outcome.GO),
        run(-1.6, 12, "phase1", Outcome.GO),
        run(0.4, None, "phase2", None),
        run(0.7, 41, "phase2", Outcome.GO),
        run(2.4, 32, "phase3", Outcome.HOLD),
        run(3.2, 22, "phase3", Outcome.GO),
        run(4.4, 70, "phase4", Outcome.GO),
        run(6.4, 9, "golive", Outcome.ROLLBACK),
    )


def _spans() -> tuple[Measured, ...]:
    return tuple(
        Measured(r.scope, r.started, r.finished or r.started + timedelta(minutes=3)) for r in _runs()
    )


def bad() -> Record:
    """20 failed, 4 inconclusive, 3 not covered, 2 waived; ROLLBACK decided; a worker crashed during the run."""
    results = tuple(_result(i, _verdict(i)) for i in _items())
    rules = (
        Rule(
            "rollback",
            Outcome.ROLLBACK,
            "3 critical items of golive failed, confirmed by a repeat; they were green before the change, the old side is "
            "healthy, and 1,204 writes accepted since cutover would be lost (exportable).",
            ("golive.errors", "golive.performance", "golive.logins"),
        ),
        Rule("evidence", Outcome.HOLD, "evidence is incomplete: worker gw1 crashed while running golive.workflows "
             "(signal 9); 3 tests yielded no finding", UNCOVERED),
        Rule("failed", Outcome.HOLD, "20 items failed, 10 of them critical", tuple(FAILED)),
    )  # fmt: skip
    runs = _runs()
    decided = runs[-1].finished
    assert decided
    return dataclasses.replace(
        sample.hold(),
        description="manufacturing analytics platform, eu-west, 2.14.0 → 3.0.0",
        scope="",
        items=results,
        phases=PHASES,
        decision=Decision(Outcome.ROLLBACK, "the whole checklist", 22, rules, decided),
        runs=runs,
        planned=(),
        windows=tuple(
            (p, START + timedelta(hours=a), START + timedelta(hours=b)) for p, (a, b) in WINDOWS.items()
        ),
        measured=_spans(),
        events=(
            Event(START + timedelta(hours=0.45), "incident", "the run of 14:27:11 UTC broke off without an end"),
            Event(START + timedelta(hours=6.42), "incident", "worker gw1 crashed while running golive.workflows"),
            Event(START + timedelta(hours=6.6), "rollback", "step 1 of 6: maintenance page on"),
        ),
        roles=ROLES,
        contacts=(
            Contact("deployment-lead", "", "+49301234567", "deployment-lead@example.com"),
            Contact("operations-manager", "Operations on-call rota", "+49301234568", ""),
            Contact("security-lead", "", "", "security-lead@example.com"),
        ),
        waivers=(_waiver("phase3.integrations", 7), _waiver("stab.caching", -1)),
        previous=Previous(
            START + timedelta(hours=4.4),
            "phase4",
            Outcome.GO,
            (
                Change(Changed.FAILING, "golive.errors", "", "golive.errors: pass before, fail now: 5xx are 0.92 %", "pass", "fail"),
                Change(Changed.UNCOVERED, "golive.workflows", "", "golive.workflows: pass before, not covered now", "pass", "not covered"),
                Change(Changed.MOVED, "crit.p99", "", "crit.p99: p99 went from 402 ms to 1,114 ms (+177%); noise of 6 earlier values (371 to 433); limit ≤ 500 ms", "402 ms", "1,114 ms"),
                Change(Changed.FIXED, "phase1.alert-routing", "", "phase1.alert-routing: fail before, pass now: every route reaches its receiver", "fail", "pass"),
            ),
        ),
        provenance=dataclasses.replace(
            sample.hold().provenance, clock="synchronised, offset 0.0002 s, at most 0.016 s off, by the kernel's estimate"
        ),
    )  # fmt: skip


def good() -> Record:
    """The same change with everything good: every item measured or attested."""
    record = bad()
    results = tuple(
        _result(r.item, Verdict.ATTESTED if r.item.kind is Kind.MANUAL else Verdict.PASS)
        for r in record.items
    )
    runs = tuple(
        dataclasses.replace(r, outcome=Outcome.GO, interrupted=False)
        for r in record.runs
        if not r.interrupted
    )
    decided = runs[-1].finished
    assert decided
    rule = Rule("all good", Outcome.GO, "116 of 116 items in scope are as the checklist wants them")
    return dataclasses.replace(
        record,
        items=results,
        decision=Decision(Outcome.GO, "the whole checklist", 0, (rule,), decided),
        runs=runs,
        events=(),
        waivers=(),
        weakenings=(),
        previous=None,
    )


def hostile() -> Record:
    """The bad night with markup in front of every text, whatever its source."""
    return _mapped(bad(), lambda text: text if re.fullmatch("[0-9a-f]{64}", text) else sample.EVIL + text)


def many(count: int) -> Record:
    """The bad night with `count` additional items, each with a target and readings."""
    record = bad()
    more = tuple(
        _result(
            Item(f"team{n % 40}.item-{n}", f"Check number {n} of a team's own list", PHASES[n % 11].id,
                 Severity.MAJOR, Kind.AUTOMATED),
            Verdict.PASS,
        )
        for n in range(count)
    )  # fmt: skip
    return dataclasses.replace(record, items=(*record.items, *more))
