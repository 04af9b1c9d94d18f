"""Judge the audit trail: the operation's record, and that the application cannot change records."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.privacy.facts import RecordFacts, RightsFacts
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.privacy.section import AuditTrail

_CLOCKS = timedelta(seconds=2)
_NAMED = 4


def judge_record(found: RecordFacts, expected: AuditTrail) -> Judgement:
    """Pass when the operation left a record in time that states who, what, when and from where."""
    limit = words_for(expected.within)
    notes: tuple[str, ...] = (
        (f"the synthetic person was not removed: {found.undo_problem}",) if found.undo_problem else ()
    )
    reading = Reading(
        "records of the operation", len(found.records), limit="at least 1", ok=bool(found.records)
    )
    if not found.records:
        return Judgement(
            Verdict.FAIL,
            f"an audited operation of {found.role} left no record in {expected.table} within {limit}: is the audit trigger "
            "installed and enabled, does `query` search the right place?",
            (reading,), notes, confirmed=True,
        )  # fmt: skip
    notes += (
        f"left behind: {len(found.records)} records of the operation in {expected.table}, as of every operation",
    )
    who = expected.who or found.role
    record = found.records[0]
    wrong = []
    if record.who != who:
        wrong.append(f"who is {record.who or 'not recorded'}, expected {who}")
    if not record.what:
        wrong.append("what was done is not recorded")
    if record.at is None:
        wrong.append("when is not recorded")
    elif record.at.tzinfo is None:
        wrong.append("when has no time zone")
    elif (
        not found.began - _CLOCKS
        <= record.at
        <= found.began + expected.within + _CLOCKS + timedelta(seconds=15)
    ):
        wrong.append(
            f"when is {record.at:%Y-%m-%d %H:%M:%S %Z}, but the operation was at {found.began:%H:%M:%S %Z}"
        )
    if not record.source:
        wrong.append("from where is not recorded")
    readings = (
        reading,
        Reading("who", record.who, limit=who, ok=record.who == who),
        Reading("what", record.what, limit="recorded", ok=bool(record.what)),
        Reading("when", record.at.isoformat() if record.at else None, limit="time of the operation",
                ok=not any(w.startswith("when") for w in wrong)),
        Reading("from where", record.source, limit="recorded", ok=bool(record.source)),
        Reading("record appeared after", round(found.waited_s, 2), "s", f"at most {limit}",
                found.waited_s <= expected.within.total_seconds()),
    )  # fmt: skip
    if wrong:
        return Judgement(
            Verdict.FAIL,
            f"the record in {expected.table} is incomplete or wrong: {'; '.join(wrong)}",
            readings,
            notes,
        )
    return Judgement(
        Verdict.PASS, f"{record.what} by {record.who} from {record.source} was recorded", readings, notes
    )


def judge_rights(found: RightsFacts, expected: AuditTrail) -> Judgement:
    """Pass when none of the application's roles could change or delete records."""
    if not found.exists:
        return Judgement(
            Verdict.FAIL,
            f"{expected.table} does not exist: there is no audit trail to protect{found.near}",
            (Reading(expected.table, "missing", limit="exists", ok=False),),
        )
    if found.missing_roles:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the server has no role {', '.join(found.missing_roles)}: what the application may do is unknown; "
            "correct `audit_trail` in the inventory",
        )
    notes: tuple[str, ...] = ()
    if found.composed:
        notes = (
            f"not read, because their statements are composed when they run: {', '.join(found.composed[:_NAMED])}",
        )
    readings = (
        Reading("ways to change records", len(found.ways), limit="0", ok=not found.ways),
        Reading("owner", found.owner),
    )
    if found.ways:
        # A privilege that comes by membership also shows as the role's own: report the membership only.
        by = {
            f"{role} {how.partition(' by membership')[0]}"
            for role, how in found.ways
            if " by membership" in how
        }
        said = [f"{role} {how}" for role, how in found.ways if f"{role} {how}" not in by]
        more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
        return Judgement(
            Verdict.FAIL,
            f"records of {found.table} can be changed: {'; '.join(said[:_NAMED])}{more}: REVOKE it; the application needs "
            "INSERT at most, and another role must own the table",
            readings,
            notes,
        )
    return Judgement(
        Verdict.PASS,
        f"{', '.join(found.roles)} cannot change or delete records of {found.table}",
        readings,
        notes,
    )
