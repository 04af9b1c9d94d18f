"""Retention: the job that removes rows, the policy that it follows, and rows that should have been deleted; files by age."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from pytest_deploygate.checks.jobs.facts import JobFacts, LastRunFacts, ScheduleFacts
from pytest_deploygate.checks.jobs.probe.last_runs import read_last_run
from pytest_deploygate.checks.jobs.probe.schedules import read_schedule
from pytest_deploygate.checks.privacy.facts import MOST_ROWS, FileAges, PartmanPolicy, RetentionFacts
from pytest_deploygate.checks.privacy.section import AgedFiles, Retained
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import another_case, identifier
from pytest_deploygate.fields.names import plain
from pytest_deploygate.model import CannotTell

_OLD = """
SELECT clock_timestamp(), (SELECT count(*) FROM (SELECT FROM {table} WHERE {column} < {edge} LIMIT {most}) AS old),
    (SELECT greatest(min({column})::timestamptz, timestamptz '0001-01-02 00:00+00') FROM {table} WHERE {column} < {edge}),
    EXISTS (SELECT FROM {table}), (SELECT count(*) FROM (SELECT FROM {table} WHERE {column} IS NULL
        OR {column} = 'infinity' OR {column} > now() + interval '2 days' LIMIT {most}) AS never)
"""
# Older than keep and slack; timestamps without a zone are taken as UTC, the session's time zone.
_EDGE = "now() - {age}::interval"
_PARTMAN = """
SELECT retention, automatic_maintenance, retention_keep_table FROM {schema}.part_config WHERE parent_table = %s
"""


def retained_rows(cluster: Cluster, wanted: Retained) -> RetentionFacts:
    """Read a table's retention on the primary. Raises CannotTell if the table cannot be read at all."""
    job = _job(cluster, wanted)
    partman = _partman(cluster, wanted) if wanted.partman else None
    policy, problem = _policy(cluster, wanted)
    try:
        now, old, oldest, has_rows, never = cluster.rows(cluster.primary, _query(wanted))[0]
    except CannotTell as unknown:
        missing = (
            psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn | psycopg.errors.InvalidSchemaName
        )
        if isinstance(unknown.__cause__, missing):
            return RetentionFacts(
                wanted.table,
                False,
                datetime.now(UTC),
                False,
                0,
                None,
                False,
                None,
                job,
                partman,
                f"{unknown}{_near(cluster, wanted)}",
            )
        raise
    return RetentionFacts(
        wanted.table,
        True,
        now,
        has_rows,
        old,
        _moment(oldest),
        wanted.policy is not None,
        policy,
        job,
        partman,
        problem,
        never,
    )


def _near(cluster: Cluster, wanted: Retained) -> str:
    return another_case(lambda *asked: cluster.rows(cluster.primary, *asked), wanted.table, wanted.column)


def _query(wanted: Retained) -> sql.Composed:
    age = sql.SQL(_EDGE).format(age=sql.Literal(f"{(wanted.keep + wanted.slack).total_seconds()} seconds"))
    return sql.SQL(_OLD).format(
        table=identifier(wanted.table),
        column=sql.Identifier(wanted.column),
        edge=age,
        most=sql.Literal(MOST_ROWS),
    )


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def _job(cluster: Cluster, wanted: Retained) -> JobFacts | None:
    if wanted.schedule is None or wanted.last_run is None:
        return None
    schedule: ScheduleFacts = read_schedule(cluster, wanted.schedule)
    last: LastRunFacts = read_last_run(cluster, wanted.last_run, shell(wanted.schedule.host))
    return JobFacts("its retention job", schedule, last, datetime.now(UTC))


def _policy(cluster: Cluster, wanted: Retained) -> tuple[timedelta | None, str]:
    if wanted.policy is None:
        return None, ""
    try:
        value = cluster.value(cluster.primary, wanted.policy)
    except CannotTell as unknown:
        return None, str(unknown)
    if value is None or isinstance(value, timedelta):
        return value, ""
    return None, f"the `policy` query of {wanted.table} returned {value!r}, not an interval"


def _partman(cluster: Cluster, wanted: Retained) -> PartmanPolicy:
    query = sql.SQL(_PARTMAN).format(schema=sql.Identifier(wanted.partman or ""))
    try:
        rows = cluster.rows(cluster.primary, query, (plain(wanted.table),))
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return PartmanPolicy(False)
        raise
    if not rows:
        return PartmanPolicy(False)
    text, automatic, keeps = rows[0]
    return PartmanPolicy(True, _interval(cluster, text), automatic == "on", bool(keeps), text or "")


def _interval(cluster: Cluster, text: str | None) -> timedelta | None:
    if not text:
        return None
    try:
        found: timedelta = cluster.value(cluster.primary, "SELECT %s::interval", (text,))
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.DataError):
            return None
        raise
    return found


def file_ages(files: AgedFiles) -> FileAges:
    """Read the age of files on their host, by modification time. A failure is a value."""
    now, where = datetime.now(UTC), f"{files.path}/{files.pattern} on {files.host}"
    try:
        # %T@ needs GNU find; a missing folder and one without permission both give an error and no lines.
        code, text, errors = shell(files.host)(
            "timeout 30 find %s -type f -name %s -printf %s", str(files.path), files.pattern, r"%T@ %P\n"
        )
    except CannotTell as unknown:
        return FileAges(files.name, where, now, 0, 0, "", None, str(unknown))
    if code != 0:
        return FileAges(
            files.name, where, now, 0, 0, "", None, f"find exited with {code}: {errors or json.dumps(text)}"
        )
    found = sorted(_line(line) for line in text.splitlines() if " " in line)
    edge = (now - files.keep - files.slack).timestamp()
    oldest = found[0] if found else None
    return FileAges(
        files.name,
        where,
        now,
        len(found),
        sum(at < edge for at, _ in found),
        oldest[1] if oldest else "",
        datetime.fromtimestamp(oldest[0], UTC) if oldest else None,
    )


def _line(line: str) -> tuple[float, str]:
    at, _, name = line.partition(" ")
    return float(at), name
