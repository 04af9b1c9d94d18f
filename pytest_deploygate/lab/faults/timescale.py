"""Faults of TimescaleDB: policies that do not work, wrong aggregates, chunks of another width."""

from __future__ import annotations

from pytest_deploygate.lab import schedule
from pytest_deploygate.lab.faults import Change, Fault, silence, wait_for_job
from pytest_deploygate.lab.services.timescale import JOB, NAME, execute, outside
from pytest_deploygate.lab.state import Lab

_RETENTION = {"db.retention": "fail"}
_PARTITIONING = {"db.partitioning": "fail", "phase2.partitioning": "fail"}
_AGGREGATES = {"phase2.aggregates": "fail"}
_NEEDS = (NAME,)
_BEFORE = "preflight and database"
_BOTH = f"({_BEFORE}) or phase2"
_OLD = "date_trunc('hour', now()) - interval '40 days'"
#: Outside of the refresh policy's three days, in a chunk that is not compressed yet.
_LATE = "date_trunc('hour', now()) - interval '5 days'"
_MATERIALIZED = "SELECT materialization_hypertable_schema || '.' || materialization_hypertable_name"
_REFRESH = "CALL refresh_continuous_aggregate('telemetry.readings_hourly', {first}, {last})"


def by_sql(*statements: str) -> Change:
    """Return a change that runs statements on that server, each in a transaction of its own."""
    return lambda lab: execute(lab, *statements)


def _alter(proc: str, change: str) -> str:
    return f"SELECT alter_job(job_id, {change}) FROM timescaledb_information.jobs WHERE proc_name = '{proc}'"


def _strand_old_chunk(lab: Lab) -> None:
    """Leave a chunk that retention should have dropped; it is compressed and aggregated, so that nothing else is wrong."""
    execute(
        lab,
        _alter("policy_retention", "scheduled => false"),
        f"INSERT INTO telemetry.readings SELECT {_OLD}, sensor, 50 FROM generate_series(1, 12) AS sensor",
        "SELECT compress_chunk(c) FROM show_chunks('telemetry.readings', older_than => interval '30 days') AS c",
        _REFRESH.format(first=f"{_OLD} - interval '1 day'", last=f"{_OLD} + interval '1 day'"),
    )


def _drop_old_chunk(lab: Lab) -> None:
    execute(
        lab,
        _alter("policy_retention", "scheduled => true"),
        "SELECT drop_chunks('telemetry.readings', older_than => interval '30 days')",
        _REFRESH.format(first=f"{_OLD} - interval '1 day'", last=f"{_OLD} + interval '1 day'"),
    )


def _let_newer_rows_come(lab: Lab) -> None:
    execute(
        lab,
        _alter("policy_refresh_continuous_aggregate", "scheduled => false"),
        "INSERT INTO telemetry.readings SELECT at, sensor, 50 FROM generate_series(date_trunc('hour', now()) - interval"
        " '5 hours', now(), interval '15 minutes') AS at, generate_series(1, 12) AS sensor",
    )


def _take_newer_rows_back(lab: Lab) -> None:
    execute(
        lab,
        "DELETE FROM telemetry.readings WHERE recorded_at >= (SELECT max(recorded_at) - interval '6 hours' FROM"
        " telemetry.readings) AND value = 50",
        _alter("policy_refresh_continuous_aggregate", "scheduled => true"),
    )


def _change_bucket(by: str) -> Change:
    def change(lab: Lab) -> None:
        found = execute(lab, f"{_MATERIALIZED} FROM timescaledb_information.continuous_aggregates")
        execute(lab, f"UPDATE {found[0][0]} SET avg = avg {by} WHERE sensor_id = 5 AND bucket = {_LATE}")

    return change


def _recompute_late(lab: Lab) -> None:
    """Touch the raw rows of the bucket, so that a refresh recomputes it."""
    execute(
        lab,
        f"UPDATE telemetry.readings SET value = value WHERE recorded_at >= {_LATE} - interval '1 day' AND recorded_at"
        f" < {_LATE} + interval '1 day'",
        _REFRESH.format(first=f"{_LATE} - interval '2 days'", last=f"{_LATE} + interval '2 days'"),
    )


