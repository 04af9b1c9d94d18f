"""Schedules of recurring jobs and their last runs: crontab, systemd, pg_cron, pgBackRest, status file.

Files are read and commands run on the schedule's host through testinfra. What could not be read is a `problem`;
what does not exist has `found` = false. The judge distinguishes the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import psycopg
from cronsim import CronSim, CronSimError

from pytest_deploygate.checks.jobs.facts import JobFacts, ScheduleFacts
from pytest_deploygate.checks.jobs.probe.last_runs import read_last_run
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.clients.host.shell import Shell, shell, unit_properties, unit_time
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.schedule import Schedule
from pytest_deploygate.model import CannotTell

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SETTING = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")


_TIMER = (
    "LoadState", "UnitFileState", "ActiveState", "NextElapseUSecRealtime", "NextElapseUSecMonotonic",
    "LastTriggerUSec", "Unit",
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
        return _crontab(shell(schedule.host), schedule.crontab, schedule.command or "", schedule.host)
    if schedule.systemd_timer is not None:
        return _timer(shell(schedule.host), schedule.systemd_timer)
    return _pg_cron(cluster, schedule.pg_cron or "")


def _crontab(run: Shell, path: PurePath, command: str, host: str) -> ScheduleFacts:
    where = f"{path}" if host == "local://" else f"{path} on {host}"
    try:
        code, text, errors = run("LC_ALL=C cat %s", str(path))
        if code and "No such file" in errors:
            return ScheduleFacts("crontab", where, found=False, detail="the file does not exist")
        if code:
            return ScheduleFacts("crontab", where, problem=f"{where} cannot be read: {errors}")
        _, zone, _ = run("readlink -f /etc/localtime")
    except CannotTell as unknown:
        return ScheduleFacts("crontab", where, problem=str(unknown))
    name = zone.strip().partition("zoneinfo/")[2].removeprefix("posix/") or "UTC"
    return parse_crontab(text, command, where, name, path)


def parse_crontab(text: str, command: str, where: str, zone: str, path: PurePath) -> ScheduleFacts:
    """Find the lines of a crontab whose command contains `command`.

    `zone` is the host's time zone; CRON_TZ before the line takes precedence. Pure.
    """
    expressions: list[str] = []
    off = ""
    for number, line in enumerate(text.splitlines(), 1):
        setting = _SETTING.fullmatch(line)
        if setting and setting[1] == "CRON_TZ" and not expressions:
            zone = setting[2].strip("\"'")
        if setting or command not in line:
            continue
        if line.lstrip().startswith("#"):
            off = off or (f"line {number} is commented out" if _was_entry(line, command) else "")
            continue
        expression, what = _entry(line)
        if command not in what:
            continue
        if not _valid(expression):
            return ScheduleFacts(
                "crontab",
                where,
                wrong=f"line {number} has no valid time: {expression!r}, so cron rejects it",
            )
        expressions.append(expression)
    if not expressions:
        detail = off or f"no line names {command!r}"
        return ScheduleFacts("crontab", where, found=bool(off), enabled=not off, zone=zone, detail=detail)
    ignored = str(path.parent) == "/etc/cron.d" and not re.fullmatch(r"[A-Za-z0-9_-]+", path.name)
    wrong = (
        f"cron ignores the file: {path.name} has a character that is not allowed in names in /etc/cron.d"
        if ignored
        else ""
    )
    return ScheduleFacts("crontab", where, expressions=tuple(expressions), zone=zone, wrong=wrong)


def _entry(line: str) -> tuple[str, str]:
    """Split a line into time and command. `@daily` and the like become five fields."""
    words = line.split(None, 1)
    if words and words[0].startswith("@"):
        return _NICKNAMES.get(words[0].lower(), words[0]), words[1] if len(words) > 1 else ""
    fields = line.split(None, 5)
    return " ".join(fields[:5]), fields[5] if len(fields) > 5 else ""


def _was_entry(line: str, command: str) -> bool:
    """Tell whether a comment is an entry that was switched off, not just a remark that mentions the command."""
    words = line.lstrip("# \t").partition(command)[0].split()
    return any(
        _valid(" ".join(words[i : i + 5])) or words[i].lower() in _NICKNAMES for i in range(len(words))
    )


def _valid(expression: str) -> bool:
    if len(expression.split()) != 5:
        return False
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        return False
    return True


def _timer(run: Shell, unit: str) -> ScheduleFacts:
    try:
        code, text, errors = run(f"TZ=UTC LC_ALL=C systemctl show %s --property={','.join(_TIMER)}", unit)
    except CannotTell as unknown:
        return ScheduleFacts("systemd", unit, problem=str(unknown))
    if code:
        return ScheduleFacts("systemd", unit, problem=f"systemctl cannot show {unit}: {errors}")
    return parse_timer(text, unit)


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
