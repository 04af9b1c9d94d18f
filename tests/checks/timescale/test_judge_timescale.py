"""Judges of TimescaleDB. Rows marked `recorded` come from a real TimescaleDB 2.28.3 on PostgreSQL 15, with its workers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.aggregates.facts import Comparison, Difference
from pytest_deploygate.checks.timescale import facts as timescale_facts
from pytest_deploygate.checks.timescale.facts import (
    AggregateFacts,
    Chunk,
    Dimension,
    Extension,
    Job,
    Settings,
)
from pytest_deploygate.checks.timescale.judge import aggregates as timescale_aggregates
from pytest_deploygate.checks.timescale.judge import extension as judge_timescale
from pytest_deploygate.checks.timescale.judge import hypertables as timescale_hypertables
from pytest_deploygate.checks.timescale.judge import policies as timescale_policies
from pytest_deploygate.checks.timescale.judge.jobs import health
from pytest_deploygate.checks.timescale.section import (
    ChunkRetention,
    Columnstore,
    ContinuousAggregate,
    Hypertable,
    Timescale,
)

NOW = datetime(2026, 11, 24, 16, 10, tzinfo=UTC)
H, D = timedelta(hours=1), timedelta(days=1)
#: recorded: a retention job before its first run, after a success, and after failures.
NEW = Job(1000, "policy_retention", "public.t", D, True, {"drop_after": "7 days", "hypertable_id": 1},
                state="Scheduled", spans={"drop_after": 7 * D})  # fmt: skip
GOOD = replace(NEW, last_started=datetime(2026, 11, 24, 16, 9, 1, tzinfo=UTC),
               last_success=datetime(2026, 11, 24, 16, 9, 1, tzinfo=UTC), status="Success",
               next_start=datetime(2026, 11, 25, 16, 9, 1, tzinfo=UTC))  # fmt: skip
FAILED = replace(GOOD, last_success=None, status="Failed", failures=4,
                 error='cannot drop portal "" while it is being set up')  # fmt: skip


@pytest.mark.parametrize(
    ("job", "outside", "wrong"),
    [
        (GOOD, False, ""),
        (NEW, False, "has never run"),
        (FAILED, False, "is Failed (4 failures): cannot drop portal"),
        (replace(GOOD, status="Failed", failures=1), False, "is Failed; its message is in the server's log"),
        (replace(GOOD, last_success=NOW - 3 * D), False, "last succeeded 3 d ago"),
        (replace(GOOD, last_success=NOW - 2 * D), False, ""),
        (replace(GOOD, last_success=NOW - 3 * D, state="Running"), False, "last succeeded 3 d ago"),
        (replace(GOOD, scheduled=False), False, "alter_job(1000, scheduled => true)"),
        (NEW, True, ""),
        (replace(NEW, scheduled=False), True, "is switched off"),
    ],
)
def test_health_of_a_job(job, outside, wrong):
    """Not scheduled, no run, no success, a success older than two intervals; with an outside scheduler, only that it is switched on."""
    found = health(job, NOW, outside_scheduler=outside)
    assert bool(found.wrong) == bool(wrong)
    assert wrong in "; ".join(found.wrong)


def test_a_job_in_its_first_run_cannot_be_told():
    """It has started, has no success and no failure yet."""
    running = replace(NEW, last_started=NOW, state="Running")
    assert health(running, NOW).unknown
    assert not health(running, NOW).wrong


def chunks(*ages: int, compressed: int = 0) -> tuple[Chunk, ...]:
    """Day chunks that ended so many days ago, the first `compressed` of them compressed."""
    return tuple(
        Chunk(f"_timescaledb_internal._hyper_1_{n}_chunk", NOW - (age + 1) * D, NOW - age * D, n < compressed)
        for n, age in enumerate(ages)
    )  # fmt: skip


TABLE = timescale_facts.Hypertable(
    "public.t", NOW, True, True, (Dimension("ts", "Time", D, None),), chunks(5, 4, 3, 2, 1, 0, compressed=3),
    Settings(("dev",), ("ts DESC",)),
    (GOOD, replace(GOOD, id=1002, proc="policy_compression", interval=12 * H, spans={"compress_after": 2 * D})), scanned=1,
)  # fmt: skip
RETAINED = ChunkRetention.model_validate({"table": "public.t", "drop_after": "7d"})


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (TABLE, "pass", "drops chunks of public.t after 7 d"),
        (replace(TABLE, exists=False), "fail", "does not exist"),
        (replace(TABLE, hypertable=False), "fail", "not a hypertable"),
        (replace(TABLE, jobs=()), "fail", "add_retention_policy('public.t', INTERVAL '7 days')"),
        (
            replace(TABLE, jobs=(replace(GOOD, spans={"drop_after": 9 * D}),)),
            "fail",
            "after 9 d, expected 7 d",
        ),
        (
            replace(TABLE, jobs=(replace(GOOD, spans={}, config={"drop_created_before": "7 days"}),)),
            "inconclusive",
            "drop_created_before 7 days",
        ),
        (replace(TABLE, chunks=chunks(12, 9, 1)), "fail", "2 of 3 chunks"),
        (replace(TABLE, chunks=chunks(8, 1)), "pass", "none of 2 is overdue"),
        (replace(TABLE, jobs=(FAILED,)), "fail", "is Failed (4 failures)"),
        (replace(TABLE, chunks=()), "inconclusive", "run again after phase 4"),
        (
            replace(TABLE, dimensions=(Dimension("id", "Time", None, None),)),
            "inconclusive",
            "integers of id",
        ),
    ],
)
def test_retention(found, verdict, words):
    """A policy that exists is not enough: its job runs well, and no chunk is left beyond its age and one interval."""
    judged = timescale_policies.judge_retention(found, RETAINED)
    assert (judged.verdict, words in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("found", "more", "verdict", "words"),
    [
        (TABLE, {}, "pass", "3 of 6 are"),
        (TABLE, {"segmentby": ["dev"], "orderby": ["ts DESC NULLS FIRST"]}, "pass", ""),
        (TABLE, {"segmentby": ["other"]}, "fail", "segmented by dev, expected other"),
        (TABLE, {"orderby": ["ts"]}, "fail", "ordered by ts DESC, expected ts"),
        (replace(TABLE, settings=None), {"segmentby": ["dev"]}, "fail", "no compression settings"),
        (replace(TABLE, jobs=(GOOD,)), {}, "fail", "no columnstore policy"),
        (replace(TABLE, chunks=chunks(5, 4, 1)), {}, "fail", "2 chunks of public.t are older than 48 h"),
        (TABLE, {"after": "3d"}, "fail", "after 48 h, expected 3 d"),
    ],
)
def test_columnstore(found, more, verdict, words):
    """Settings and age as expected, and no older chunk uncompressed."""
    expected = Columnstore.model_validate({"table": "public.t", "after": "2d", **more})
    judged = timescale_policies.judge_columnstore(found, expected)
    assert verdict == judged.verdict, judged.reason
    assert words.replace("48 h", "2 d") in judged.reason.replace("48 h", "2 d"), judged.reason


SPACE = (*TABLE.dimensions, Dimension("dev", "Space", None, 4))


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (TABLE, "pass", "chunks of"),
        (replace(TABLE, dimensions=(Dimension("at", "Time", D, None),)), "fail", "over at, expected ts"),
        (replace(TABLE, dimensions=(Dimension("ts", "Time", 7 * D, None),)), "fail", "set_chunk_time_interval"),
        (replace(TABLE, dimensions=SPACE), "fail", "dev in 4, expected no other dimension"),
        (replace(TABLE, chunks=(*TABLE.chunks, *chunks(-30))), "fail", "wrong clock"),
        (replace(TABLE, scanned=6), "fail", "reads 6 of 6 chunks"),
        (replace(TABLE, scanned=None), "inconclusive", "pruning was not shown"),
        (replace(TABLE, scanned=0), "inconclusive", "pruning was not shown"),
        (replace(TABLE, scanned=None, problem="permission denied for table t"), "inconclusive", "permission denied"),
        (replace(TABLE, chunks=(), scanned=None), "inconclusive", "run again after phase 4"),
    ],
)  # fmt: skip
def test_hypertable(found, verdict, words):
    """Dimensions, width, no chunk far in the future, pruning."""
    expected = Hypertable.model_validate({"table": "public.t", "column": "ts", "chunk_interval": "1d"})
    judged = timescale_hypertables.judge_hypertable(found, expected)
    assert (judged.verdict, words in judged.reason) == (verdict, True), judged.reason


SAME = Comparison(NOW - D, NOW, 24, 24, 24, 0, 0, 0, ())
OTHER = replace(
    SAME, different=1, examples=(Difference("different", NOW - 5 * D, "dev=1", {"n": 6}, {"n": 7}),)
)
REFRESH = replace(GOOD, id=1001, proc="policy_refresh_continuous_aggregate", table="public.h", interval=H / 2,
                  spans={"start_offset": 3 * D, "end_offset": H})  # fmt: skip
FRESH = AggregateFacts(
    "public.h", NOW, True, False, "public.t", REFRESH, False, NOW - H, NOW, comparisons=(SAME,)
)
WANTED = ContinuousAggregate.model_validate(
    {"view": "public.h", "bucket": "b", "width": "1h", "key": ["dev"]}
)
LATE = ((NOW - 5 * D, NOW - 5 * D),)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (FRESH, "pass", "24 rows of public.h match"),
        (replace(FRESH, exists=False), "fail", "no continuous aggregate public.h"),
        (replace(FRESH, job=None), "fail", "add_continuous_aggregate_policy"),
        (replace(FRESH, job=replace(REFRESH, scheduled=False)), "fail", "switched off"),
        (replace(FRESH, watermark=NOW - 2 * H), "pass", ""),
        (replace(FRESH, watermark=NOW - 5 * H), "fail", "stale: raw rows reach 5 h past its watermark"),
        (replace(FRESH, watermark=None), "fail", "nothing of public.h is materialised"),
        (replace(FRESH, newest_raw=None), "inconclusive", "public.t has no rows"),
        (
            replace(FRESH, comparisons=(OTHER,)),
            "fail",
            "has n 6 instead of 7. No change to the raw rows explains it",
        ),
        (
            replace(FRESH, comparisons=(OTHER,)),
            "fail",
            f"CALL refresh_continuous_aggregate('public.h', '{NOW - 5 * D}', '{NOW - 5 * D + H}')",
        ),
        (
            replace(FRESH, comparisons=(OTHER,), out_of_reach=LATE),
            "fail",
            "its policy looks back only 3 d: CALL refresh_continuous_aggregate('public.h', "
            f"'{NOW - 5 * D - H}', '{NOW - 5 * D + H}')",
        ),
        (replace(FRESH, comparisons=()), "inconclusive", "none is complete yet"),
        (
            replace(FRESH, comparisons=(), pending=LATE),
            "inconclusive",
            "waits for the next refresh (1 ranges)",
        ),
        (replace(FRESH, problem="permission denied for table t"), "inconclusive", "permission denied"),
    ],
)
def test_continuous_aggregate(found, verdict, words):
    """A policy that runs, a watermark near the raw rows as the policy promises, and correct buckets."""
    judged = timescale_aggregates.judge_aggregate(found, WANTED)
    assert (judged.verdict, words in judged.reason) == (verdict, True), judged.reason


def test_a_refresh_that_deletes_what_retention_dropped_is_noted():
    """A window longer than the raw rows' lifetime deletes buckets when it refreshes dropped ranges."""
    judged = timescale_aggregates.judge_aggregate(replace(FRESH, drops_raw_after=D), WANTED)
    assert judged.verdict == "pass"
    assert "deletes" in judged.notes[0]
    assert timescale_aggregates.judge_aggregate(replace(FRESH, drops_raw_after=7 * D), WANTED).notes == ()


