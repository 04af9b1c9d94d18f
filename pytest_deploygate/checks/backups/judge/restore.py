"""The restore drill, and the record of the rehearsal on which disaster recovery relies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.backups.facts import RestoreFacts
from pytest_deploygate.drills.judging import common_readings, counted, doubt, failure_of, when
from pytest_deploygate.drills.record import GOOD, Evidence, Record
from pytest_deploygate.judging.own_lag import excused
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.backups.section import Backup

#: If more than this share of rows is in parts that changed at the marker, the comparison proves too little.
_MOST_UNCERTAIN = 0.1
#: A reason or a note names this many things of a kind.
_MOST = 6
_ADVICE = {
    "restore": "do not rely on it: restore an older one by hand, and take a new full backup",
    "start": "restore it by hand and read the whole log",
    "marker": "a segment is missing or damaged between the backup and now (db.continuous-backup): take a full backup now",
    "indexes": "the source may be damaged too: run amcheck there, REINDEX, take a full backup",
    "contents": "do not rely on this backup: find out whether the source or the copy is right before overwriting anything",
    "isolation": "nothing was compared; report this",
}


def judge_restore(found: Evidence[RestoreFacts], expected: Backup) -> Judgement:
    """Pass when the newest backup was restored, reached the marker, equals its source, and was fast enough."""
    if found.record is None or not found.ran_now:
        return _on_record(found, expected)
    record, facts = found.record, found.record.facts
    readings, notes = tuple(_readings(record, expected)), _notes(facts)
    if failed := failure_of(record):
        advice = _ADVICE.get(record.outcome, "see the record")
        outcome = Reading("outcome of the drill", record.outcome, limit=GOOD, ok=False)
        return Judgement(Verdict.FAIL, f"{failed}; {advice}", (outcome, *readings), notes)
    if wrong := list(_objectives(facts, expected)):
        return _excused(Judgement(Verdict.FAIL, "; ".join(wrong), readings, notes), facts, expected)
    if unproven := _unproven(facts):
        return Judgement(Verdict.INCONCLUSIVE, unproven, readings, notes)
    indexes = f", {facts.indexes} indexes sound" if facts.indexes is not None else ""
    catalog = ", catalog" if facts.catalog_lines else ""
    return Judgement(
        Verdict.PASS,
        f"{facts.backup} was restored in {words_for(facts.rto_s or 0.0)} and equals its source: {facts.rows} rows of "
        f"{facts.tables} tables{catalog}{indexes}; at most {words_for(facts.rpo_s or 0.0)} could be lost",
        readings,
        notes,
    )


def judge_rehearsal(found: Evidence[RestoreFacts], expected: Backup) -> Judgement:
    """Pass when the last rehearsal is recent enough and its measured RTO and RPO are within the objectives.

    Disaster recovery requires a rehearsal, so none, or an old one, is a failure.
    """
    record = found.record
    how = "run the restore drill (`backup.scratch`), or write the record of a rehearsal: date, outcome, rto_s, rpo_s"
    said = doubt(found, expected.record_age, "rehearsal of disaster recovery")
    if record is None:
        return Judgement(
            Verdict.FAIL, f"{said}; {how}", (Reading("rehearsal on record", "none", limit="one", ok=False),)
        )
    facts = record.facts
    readings = (*common_readings(found, expected.record_age), *_readings(record, expected))
    if said:
        return Judgement(Verdict.FAIL, f"{said}; {how}", readings)
    if failed := failure_of(record):
        return Judgement(Verdict.FAIL, f"the rehearsal of {when(record)} failed: {failed}", readings)
    if facts.rto_s is None or (facts.rpo_s is None and not record.digest):
        return Judgement(
            Verdict.FAIL,
            f"the record of {when(record)} has no measured RTO and RPO (rto_s, rpo_s): {how}",
            readings,
        )
    if wrong := list(_objectives(facts, expected)):
        late = Judgement(Verdict.FAIL, f"rehearsal of {when(record)}: {'; '.join(wrong)}", readings)
        return _excused(late, facts, expected)
    return Judgement(
        Verdict.PASS,
        f"rehearsal of {when(record)} ({facts.by}): RTO {words_for(facts.rto_s)} of {words_for(expected.rto)}, RPO "
        f"{words_for(facts.rpo_s or 0.0)} of {words_for(expected.rpo)}",
        readings,
    )


def _on_record(found: Evidence[RestoreFacts], expected: Backup) -> Judgement:
    """Judge a record if no drill runs here: it counts while it is recent and of the same configuration."""
    drill = counted(
        found,
        expected.record_age,
        "restore drill",
        "name a place for the drill: `backup: {scratch: {folder: …}}`",
        readings=lambda record: _readings(record, expected),
    )
    if isinstance(drill, Judgement):
        return drill
    facts, on = drill.record.facts, when(drill.record)
    if wrong := list(_objectives(facts, expected)):
        late = Judgement(Verdict.FAIL, f"drill of {on}: {'; '.join(wrong)}", drill.readings)
        return _excused(late, facts, expected)
    if unproven := _unproven(facts):
        return Judgement(Verdict.INCONCLUSIVE, f"drill of {on}: {unproven}", drill.readings)
    return Judgement(Verdict.PASS, f"on record: drill of {on}, {facts.rows} rows equal", drill.readings)


def _excused(late: Judgement, facts: RestoreFacts, expected: Backup) -> Judgement:
    """Return a failed RTO as inconclusive if our own lag explains it; the RPO is no time that we took."""
    if facts.rpo_s is None or facts.rpo_s > expected.rpo.total_seconds():
        return late
    return excused(late, facts.lag, facts.rto_s, expected.rto.total_seconds())


def _objectives(facts: RestoreFacts, expected: Backup) -> Iterator[str]:
    if facts.rto_s is not None and facts.rto_s > expected.rto.total_seconds():
        copied = f" (copying {words_for(facts.copied_s)})" if facts.copied_s is not None else ""
        yield (
            f"the restore took {words_for(facts.rto_s)}{copied}, RTO objective {words_for(expected.rto)}: use more processes, a "
            "nearer repository or a standby"
        )
    if facts.rpo_s is None:
        yield (
            "the possible loss has no bound: archive_timeout is 0 and nothing streams; set archive_timeout below the RPO "
            f"objective ({words_for(expected.rpo)})"
        )
    elif facts.rpo_s > expected.rpo.total_seconds():
        yield (
            f"up to {words_for(facts.rpo_s)} could be lost, RPO objective {words_for(expected.rpo)}: lower archive_timeout, or "
            "stream WAL to the backup host"
        )


def _unproven(facts: RestoreFacts) -> str:
    """Say why a good drill proves nothing, or return an empty string."""
    if facts.rto_s is None or (facts.marker_at is not None and not facts.marker_found):
        return "its record does not state that the restored server reached the marker"
    if facts.rows == 0:
        return f"{facts.tables} tables were compared and all are empty: zero rows prove nothing; run again after phase 4"
    if facts.uncompared:
        return (
            f"{facts.backup} was restored, and {facts.tables} tables equal their source; {len(facts.uncompared)} could not be "
            f"compared: {_some(facts.uncompared)}"
        )
    if facts.index_problem:
        return f"the restored indexes were not checked: {facts.index_problem}"
    if facts.uncertain_rows > facts.rows * _MOST_UNCERTAIN:
        return (
            f"{facts.uncertain_rows} of {facts.rows} rows changed at the time of the marker and could not be compared: run it "
            "again when there are fewer writes"
        )
    return ""


def _notes(facts: RestoreFacts) -> tuple[str, ...]:
    found = []
    if facts.left:
        found.append(f"not compared: {_some(facts.left)}")
    if facts.sampled:
        found.append(f"compared by their first and last blocks only: {', '.join(facts.sampled[:6])}")
    if facts.swept:
        found.append(f"removed what an earlier drill left behind: {', '.join(facts.swept)}")
    return tuple(found)


def _some(things: tuple[str, ...]) -> str:
    more = f" and {len(things) - _MOST} more" if len(things) > _MOST else ""
    return "; ".join(things[:_MOST]) + more


def _readings(record: Record[RestoreFacts], expected: Backup) -> Iterator[Reading]:
    facts = record.facts
    for name, value, limit in (("RTO", facts.rto_s, expected.rto), ("RPO", facts.rpo_s, expected.rpo)):
        # Without an RPO of its own a good drill leaves the possible loss without a bound.
        ok = (
            value <= limit.total_seconds() if value is not None else False if record.outcome == GOOD else None
        )
        yield Reading(name, value, "s", f"at most {words_for(limit)}", ok)
    yield Reading("backup restored", facts.backup or "not named")
    if facts.marker_found is not None:
        yield Reading("marker found", facts.marker_found, limit="true", ok=facts.marker_found)
    yield Reading("tables compared", facts.tables)
    yield Reading(
        "rows compared",
        facts.rows,
        limit="more than 0" if record.outcome == GOOD and facts.tables else "",
        ok=facts.rows > 0 if record.outcome == GOOD and facts.tables else None,
    )
    yield Reading("tables that differ", len(facts.differs), limit="0", ok=not facts.differs)
    yield Reading(
        "catalog lines that differ", len(facts.catalog_differs), limit="0", ok=not facts.catalog_differs
    )
    if facts.indexes is not None:
        yield Reading("indexes checked", facts.indexes)
    for name, seconds in (
        ("copied in", facts.copied_s),
        ("recovered in", facts.recovered_s),
        ("whole drill", facts.total_s),
    ):
        if seconds is not None:
            yield Reading(name, seconds, "s")