def _take_late_rows_back(lab: Lab) -> None:
    execute(lab, "DELETE FROM telemetry.readings WHERE value = 1000")
    _recompute_late(lab)


def _stop_running_jobs(lab: Lab) -> None:
    if outside(lab):
        silence(lab, JOB)
    else:
        execute(lab, "SELECT _timescaledb_functions.stop_background_workers()")


def _run_jobs_again(lab: Lab) -> None:
    if outside(lab):
        schedule.switch_on(lab, JOB)
        wait_for_job(lab, JOB)
    else:
        execute(lab, "SELECT _timescaledb_functions.start_background_workers()")


NO_RETENTION = Fault(
    "timescale-no-retention",
    "telemetry.readings no longer has a retention policy",
    _RETENTION,
    by_sql("SELECT remove_retention_policy('telemetry.readings')"),
    by_sql(
        "SELECT add_retention_policy('telemetry.readings', drop_after => interval '14 days',"
        " schedule_interval => interval '1 hour', if_not_exists => true)"
    ),
    says="no retention policy",
    tests=("test_timescale_retention",),
    needs=_NEEDS,
    scope=_BEFORE,
)
OLD_CHUNK = Fault(
    "timescale-old-chunk",
    "the retention policy was switched off, and a chunk from forty days ago is still there",
    _RETENTION,
    _strand_old_chunk,
    _drop_old_chunk,
    says="1 of",
    tests=("test_timescale_retention",),
    needs=_NEEDS,
    scope=_BEFORE,
)
CHUNK_INTERVAL = Fault(
    "timescale-chunk-interval",
    "new chunks of telemetry.readings are a week wide",
    _PARTITIONING,
    by_sql("SELECT set_chunk_time_interval('telemetry.readings', interval '7 days')"),
    by_sql("SELECT set_chunk_time_interval('telemetry.readings', interval '1 day')"),
    says="7 d wide",
    tests=("test_timescale_hypertable",),
    needs=_NEEDS,
    scope=_BOTH,
)
NO_COLUMNSTORE = Fault(
    "timescale-columnstore-off",
    "the compression job is switched off and older chunks were decompressed",
    _PARTITIONING,
    by_sql(
        _alter("policy_compression", "scheduled => false"),
        "SELECT decompress_chunk(c, true) FROM show_chunks('telemetry.readings', older_than => interval '9 days') AS c",
    ),
    by_sql(
        _alter("policy_compression", "scheduled => true"),
        "SELECT compress_chunk(c, true) FROM show_chunks('telemetry.readings', older_than => interval '7 days') AS c",
    ),
    says="not compressed",
    tests=("test_timescale_columnstore",),
    needs=_NEEDS,
    scope=_BOTH,
)
STALE = Fault(
    "timescale-aggregate-stale",
    "the refresh policy is switched off, and five hours of newer rows are not in the aggregate",
    _AGGREGATES,
    _let_newer_rows_come,
    _take_newer_rows_back,
    says="stale",
    tests=("test_timescale_aggregate",),
    needs=_NEEDS,
)
WRONG_BUCKET = Fault(
    "timescale-wrong-bucket",
    "one stored bucket of about 3,400 has a wrong mean",
    _AGGREGATES,
    _change_bucket("+ 0.5"),
    _recompute_late,
    says="1 of",
    tests=("test_timescale_aggregate",),
    needs=_NEEDS,
)
LATE_ROWS = Fault(
    "timescale-late-rows",
    "rows from five days ago arrived late, but the refresh policy looks back only three days",
    _AGGREGATES,
    by_sql(f"INSERT INTO telemetry.readings SELECT {_LATE}, 5, 1000"),
    _take_late_rows_back,
    says="looks back only 3 d",
    tests=("test_timescale_aggregate",),
    needs=_NEEDS,
)
NOBODY_RUNS_JOBS = Fault(
    "timescale-jobs-not-run",
    "nothing runs TimescaleDB's jobs: the line is commented out in the crontab, or the background workers were stopped",
    {"db.cluster": "fail"},
    _stop_running_jobs,
    _run_jobs_again,
    says="nothing runs TimescaleDB's jobs",
    tests=("test_timescale_extension",),
    needs=_NEEDS,
    scope=_BEFORE,
)
