"""Crontabs as people write them. What Debian's cron does with each is asked of its own `crontab -n` where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_deploygate.checks.jobs.facts import ScheduleFacts
from pytest_deploygate.checks.jobs.judge import judge_schedule, last_due
from pytest_deploygate.checks.jobs.probe import crontab
from pytest_deploygate.checks.jobs.probe.crontab import Cron, without_users
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.model import Verdict

_DEBIAN = (
    shutil.which("crontab")
    and "dry run" in subprocess.run(["crontab", "-V"], capture_output=True, text=True, check=False).stderr
)
debian = pytest.mark.skipif(not _DEBIAN, reason="Debian's cron is not installed")
GOOD = "30 2 * * * root /usr/local/bin/full-backup\n"

# Text, what is said, and whether the real cron takes the file (the column of users removed).
SYSTEM = [
    (GOOD, "", True),
    ("SHELL=/bin/sh\nPATH=/bin\n\n# nightly\n" + GOOD, "", True),
    (GOOD + "0 4 * * * root true # another\n", "", True),
    ("30\t2\t*\t*\t*\troot\t/usr/local/bin/full-backup --all\n", "", True),
    ("@reboot root /usr/local/bin/full-backup\n@daily root /usr/local/bin/full-backup\n", "", True),
    ("30 2 * * * root cd / && full-backup >/dev/null 2>&1\n", "", True),
    ("30 2 * * * root echo '#' && full-backup\n", "", True),
    ("30 2 * * mon-fri root full-backup.sh\n", "", True),
    (GOOD.rstrip("\n"), "has no line end", False),
    (GOOD + "5 5 * * * root true", "has no line end", False),
    (GOOD.replace("\n", "\r\n"), "carriage return", True),
    ("\r\n" + GOOD, "cron refuses the whole file: line 1: bad minute", False),
    ("30 2 * * * root /bin/true # full-backup is off\n", "only in a comment", True),
    ("30 2 * * * root /bin/true;# full-backup\n", "only in a comment", True),
    ("30 2 * * * root /bin/mail ops%full-backup is off\n", "only in a comment", True),
    ("30 2 * * * root full-backup-dry-run\n", "as part of another name", True),
    ("30 2 * * * root /opt/nofull-backup\n", "as part of another name", True),
    ("30 2 * * * root old_full-backup\n", "as part of another name", True),
    ("30 2 * * * /usr/local/bin/full-backup\n", "names no user of this host", True),
    ("30 2 * * * nobody-here full-backup\n", "names no user of this host", True),
    (GOOD + "1 1 * * * /bin/other\n", "line 2 names no user of this host", True),
    (GOOD + "61 1 * * * root other\n", "cron refuses the whole file: line 2: bad minute", False),
    (GOOD + "@fortnightly root other\n", "cron refuses the whole file", False),
    (GOOD + "# the end", "", True),
    (GOOD + "   ", "", True),
    (GOOD + "A=b", "has no line end", False),
    ("Größe=1\nmy-name = x\na.b=c\n" + GOOD, "", True),
    ("\t 30 2 * * * root full-backup\n", "", True),
    ("@midnight root full-backup\n", "", True),
    ("*/0 2 * * * root full-backup\n", "bad minute", False),
    ("0 24 * * * root full-backup\n", "bad hour", False),
    ("H 2 * * * root full-backup\n", "bad minute", False),
    ("0 2 ? * * root full-backup\n", "bad day-of-month", False),
    ("0 2 * * 5L root full-backup\n", "bad day-of-week", False),
    ("\ufeff" + GOOD, "bad minute", False),
    ("0 2 * * * root " + "x" * 1200 + " full-backup\n", "command too long", False),
    ("0 2 * * 5-1 root full-backup\n", "no valid time", True),
    ("0 2 30 feb mon root full-backup\n", "", True),
    ("0 2 L * * root full-backup\n", "bad day-of-month", False),
    ("@reboot root full-backup\n", "only when the host starts", True),
    ("0 0 30 2 * root full-backup\n", "never comes", True),
    ("0 0 31 4,6 * root full-backup\n", "never comes", True),
]  # fmt: skip


@pytest.fixture
def written(tmp_path: Path):
    """Write a crontab into a folder cron.d and read it with the real cron's rules."""
    folder = tmp_path / "cron.d"
    folder.mkdir()

    def read(text: str) -> ScheduleFacts:
        (folder / "backup").write_bytes(text.encode())
        return crontab.read(shell("local://"), folder / "backup", "full-backup", "local://")

    return read


