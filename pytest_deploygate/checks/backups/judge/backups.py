"""The repository and its backups: present, recent, retained, encrypted, with room, verified; and a small one taken now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.backups.facts import BackupSet, Live, Repository, Store, Trial, Verified
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.own_lag import excused
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.backups.section import Backup

_CLOCKS = timedelta(minutes=5)


def judge_repository(found: Repository, expected: Backup) -> Judgement:
    """Pass when a usable full backup exists, recent and encrypted, with a retention and room for the next ones."""
    if found.unreachable and found.ours:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"nothing is known of the backups, because their host cannot be used from here: {found.unreachable}; correct "
            "`backup.host`, or let the gate in",
            (Reading("backup host", found.host, limit="answers"),),
        )
    if found.unreachable:
        return Judgement(
            Verdict.FAIL,
            f"the backups cannot be reached, so none could be restored now: {found.unreachable}",
            (Reading("backup host", found.host, limit="answers", ok=False),),
        )
    if found.newest is None or found.newest_full is None or found.store is None:
        kind = "no backup" if found.newest is None else "no full backup, and others are useless without it"
        return Judgement(
            Verdict.FAIL,
            f"{found.tool} has {kind}: take a full one now, and find out why the schedule did not",
            (Reading("full backups", 0, limit=f"at least {expected.keep}", ok=False),),
        )
    store = found.store
    newest, said = found.newest_full, Collector(about=found.tool)
    said.wrong(
        *_too_old(found.newest, "newest backup", expected.max_age, found.now),
        *_too_old(newest, "newest full backup", expected.full_age, found.now),
        *([f"the newest backup {found.newest.label}: {found.newest.error}"] if found.newest.error else []),
        *_kept(found, expected),
        *_of_another_cluster(found.newest, found.live),
        *store.lacking,
        *_encryption(store, expected),
        *_room(store, newest, expected),
    )
    said.unknown(*_unknown(store, expected), *_unidentified(found.newest, found.live))
    said.read(*_readings(found, found.newest, newest, store, expected))
    if store.retention is None:
        said.note("plain backups have no retention of their own: make sure that old ones are removed")
    return said.judgement(
        lambda: (
            f"{found.full_count} full backups, the newest {words_for(found.now - newest.finished)} old, "
            f"{store.encryption or 'not encrypted'}; whether it can be restored is tested by db.restore"
        )
    )


def judge_final(found: Verified, expected: Backup) -> Judgement:
    """Pass when the newest full backup is from this morning and its tool's own check finds nothing wrong with it."""
    return _judge_verified(found, expected.final_age, "full backup", "take one now, before the day begins")


def judge_night(found: Verified, expected: Backup) -> Judgement:
    """Pass when the night's backup exists and verifies."""
    return _judge_verified(found, expected.max_age, "backup", "check the job's log, then take one now")


def judge_trial(found: Trial, expected: Backup) -> Judgement:
    """Pass when a small backup, taken now, completed in time and is in the repository."""
    limit_s = expected.take_within.total_seconds()
    readings = (
        Reading(
            "small backup took",
            round(found.took_s, 1),
            "s",
            f"at most {words_for(limit_s)}",
            found.took_s <= limit_s,
        ),
        Reading(
            "new backup",
            found.label
            or ("none" if found.listed or found.problem else "taken by the inventory's own command"),
            limit="taken" if found.problem else "",
            ok=False if found.problem else None,
        ),
    )
    if found.problem:
        return Judgement(
            Verdict.FAIL,
            f"a small backup could not be taken: {found.problem}; run by hand: {found.command}",
            readings,
        )
    if found.took_s > limit_s:
        late = Judgement(
            Verdict.FAIL,
            f"the small backup took {words_for(found.took_s)}, limit {words_for(limit_s)}: find out what slows the repository",
            readings,
        )
        return excused(late, found.lag, found.took_s, limit_s)
    return Judgement(
        Verdict.PASS, f"a small backup taken now completed after {words_for(found.took_s)}", readings
    )


def _judge_verified(found: Verified, limit: timedelta, what: str, advice: str) -> Judgement:
    backup = found.backup
    if backup is None:
        return Judgement(
            Verdict.FAIL,
            f"{found.tool} has no {what}: {advice}",
            (Reading(f"newest {what}", "none", limit=f"at most {words_for(limit)} old", ok=False),),
        )
    age = found.now - backup.finished
    readings = [
        Reading(
            f"age of the newest {what}", words_for(age), limit=f"at most {words_for(limit)}", ok=age <= limit
        )
    ]
    old = list(_too_old(backup, f"newest {what}", limit, found.now))
    if found.verification is not None:
        count = len(found.verification.problems)
        readings.append(Reading(found.verification.how, count, "problems", "0", count == 0))
    if backup.error:
        readings.append(Reading(f"{what} {backup.label}", backup.error, limit="whole", ok=False))
    elsewhere = list(_of_another_cluster(backup, found.live))
    if elsewhere:
        readings.append(
            Reading(f"{what} {backup.label}", "of another cluster", limit="of this cluster", ok=False)
        )
    bad = [
        *old,
        *(found.verification.problems if found.verification else ()),
        *([backup.error] if backup.error else []),
        *elsewhere,
    ]
    if bad:
        # A reason about age names the backup itself.
        about = found.tool if old else f"{found.tool}, {backup.label}"
        next_step = (
            advice
            if old
            else "do not rely on it: take another, and find out what changed it in the repository"
        )
        return Judgement(Verdict.FAIL, f"{about}: {'; '.join(bad)}; {next_step}", tuple(readings))
    if found.verification is None:
        return Judgement(
            Verdict.INCONCLUSIVE, f"{backup.label} could not be verified: {found.problem}", tuple(readings)
        )
    if found.problem:
        return Judgement(Verdict.INCONCLUSIVE, f"{backup.label}: {found.problem}", tuple(readings))
    if unknown := list(_unidentified(backup, found.live)):
        return Judgement(Verdict.INCONCLUSIVE, unknown[0], tuple(readings))
    return Judgement(
        Verdict.PASS,
        f"{backup.label} of {backup.finished:%Y-%m-%d %H:%M} UTC verifies ({found.verification.how})",
        tuple(readings),
    )


