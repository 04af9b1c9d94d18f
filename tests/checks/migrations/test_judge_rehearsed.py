"""What a rehearsal saw, judged: what it could not see is never a pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.migrations.facts import Held, LintFacts, Observed, Rehearsal, Relation, Write
from pytest_deploygate.checks.migrations.judge.lint import judge_lint
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.model import Judgement, Verdict

MB = 1024**2
SIZES = (
    Relation("app.t", 900 * MB, 900 * MB, 1e6),
    Relation("app.u", 8192, 8192, 1),
    Relation("app.hyper", 8192, 500 * MB, 0),
)
DONE = Observed("V1.sql", 3, "ALTER TABLE …", "ALTER TABLE", lock_timeout_ms=5000)


def judged(
    *observed: Observed, relations: tuple[Relation, ...] = SIZES, slots: int | None = None, **more
) -> Judgement:
    ran = Rehearsal("PostgreSQL 15", ("V1.sql",), observed, relations, **({"left_out": ()} | more))
    return judge_lint(LintFacts(("V1.sql",), (), slots, 2, ran), MigrationLint())


def test_a_rewrite_is_judged_by_the_live_size():
    found = judged(replace(DONE, rewritten=("app.t",)))
    assert found.verdict is Verdict.FAIL
    assert "V1.sql:3 [rewrites-table] rewrites the table under ACCESS EXCLUSIVE" in found.reason
    assert "app.t (900 MB)" in found.reason
    assert judged(replace(DONE, rewritten=("app.u",))).verdict is Verdict.PASS
    assert (
        "over max_slot_wal_keep_size (512 MB)"
        in judged(replace(DONE, rewritten=("app.t",)), slots=512 * MB).reason
    )


def test_many_small_tables_are_one_large_rewrite():
    parts = tuple(Relation(f"app.p{n}", MB, MB, 10) for n in range(40))
    found = judged(replace(DONE, rewritten=tuple(p.name for p in parts)), relations=parts)
    assert found.verdict is Verdict.FAIL
    assert "and 39 more (40 MB)" in found.reason


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        ("ShareUpdateExclusiveLock", "pass"), ("ShareLock", "fail"), ("ShareRowExclusiveLock", "fail"),
        ("ExclusiveLock", "fail"), ("AccessExclusiveLock", "fail"),
    ],
)  # fmt: skip
def test_a_scan_hurts_by_the_lock_that_is_held(mode, verdict):
    seen = replace(DONE, held=(Held("app.t", mode, new=True),), scanned=("app.t",))
    assert judged(seen).verdict.value == verdict


def test_a_small_table_is_kept_locked_during_a_long_scan():
    seen = replace(
        DONE,
        held=(Held("app.u", "AccessExclusiveLock", new=False), Held("app.t", "ShareUpdateExclusiveLock", new=True)),
        scanned=("app.t",),
    )  # fmt: skip
    found = judged(seen)
    assert found.verdict is Verdict.FAIL
    assert "keeps ACCESS EXCLUSIVE on app.u while it works through app.t" in found.reason


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(1.0, "fail"), (0.5, "fail"), (0.001, "pass"), (0.0, "pass"), (None, "inconclusive")],
)
def test_a_write_is_judged_by_its_share_of_the_rows(share, verdict):
    seen = replace(DONE, tag="UPDATE", writes=(Write("app.t", "(id > 3)", share),))
    assert judged(seen).verdict.value == verdict


def test_a_table_that_could_not_be_copied_is_unknown():
    absent = replace(SIZES[0], copied=False)
    found = judged(DONE, relations=(absent,), left_out=('extension "x" is not available',))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "lacks app.t (900 MB)" in found.reason
    assert judged(DONE, relations=(replace(absent, of_extension=True),)).verdict is Verdict.PASS
    assert judged(DONE, relations=(replace(absent, size_bytes=100),)).verdict is Verdict.PASS


def test_without_timescaledb_an_index_counts_for_all_chunks():
    seen = replace(DONE, indexed=("app.hyper",), held=(Held("app.hyper", "ShareLock", new=True),))
    assert judged(seen).verdict is Verdict.PASS
    found = judged(seen, left_out=('extension "timescaledb" is not available',))
    assert found.verdict is Verdict.FAIL
    assert "app.hyper (500 MB)" in found.reason


def test_without_timescaledb_what_reached_the_chunks_counts_once():
    """What was seen of a real hypertable's catalog: an UPDATE names the empty parent, a new type each chunk."""
    parent = Relation("app.h", 0, 12 << 20, 0.0, children=("app.chunk_1", "app.chunk_2"))
    chunks = [Relation(f"app.chunk_{n}", 6 << 20, 6 << 20, 9000.0) for n in (1, 2)]
    left_out = ('extension "timescaledb" is not available',)
    written = replace(DONE, tag="UPDATE", writes=(Write("app.h", "sensor_id = 1", 1.0),))
    several = replace(written, writes=(*written.writes, Write("app.chunk_1", "sensor_id = 1", 0.001)))
    for seen in (written, several):
        found = judged(seen, relations=(parent, *chunks), left_out=left_out)
        assert found.verdict is Verdict.PASS, found.reason
    names = ("app.h", "app.chunk_1", "app.chunk_2")
    rewritten = replace(
        DONE, rewritten=names, held=tuple(Held(name, "AccessExclusiveLock", new=True) for name in names)
    )
    small = judged(rewritten, relations=(parent, *chunks), left_out=left_out)
    assert small.verdict is Verdict.PASS, "12 MB are rewritten, not 24"
    large = replace(chunks[1], size_bytes=11 << 20, tree_bytes=11 << 20)
    found = judged(
        rewritten, relations=(replace(parent, tree_bytes=17 << 20), chunks[0], large), left_out=left_out
    )
    assert found.verdict is Verdict.FAIL
    assert "2 more (17 MB)" in found.reason
    beside = replace(
        DONE, scanned=("app.h", "app.t"), held=(Held("app.h", "ShareRowExclusiveLock", new=True),)
    )
    both = (replace(parent, tree_bytes=17 << 20), chunks[0], large, *SIZES)
    assert "app.h" in judged(beside, relations=both, left_out=left_out).reason, (
        "a foreign key of the hypertable"
    )
    every = replace(DONE, tag="UPDATE", writes=tuple(Write(name, "", 1.0) for name in names))
    assert judged(every, relations=(parent, chunks[0], large), left_out=left_out).verdict is Verdict.FAIL


