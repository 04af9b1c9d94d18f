"""The result of a job's last run, as recorded by the job or its scheduler."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import psycopg

from pytest_deploygate.checks.jobs.facts import LastRunFacts
from pytest_deploygate.clients.host.shell import Shell, unit_properties, unit_time
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.schedule import LastRun
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_SERVICE = "LoadState,Result,ExecMainStatus,ExecMainExitTimestamp,ActiveState"

_STATUS = '{"finished": "2026-01-31T02:30:00Z", "exit_code": 0}'
_NO_STATUS = f"there is no status file, which the job must write ({_STATUS})"


def read_last_run(cluster: Cluster, last_run: LastRun, run: Shell) -> LastRunFacts:
    """Read a last run of any kind. A failure to read it is returned as a value."""
    try:
        if last_run.pgbackrest is not None:
            return _pgbackrest(run, last_run)
        if last_run.status_file is not None:
            return _status_file(run, last_run.status_file)
        if last_run.systemd_service is not None:
            return _service(run, last_run.systemd_service)
        return _pg_cron(cluster, last_run.pg_cron or "")
    except CannotTell as unknown:
        return LastRunFacts("unknown", "its record", problem=str(unknown))


def _pgbackrest(run: Shell, last_run: LastRun) -> LastRunFacts:
    stanza, config = last_run.pgbackrest or "", last_run.pgbackrest_config
    more = (f"--config={config}",) if config else ()
    # Without a timeout of its own, a repository on a hanging host would block us.
    code, text, errors = run(
        "timeout 60 pgbackrest %s --output=json" + " %s" * (1 + len(more)),
        "info",
        f"--stanza={stanza}",
        *more,
    )
    where = f"pgBackRest stanza {stanza}"
    if code == 127:
        return LastRunFacts("pgbackrest", where, problem="pgbackrest is not installed on the schedule's host")
    if code:
        return LastRunFacts(
            "pgbackrest", where, problem=f"pgbackrest info failed (exit code {code}): {errors or text}"
        )
    return parse_pgbackrest(text, stanza, last_run.pgbackrest_type)


def parse_pgbackrest(text: str, stanza: str, kind: str | None) -> LastRunFacts:
    """Read `pgbackrest info --output=json`. It lists completed backups only. Pure."""
    where = f"pgBackRest stanza {stanza}"
    try:
        found = [s for s in json.loads(text) if s["name"] == stanza]
        status = found[0]["status"] if found else {"code": 1, "message": "no such stanza"}
        backups = [b for s in found for b in s.get("backup", ()) if kind in (None, b["type"])]
        newest = max(backups, key=lambda b: int(b["timestamp"]["stop"]), default=None)
        # 0 is ok; 2 is `no valid backups`, so there was no run; the others mean that the repository cannot be read.
        if status["code"] not in (0, 2):
            return LastRunFacts("pgbackrest", where, problem=f"{where}: {status['message']}")
        if newest is None:
            what = f"{kind} backup" if kind else "backup"
            return LastRunFacts(
                "pgbackrest", where, found=False, detail=f"there is no {what} in the repository"
            )
        bad_pages = bool(newest.get("error"))
        return LastRunFacts(
            "pgbackrest",
            where,
            finished=datetime.fromtimestamp(int(newest["timestamp"]["stop"]), UTC),
            succeeded=not bad_pages,
            detail=f"{newest['type']} backup {newest['label']}"
            + (", with page checksum errors" if bad_pages else ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return LastRunFacts("pgbackrest", where, problem=f"{where}: its info cannot be parsed: {error!r}")


def _status_file(run: Shell, path: PurePath) -> LastRunFacts:
    code, text, errors = run("LC_ALL=C cat %s", str(path))
    if code and "No such file" in errors:
        return LastRunFacts("status file", str(path), found=False, detail=_NO_STATUS)
    if code:
        return LastRunFacts("status file", str(path), problem=f"{path} cannot be read: {errors}")
    return parse_status(text, str(path))


def parse_status(text: str, where: str) -> LastRunFacts:
    """Read a job's status file: `{"finished": ISO time with zone, "exit_code": int, "error": text}`. Pure."""

    def unknown(why: str) -> LastRunFacts:
        return LastRunFacts("status file", where, problem=f"{where} is invalid: {why}")

    try:
        status = json.loads(text)
        finished, code = datetime.fromisoformat(status["finished"]), status["exit_code"]
    except KeyError as error:
        return unknown(f"it has no {error}; write {_STATUS}")
    except (ValueError, TypeError) as error:
        return unknown(str(error))
    if finished.tzinfo is None:
        return unknown(f"`finished` ({finished.isoformat()}) has no time zone")
    if isinstance(code, bool) or not isinstance(code, int):
        return unknown(f"`exit_code` is {code!r}, not a number")
    detail = redact(str(status.get("error") or ""))
    return LastRunFacts("status file", where, True, finished.astimezone(UTC), code == 0, code, detail)


def _service(run: Shell, unit: str) -> LastRunFacts:
    code, text, errors = run(f"TZ=UTC LC_ALL=C systemctl show %s --property={_SERVICE}", unit)
    if code:
        return LastRunFacts("systemd", unit, problem=f"systemctl cannot show {unit}: {errors}")
    return parse_service(text, unit)


def parse_service(text: str, unit: str) -> LastRunFacts:
    """Read what `TZ=UTC systemctl show SERVICE` prints. Pure."""
    shown = unit_properties(text.splitlines())
    if not shown.get("LoadState"):
        return LastRunFacts("systemd", unit, problem=f"systemctl returned nothing about {unit}")
    if shown["LoadState"] != "loaded":
        return LastRunFacts("systemd", unit, found=False, detail=f"the unit is {shown['LoadState']}")
    finished = unit_time(shown.get("ExecMainExitTimestamp", ""))
    if finished is None:
        return LastRunFacts(
            "systemd", unit, found=False, detail=f"no completed run is known ({shown.get('ActiveState', '')})"
        )
    status, result = shown.get("ExecMainStatus", ""), shown.get("Result", "")
    code = int(status) if status.isdigit() else None
    good = result == "success" and code == 0 if result and code is not None else None
    return LastRunFacts("systemd", unit, True, finished, good, code, "" if good else f"result {result}")


def _pg_cron(cluster: Cluster, job: str) -> LastRunFacts:
    where = f"pg_cron job {job}"
    try:
        rows: list[Any] = cluster.rows(
            cluster.primary,
            "SELECT d.status, d.return_message, d.end_time FROM cron.job_run_details d JOIN cron.job j USING (jobid)"
            " WHERE j.jobname = %s AND d.status IN ('succeeded', 'failed') ORDER BY d.runid DESC LIMIT 1",
            (job,),
        )
        hidden = not rows and cluster.value(
            cluster.primary, "SELECT row_security_active('cron.job_run_details')"
        )
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return LastRunFacts(
                "pg_cron", where, problem=f"pg_cron is not installed in the database {cluster.settings.name}"
            )
        raise
    if hidden:
        return LastRunFacts(
            "pg_cron", where, problem=f"{where}: its runs are not visible to {cluster.settings.user}"
        )
    if not rows:
        return LastRunFacts("pg_cron", where, found=False, detail="it has no completed run")
    status, message, ended = rows[0]
    words = redact(" ".join(str(message or "").split()))
    return LastRunFacts("pg_cron", where, finished=ended, succeeded=status == "succeeded", detail=words)
