"""Archiving: the server's word is not enough, a gap is a failure, and dumps are not continuous."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.backups.facts import Archiver, Archiving, Mark
from pytest_deploygate.checks.backups.judge.archiving import judge_archiving
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
SEGMENT = "000000010000000000000009"
STATE = Archiver("on", 300, 16 * 1024**2, 9, SEGMENT, NOW, 0, "", None, 0, None)
MARK = Mark("run", "deploygate.t", NOW, 0x9000060, SEGMENT)
GOOD = Archiving("tool", True, STATE, STATE, MARK, 0.2, True, "F1", 4, (), "", NOW)
EXPECTED = Backup.model_validate({"tool": "pgbackrest", "server": "platform"})
FAILED = replace(STATE, failed=3, last_failed=SEGMENT, last_failed_at=NOW + timedelta(seconds=1))


def test_a_segment_in_time_and_no_gap_pass():
    assert judge_archiving(GOOD, EXPECTED).verdict is Verdict.PASS


def test_archive_timeout_zero_is_noted():
    assert judge_archiving(replace(GOOD, after=replace(STATE, timeout_s=0)), EXPECTED).notes


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(GOOD, archived_s=None, stored=None, after=FAILED), "failed 3 times"),
        (
            replace(GOOD, archived_s=None, stored=None, after=replace(STATE, mode="off")),
            "archive_mode is off",
        ),
        (replace(GOOD, stored=False), "not in the archive"),
        (replace(GOOD, archived_s=90.0), "limit 60 s"),
        (replace(GOOD, after=replace(STATE, failed=1)), "failed 1 times during the check"),
        (replace(GOOD, before=FAILED, after=FAILED), "last run failed"),
        (replace(GOOD, after=replace(STATE, waiting=40)), "40 segments are waiting"),
        (replace(GOOD, gap=(SEGMENT,)), SEGMENT),
        (replace(GOOD, continuous=False), "not a continuous backup"),
    ],
)
def test_what_is_wrong_fails(found, words):
    judged = judge_archiving(found, EXPECTED)
    assert (judged.verdict, words in judged.reason) == (Verdict.FAIL, True), judged.reason


def test_a_gap_that_cannot_be_told_is_inconclusive():
    assert (
        judge_archiving(replace(GOOD, gap_problem="no full backup"), EXPECTED).verdict is Verdict.INCONCLUSIVE
    )
