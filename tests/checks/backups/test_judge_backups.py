"""Repository, final, nightly and small backups: what is missing, old, unencrypted, unverified or unknown never passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.backups.facts import BackupSet, Repository, Store, Trial, Verification, Verified
from pytest_deploygate.checks.backups.judge import backups
from pytest_deploygate.checks.backups.probe.seen import Backups, repository
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXPECTED = Backup.model_validate({"tool": "pgbackrest", "server": "platform"})
FULL = BackupSet("F1", "full", NOW - 3 * HOUR, NOW - 2 * HOUR, 10**9, 10**8, "0" * 24, "0" * 24)
STORE = Store("/repo", "aes-256-cbc", "repo1-retention-full 2", 10**12)
GOOD = Repository("pgBackRest stanza platform", "this host", NOW, FULL, FULL, 2, STORE)
PROVED = Verified("tool", NOW, FULL, Verification("F1", "verify", (), 1.0))


def aged(by: timedelta) -> BackupSet:
    return replace(FULL, finished=NOW - by)


def test_a_good_repository_passes():
    assert backups.judge_repository(GOOD, EXPECTED).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(GOOD, unreachable="the repository is not mounted"), "none could be restored now"),
        (replace(GOOD, newest=None, newest_full=None, full_count=0), "no backup"),
        (replace(GOOD, newest_full=None, full_count=0), "no full backup"),
        (replace(GOOD, newest=aged(27 * HOUR), newest_full=aged(27 * HOUR)), "limit 26 h"),
        (replace(GOOD, newest_full=aged(9 * 24 * HOUR)), "newest full backup"),
        (replace(GOOD, newest=aged(-HOUR)), "in the future"),
        (replace(GOOD, store=replace(STORE, encryption="")), "not encrypted"),
        (replace(GOOD, store=replace(STORE, retention="")), "no retention is set"),
        (replace(GOOD, store=replace(STORE, free_bytes=10**7)), "may not fit"),
        (replace(GOOD, newest=replace(FULL, error="pages with wrong checksums")), "wrong checksums"),
    ],
)
def test_what_is_wrong_with_a_repository_fails(found, words):
    judged = backups.judge_repository(found, EXPECTED)
    assert (judged.verdict, words in judged.reason) == (Verdict.FAIL, True), judged.reason


def test_fewer_full_backups_than_are_to_be_kept_fail():
    assert backups.judge_repository(GOOD, EXPECTED.model_copy(update={"keep": 3})).verdict is Verdict.FAIL


def test_encryption_that_cannot_be_told_is_inconclusive():
    found = replace(GOOD, store=replace(STORE, encryption=None))
    assert backups.judge_repository(found, EXPECTED).verdict is Verdict.INCONCLUSIVE
    allowed = EXPECTED.model_copy(update={"encrypted": False})
    assert backups.judge_repository(found, allowed).verdict is Verdict.PASS


def test_free_space_that_was_asked_for_and_is_unknown_is_inconclusive():
    found = replace(GOOD, store=replace(STORE, free_bytes=None, problem="s3 storage does not report it"))
    expected = EXPECTED.model_copy(update={"min_free": 10**9})
    assert backups.judge_repository(found, expected).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (PROVED, Verdict.PASS, "verifies"),
        (replace(PROVED, backup=None, verification=None), Verdict.FAIL, "no full backup"),
        (replace(PROVED, backup=aged(13 * HOUR)), Verdict.FAIL, "limit 12 h"),
        (
            replace(PROVED, verification=Verification("F1", "verify", ("manifest",), 1.0)),
            Verdict.FAIL,
            "manifest",
        ),
        (replace(PROVED, verification=None, problem="not installed"), Verdict.INCONCLUSIVE, "not installed"),
        (replace(PROVED, backup=aged(13 * HOUR), verification=None), Verdict.FAIL, "limit 12 h"),
    ],
)
def test_final_backup(found, verdict, words):
    judged = backups.judge_final(found, EXPECTED)
    assert (judged.verdict, words in judged.reason) == (verdict, True), judged.reason


def test_a_night_without_a_backup_fails():
    assert backups.judge_night(replace(PROVED, backup=aged(13 * HOUR)), EXPECTED).verdict is Verdict.PASS
    assert backups.judge_night(replace(PROVED, backup=aged(30 * HOUR)), EXPECTED).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Trial("take", 2.0, "", "I1"), Verdict.PASS),
        (Trial("take", 2.0, "no new backup is in the repository"), Verdict.FAIL),
        (Trial("take", 3600.0, "", "I1"), Verdict.FAIL),
    ],
)
def test_small_backup(found, verdict):
    assert backups.judge_trial(found, EXPECTED).verdict is verdict


def test_a_host_that_our_side_cannot_reach_says_nothing_about_the_backups():
    """A name that does not resolve, or a login that is not let in, is inconclusive; "none could be restored" is not said."""
    there = "ssh://backup.invalid cannot be accessed: ssh: Could not resolve hostname backup.invalid"
    found = backups.judge_repository(replace(GOOD, unreachable=there, ours=True), EXPECTED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "Could not resolve hostname" in found.reason
    assert "restored" not in found.reason


def test_a_backup_host_that_does_not_resolve_is_inconclusive():
    """Through the tool, ssh and the judge."""
    section = Backup.model_validate(
        {"tool": "pgbackrest", "server": "platform", "host": "ssh://nowhere.invalid"}
    )
    found = backups.judge_repository(repository(Backups(section)), section)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "nowhere.invalid" in found.reason