def _too_old(backup: BackupSet, what: str, limit: timedelta, now: datetime) -> Iterator[str]:
    age = now - backup.finished
    when = f"{backup.finished:%Y-%m-%d %H:%M} UTC"
    if age > limit:
        yield (
            f"the {what} ({backup.label}) is from {when}, {words_for(age)} ago, limit {words_for(limit)}: find out why "
            "the job did not run or failed"
        )
    elif age < -_CLOCKS:
        yield f"the {what} ({backup.label}) is from {when}, in the future: a clock is wrong"


def _of_another_cluster(backup: BackupSet, live: Live | None) -> Iterator[str]:
    if live is None:
        return
    if backup.system_id and live.system_id and backup.system_id != live.system_id:
        yield (
            f"{backup.label} is of another cluster: its system identifier is {backup.system_id}, that of the primary is "
            f"{live.system_id} (a new initdb, an upgrade, or another server's repository); take a full backup of this one now"
        )
    if backup.database and backup.database != live.database:
        yield f"{backup.label} is a dump of the database {backup.database}, not of {live.database}"


def _unidentified(backup: BackupSet, live: Live | None) -> Iterator[str]:
    if live is not None and live.problem and backup.system_id:
        yield f"whether {backup.label} is of the live cluster is unknown: {live.problem}"


def _kept(found: Repository, expected: Backup) -> Iterator[str]:
    if found.full_count < expected.keep:
        yield f"{found.full_count} full backups are kept, expected at least {expected.keep}"
    if expected.retention and found.store and found.store.retention == "":
        yield "no retention is set: nothing is ever removed, and the repository fills up"


def _encryption(store: Store, expected: Backup) -> Iterator[str]:
    if expected.encrypted and store.encryption == "":
        yield (
            f"the repository {store.where} is not encrypted: whoever can read it has every row; set a cipher "
            "(pgBackRest: repo1-cipher-type) or put it on an encrypted volume"
        )


def _room(store: Store, newest: BackupSet, expected: Backup) -> Iterator[str]:
    needed = _needed_bytes(newest, expected)
    if store.free_bytes is not None and store.free_bytes < needed:
        yield (
            f"{store.where} has {words_for_bytes(store.free_bytes)} free, but {words_for_bytes(needed)} are needed: the next "
            "backup may not fit"
        )


def _unknown(store: Store, expected: Backup) -> Iterator[str]:
    if expected.encrypted and store.encryption is None:
        yield (
            f"whether the volume of {store.where} is encrypted cannot be determined here; `encrypted: false` states that it need not be"
        )
    if store.free_bytes is None and expected.min_free is not None:
        yield f"free space is unknown: {store.problem}"


def _needed_bytes(newest: BackupSet, expected: Backup) -> int:
    return expected.min_free if expected.min_free is not None else 2 * newest.stored_bytes


def _readings(
    found: Repository, newest: BackupSet, full: BackupSet, store: Store, expected: Backup
) -> Iterator[Reading]:
    for what, backup, limit in (
        ("newest", newest, expected.max_age),
        ("newest full", full, expected.full_age),
    ):
        age = found.now - backup.finished
        yield Reading(
            f"age of the {what} backup", words_for(age), limit=f"at most {words_for(limit)}", ok=age <= limit
        )
    yield Reading(
        "full backups",
        found.full_count,
        limit=f"at least {expected.keep}",
        ok=found.full_count >= expected.keep,
    )
    yield Reading(
        "encryption", store.encryption or ("none" if store.encryption == "" else "unknown"),
        limit="any" if expected.encrypted else "", ok=bool(store.encryption) if expected.encrypted else None,
    )  # fmt: skip
    if store.retention is not None:
        yield Reading(
            "retention",
            store.retention or "none",
            limit="set" if expected.retention else "",
            ok=bool(store.retention) if expected.retention else None,
        )
    if store.free_bytes is not None:
        needed = _needed_bytes(full, expected)
        yield Reading(
            "free in the repository", words_for_bytes(store.free_bytes), limit=f"at least {words_for_bytes(needed)}",
            ok=store.free_bytes >= needed,
        )  # fmt: skip
