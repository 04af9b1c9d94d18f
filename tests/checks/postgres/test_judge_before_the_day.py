"""Judges of servers, pooling, statements, caches, retention, audit trail, erasure and after-load."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.pooling import judge as pooling
from pytest_deploygate.checks.pooling.facts import Capacity, PoolerFacts, PoolFacts, PressureFacts
from pytest_deploygate.checks.pooling.section import Pooler, Pooling, Pressure
from pytest_deploygate.checks.postgres.facts import (
    AfterLoadFacts,
    CacheFacts,
    MonitoringFacts,
    Sequence,
    ServerState,
    Statement,
    StatementFacts,
)
from pytest_deploygate.checks.postgres.judge import after_load, caches, servers
from pytest_deploygate.checks.postgres.judge import statements as judge_statements
from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.checks.postgres.section.servers import ClusterSettings
from pytest_deploygate.checks.postgres.section.statements import Buffers, Monitoring, Statements
from pytest_deploygate.checks.privacy.facts import (
    ErasureFacts,
    FileAges,
    Hit,
    Record,
    RecordFacts,
    RightsFacts,
    Sweep,
)
from pytest_deploygate.checks.privacy.judge import audit_trail, erasure, retention
from pytest_deploygate.checks.privacy.section import AgedFiles, AuditTrail, Erasure
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MB, GB = 1024**2, 1024**3
SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "zero_damaged_pages": "off", "ignore_checksum_failure": "off",
    "synchronous_commit": "on", "data_checksums": "on", "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "100", "autovacuum_max_workers": "3", "wal_level": "replica",
}  # fmt: skip
SIZES = {"shared_buffers": GB, "work_mem": 4 * MB, "maintenance_work_mem": 64 * MB}
STATE = ServerState(
    "db1",
    True,
    "15.8",
    False,
    SETTINGS,
    SIZES,
    (),
    {"amcheck": "1.3", "timescaledb": "2.15.1"},
    {},
    1000,
    0,
    (),
    None,
)
SERVERS = ClusterSettings.model_validate({"version": "15", "memory": "4GB", "extensions": {"amcheck": "any"}})


def setting(name, value):
    return replace(STATE, settings={**SETTINGS, name: value})


def test_a_sound_server_passes():
    """As it is, and where extensions must be in the newest version that the server has."""
    newest = SERVERS.model_copy(update={"extensions": {"amcheck": "newest"}})
    assert servers.judge_server(STATE, newest).verdict is Verdict.PASS
    assert servers.judge_server(STATE, SERVERS).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("state", "more", "words"),
    [
        (STATE, {"version": "16"}, "runs PostgreSQL 15.8, expected 16"),
        (STATE, {"version": "1"}, "expected 1"),
        (setting("fsync", "off"), {}, "fsync is off"),
        (setting("full_page_writes", "off"), {}, "full_page_writes is off"),
        (setting("synchronous_commit", "off"), {}, "synchronous_commit is off"),
        (setting("zero_damaged_pages", "on"), {}, "silently emptied"),
        (setting("data_checksums", "off"), {}, "pg_checksums --enable"),
        (replace(STATE, checksum_failures=2), {}, "2 pages failed their checksum"),
        (setting("shared_preload_libraries", ""), {}, "not in shared_preload_libraries"),
        (STATE, {"extensions": {"postgis": "any"}}, "CREATE EXTENSION postgis"),
        (STATE, {"extensions": {"timescaledb": "2.16"}}, "timescaledb is at 2.15.1, expected 2.16"),
        (replace(STATE, updates={"amcheck": "1.4"}), {"extensions": {"amcheck": "newest"}},
         "amcheck is at 1.3, expected newest (the server has 1.4): ALTER EXTENSION amcheck UPDATE"),
        (replace(STATE, updates={"amcheck": "no package"}), {"extensions": {"amcheck": "newest"}}, "the server has no package"),
        (STATE, {"settings": {"wal_level": "logical"}}, "wal_level is replica, expected logical"),
        (setting("max_connections", "900"), {"memory": "64GB"}, "max_connections is 900, limit 500"),
        (STATE, {"memory": "1GB"}, "more than half of the memory"),
        (replace(STATE, sizes={**SIZES, "work_mem": 64 * MB}), {}, "100 connections x work_mem 64 MB"),
        (replace(STATE, pending_restart=("max_connections",)), {}, "waits for a restart"),
        (replace(STATE, xid_age=1_900_000_000), {}, "1,900,000,000 old"),
        (replace(STATE, collations=("de_DE",)), {}, "REINDEX"),
        (replace(STATE, prepared=("tx1", timedelta(hours=5))), {}, "'tx1' is 5 h old"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_server_fails(state, more, words):
    found = servers.judge_server(
        state, SERVERS.model_validate({**SERVERS.model_dump(), "memory": SERVERS.memory, **more})
    )
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason


@pytest.mark.parametrize("name", ["fsync", "shared_preload_libraries"])
def test_a_hidden_setting_is_inconclusive(name):
    found = servers.judge_server(setting(name, None), SERVERS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "GRANT pg_monitor" in found.reason


POOLING = Pooling.model_validate(
    {"poolers": [{"name": "p", "host": "h", "roles": 2}], "direct": 5, "reserve": 5}
)
POOLER = PoolerFacts("p", 20, 40, "transaction", pools=(PoolFacts("d", "a", "transaction", 3, 0, 0.0, 3),))
CAPACITY = Capacity("db1", 60, 3, 10, (POOLER,))


def test_pools_fit_to_the_last_connection():
    assert pooling.judge_capacity(CAPACITY, POOLING).verdict is Verdict.PASS
    assert pooling.judge_capacity(replace(CAPACITY, max_connections=53), POOLING).verdict is Verdict.PASS
    found = pooling.judge_capacity(replace(CAPACITY, max_connections=52), POOLING)
    assert found.verdict is Verdict.FAIL
    assert "p 40 + direct 5 = 45 of 44" in found.reason


def test_several_poolers_add_up_and_an_unknown_one_is_inconclusive():
    two = replace(CAPACITY, poolers=(POOLER, replace(POOLER, name="q")))
    assert pooling.judge_capacity(two, POOLING).verdict is Verdict.FAIL
    dark = replace(CAPACITY, poolers=(replace(POOLER, problem="timeout"),))
    assert pooling.judge_capacity(dark, POOLING).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (POOLER, Verdict.PASS, "nobody waits"),
        (replace(POOLER, refused=True, problem="refused"), Verdict.FAIL, "p is down"),
        (replace(POOLER, problem="not allowed"), Verdict.INCONCLUSIVE, "stats_users"),
        (replace(POOLER, mode="session"), Verdict.FAIL, "pools by session"),
        (replace(POOLER, paused=True), Verdict.FAIL, "paused"),
        (
            replace(POOLER, pools=(PoolFacts("d", "a", "transaction", 3, 7, 4.0, 3),)),
            Verdict.FAIL,
            "7 clients of a wait",
        ),
    ],
)
def test_a_pooler(facts, verdict, words):
    found = pooling.judge_pooler(facts, Pooler.model_validate({"name": "p", "host": "h"}))
    assert found.verdict is verdict, found.reason
    assert words in found.reason


PRESSURE = PressureFacts("p", 80, 60, 20, 400, 0, "", 0.5, 20)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (PRESSURE, Verdict.PASS, "80 clients (the server takes 60) all got answers"),
        (replace(PRESSURE, failed=3, first_error="no more connections"), Verdict.FAIL, "3 of 80 clients"),
        (replace(PRESSURE, slowest_s=9.0), Verdict.FAIL, "pool of 20 is too small"),
        (replace(PRESSURE, most_servers=31), Verdict.FAIL, "31 server connections"),
        (replace(PRESSURE, clients=50), Verdict.INCONCLUSIVE, "do not go over"),
        (replace(PRESSURE, answers=2), Verdict.INCONCLUSIVE, "only 2 answers"),
        (replace(PRESSURE, most_servers=None), Verdict.INCONCLUSIVE, "pg_monitor"),
        (replace(PRESSURE, on_record=True, age=timedelta(days=100)), Verdict.INCONCLUSIVE, "100 d old"),
    ],
)
def test_pressure(facts, verdict, words):
    found = pooling.judge_pressure(facts, Pressure(clients=80))
    assert found.verdict is verdict, found.reason
    assert words in found.reason


MONITORING = MonitoringFacts("db1", True, True, "public", "top", 2, 250, -1)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (MONITORING, Verdict.PASS, "counts"),
        (replace(MONITORING, loaded=False), Verdict.FAIL, "not loaded"),
        (replace(MONITORING, installed=False), Verdict.FAIL, "CREATE EXTENSION"),
        (replace(MONITORING, track="none"), Verdict.FAIL, "track is none"),
        (replace(MONITORING, counted=0), Verdict.FAIL, "counted 0 of 2"),
        (replace(MONITORING, counted=None, problem="forbidden"), Verdict.INCONCLUSIVE, "forbidden"),
        (replace(MONITORING, slow_log_ms=-1), Verdict.FAIL, "log_min_duration_statement is -1"),
        (replace(MONITORING, slow_log_ms=60000), Verdict.FAIL, "limit 5 s"),
        (replace(MONITORING, slow_log_ms=-1, explain_ms=1000), Verdict.PASS, "logged"),
    ],
)
def test_monitoring(facts, verdict, words):
    found = judge_statements.judge_monitoring(facts, Monitoring())
    assert found.verdict is verdict, found.reason
    assert words in found.reason


FAST = Statement(1, "app", "SELECT 1", 1000, 5.0, 5.0, 900.0, 5000.0)
SLOW = Statement(2, "app", "SELECT slow", 1000, 400.0, 10.0, 450.0, 4e5)
FACTS = StatementFacts("db1", NOW, NOW - timedelta(days=1), 0, "gate", 0, (FAST,))


def test_p99_is_reckoned_and_never_over_the_maximum():
    """Of a log-normal with mean 5 and deviation 5 the p99 is about 24; with few calls it is the maximum."""
    assert judge_statements.p99_ms(FAST) == pytest.approx(24.5, abs=1)
    assert judge_statements.p99_ms(replace(FAST, max_ms=10.0)) == 10.0
    assert judge_statements.p99_ms(replace(FAST, calls=20)) == 900.0


@pytest.mark.parametrize(
    ("facts", "more", "verdict", "words"),
    [
        (FACTS, {}, Verdict.PASS, "1 statements, none over"),
        (replace(FACTS, statements=(FAST, SLOW)), {}, Verdict.FAIL, "SELECT slow (app: 1000 calls"),
        (replace(FACTS, statements=(FAST, replace(SLOW, calls=2))), {}, Verdict.PASS, "none over"),
        (replace(FACTS, statements=(FAST, replace(SLOW, role="gate"))), {}, Verdict.PASS, "none over"),
        (replace(FACTS, statements=(FAST, SLOW)), {"allowed": [{"contains": "SELECT slow", "reason": "a nightly report"}]},
         Verdict.PASS, "beyond 1 allowed"),
        (replace(FACTS, statements=(FAST, replace(FAST, calls=10))), {}, Verdict.FAIL, "p99 about 0.9 s"),
        (replace(FACTS, statements=()), {}, Verdict.INCONCLUSIVE, "holds no statement"),
        (replace(FACTS, hidden=4), {}, Verdict.INCONCLUSIVE, "4 are hidden"),
        (FACTS, {"min_since": "2d"}, Verdict.INCONCLUSIVE, "reset 24 h ago"),
    ],
)  # fmt: skip
def test_slow_statements(facts, more, verdict, words):
    found = judge_statements.judge_slow(facts, Statements.model_validate(more))
    assert found.verdict is verdict, found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    ("hits", "misses", "verdict"),
    [
        (9500, 500, Verdict.PASS),
        (9499, 501, Verdict.FAIL),
        (9999, 0, Verdict.INCONCLUSIVE),
        (0, 0, Verdict.INCONCLUSIVE),
    ],
)
def test_a_hit_ratio(hits, misses, verdict):
    assert caches.judge_cache(CacheFacts("db1", "shared_buffers", hits, misses), Buffers()).verdict is verdict


FILES = AgedFiles.model_validate({"name": "logs", "path": "/l", "keep": "30d"})
AGES = FileAges("logs", "/l", NOW, 3, 0, "a.log", NOW - timedelta(days=2))


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (AGES, Verdict.PASS, "3 files"),
        (
            replace(AGES, old=1, oldest_at=NOW - timedelta(days=40)),
            Verdict.FAIL,
            "the oldest is a.log (40 d)",
        ),
        (replace(AGES, files=0, oldest_at=None), Verdict.INCONCLUSIVE, "is the path right"),
        (replace(AGES, problem="no such folder"), Verdict.INCONCLUSIVE, "no such folder"),
    ],
)
def test_old_files(facts, verdict, words):
    found = retention.judge_files(facts, FILES)
    assert found.verdict is verdict, found.reason
    assert words in found.reason


AUDIT = AuditTrail.model_validate(
    {"table": "a.log", "role": {"user": "app"}, "operation": [{"sql": "SELECT 1"}], "query": "SELECT 1"}
)
RECORD = Record("app", "INSERT a.users", NOW, "10.0.0.1")
RECORDS = RecordFacts("app", NOW, 0.1, (RECORD,))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "left no record"),
        (replace(RECORD, who="postgres"), "who is postgres, expected app"),
        (replace(RECORD, what=None), "what was done"),
        (replace(RECORD, at=None), "when is not recorded"),
        (replace(RECORD, at=NOW - timedelta(hours=2)), "but the operation was at"),
        (replace(RECORD, at=NOW.replace(tzinfo=None)), "no time zone"),
        (replace(RECORD, source=None), "from where"),
    ],
)
def test_a_record_that_is_not_whole_fails(record, words):
    assert audit_trail.judge_record(RECORDS, AUDIT).verdict is Verdict.PASS
    found = audit_trail.judge_record(replace(RECORDS, records=(record,) if record else ()), AUDIT)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason


def test_rights():
    safe = RightsFacts("a.log", True, "owner", ("app",), (), ())
    assert audit_trail.judge_rights(safe, AUDIT).verdict is Verdict.PASS
    assert (
        audit_trail.judge_rights(replace(safe, ways=(("app", "may TRUNCATE a.log"),)), AUDIT).verdict
        is Verdict.FAIL
    )
    assert audit_trail.judge_rights(replace(safe, exists=False), AUDIT).verdict is Verdict.FAIL
    assert (
        audit_trail.judge_rights(replace(safe, missing_roles=("app",)), AUDIT).verdict is Verdict.INCONCLUSIVE
    )


ERASURE = Erasure.model_validate(
    {"role": {"user": "app"}, "create": [{"sql": "SELECT 1"}], "erase": [{"sql": "SELECT 1"}],
     "expected": ["s.users.email"], "allowed": [{"where": "s.requests.*", "reason": "kept as the proof of it"}],
     "backups": [{"name": "base backups", "keep": "30d"}]}
)  # fmt: skip
BEFORE = Sweep("db2", (Hit("s.users.email", 1),), 9, 2, (), ())
ERASED = ErasureFacts("x@example.com", NOW, BEFORE, replace(BEFORE, hits=(Hit("s.requests.email", 1),)), 0.2)


def after(*hits, **more):
    return replace(ERASED, after=replace(BEFORE, hits=tuple(Hit(h, 1) for h in hits), **more))


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (ERASED, Verdict.PASS, "kept as allowed: s.requests.email"),
        (after("s.users.email"), Verdict.FAIL, "only marked as deleted"),
        (after("s.old.body"), Verdict.FAIL, "the erasure itself wrote it there"),
        (replace(after("s.old.body"), before=replace(BEFORE, hits=(*BEFORE.hits, Hit("s.old.body", 1)))), Verdict.FAIL,
         "the erasure forgets this place"),
        (replace(ERASED, before=replace(BEFORE, hits=())), Verdict.INCONCLUSIVE, "the control failed"),
        (replace(ERASED, after=None, problem="refused"), Verdict.FAIL, "the erasure itself failed: refused"),
        (after(unread=("s.secret: not readable: GRANT pg_read_all_data",)), Verdict.INCONCLUSIVE, "GRANT pg_read_all_data"),
    ],
)  # fmt: skip
def test_erasure(facts, verdict, words):
    """As the parameters say; backups are named with the day on which this person is gone from them."""
    found = erasure.judge_erasure(facts, ERASURE)
    assert found.verdict is verdict, found.reason
    assert words in found.reason
    assert any("2026-03-31" in note for note in found.notes)


LOADED = AfterLoadFacts("db1", 5, 5, (), (), (), (), (), (), (), (), (), ())
SEQUENCE = Sequence("s.a_id_seq", "s.a.id", 10, 10, 1, 1, 2**31 - 1, False)


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        (SEQUENCE, ""),
        (replace(SEQUENCE, given=None, highest=None), ""),
        (replace(SEQUENCE, given=9), "s.a_id_seq is at 9, s.a.id has 10"),
        (replace(SEQUENCE, given=None, highest=1), "is at its start"),
        (replace(SEQUENCE, given=2**31 - 10), "at 2147483638 of 2147483647 (100%)"),
        (replace(SEQUENCE, given=2**31 - 10, cycles=True), ""),
        (replace(SEQUENCE, increment=-1, first=-100, last=-1, given=-10, highest=-10), ""),
        (replace(SEQUENCE, increment=-1, first=-100, last=-1, given=-10, highest=-20), "behind"),
    ],
)
def test_sequences(sequence, words):
    found = after_load.judge_after_load(replace(LOADED, sequences=(sequence,)), AfterLoad())
    assert found.verdict is (Verdict.FAIL if words else Verdict.PASS), found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    "field", ["unanalyzed", "stale", "not_valid", "switched_off", "no_identity", "unlogged", "no_autovacuum"]
)
def test_what_a_load_leaves_behind_fails(field):
    found = after_load.judge_after_load(replace(LOADED, **{field: ("s.a: x",)}), AfterLoad())
    assert found.verdict is Verdict.FAIL
    assert "s.a: x" in found.reason


def test_empty_tables_are_deferred():
    found = after_load.judge_after_load(replace(LOADED, with_rows=0), AfterLoad())
    assert (found.verdict, found.deferred_to) == (Verdict.INCONCLUSIVE, "phase4")


def test_erasure_looks_beside_the_database():
    """A key or a line that stays is named with where it is and what to do; a cache that should hold the person is a control."""
    wider = Erasure.model_validate(
        ERASURE.model_dump(exclude={"redis", "logs"})
        | {
            "redis": [{"name": "cache", "host": "r", "holds": True}],
            "logs": [{"name": "app", "path": "/a.log"}],
        }
    )
    before = replace(BEFORE, hits=(*BEFORE.hits, Hit("redis cache", 1, "key p:1 (database 0)")))
    whole = replace(ERASED, before=before)
    assert "and from redis cache, log app" in erasure.judge_erasure(whole, wider).reason
    control = erasure.judge_erasure(ERASED, wider)
    assert control.verdict is Verdict.INCONCLUSIVE
    assert "not found in redis cache before" in control.reason
    left = erasure.judge_erasure(replace(whole, after=before), wider)
    assert left.verdict is Verdict.FAIL
    assert "redis cache (1 key, first key p:1 (database 0))" in left.reason
    assert "have it delete the key" in left.reason
    logged = erasure.judge_erasure(
        replace(whole, after=replace(BEFORE, hits=(Hit("log app", 2, "/a.log"),))), wider
    )
    assert "log app (2 lines, first /a.log)" in logged.reason
    assert "log an id in its place" in logged.reason
    others = erasure.judge_erasure(replace(whole, before=replace(before, databases=("crm",))), wider)
    assert any("other databases of db2 were not looked at: crm" in note for note in others.notes)
