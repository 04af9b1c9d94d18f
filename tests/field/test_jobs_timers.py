"""When systemd timers are due, by systemd's own reading of their calendars. No systemd is started: the program only parses."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.jobs.judge import last_due
from pytest_deploygate.checks.jobs.probe import calendar, schedules
from pytest_deploygate.clients.host.shell import shell, unit_span

systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
# A Wednesday.
NOW = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)
SHOWN = """LoadState=loaded
UnitFileState=enabled
ActiveState=active
NextElapseUSecRealtime=Thu 2026-03-05 02:30:00 UTC
LastTriggerUSec=Sun 2026-03-01 02:30:04 UTC
"""


def timer(*specs: str) -> str:
    return SHOWN + "".join(
        f"TimersCalendar={{ OnCalendar={spec} ; next_elapse=Thu 2026-03-05 02:30:00 UTC }}\n"
        for spec in specs
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@systemd
@pytest.mark.parametrize(
    ("specs", "zone", "due"),
    [
        (["*-*-* 02:30:00"], "UTC", "2026-03-04 02:30"),
        (["daily"], "UTC", "2026-03-04 00:00"),
        (["Mon..Tue *-*-* 02:30:00"], "UTC", "2026-03-03 02:30"),
        (["Sun *-*-* 03:00:00"], "UTC", "2026-03-01 03:00"),
        # The last day of the month, which no crontab of Debian's can say.
        (["*-*~01 04:00:00"], "UTC", "2026-02-28 04:00"),
        (["*-02-29 00:00:00"], "UTC", "2024-02-29 00:00"),
        (["*:0/15"], "UTC", "2026-03-04 12:00"),
        (["*:*:0/10"], "UTC", "2026-03-04 12:00:30"),
        (["*-*-* 02:30:00 Europe/Berlin"], "UTC", "2026-03-04 01:30"),
        # Without a zone, that of the host counts.
        (["*-*-* 02:30:00"], "Europe/Berlin", "2026-03-04 01:30"),
        (["*-*-* 02:30:00"], "America/New_York", "2026-03-04 07:30"),
        (["*-*-* 02:30:00", "*-*-* 11:00:00"], "UTC", "2026-03-04 11:00"),
    ],
)  # fmt: skip
def test_the_last_time_at_which_a_timer_was_due(
    monkeypatch: pytest.MonkeyPatch, specs: list[str], zone: str, due: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    read = calendar.specifications(timer(*specs))
    assert list(read) == specs
    times = calendar.past(shell("local://"), read, NOW)
    assert times is not None
    assert times[-1] == at(due)


@systemd
def test_a_time_before_the_slack_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is due a moment ago may still be under way: the time before it is what must be done."""
    monkeypatch.setenv("TZ", "UTC")
    times = calendar.past(shell("local://"), ["*-*-* *:00:00"], NOW)
    found = replace(schedules.parse_timer(timer("hourly"), "b.timer"), dues=times)
    assert last_due(found, at("2026-03-04 10:59")) == at("2026-03-04 10:00")
    # Its last trigger was days ago: what it missed since is seen all the same.
    assert last_due(replace(found, dues=None), at("2026-03-04 10:59")) == at("2026-03-01 02:30:04")


@systemd
@pytest.mark.parametrize("spec", ["Mon *-*-* 25:00", "*-13-01", "every day", "'; touch /tmp/x; '"])
def test_what_systemd_does_not_read_is_no_time(spec: str) -> None:
    assert calendar.past(shell("local://"), [spec], NOW) is None


@systemd
def test_a_time_that_never_comes() -> None:
    assert calendar.past(shell("local://"), ["*-02-30 00:00:00"], NOW) == ()


def test_without_the_program_the_last_trigger_counts() -> None:
    def none(command: str, *arguments: str) -> tuple[int, str, str]:
        return 127, "", "systemd-analyze: not found"

    assert calendar.past(none, ["daily"], NOW) is None
    assert last_due(schedules.parse_timer(SHOWN, "b.timer"), NOW) == at("2026-03-01 02:30:04")


@pytest.mark.parametrize(
    ("shown", "delay"),
    [
        ("", timedelta(0)),
        ("RandomizedDelayUSec=0\nAccuracyUSec=1min\n", timedelta(minutes=1)),
        ("RandomizedDelayUSec=1h 30min\nAccuracyUSec=1us\n", timedelta(hours=1.5, microseconds=1)),
        # fstrim.timer of util-linux.
        ("RandomizedDelayUSec=1h 40min\nAccuracyUSec=1h\n", timedelta(hours=2, minutes=40)),
        ("RandomizedDelayUSec=1d\nAccuracyUSec=500ms\n", timedelta(days=1, seconds=0.5)),
        ("RandomizedDelayUSec=infinity\n", timedelta(0)),
    ],
)
def test_a_timer_may_start_later_than_it_is_due(shown: str, delay: timedelta) -> None:
    assert schedules.parse_timer(timer("daily") + shown, "b.timer").delay == delay


@systemd
@pytest.mark.parametrize("delay", ["1h 30min", "2d 3h", "1w", "1month 2d", "1y", "5s 250ms", "37min", "1us"])
def test_spans_are_read_as_systemd_reads_them(delay: str) -> None:
    """Measured with `systemd-analyze timespan`, which prints the microseconds of what it was given."""
    said = subprocess.run(["systemd-analyze", "timespan", delay], check=True, capture_output=True, text=True)
    found = re.search(r"^\s*\S*s: (\d+)$", said.stdout, re.MULTILINE)
    assert found
    assert unit_span(delay) == timedelta(microseconds=int(found[1]))


def test_a_calendar_that_has_not_come_yet_is_not_the_last_trigger() -> None:
    """It was asked, and has no time in the past: an old trigger by hand is none of its own."""
    never = replace(schedules.parse_timer(SHOWN, "b.timer"), dues=())
    assert last_due(never, NOW) is None
