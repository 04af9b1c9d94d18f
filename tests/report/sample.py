"""A record as a real change would have it: 116 items, phase 2 in scope, replicas in trouble. No tests here."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta

from sample_items import PHASES, items

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import (
    Decision,
    Evidence,
    Finding,
    Item,
    Kind,
    Outcome,
    Reading,
    Rule,
    Severity,
    Verdict,
    Weakening,
    worst,
)
from pytest_deploygate.report.record import Provenance, Record, Run

START = datetime(2026, 3, 14, 14, 3, 11, tzinfo=UTC)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def finding(
    item: str, target: str, verdict: Verdict, reason: str, *readings: Reading, seconds: float = 0.42, **more
) -> Finding:
    name = item.rpartition(".")[2].replace("-", "_")
    path = f"evidence/{item}/{target.replace('/', '_') or 'item'}.json"
    return Finding(
        item=item,
        target=target,
        verdict=verdict,
        reason=reason,
        test=f"suites/test_phase2.py::test_{name}[{target}]",
        at=START + timedelta(seconds=31),
        duration_s=seconds,
        readings=readings,
        evidence=(Evidence(path, digest(path), "measurement"),),
        **more,
    )


def _replica_fails() -> tuple[Finding, ...]:
    return (
        finding(
            "phase2.replication",
            "replica2",
            Verdict.FAIL,
            "replica2 is 48.2 MB and 94 s behind the primary and the gap grew over 3 reads; the limit is 16 MB and 10 s. "
            "Its receiver streams, replay is paused: look at pg_get_wal_replay_pause_state() on replica2 and, if nobody "
            "paused it on purpose, run SELECT pg_wal_replay_resume() there.",
            Reading("lag", 48.2, "MB", "≤ 16 MB", False),
            Reading("lag in time", 94.1, "s", "≤ 10 s", False),
            Reading("marker row read after", None, "s", "≤ 5 s", False),
            Reading("last reply of the receiver", 0.8, "s", "≤ 20 s", True),
            Reading("timeline", 1, "", "= 1 (the primary's)", True),
            Reading("WAL retained by slot replica2", 64, "MB", "≤ 1 GB", True),
            Reading("replay state", "paused", "", "not paused", False),
            Reading("rows written under load", 1000, "rows"),
            seconds=9.7,
            criterion="every replica streams on the primary's timeline, lag ≤ 16 MB and ≤ 10 s, a marker row is read within 5 s",
            notes=("synchronous_standby_names is empty: no commit waits for a replica.",),
            confirmed=True,
        ),
        finding(
            "phase2.replication",
            "replica1",
            Verdict.PASS,
            "streams on timeline 1, 0 B behind; the marker row was read after 0.03 s",
            Reading("lag", 0, "B", "≤ 16 MB", True),
            Reading("marker row read after", 0.031, "s", "≤ 5 s", True),
            seconds=9.7,
        ),
    )


def _index_unknown() -> tuple[Finding, ...]:
    return (
        finding(
            "phase2.indexes",
            "newest readings of a sensor",
            Verdict.INCONCLUSIVE,
            "public.readings has 0 rows, so the planner's choice says nothing about the plan in production; "
            "run again after phase 4",
            Reading("rows in public.readings", 0, "rows", "≥ 1", False),
            Reading("plan", "Seq Scan on readings", "", "no sequential scan"),
            deferred_to="phase4",
        ),
        finding(
            "phase2.indexes",
            "",
            Verdict.PASS,
            "23 expected indexes exist, all valid and ready, none duplicated; amcheck passed on 21, 2 were larger than 1 GB",
            Reading("expected indexes present", 23, "", "= 23", True),
            Reading("invalid", 0, "", "= 0", True),
            notes=(
                "2 indexes larger than 1 GB were not read by amcheck: readings_pkey, readings_sensor_at_idx",
            ),
        ),
    )


def _tables() -> tuple[Finding, ...]:
    return tuple(
        finding(
            "phase2.tables",
            f"public.{name}",
            Verdict.PASS,
            "equals the snapshot: columns, types, constraints, owner and privileges",
            Reading("columns", columns, "", f"= {columns}", True),
            Reading("differences", 0, "", "= 0", True),
        )
        for name, columns in {
            "machines": 9,
            "sensors": 11,
            "readings": 6,
            "alerts": 12,
            "users": 8,
            "audit": 10,
        }.items()
    )


FINDINGS: dict[str, tuple[Finding, ...]] = {
    "phase2.migrations": (
        finding(
            "phase2.migrations",
            "",
            Verdict.PASS,
            "all 3 nodes are at the head 7c1f0e2ab9d4, none pending, none dirty",
            Reading("revision on primary", "7c1f0e2ab9d4", "", "= 7c1f0e2ab9d4", True),
            Reading("revision on replica1", "7c1f0e2ab9d4", "", "= 7c1f0e2ab9d4", True),
            Reading("revision on replica2", "7c1f0e2ab9d4", "", "= 7c1f0e2ab9d4", True),
            Reading("heads in the scripts", 1, "", "= 1", True),
        ),
    ),
    "phase2.tables": _tables(),
    "phase2.indexes": _index_unknown(),
    "phase2.aggregates": (
        finding(
            "phase2.aggregates",
            "public.readings_hourly",
            Verdict.FAIL,
            "1 of 2,000 buckets differs from its raw rows: sensor 118, 2026-03-13 04:00 UTC, avg 21.40 stored and 20.87 recomputed; "
            "refresh that bucket, then look for writes that arrived after its refresh",
            Reading("buckets that differ", 1, "", "= 0", False),
            Reading("buckets compared", 2000, "", "≥ 1", True),
            Reading("age of the last refresh", 41, "min", "≤ 4 h", True),
            confirmed=True,
        ),
    ),
    "phase2.partitioning": (
        finding(
            "phase2.partitioning",
            "public.readings",
            Verdict.PASS,
            "61 daily partitions up to 2026-03-17, nothing in the default partition, a day's query reads 1 partition",
            Reading("partitions", 61),
            Reading("rows in the default partition", 0, "rows", "= 0", True),
            Reading("partitions ahead of now", 3.4, "d", "≥ 2 d", True),
            Reading("partitions read by a query over a day", 1, "", "≤ 2", True),
        ),
    ),
    "phase2.replication": _replica_fails(),
    "phase2.validation": (
        finding(
            "phase2.validation",
            "alerts without a machine",
            Verdict.PASS,
            "returned nothing, as expected",
            Reading("rows", 0, "rows", "= 0", True),
        ),
        finding(
            "phase2.validation",
            "machines",
            Verdict.PASS,
            "returned 412, between 400 and 420",
            Reading("value", 412, "", "400 to 420", True),
        ),
    ),
}
REASONS = {
    "phase2.replication": "replica2 is 48.2 MB and 94 s behind the primary; the limit is 16 MB and 10 s",
    "phase2.tables": "all 6 tables equal the snapshot",
    "phase2.backup-jobs": "the inventory names no backup job; add database.backup_jobs with a crontab, systemd_timer or pg_cron entry",
}


def result(item: Item, *, phase: str = "phase2") -> ItemResult:
    found = FINDINGS.get(item.id, ())
    inside = item.phase == phase
    verdict = worst(f.verdict for f in found)
    reason = REASONS.get(item.id) or (found[0].reason if found else "no check ran for this item")
    return ItemResult(
        item, verdict, reason, inside, found, earlier=2 if item.id == "phase2.replication" else 0
    )


def hold() -> Record:
    """Phase 2 in scope: two failed, one deferred, one not covered, four passed. HOLD, exit code 1."""
    results = tuple(result(i) for i in items())
    inside = [r for r in results if r.in_scope]
    return Record(
        change="CHG-2026-0314",
        inventory="prod",
        description="manufacturing analytics platform, eu-west",
        scope="phase2",
        decision=Decision(
            outcome=Outcome.HOLD,
            scope="phase2",
            exit_code=1,
            at=START + timedelta(seconds=44),
            counts={v.value: sum(1 for r in inside if r.verdict is v) for v in Verdict},
            rules=(
                Rule(
                    "failed",
                    Outcome.HOLD,
                    "2 items failed, 1 of them critical.",
                    ("phase2.replication", "phase2.aggregates"),
                ),
                Rule(
                    "not-covered",
                    Outcome.HOLD,
                    "1 major item has nothing behind it: no test, section or attestation.",
                    ("phase2.backup-jobs",),
                ),
                Rule(
                    "deferred",
                    Outcome.GO,
                    "1 inconclusive item cannot be measured before phase 4 and does not hold until then.",
                    ("phase2.indexes",),
                ),
                Rule(
                    "rollback",
                    Outcome.GO,
                    "No ROLLBACK: phase2 comes before golive, nobody is on the new system.",
                ),
            ),
        ),
        phases=PHASES,
        items=results,
        runs=(
            Run(
                START - timedelta(minutes=51),
                None,
                "deploy",
                "runner-3.eu-west.example.net",
                (("pytest-deploygate", "0.1.0"), ("pytest", "9.0.1"), ("PostgreSQL", "15.14")),
                interrupted=True,
                scope="phase2",
            ),
            Run(
                START,
                START + timedelta(seconds=44),
                "deploy",
                "runner-3.eu-west.example.net",
                (("pytest-deploygate", "0.1.0"), ("pytest", "9.0.1"), ("PostgreSQL", "15.14")),
                scope="phase2",
            ),
        ),
        provenance=Provenance(
            tool="pytest-deploygate 0.1.0",
            python="3.11.2",
            host="runner-3.eu-west.example.net",
            inventory_digest=digest("inventory"),
            checklist_digest=digest("checklist"),
            journal_head=digest("journal"),
            journal_path="deploygate-out/CHG-2026-0314/journal.jsonl",
        ),
        weakenings=(
            Weakening(
                "database.aggregates[public.readings_hourly].max_age is 4 h, by default 2 h",
                ("phase2.aggregates",),
            ),
            Weakening("uptime.window is 30 s, by default 24 h", ("crit.uptime",)),
            Weakening("pages.timeout is 30 s, by default 10 s", ("comp.privacy-policy", "comp.terms")),
        ),
        planned=tuple(r.item.id for r in results if not r.in_scope),
    )


def go() -> Record:
    """The same change with all eight items of phase 2 passed. GO, exit code 0."""
    record = hold()
    results = tuple(_all_good(r) if r.in_scope else r for r in record.items)
    decision = Decision(
        Outcome.GO,
        "phase2",
        0,
        (Rule("all-good", Outcome.GO, "All 8 items in scope passed."),),
        START + timedelta(seconds=44),
        {"pass": 8},
    )
    return dataclasses.replace(record, items=results, decision=decision, weakenings=(), runs=record.runs[1:])


def _all_good(result: ItemResult) -> ItemResult:
    found = result.findings or (
        finding(result.item.id, "nightly", Verdict.PASS, "ran 7 h ago and succeeded"),
    )
    good = tuple(
        dataclasses.replace(
            f,
            verdict=Verdict.PASS,
            deferred_to="",
            reason="as expected" if not f.verdict.good else f.reason,
            readings=tuple(dataclasses.replace(r, ok=True if r.limit else None) for r in f.readings),
        )
        for f in found
    )
    reason = good[0].reason if len(good) == 1 else f"all {len(good)} targets pass"
    return dataclasses.replace(result, verdict=Verdict.PASS, reason=reason, findings=good, earlier=0)


def large(count: int, verdict: Verdict = Verdict.PASS) -> Record:
    """A checklist of `count` items, all in scope, each measured on one target with three readings."""
    record = hold()
    results = []
    for n in range(count):
        item = Item(
            f"area{n % 40}.item-{n}",
            f"Check number {n} of a long list",
            PHASES[n % 11].id,
            Severity.MAJOR,
            Kind.AUTOMATED,
        )
        bad = verdict if n % 50 or verdict is not Verdict.PASS else Verdict.FAIL
        found = finding(
            item.id,
            f"host{n % 90}.example.net",
            bad,
            f"{n} of {n + 3} seen; that is within what the criterion allows for it",
            Reading("value", n, "ms", "≤ 5000 ms", bad is Verdict.PASS),
            Reading("samples", 3000),
            Reading("share", 99.9, "%", "≥ 99 %", True),
        )
        results.append(ItemResult(item, bad, found.reason, True, (found,)))
    return dataclasses.replace(record, items=tuple(results), planned=())


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;</style>\x1b[31m\u202eevil'


def hostile() -> Record:
    """The sample with markup, terminal escapes and very long words in every externally supplied text."""
    record = hold()
    long = "x" * 3000

    def spoil(r: ItemResult) -> ItemResult:
        if not r.in_scope and r.item.id != "infra.servers":
            return r
        found = tuple(
            dataclasses.replace(
                f,
                item=EVIL + f.item,
                target=EVIL + long,
                reason=EVIL + long,
                test=EVIL,
                criterion=EVIL,
                notes=(EVIL, long),
                readings=tuple(
                    dataclasses.replace(x, name=EVIL, value=EVIL + long[:300], limit=EVIL) for x in f.readings
                ),
                evidence=(
                    Evidence("javascript:alert(3)", EVIL, EVIL),
                    Evidence("../../etc/passwd", "0", long),
                    Evidence("//evil.example/x", "0", ""),
                ),
            )
            for f in r.findings
        )
        item = dataclasses.replace(r.item, id=EVIL + r.item.id, text=EVIL + long[:500], area=EVIL)
        return dataclasses.replace(r, item=item, reason=EVIL + long, findings=found)

    return dataclasses.replace(
        record,
        change=EVIL,
        inventory=EVIL + long[:200],
        description=EVIL,
        items=tuple(spoil(r) for r in record.items),
        weakenings=(Weakening(EVIL + long), Weakening(EVIL + long, (EVIL,))),
        runs=tuple(dataclasses.replace(r, who=EVIL + long[:200], host=EVIL) for r in record.runs),
    )
