"""Schedules of recurring jobs and their last runs: crontab, systemd, pg_cron, pgBackRest, status file.

Files are read and commands run on the schedule's host. What could not be read is a `problem`;
what does not exist has `found` = false. The judge distinguishes the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg

from pytest_deploygate.checks.jobs.facts import JobFacts, ScheduleFacts
from pytest_deploygate.checks.jobs.probe import calendar, crontab
from pytest_deploygate.checks.jobs.probe.last_runs import read_last_run
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.clients.host.shell import Shell, shell, unit_properties, unit_span, unit_time
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.schedule import Schedule
from pytest_deploygate.model import CannotTell

_TIMER = (
    "LoadState", "UnitFileState", "ActiveState", "NextElapseUSecRealtime", "NextElapseUSecMonotonic",
    "LastTriggerUSec", "Unit", "TimersCalendar", "TimersMonotonic",
    "RandomizedDelayUSec", "AccuracyUSec",
)  # fmt: skip


def job(cluster: Cluster, job: BackupJob) -> JobFacts:
    """Inspect a backup job on its host. Never raises: what cannot be read is a value in the facts."""
    return JobFacts(
        job.name,
        read_schedule(cluster, job.schedule),
        read_last_run(cluster, job.last_run, shell(job.schedule.host)),
        datetime.now(UTC),
    )


def read_schedule(cluster: Cluster, schedule: Schedule) -> ScheduleFacts:
    """Read a schedule of any kind."""
    if schedule.crontab is not None:
        return crontab.read(shell(schedule.host), schedule.crontab, schedule.command or "", schedule.host)
    if schedule.systemd_timer is not None:
        return _timer(shell(schedule.host), schedule.systemd_timer)
    return _pg_cron(cluster, schedule.pg_cron or "")


def _timer(run: Shell, unit: str) -> ScheduleFacts:
    try:
        code, text, errors = run(f"TZ=UTC LC_ALL=C systemctl show %s --property={','.join(_TIMER)}", unit)
    except CannotTell as unknown:
        return ScheduleFacts("systemd", unit, problem=str(unknown))
    if code:
        return ScheduleFacts("systemd", unit, problem=f"systemctl cannot show {unit}: {errors}")
    found = parse_timer(text, unit)
    specs = calendar.specifications(text)
    # Timers that also fire after an interval are due at times that no calendar has.
    if not specs or found.problem or not found.found or "\nTimersMonotonic={" in f"\n{text}":
        return found
    try:
        return replace(found, dues=calendar.past(run, specs, datetime.now(UTC)))
    except CannotTell as unknown:
        return replace(found, problem=str(unknown))


def parse_timer(text: str, unit: str) -> ScheduleFacts:
    """Read what `TZ=UTC systemctl show TIMER` prints. Pure."""
    shown = unit_properties(text.splitlines())
    state = shown.get("LoadState", "")
    if not state:
        return ScheduleFacts("systemd", unit, problem=f"systemctl returned nothing about {unit}")
    if state != "loaded":
        masked = state == "masked"
        return ScheduleFacts("systemd", unit, found=masked, enabled=not masked, detail=f"the unit is {state}")
    file_state, active = shown.get("UnitFileState", ""), shown.get("ActiveState", "")
    off = (
        [f"it is {file_state}"]
        if file_state not in ("enabled", "enabled-runtime", "static", "generated")
        else []
    )
    off += [f"it is {active or 'in an unknown state'}"] if active != "active" else []
    following = unit_time(shown.get("NextElapseUSecRealtime", ""))
    monotonic = shown.get("NextElapseUSecMonotonic", "") not in ("", "infinity", "n/a", "0")
    return ScheduleFacts(
        "systemd",
        unit,
        enabled=not off,
        last_due=unit_time(shown.get("LastTriggerUSec", "")),
        next_due=following,
        has_next=following is not None or monotonic,
        detail=" and ".join(off),
        delay=unit_span(shown.get("RandomizedDelayUSec", "")) + unit_span(shown.get("AccuracyUSec", "")),
    )


def _pg_cron(cluster: Cluster, job: str) -> ScheduleFacts:
    where = f"pg_cron job {job}"
    try:
        rows = cluster.rows(
            cluster.primary,
            "SELECT schedule, active, coalesce(current_setting('cron.timezone', true), 'GMT'),"
            " row_security_active('cron.job') FROM cron.job WHERE jobname = %s",
            (job,),
        )
        hidden = bool(not rows and cluster.value(cluster.primary, "SELECT row_security_active('cron.job')"))
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return ScheduleFacts(
                "pg_cron", where, problem=f"pg_cron is not installed in the database {cluster.settings.name}; it is "
                "in the one that cron.database_name names",
            )  # fmt: skip
        return ScheduleFacts("pg_cron", where, problem=str(unknown))
    if not rows:
        problem = (
            f"{where} is not visible: pg_cron shows a role only its own jobs; ALTER ROLE {cluster.settings.user} "
            "BYPASSRLS, or let the gate's role own a view of cron.job"
        )
        return ScheduleFacts(
            "pg_cron", where, found=False, detail="there is no such job", problem=problem if hidden else ""
        )
    return _pg_cron_facts(where, rows)


def _pg_cron_facts(where: str, rows: Iterable[Any]) -> ScheduleFacts:
    found = [(str(r[0]), bool(r[1]), str(r[2])) for r in rows]
    running = [when for when, active, _ in found if active]
    zone = "UTC" if found[0][2].upper() in ("GMT", "UTC") else found[0][2]
    return ScheduleFacts(
        "pg_cron",
        where,
        enabled=bool(running),
        expressions=tuple(running),
        zone=zone,
        detail="" if running else "the job is not active",
    )
