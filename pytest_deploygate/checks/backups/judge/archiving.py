"""Continuous archiving: a marker's segment is in the archive in time, nothing fails, and there is no gap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_deploygate.checks.backups.facts import Archiver, Archiving
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.backups.section import Backup

#: A few waiting segments are normal while one is being copied; more mean that they pile up.
_MOST_WAITING = 8
_MOST = 4
_NEVER = datetime.min.replace(tzinfo=UTC)


def judge_archiving(found: Archiving, expected: Backup) -> Judgement:
    """Pass when a marker's segment was archived in time and every segment since the last full backup is present."""
    readings = tuple(_readings(found, expected))
    if not found.continuous:
        return Judgement(
            Verdict.FAIL,
            f"{found.tool} are not a continuous backup: what was written since the last one is lost with the server; archive WAL "
            "(pgBackRest, Barman, or archive_command with base backups)",
            (Reading("continuous", False, limit="yes", ok=False), *readings),
        )
    said = Collector(confirmed=True)
    limit_s = expected.archived_within.total_seconds()
    ours = found.lag.explains(found.archived_s or 0.0, limit_s) if found.stored else ""
    if ours:
        said.unknown(*(f"{text}, {ours}" for text in _not_archived(found, expected)))
    else:
        said.wrong(*_not_archived(found, expected))
    said.wrong(*_failing(found), *_gap(found))
    said.read(*readings)
    if found.gap_problem:
        said.unknown(f"whether the archive has a gap is unknown: {found.gap_problem}")
    if _unbounded(found.after):
        said.note("archive_timeout is 0: a quiet server archives nothing for hours")
    return said.judgement(
        lambda: (
            f"segment {found.mark.segment} was in the archive {words_for(found.archived_s or 0.0)} after its switch; all "
            f"{found.checked} segments since {found.since} are in the archive"
        )
    )


def _unbounded(now: Archiver) -> bool:
    return now.timeout_s == 0 and now.streamed_lag_s is None


def _not_archived(found: Archiving, expected: Backup) -> Iterator[str]:
    segment, limit_s = found.mark.segment, expected.archived_within.total_seconds()
    if found.archived_s is None:
        off = " (archive_mode is off)" if found.after.mode == "off" else ""
        yield (
            f"segment {segment} was completed but is not archived, limit {words_for(limit_s)}{off}: check the server's "
            f"log for archive_command{_last_failure(found.after)}"
        )
    elif found.stored is False:
        yield (
            f"the server reports segment {segment} as archived, but it is not in the archive of {found.tool}: "
            "archive_command returns 0 without storing anything, or stores elsewhere"
        )
    elif found.archived_s > limit_s:
        yield f"segment {segment} was archived only after {words_for(found.archived_s)}, limit {words_for(limit_s)}"


def _last_failure(now: Archiver) -> str:
    if now.last_failed_at is None:
        return ""
    return f" (failed {now.failed} times, last {now.last_failed} at {now.last_failed_at:%H:%M:%S} UTC)"


def _failing(found: Archiving) -> Iterator[str]:
    now = found.after
    if now.failed > found.before.failed:
        yield f"archive_command failed {now.failed - found.before.failed} times during the check"
    elif now.last_failed_at and now.last_failed_at > (now.last_archived_at or _NEVER):
        yield f"archive_command's last run failed{_last_failure(now)}"
    if now.waiting > _MOST_WAITING:
        yield f"{now.waiting} segments are waiting to be archived and fill pg_wal"


def _gap(found: Archiving) -> Iterator[str]:
    if found.gap:
        more = f" and {len(found.gap) - _MOST} more" if len(found.gap) > _MOST else ""
        yield (
            f"{len(found.gap)} of {found.checked} segments since {found.since} {'is' if len(found.gap) == 1 else 'are'} missing from the archive, or not whole "
            f"({', '.join(found.gap[:_MOST])}{more}): nothing after them can be recovered; take a full backup now"
        )


def _readings(found: Archiving, expected: Backup) -> Iterator[Reading]:
    limit_s, now = expected.archived_within.total_seconds(), found.after
    took = None if found.archived_s is None else round(found.archived_s, 2)
    yield Reading(
        "marker's segment in the archive after", took, "s", f"at most {words_for(limit_s)}",
        bool(found.stored) and found.archived_s is not None and found.archived_s <= limit_s,
    )  # fmt: skip
    # Where the archive could not be read, "0 missing" would be a lie.
    missing = None if found.gap_problem else len(found.gap)
    yield Reading("segments missing", missing, limit="0", ok=None if missing is None else not missing)
    yield Reading("segments checked", found.checked)
    yield Reading(
        "failures during the check",
        now.failed - found.before.failed,
        limit="0",
        ok=now.failed == found.before.failed,
    )
    yield Reading(
        "segments waiting", now.waiting, limit=f"at most {_MOST_WAITING}", ok=now.waiting <= _MOST_WAITING
    )
    yield Reading("archive_timeout", now.timeout_s, "s")
