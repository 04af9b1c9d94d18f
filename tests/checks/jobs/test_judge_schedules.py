"""A job is good when it is scheduled, switched on, succeeded, and ran when it was due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.jobs.facts import JobFacts, LastRunFacts, ScheduleFacts
from pytest_deploygate.checks.jobs.judge import judge, last_due
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
JOB = BackupJob.model_validate(
    {
        "name": "nightly",
        "schedule": {"crontab": "/etc/cron.d/x", "command": "b"},
        "last_run": {"status_file": "s"},
    }
)
CRON = ScheduleFacts("crontab", "/etc/cron.d/x", expressions=("30 2 * * *",))
TIMER = ScheduleFacts(
    "systemd", "b.timer", last_due=NOW - timedelta(hours=10), next_due=NOW + timedelta(hours=14)
)
RUN = LastRunFacts("status file", "/s.json", finished=NOW - timedelta(hours=9), succeeded=True, exit_code=0)
GOOD = JobFacts("nightly", CRON, RUN, NOW)


def with_schedule(**changed):
    return replace(GOOD, schedule=replace(CRON, **changed))


def with_run(**changed):
    return replace(GOOD, last_run=replace(RUN, **changed))


def ago(facts: JobFacts, hours: float) -> JobFacts:
    return replace(facts, last_run=replace(facts.last_run, finished=NOW - timedelta(hours=hours)))


@pytest.mark.parametrize(
    "facts",
    [
        GOOD,
        replace(GOOD, schedule=TIMER),
        replace(GOOD, schedule=replace(CRON, kind="pg_cron", expressions=("30 seconds",)),
                last_run=replace(RUN, finished=NOW)),
        # Due an hour ago, slack two hours: yesterday's run still counts.
        ago(with_schedule(expressions=("0 11 * * *",)), 24.9),
        ago(replace(GOOD, schedule=replace(TIMER, last_due=NOW - timedelta(hours=1), next_due=NOW + timedelta(hours=23))), 24.9),
        with_schedule(expressions=("0 3 * * 0", "30 2 * * *")),
        # Due nine and a half hours ago, but it may start up to eight hours later: yesterday's run still counts.
        ago(with_schedule(delay=timedelta(hours=8)), 33),
        ago(replace(GOOD, schedule=replace(TIMER, dues=(NOW - timedelta(hours=34), NOW - timedelta(hours=10)),
                                           delay=timedelta(hours=9))), 33),
    ],
)  # fmt: skip
def test_a_job_that_ran_when_due_passes(facts):
    found = judge(facts, JOB)
    assert found.verdict is Verdict.PASS
    assert "nightly succeeded" in found.reason
    assert "scheduled in" in found.reason


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (with_schedule(found=False, detail="no line names 'b'"), ["nightly is not scheduled", "no line names"]),
        (with_schedule(enabled=False, detail="line 3 is commented out"), ["switched off", "line 3 is commented out", "remove the #"]),
        (replace(GOOD, schedule=replace(TIMER, enabled=False, detail="it is disabled")), ["it is disabled", "systemctl enable --now b.timer"]),
        (with_schedule(kind="pg_cron", enabled=False, detail="the job is not active"), ["not active", "cron.alter_job"]),
        (with_schedule(wrong="line 2 has no valid time"), ["does not work", "line 2"]),
        (replace(GOOD, schedule=replace(TIMER, has_next=False)), ["will not fire again"]),
        (with_run(found=False, detail="there is no status file"), ["no run of nightly is on record in", "no status file", "by hand"]),
        (with_run(succeeded=False, exit_code=3, detail="disk full"), ["failed with exit code 3 on 2026-03-04 03:00 UTC", "disk full"]),
        (with_run(succeeded=False, exit_code=None), ["failed on 2026-03-04"]),
        (ago(GOOD, 33), ["ended 33 h ago", "it was due on 2026-03-04 02:30 UTC", "slack of 2 h has passed"]),
        (ago(replace(GOOD, schedule=TIMER), 11), ["ended 11 h ago", "due on 2026-03-04 02:00 UTC"]),
        (ago(with_schedule(expressions=("* * * * *",)), 2.1), ["due on 2026-03-04 10:00"]),
        (ago(with_schedule(delay=timedelta(hours=1)), 33), ["the slack of 2 h and its own delay of up to 60 min has passed"]),
        (ago(replace(GOOD, schedule=replace(TIMER, dues=(NOW - timedelta(hours=10),), delay=timedelta(minutes=1))), 11),
         ["the slack of 2 h has passed"]),
    ],
)  # fmt: skip
def test_a_job_that_did_not_run_as_planned_fails(facts, words):
    found = judge(facts, JOB)
    assert found.verdict is Verdict.FAIL
    for word in words:
        assert word in found.reason


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (with_schedule(problem="permission denied"), "the schedule of nightly is unknown: permission denied"),
        (with_schedule(expressions=()), "has no run time"),
        (with_schedule(expressions=("@reboot",)), "when nightly was last due is unknown"),
        (with_schedule(zone="Mars/Olympus"), "Mars/Olympus"),
        (with_run(problem="not JSON"), "the last run of nightly is unknown: not JSON"),
        (with_run(succeeded=None), "does not record how"),
        (with_run(finished=None), "does not record how"),
        (with_run(finished=NOW + timedelta(hours=1)), "in the future"),
        (replace(GOOD, schedule=replace(TIMER, last_due=None)), "has not fired yet"),
    ],
)
def test_what_cannot_be_told_is_inconclusive(facts, words):
    found = judge(facts, JOB)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason


def test_a_failed_run_weighs_more_than_an_unknown_schedule():
    facts = replace(with_schedule(problem="x"), last_run=replace(RUN, succeeded=False))
    assert judge(facts, JOB).verdict is Verdict.FAIL


def test_the_time_zone_of_the_host_counts():
    schedule = replace(CRON, zone="America/New_York")
    assert last_due(schedule, NOW) == datetime(2026, 3, 4, 7, 30, tzinfo=UTC)


@given(
    st.integers(min_value=0, max_value=6 * 365 * 86400).map(lambda s: NOW + timedelta(seconds=s)),
    st.sampled_from(["30 2 * * *", "* * * * *", "*/7 3-5 * * 1-5", "0 0 1 * *", "15 4 * * 0"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
)
def test_last_due_is_the_newest_time_that_is_not_later(until, expression, zone):
    due = last_due(replace(CRON, expressions=(expression,), zone=zone), until)
    assert due is not None
    assert due <= until
    following = next(CronSim(expression, due.astimezone(ZoneInfo(zone))))
    assert following > until
