"""The restore drill, and the record of a rehearsal that disaster recovery rests on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pytest_deploygate.checks.backups.facts import DrillEvidence, DrillRecord
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

_CLOCKS = timedelta(minutes=5)
#: More rows than this share in parts that changed with the marker, and the comparison proves too little.
_MOST_UNCERTAIN = 0.1
_ADVICE = {
    "restore": "do not rely on it: restore an older one by hand, and take a new full backup",
    "start": "restore it by hand and read the whole log",
    "marker": "a segment is missing or damaged between the backup and now (db.continuous-backup): take a full backup now",
    "indexes": "the damage may be in the source, too: run amcheck there, REINDEX, take a full backup",
    "contents": "do not rely on this backup: find out whether source or copy is right before anything is written over",
    "isolation": "nothing was compared; report this",
}


def judge_restore(found: DrillEvidence, expected: Backup) -> Judgement:
    """Pass when the newest backup was restored, came to the marker, equals its source, and was quick enough."""
    record = found.record
    if record is None or not found.ran_now:
        return _on_record(found, expected)
    readings = tuple(_readings(record, expected))
    if record.outcome != "good":
        advice = _ADVICE.get(record.outcome, "see the record")
        return Judgement(Verdict.FAIL, f"{record.reason}; {advice}", readings, _notes(record))
    wrong = list(_objectives(record, expected))
    if wrong:
        return Judgement(Verdict.FAIL, "; ".join(wrong), readings, _notes(record))
    if unproven := _unproven(record):
        return Judgement(Verdict.INCONCLUSIVE, unproven, readings, _notes(record))
    indexes = f", {record.indexes} indexes sound" if record.indexes is not None else ""
    return Judgement(
        Verdict.PASS,
        f"{record.backup} was restored in {words_for(record.rto_s or 0.0)} and equals its source: {record.rows} rows of "
        f"{record.tables} tables, catalog{indexes}; at most {words_for(record.rpo_s or 0.0)} would be lost",
        readings,
        _notes(record),
    )


def judge_rehearsal(found: DrillEvidence, expected: Backup) -> Judgement:
    """Pass when the last rehearsal is recent enough and its measured RTO and RPO are within the objectives."""
    record = found.record
    how = "run the restore drill (`backup.scratch`), or write the record of a rehearsal: date, outcome, rto_s, rpo_s"
    if record is None:
        return Judgement(
            Verdict.FAIL, f"no rehearsal of disaster recovery is on record: {found.problem}; {how}"
        )
    readings = (_dated(found, record, expected), *_readings(record, expected))
    if old := _not_of_now(found, record, expected):
        return Judgement(Verdict.FAIL, f"{old}: {how}", readings)
    if record.outcome != "good":
        said = record.reason or f"it ended as {record.outcome or 'nothing'}"
        return Judgement(Verdict.FAIL, f"the rehearsal of {_when(record)} failed: {said}", readings)
    if record.rto_s is None or (record.rpo_s is None and not record.digest):
        return Judgement(
            Verdict.FAIL,
            f"the record of {_when(record)} names no measured RTO and RPO (rto_s, rpo_s): {how}",
            readings,
        )
    if wrong := list(_objectives(record, expected)):
        return Judgement(Verdict.FAIL, f"rehearsal of {_when(record)}: {'; '.join(wrong)}", readings)
    return Judgement(
        Verdict.PASS,
        f"rehearsal of {_when(record)} ({record.by}): RTO {words_for(record.rto_s)} of {words_for(expected.rto)}, RPO "
        f"{words_for(record.rpo_s or 0.0)} of {words_for(expected.rpo)}",
        readings,
    )


def _on_record(found: DrillEvidence, expected: Backup) -> Judgement:
    """Judge a record where no drill runs here: it counts while it is recent and of this very configuration."""
    how = "name a place for the drill: `backup: {scratch: {folder: …}}`"
    record = found.record
    if record is None:
        return Judgement(Verdict.INCONCLUSIVE, f"no backup was restored: {found.problem}; {how}")
    readings = (_dated(found, record, expected), *_readings(record, expected))
    if old := _not_of_now(found, record, expected):
        return Judgement(Verdict.INCONCLUSIVE, f"{old}; {how}", readings)
    if record.digest != found.digest:
        changed = [k for k in found.configuration if record.configuration.get(k) != found.configuration[k]]
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the drill of {_when(record)} was of another configuration ({', '.join(changed) or 'not named'}); {how}",
            readings,
        )
    if record.outcome != "good":
        return Judgement(Verdict.FAIL, f"the drill of {_when(record)} failed: {record.reason}", readings)
    if wrong := list(_objectives(record, expected)):
        return Judgement(Verdict.FAIL, f"drill of {_when(record)}: {'; '.join(wrong)}", readings)
    if unproven := _unproven(record):
        return Judgement(Verdict.INCONCLUSIVE, f"drill of {_when(record)}: {unproven}", readings)
    return Judgement(Verdict.PASS, f"on record: drill of {_when(record)}, {record.rows} rows equal", readings)


def _not_of_now(found: DrillEvidence, record: DrillRecord, expected: Backup) -> str:
    age = found.now - record.date
    if age < -_CLOCKS:
        return f"the record is dated {_when(record)}, in the future: a clock is wrong"
    if age > expected.record_age:
        return f"the last rehearsal was on {_when(record)}, {words_for(age)} ago; it counts for {words_for(expected.record_age)}"
    return ""


def _objectives(record: DrillRecord, expected: Backup) -> Iterator[str]:
    if record.rto_s is not None and record.rto_s > expected.rto.total_seconds():
        copied = f" (copying {words_for(record.copied_s)})" if record.copied_s is not None else ""
        yield (
            f"the restore took {words_for(record.rto_s)}{copied}, RTO objective {words_for(expected.rto)}: more processes, a "
            "nearer repository or a standby"
        )
    if record.rpo_s is None:
        yield (
            "what could be lost has no bound: archive_timeout is 0 and nothing streams; set archive_timeout below the RPO "
            f"objective ({words_for(expected.rpo)})"
        )
    elif record.rpo_s > expected.rpo.total_seconds():
        yield (
            f"up to {words_for(record.rpo_s)} could be lost, RPO objective {words_for(expected.rpo)}: lower archive_timeout, or "
            "stream WAL to the backup host"
        )


def _unproven(record: DrillRecord) -> str:
    """Say what keeps a drill that went well from proving anything, or nothing."""
    if record.rto_s is None or (record.marker_at is not None and not record.marker_found):
        return "its record does not say that the restored server came to the marker"
    if record.rows == 0:
        return f"{record.tables} tables were compared and all are empty: zero rows prove nothing; run again after phase 4"
    if record.index_problem:
        return f"the restored indexes were not checked: {record.index_problem}"
    if record.uncertain_rows > record.rows * _MOST_UNCERTAIN:
        return (
            f"{record.uncertain_rows} of {record.rows} rows changed in the moment of the marker and cannot be told: run it "
            "again when less is written"
        )
    return ""


def _notes(record: DrillRecord) -> tuple[str, ...]:
    found = []
    if record.left:
        found.append(f"not compared: {'; '.join(record.left[:6])}{' …' if len(record.left) > 6 else ''}")
    if record.sampled:
        found.append(f"compared by their first and last blocks only: {', '.join(record.sampled[:6])}")
    if record.swept:
        found.append(f"removed what an earlier drill had left behind: {', '.join(record.swept)}")
    return tuple(found)


def _when(record: DrillRecord) -> str:
    return record.date.strftime("%Y-%m-%d %H:%M UTC")


def _dated(found: DrillEvidence, record: DrillRecord, expected: Backup) -> Reading:
    limit = f"at most {words_for(expected.record_age)} ago"
    return Reading(
        "rehearsal on", record.date.isoformat(), limit=limit, ok=not _not_of_now(found, record, expected)
    )


def _readings(record: DrillRecord, expected: Backup) -> Iterator[Reading]:
    for name, value, limit in (("RTO", record.rto_s, expected.rto), ("RPO", record.rpo_s, expected.rpo)):
        ok = None if value is None else value <= limit.total_seconds()
        yield Reading(name, value, "s", f"at most {words_for(limit)}", ok)
    yield Reading("backup restored", record.backup or "not named")
    if record.marker_found is not None:
        yield Reading("marker found", record.marker_found, limit="true", ok=record.marker_found)
    yield Reading("tables compared", record.tables)
    yield Reading(
        "rows compared",
        record.rows,
        limit="more than 0",
        ok=record.rows > 0 if record.outcome == "good" else None,
    )
    yield Reading("tables that differ", len(record.differs), limit="0", ok=not record.differs)
    yield Reading(
        "catalog lines that differ", len(record.catalog_differs), limit="0", ok=not record.catalog_differs
    )
    if record.indexes is not None:
        yield Reading("indexes checked", record.indexes)
    for name, seconds in (
        ("copied in", record.copied_s),
        ("recovered in", record.recovered_s),
        ("drill in all", record.total_s),
    ):
        if seconds is not None:
            yield Reading(name, seconds, "s")
