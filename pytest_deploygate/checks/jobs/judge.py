"""Judge a scheduled job: it is scheduled, its last run succeeded, and it ran when it was due."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pytest_deploygate.checks.jobs.facts import JobFacts, LastRunFacts, ScheduleFacts, ends
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.jobs.section import BackupJob

__all__ = ["judge"]

_CLOCKS = timedelta(minutes=5)
#: systemd's default AccuracySec, which is not worth a word.
_ACCURACY = timedelta(minutes=1)
_SECONDS = re.compile(r"(\d+) seconds?")


def judge(measurement: JobFacts, criterion: BackupJob) -> Judgement:
    """Pass when the job is scheduled and switched on, and its last run succeeded and is as recent as its schedule requires."""
    planned = judge_schedule(measurement.job, measurement.schedule)
    ran = _last_run(measurement.job, measurement.last_run, measurement.now)
    parts = [planned, ran]
    if planned.verdict is Verdict.PASS and ran.verdict is Verdict.PASS:
        parts.append(_in_time(measurement, criterion))
    folded = combine(parts)
    if folded.verdict is not Verdict.PASS:
        return folded
    return Judgement(Verdict.PASS, f"{ran.reason}; {planned.reason}", folded.readings, folded.notes)


def judge_schedule(job: str, facts: ScheduleFacts) -> Judgement:
    """Judge the schedule alone: it exists, its scheduler accepts it, and it is switched on."""
    when = ", ".join(facts.expressions) or (facts.next_due.isoformat() if facts.next_due else "")
    readings = (
        Reading(f"{job} schedule", f"{facts.where}: {when or facts.detail or facts.wrong or 'no time'}",
                limit="scheduled and switched on", ok=_switched_on(facts)),
    )  # fmt: skip

    def verdict(what: Verdict, reason: str) -> Judgement:
        return Judgement(what, reason, readings)

    if facts.problem:
        return verdict(Verdict.INCONCLUSIVE, f"the schedule of {job} is unknown: {facts.problem}")
    if not facts.found:
        return verdict(
            Verdict.FAIL,
            f"{job} is not scheduled: {facts.where}: {facts.detail}; add it, or the job will not run",
        )
    if not facts.enabled:
        steps = {
            "crontab": "remove the #",
            "systemd": f"run `systemctl enable --now {facts.where}`",
            "pg_cron": "run SELECT cron.alter_job(jobid, active := true) FROM cron.job for it",
        }
        return verdict(
            Verdict.FAIL,
            f"the schedule of {job} is switched off ({facts.where}: {facts.detail}): {steps.get(facts.kind, 'switch it on')}",
        )
    if facts.wrong:
        return verdict(Verdict.FAIL, f"the schedule of {job} does not work ({facts.where}): {facts.wrong}")
    if facts.kind == "systemd":
        if not facts.has_next:
            return verdict(
                Verdict.FAIL,
                f"{facts.where} of {job} is active but will not fire again: check its OnCalendar",
            )
    elif not facts.expressions:
        return verdict(Verdict.INCONCLUSIVE, f"{facts.where} has no run time for {job}")
    return verdict(Verdict.PASS, f"scheduled in {facts.where} ({when or 'by interval'})")


def _switched_on(facts: ScheduleFacts) -> bool | None:
    """Tell whether it will run; None if the schedule could not be read."""
    if facts.problem:
        return None
    fires = facts.has_next if facts.kind == "systemd" else True
    return bool(facts.found and facts.enabled and not facts.wrong and fires)


def _last_run(job: str, facts: LastRunFacts, now: datetime) -> Judgement:
    finished = facts.finished
    words = finished.strftime("%Y-%m-%d %H:%M UTC") if finished else "none"
    readings = (
        Reading(f"{job} last run", f"{words} ({facts.where})", limit="succeeded",
                ok=None if facts.problem else False if not facts.found else facts.succeeded),
        Reading(f"{job} exit code", facts.exit_code, limit="0" if facts.exit_code is not None else "",
                ok=None if facts.exit_code is None else facts.exit_code == 0),
    )  # fmt: skip

    def verdict(what: Verdict, reason: str) -> Judgement:
        return Judgement(what, reason, readings)

    if facts.problem:
        return verdict(Verdict.INCONCLUSIVE, f"the last run of {job} is unknown: {facts.problem}")
    if not facts.found:
        return verdict(
            Verdict.FAIL, f"no run of {job} is on record in {facts.where}: {facts.detail}; run it by hand now"
        )
    because = f": {facts.detail}" if facts.detail else ""
    if facts.succeeded is False:
        code = f" with exit code {facts.exit_code}" if facts.exit_code is not None else ""
        return verdict(
            Verdict.FAIL,
            f"the last run of {job} failed{code} on {words} ({facts.where}){because}; fix the cause and run it by hand",
        )
    if facts.succeeded is None or finished is None:
        return verdict(
            Verdict.INCONCLUSIVE, f"{facts.where} does not record how the last run of {job} ended{because}"
        )
    if finished > now + _CLOCKS:
        return verdict(
            Verdict.INCONCLUSIVE,
            f"the last run of {job} ended on {words}, {words_for(finished - now)} in the future: a clock is wrong",
        )
    return verdict(
        Verdict.PASS,
        f"{job} succeeded {words_for(max(now - finished, timedelta(0)))} ago, on {words}{because}",
    )


def _in_time(measurement: JobFacts, criterion: BackupJob) -> Judgement:
    """Compare the last run with the latest time at which it was due, allowing for slack."""
    job, finished = measurement.job, measurement.last_run.finished
    delay = measurement.schedule.delay
    slack = criterion.slack + delay
    allowed = words_for(criterion.slack)
    if delay > _ACCURACY:
        allowed += f" and its own delay of up to {words_for(delay)}"
    try:
        due = last_due(measurement.schedule, measurement.now - slack)
    except (CronSimError, ValueError, KeyError, StopIteration) as error:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"when {job} was last due is unknown ({measurement.schedule.where}, time zone {measurement.schedule.zone}): {error}",
        )
    if due is None or finished is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"when {job} was last due is unknown: {measurement.schedule.where} has not fired yet",
        )
    age, words = measurement.now - finished, due.strftime("%Y-%m-%d %H:%M %Z")
    reading = Reading(f"{job} age of last run", round(age.total_seconds()), "s",
                      f"not before {words}, {allowed} slack", finished >= due)  # fmt: skip
    if finished < due:
        return Judgement(
            Verdict.FAIL,
            f"the last run of {job} ended {words_for(age)} ago, but it was due on {words} and the slack of "
            f"{allowed} has passed: find out why the scheduler did not start it, then run it by hand",
            (reading,),
        )
    notes: tuple[str, ...] = ()
    if measurement.schedule.kind == "systemd" and measurement.schedule.dues is None:
        notes = (
            f"when {job} was due is read from the last trigger of {measurement.schedule.where}: it has no calendar, or "
            "`systemd-analyze calendar` could not be asked on its host; triggers that were missed are not seen",
        )
    return Judgement(Verdict.PASS, "", (reading,), notes)


def last_due(schedule: ScheduleFacts, until: datetime) -> datetime | None:
    """Return the latest time at or before `until` at which the job was due; None if that is unknown.

    Raises CronSimError, ValueError or KeyError for an invalid time or zone.
    """
    if schedule.kind == "systemd":
        if schedule.dues is not None:
            return max((due for due in schedule.dues if due <= until), default=None)
        due, following = schedule.last_due, schedule.next_due
        if due is None or due <= until:
            return due
        # It fired a moment ago and may still be running: use the time before that, one interval earlier.
        return due - (following - due) if following and following > due else None
    return max((_cron_due(e, until, schedule.zone) for e in schedule.expressions), default=None)


def _cron_due(expression: str, until: datetime, zone: str) -> datetime:
    if seconds := _SECONDS.fullmatch(expression):
        return until - timedelta(seconds=int(seconds[1]))
    # pg_cron writes $ for the last day of the month, cronsim L.
    expression, local = expression.replace("$", "L"), until.astimezone(ZoneInfo(zone))
    # `a~b` is one value at random: a run is due when the last one has passed, and may have begun at the first one.
    last = _before(" ".join(high for _, high in map(ends, expression.split())), local)
    return _before(" ".join(low for low, _ in map(ends, expression.split())), last)


def _before(expression: str, until: datetime) -> datetime:
    # One second later, because the end is exclusive.
    return next(CronSim(expression, until.replace(microsecond=0) + timedelta(seconds=1), reverse=True))