@debian
@pytest.mark.parametrize(("text", "words", "taken"), SYSTEM)
def test_a_system_crontab(written, text: str, words: str, taken: bool) -> None:
    truth = subprocess.run(
        ["crontab", "-n", "-"], input=without_users(text, Path("/etc/cron.d/backup")).encode(), capture_output=True, check=False
    )  # fmt: skip
    assert (truth.returncode == 0) is taken, truth
    found = judge_schedule("nightly", written(text))
    if words:
        assert found.verdict is Verdict.FAIL, found.reason
        assert words in found.reason
    else:
        assert found.verdict is Verdict.PASS, found.reason


@debian
@pytest.mark.parametrize(
    ("times", "as_read"),
    [
        ("0~59 2 * * *", "0 2 * * *"),
        ("0 2 * * MON#1", "0 2 * * MON"),
        ("*/15 1-3,5 * jan mon", "*/15 1-3,5 * jan mon"),
        ("0 0 * * 7", "0 0 * * 7"),
    ],
)
def test_debians_cron_drops_what_it_does_not_read(written, times: str, as_read: str) -> None:
    """It takes these lines (`crontab -n`), and reads a field up to its last valid item."""
    assert (
        subprocess.run(
            ["crontab", "-n", "-"], input=f"{times} x\n".encode(), check=False, capture_output=True
        ).returncode
        == 0
    )
    assert written(f"{times} root full-backup\n").expressions == (as_read,)


@debian
def test_debians_cron_does_not_know_cron_tz(written) -> None:
    facts = written("CRON_TZ=Asia/Tokyo\n" + GOOD)
    assert (facts.wrong, facts.problem, facts.zone != "Asia/Tokyo") == ("", "", True)


def parsed(text: str, cron: Cron, path: str = "/var/spool/cron/ops") -> ScheduleFacts:
    return crontab.parse(text, "full-backup", path, "UTC", Path(path), cron)


@pytest.mark.parametrize(
    "text",
    [
        "0~59 2 * * * full-backup\n",
        "0 2 L * * full-backup\n",
        "0 2 * * MON#1 full-backup\n",
        "CRON_TZ=UTC\n0 2 * * * full-backup\n",
    ],
)
def test_without_a_program_to_ask_it_depends(text: str) -> None:
    assert "depends on its kind" in parsed(text, Cron()).problem


@pytest.mark.parametrize(
    "text", ["0 2 * * * full-backup\n", "@daily full-backup\n", "@REBOOT full-backup\n@hourly full-backup\n"]
)
@pytest.mark.parametrize("kind", ["unknown", "debian", "cronie"])
def test_what_all_read_alike_needs_no_program(text: str, kind) -> None:
    found = parsed(text, Cron(kind))
    assert (found.problem, found.wrong, len(found.expressions)) == ("", "", 1)


def test_a_random_time_of_cronie_is_due_when_its_last_value_has_passed() -> None:
    """crontab(5) of cronie: "a random value (within the legal range) with ~"."""
    found = parsed("0~59 2 * * * full-backup\n", Cron("cronie"))
    assert found.expressions == ("0~59 2 * * *",)
    assert last_due(found, datetime(2026, 3, 4, 2, 30, tzinfo=UTC)) == datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
    assert last_due(found, datetime(2026, 3, 4, 3, 0, tzinfo=UTC)) == datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
    assert (
        last_due(parsed("~ 2 * * * full-backup\n", Cron("cronie")), datetime(2026, 3, 4, 3, 0, tzinfo=UTC))
        is not None
    )


def test_a_file_that_others_may_write_is_not_read_by_cron() -> None:
    found = parsed(
        GOOD, Cron("debian", unsafe="others than its owner may write it (mode 666)"), "/etc/cron.d/backup"
    )
    assert "mode 666" in found.wrong


@pytest.mark.parametrize(
    ("text", "kind", "minutes"),
    [
        ("RANDOM_DELAY=45\n0 2 * * * full-backup\n", "cronie", 45),
        ('RANDOM_DELAY = "300"\n0 2 * * * full-backup\n', "cronie", 300),
        ("RANDOM_DELAY=10\nRANDOM_DELAY=20\n0 2 * * * full-backup\nRANDOM_DELAY=30\n", "cronie", 20),
        ("RANDOM_DELAY=soon\n0 2 * * * full-backup\n", "cronie", 0),
        # Only cronie knows it (crontab(5) of cronie).
        ("RANDOM_DELAY=45\n0 2 * * * full-backup\n", "debian", 0),
        ("RANDOM_DELAY=45\n0 2 * * * full-backup\n", "unknown", 0),
    ],
)
def test_cronie_may_start_later_than_it_is_due(text: str, kind, minutes: int) -> None:
    assert parsed(text, Cron(kind)).delay == timedelta(minutes=minutes)