SECTION = Timescale.model_validate(
    {"version": "2.28", "retention": [{"table": "public.t", "drop_after": "7d"}]}
)
WORKERS = ("TimescaleDB Background Worker Launcher", "TimescaleDB Background Worker Scheduler")
#: recorded: a database of 2.28.3, including its own housekeeping jobs.
TELEMETRY = replace(NEW, id=1, proc="policy_telemetry", table="", spans={})
HEALTHY = Extension(
    NOW, "15.20", {"platform": "2.28.3"}, {}, "2.28.3", "timescale", WORKERS, 16, 8, (TELEMETRY, GOOD)
)
ACTION = replace(FAILED, id=1005, proc="platform.roll_up", table="")


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (HEALTHY, "pass", "timescaledb 2.28.3 in platform"),
        (replace(HEALTHY, versions={"platform": "2.28.3", "reporting": None}), "fail", "reporting has no timescaledb"),
        (replace(HEALTHY, versions={"platform": "2.2.8"}), "fail", "is 2.2.8 in the database platform, expected 2.28"),
        (replace(HEALTHY, unseen={"reporting": "refused"}), "inconclusive", "reporting is unknown: refused"),
        (replace(HEALTHY, license="apache"), "fail", "license is apache, expected timescale"),
        (replace(HEALTHY, license=None), "fail", "the library is not loaded"),
        (replace(HEALTHY, workers=()), "fail", "no launcher and no scheduler"),
        (replace(HEALTHY, workers=WORKERS[:1]), "fail", "timescaledb_post_restore"),
        (replace(HEALTHY, workers=None), "inconclusive", "GRANT pg_read_all_stats"),
        (replace(HEALTHY, jobs=(TELEMETRY, FAILED)), "pass", "licence timescale"),  # retention has a check of its own
        (replace(HEALTHY, jobs=(replace(FAILED, table="public.unnamed"),)), "fail", "of public.unnamed"),
        (replace(HEALTHY, jobs=(ACTION,)), "fail", "job 1005 (platform.roll_up) is Failed"),
    ],
)  # fmt: skip
def test_extension(found, verdict, words):
    """Version in every database, licence, workers, and jobs that no other check covers."""
    judged = judge_timescale.judge_extension(found, judge_timescale.expected(SECTION))
    assert (judged.verdict, words in judged.reason) == (verdict, True), judged.reason
    assert any("max_worker_processes is 8" in note for note in judged.notes) == (verdict == "pass")


@pytest.mark.parametrize(
    ("version", "wanted", "same"),
    [("2.28.3", "2.28", True), ("2.28.3", "2.2", False), ("2.23.0-dev", "2.23.0", True), ("2.28.3", "2.28.3", True),
     ("2.28.30", "2.28.3", False)],
)  # fmt: skip
def test_versions(version, wanted, same):
    """2.28 accepts any patch of 2.28; 2.2 does not."""
    assert judge_timescale.matches(version, wanted) is same