def test_timescaledb_refuses_what_a_server_without_it_takes():
    """Seen of TimescaleDB 2.23: "hypertables do not support concurrent index creation"."""
    hyper = Relation("app.h", 0, 500 * MB, 0.0, children=("_timescaledb_internal._hyper_1_1_chunk",))
    left_out = ('extension "timescaledb" is not available',)
    for text in (
        "CREATE INDEX CONCURRENTLY ON app.h (value)",
        "create unique index concurrently if not exists i on h(value)",
        'CREATE INDEX CONCURRENTLY i ON ONLY "app"."h" (x)',
    ):
        seen = replace(DONE, tag="CREATE INDEX", text=text)
        found = judged(seen, relations=(*SIZES, hyper), left_out=left_out)
        assert found.verdict is Verdict.FAIL
        assert "TimescaleDB refuses CONCURRENTLY on a hypertable (app.h)" in found.reason
        plain = replace(hyper, children=("app.h_2026",))
        assert judged(seen, relations=(*SIZES, plain), left_out=left_out).verdict is Verdict.PASS
    beside = replace(DONE, tag="CREATE INDEX", text="CREATE INDEX CONCURRENTLY ON app.u (h)")
    assert judged(beside, relations=(*SIZES, hyper), left_out=left_out).verdict is Verdict.PASS
    locking = replace(
        beside,
        text="CREATE INDEX ON app.h (value)",
        indexed=("app.h",),
        held=(Held("app.h", "ShareLock", new=True),),
    )
    found = judged(locking, relations=(*SIZES, hyper), left_out=left_out)
    assert "WITH (timescaledb.transaction_per_chunk)" in found.reason


def test_an_error_after_an_incomplete_copy_is_unknown():
    wrong = replace(DONE, sqlstate="42883", message="function gone() does not exist")
    assert judged(wrong, problem="psql: exit code 3").verdict is Verdict.FAIL
    unknown = judged(wrong, problem="psql: exit code 3", left_out=('extension "x" is not available',))
    assert unknown.verdict is Verdict.INCONCLUSIVE
    assert judged(wrong).verdict is Verdict.INCONCLUSIVE  # the tool went on
    assert judged(problem="Alembic: no module named shop").verdict is Verdict.INCONCLUSIVE


def test_plans_that_were_not_seen_leave_updates_open():
    seen = replace(DONE, tag="UPDATE")
    assert judged(seen, left_out=("auto_explain: no such module",)).verdict is Verdict.INCONCLUSIVE


def test_what_a_statement_quotes_is_not_repeated():
    found = judged(replace(DONE, line=0, text="ALTER ROLE app PASSWORD 'hunter2'", dropped=("app.u",)))
    assert "hunter2" not in found.reason
    assert "ALTER ROLE app PASSWORD '…'" in found.reason


def test_rows_that_decide_count_where_the_live_table_has_some():
    found = judged(replace(DONE, tag="DO", depends_on=("app.t",)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "[depends-on-rows] reads rows of app.t" in found.reason
    empty = (*SIZES, Relation("app.none", 0, 0, 0))
    assert judged(replace(DONE, tag="DO", depends_on=("app.none",)), relations=empty).verdict is Verdict.PASS
    worse = judged(replace(DONE, depends_on=("app.t",), rewritten=("app.t",)))
    assert worse.verdict is Verdict.FAIL
