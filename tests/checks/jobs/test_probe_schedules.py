"""Real crontabs and status files; systemd and pgBackRest from samples; pg_cron if it is installed."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scratch_cluster import binaries, scratch, wait

from pytest_deploygate.checks.jobs.judge import judge
from pytest_deploygate.checks.jobs.probe import last_runs, schedules
from pytest_deploygate.checks.jobs.probe.crontab import Cron, parse
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Verdict

# Samples in the form that systemd documents for `TZ=UTC systemctl show NAME --property=…`. They are not recordings:
# no machine of this project runs systemd.
TIMER = """LoadState=loaded
UnitFileState=enabled
ActiveState=active
NextElapseUSecRealtime=Wed 2026-03-04 02:30:00 UTC
NextElapseUSecMonotonic=0
LastTriggerUSec=Tue 2026-03-03 02:30:04 UTC
Unit=backup.service
"""
SERVICE = """LoadState=loaded
Result=success
ExecMainStatus=0
ExecMainExitTimestamp=Tue 2026-03-03 02:41:10 UTC
ActiveState=inactive
"""
# A sample in the form of `pgbackrest info --output=json` (2.45), reduced to what is read; the values are made up.
INFO = [
    {
        "name": "main",
        "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
        "backup": [
            {"label": "20260301-020000F", "type": "full", "error": False, "timestamp": {"start": 1772330400, "stop": 1772330460}},
            {"label": "20260301-020000F_20260302-020000D", "type": "diff", "error": False,
             "timestamp": {"start": 1772416800, "stop": 1772416830}},
        ],
    }
]  # fmt: skip

UNKNOWN = Cron()


def crontab(text, command="run-backup", path="/var/spool/cron/crontabs/ops", cron=UNKNOWN):
    return parse(text, command, path, "Europe/Berlin", Path(path), cron)


@pytest.mark.parametrize(
    ("text", "expressions"),
    [
        ("30 2 * * * root /usr/bin/run-backup full\n", ("30 2 * * *",)),
        ("@daily run-backup\n", ("0 0 * * *",)),
        ("# run-backup is ours\nMAILTO=run-backup@example.com\n\n0 3 * * 0 run-backup\n0 3 * * 1-6 run-backup\n", ("0 3 * * 0", "0 3 * * 1-6")),
        ("#1 1 * * * run-backup\n30 2 * * * run-backup\n", ("30 2 * * *",)),
    ],
)  # fmt: skip
def test_lines_of_a_crontab_are_found(text, expressions):
    found = crontab(text)
    assert (found.expressions, found.found, found.enabled, found.wrong) == (expressions, True, True, "")
    assert found.zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "found", "enabled", "detail"),
    [
        ("#30 2 * * * root run-backup\n", True, False, "line 1 is commented out"),
        ("\n#off# 30 2 * * * run-backup\n", True, False, "line 2 is commented out"),
        ("# @daily run-backup\n", True, False, "line 1 is commented out"),
        ("# run-backup is started by hand\n", False, True, "no line names 'run-backup'"),
        ("", False, True, "no line names 'run-backup'"),
        ("30 2 * * * other\n", False, True, "no line names 'run-backup'"),
    ],
)
def test_lines_that_do_not_count_are_told_apart(text, found, enabled, detail):
    facts = crontab(text)
    assert (facts.found, facts.enabled, facts.detail, facts.expressions) == (found, enabled, detail, ())


def test_what_cron_does_not_take_is_wrong():
    assert "line 1 has no valid time: '61 2 * * *'" in crontab("61 2 * * * run-backup\n").wrong
    named = crontab("1 2 * * * root run-backup\n", path="/etc/cron.d/backup.cron", cron=Cron("debian"))
    assert "not allowed in names" in named.wrong


def test_the_zone_of_a_crontab_counts():
    text = "CRON_TZ=Asia/Tokyo\n30 2 * * * run-backup\n"
    assert crontab(text, cron=Cron("cronie")).zone == "Asia/Tokyo"
    assert crontab(text, cron=Cron("debian")).zone == "Europe/Berlin"
    assert "depends on its kind" in crontab(text).problem


def job(schedule, last_run):
    return BackupJob.model_validate({"name": "nightly", "schedule": schedule, "last_run": last_run})


@pytest.fixture
def files(tmp_path, cluster):
    """A crontab and a status file: `files(crontab, status)` judges them."""

    def judged(lines, status):
        if lines is not None:
            (tmp_path / "crontab").write_text(lines)
        if status is not None:
            (tmp_path / "status.json").write_text(status if isinstance(status, str) else json.dumps(status))
        one = job(
            {"crontab": str(tmp_path / "crontab"), "command": "run-backup"},
            {"status_file": str(tmp_path / "status.json")},
        )
        return judge(schedules.job(cluster, one), one)

    return judged


def ended(code=0, **more):
    return {"finished": datetime.now(UTC).isoformat(), "exit_code": code, **more}


LINE = "* * * * * run-backup\n"


@pytest.mark.parametrize(
    ("lines", "status", "verdict", "words"),
    [
        (LINE, ended(), Verdict.PASS, "nightly succeeded"),
        (LINE, ended(2, error="no space"), Verdict.FAIL, "failed with exit code 2"),
        (LINE, None, Verdict.FAIL, "no run of nightly is on record"),
        ("#" + LINE, ended(), Verdict.FAIL, "line 1 is commented out"),
        (None, ended(), Verdict.FAIL, "the file does not exist"),
        (LINE, {"finished": "2026-01-01T00:00:00Z", "exit_code": 0}, Verdict.FAIL, "slack of 2 h has passed"),
        (LINE, "{", Verdict.INCONCLUSIVE, "is invalid"),
        (LINE, {"finished": "2026-01-01T00:00:00", "exit_code": 0}, Verdict.INCONCLUSIVE, "has no time zone"),
        (LINE, {"finished": "2026-01-01T00:00:00Z"}, Verdict.INCONCLUSIVE, "exit_code"),
        (LINE, {"finished": "2026-01-01T00:00:00Z", "exit_code": "0"}, Verdict.INCONCLUSIVE, "not a number"),
        (LINE, [], Verdict.INCONCLUSIVE, "is invalid"),
    ],
)
def test_a_crontab_with_a_status_file(files, lines, status, verdict, words):
    found = files(lines, status)
    assert found.verdict is verdict
    assert words in found.reason


def test_what_cannot_be_read_is_unknown(cluster, tmp_path):
    one = job({"crontab": str(tmp_path), "command": "x"}, {"status_file": str(tmp_path)})
    facts = schedules.job(cluster, one)
    assert "Is a directory" in facts.schedule.problem
    assert "Is a directory" in facts.last_run.problem
    assert judge(facts, one).verdict is Verdict.INCONCLUSIVE


def test_a_host_that_is_not_there_is_unknown(cluster):
    one = job(
        {"crontab": "/etc/crontab", "command": "x", "host": "nonsense://backup1"}, {"pgbackrest": "main"}
    )
    facts = schedules.job(cluster, one)
    assert "nonsense://backup1 cannot be accessed" in facts.schedule.problem
    assert judge(facts, one).verdict is Verdict.INCONCLUSIVE


def test_an_ssh_host_that_refuses_is_unknown(cluster):
    if not shutil.which("ssh"):
        pytest.skip("no ssh client is installed here")
    one = job(
        {"crontab": "/etc/crontab", "command": "x", "host": "ssh://127.0.0.1:1"}, {"pgbackrest": "main"}
    )
    problem = schedules.job(cluster, one).schedule.problem
    assert problem.startswith("ssh://127.0.0.1:1 cannot be accessed: ssh: connect to host 127.0.0.1 port 1")


def test_without_systemd_a_timer_is_unknown(cluster):
    one = job({"systemd_timer": "backup.timer"}, {"systemd_service": "backup.service"})
    if Path("/run/systemd/system").exists():
        pytest.skip("this machine runs systemd")
    facts = schedules.job(cluster, one)
    assert facts.schedule.problem
    assert judge(facts, one).verdict is Verdict.INCONCLUSIVE


def test_a_timer_is_read_from_a_sample():
    good = schedules.parse_timer(TIMER, "backup.timer")
    assert (good.found, good.enabled, good.has_next) == (True, True, True)
    assert good.last_due == datetime(2026, 3, 3, 2, 30, 4, tzinfo=UTC)
    assert good.next_due == datetime(2026, 3, 4, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "attribute", "value"),
    [
        ("UnitFileState=enabled", "UnitFileState=disabled", "detail", "it is disabled"),
        ("ActiveState=active", "ActiveState=inactive", "detail", "it is inactive"),
        ("ActiveState=active", "ActiveState=inactive", "enabled", False),
        ("LoadState=loaded", "LoadState=not-found", "found", False),
        ("LoadState=loaded", "LoadState=masked", "enabled", False),
        ("NextElapseUSecRealtime=Wed 2026-03-04 02:30:00 UTC", "NextElapseUSecRealtime=", "has_next", False),
        ("LastTriggerUSec=Tue 2026-03-03 02:30:04 UTC", "LastTriggerUSec=n/a", "last_due", None),
        (TIMER, "", "problem", "systemctl returned nothing about backup.timer"),
    ],
)
def test_a_timer_that_does_not_run_is_read_from_a_sample(old, new, attribute, value):
    assert getattr(schedules.parse_timer(TIMER.replace(old, new), "backup.timer"), attribute) == value


def test_a_timer_by_interval_has_a_next_time():
    text = TIMER.replace(
        "NextElapseUSecRealtime=Wed 2026-03-04 02:30:00 UTC", "NextElapseUSecRealtime="
    ).replace("Monotonic=0", "Monotonic=1d 2h 3min")
    assert schedules.parse_timer(text, "backup.timer").has_next


@pytest.mark.parametrize(
    ("old", "new", "found", "succeeded", "code"),
    [
        ("", "", True, True, 0),
        ("Result=success\nExecMainStatus=0", "Result=exit-code\nExecMainStatus=32", True, False, 32),
        ("Result=success", "Result=timeout", True, False, 0),
        ("ExecMainExitTimestamp=Tue 2026-03-03 02:41:10 UTC", "ExecMainExitTimestamp=", False, None, None),
        ("LoadState=loaded", "LoadState=not-found", False, None, None),
    ],
)
def test_a_service_is_read_from_a_sample(old, new, found, succeeded, code):
    facts = last_runs.parse_service(SERVICE.replace(old, new), "backup.service")
    assert (facts.found, facts.succeeded, facts.exit_code) == (found, succeeded, code)


def test_the_newest_backup_of_pgbackrest_counts():
    newest = last_runs.parse_pgbackrest(json.dumps(INFO), "main", None)
    assert (newest.finished, newest.succeeded) == (datetime.fromtimestamp(1772416830, UTC), True)
    assert last_runs.parse_pgbackrest(json.dumps(INFO), "main", "full").finished.timestamp() == 1772330460
    assert (
        last_runs.parse_pgbackrest(json.dumps(INFO), "main", "incr").detail
        == "there is no incr backup in the repository"
    )


def test_what_pgbackrest_complains_of_is_told():
    bad = json.loads(json.dumps(INFO))
    bad[0]["backup"][1]["error"] = True
    assert last_runs.parse_pgbackrest(json.dumps(bad), "main", None).succeeded is False
    empty = [{"name": "main", "status": {"code": 2, "message": "no valid backups"}, "backup": []}]
    assert last_runs.parse_pgbackrest(json.dumps(empty), "main", None).found is False
    lost = [{"name": "main", "status": {"code": 3, "message": "missing stanza data"}, "backup": []}]
    assert "missing stanza data" in last_runs.parse_pgbackrest(json.dumps(lost), "main", None).problem
    assert "no such stanza" in last_runs.parse_pgbackrest("[]", "main", None).problem
    assert "cannot be parsed" in last_runs.parse_pgbackrest("nonsense", "main", None).problem


def test_pg_cron_that_is_not_there_is_unknown(cluster):
    one = job({"pg_cron": "nightly"}, {"pg_cron": "nightly"})
    found = judge(schedules.job(cluster, one), one)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "pg_cron is not installed in the database postgres" in found.reason


def test_pg_cron_for_real():
    """Runs are inserted as pg_cron does, to avoid waiting for the next minute; the catalog is the extension's own."""
    if not list(binaries().parent.glob("lib/pg_cron.so")):
        pytest.skip("pg_cron is not installed here")
    one = job({"pg_cron": "nightly"}, {"pg_cron": "nightly"})
    with scratch("shared_preload_libraries = 'pg_cron'", "cron.database_name = 'postgres'") as nodes:
        cluster = Cluster(nodes.database())

        def judged():
            return judge(schedules.job(cluster, one), one)

        nodes.sql(
            "db1",
            "CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA cron TO gate",
        )
        nodes.sql("db1", "SELECT cron.schedule('nightly', '* * * * *', 'SELECT 1')")
        assert "pg_cron shows a role only its own jobs" in judged().reason
        nodes.sql("db1", "ALTER ROLE gate BYPASSRLS")
        insert = (
            "INSERT INTO cron.job_run_details (jobid, runid, job_pid, database, username, command, status, return_message,"
            " start_time, end_time) SELECT jobid, {0}, 1, database, username, command, '{1}', '{2}', now(), now() FROM cron.job"
        )
        nodes.sql("db1", insert.format(1000, "succeeded", "1 row"))
        wait(lambda: judged().verdict is Verdict.PASS)
        nodes.sql("db1", insert.format(1001, "failed", "division by zero"))
        assert "division by zero" in judged().reason
        nodes.sql("db1", "SELECT cron.alter_job(jobid, active := false) FROM cron.job")
        assert "the job is not active" in judged().reason
        nodes.sql("db1", "SELECT cron.unschedule('nightly')")
        assert "nightly is not scheduled" in judged().reason
        cluster.close()
