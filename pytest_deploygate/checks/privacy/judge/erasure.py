"""Judge an erasure: the person is found everywhere before, and afterwards only where allowed; backups expire later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.privacy.facts import ErasureFacts, Hit, Sweep
from pytest_deploygate.fields.names import differs_in_case, instead, matches
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.privacy.section import Allowed, Erasure

_NAMED = 4
_OUTSIDE = ("redis ", "log ")


def judge_erasure(found: ErasureFacts, expected: Erasure) -> Judgement:
    """Pass when the person was in every expected place before, and afterwards only where the inventory allows it."""
    notes = (*_residuals(found, expected), *_skipped(found.before, expected))
    if found.left_behind:
        notes += (f"{found.left_behind} synthetic persons of crashed runs were erased first",)
    if found.kept_in:
        notes += (
            f"left behind: the table {found.kept_in}, without rows, for the next run; and what the platform records of every "
            "erasure, without the person",
        )
    seen = {hit.place for hit in found.before.hits}
    control = [*expected.expected, *(f"redis {cache.name}" for cache in expected.redis if cache.holds)]
    lacking = [place for place in control if place not in seen]
    if lacking:
        where = ", ".join(sorted(seen)) or "nowhere"
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the control failed: the synthetic person was not found in {', '.join(lacking)} before the erasure (found in "
            f"{where}), so finding nothing afterwards would prove nothing: correct `create` or `expected`{_near(lacking, seen)}",
            (Reading("expected places with the person before", len(control) - len(lacking),
                     limit=str(len(control)), ok=False),), notes,
        )  # fmt: skip
    if found.after is None:
        return Judgement(
            Verdict.FAIL,
            f"the erasure itself failed: {found.problem}; the synthetic person {found.email} is still there",
            (Reading("erasure", found.problem or "failed", limit="done", ok=False),),
            notes,
        )
    left = [hit for hit in found.after.hits if not _allowed(hit, expected.allowed)]
    readings = (
        Reading("places with the person before", len(seen), limit=f"at least the {len(control)} expected",
                ok=True),
        Reading("places with the person after", len(left), limit="0 besides those allowed", ok=not left),
        Reading("tables searched", found.after.tables),
        Reading("Redis servers and logs searched", len(expected.redis) + len(expected.logs)),
        Reading("erasure done after", round(found.took_s, 2), "s", f"at most {words_for(expected.within)}",
                found.took_s <= expected.within.total_seconds()),
    )  # fmt: skip
    if left:
        return Judgement(
            Verdict.FAIL, _still(left, seen, expected, found.after), readings, notes, confirmed=True
        )
    unread = found.after.unread or found.before.unread
    if unread:
        more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the person is absent from {found.after.tables} tables, but {len(unread)} places could not be searched: "
            f"{'; '.join(unread[:_NAMED])}{more}",
            readings, notes,
        )  # fmt: skip
    kept = [f"{hit.place} ({_why(hit, expected.allowed)})" for hit in found.after.hits]
    beside = [
        *(f"redis {cache.name}" for cache in expected.redis),
        *(f"log {log.name}" for log in expected.logs),
    ]
    return Judgement(
        Verdict.PASS,
        f"found in {len(seen)} places, erased, and then absent from all columns of {found.after.tables} tables on "
        f"{found.after.node}"
        + (f" and from {', '.join(beside)}" if beside else "")
        + (f"; kept as allowed: {', '.join(kept)}" if kept else ""),
        readings,
        notes,
    )


def _near(lacking: list[str], seen: set[str]) -> str:
    columns = [place for place in seen if not place.startswith(_OUTSIDE)]
    wanted = [place for place in lacking if not place.startswith(_OUTSIDE)]
    return next((instead(there) for want in wanted for there in columns if differs_in_case(want, there)), "")


def _still(left: list[Hit], before: set[str], expected: Erasure, after: Sweep) -> str:
    said = [_said(hit) for hit in left[:_NAMED]]
    more = f" and {len(left) - _NAMED} more places" if len(left) > _NAMED else ""
    on = f" on {after.node}" if any(not hit.place.startswith(_OUTSIDE) for hit in left) else ""
    hints = dict.fromkeys(_hint(hit, before, expected) for hit in left[:_NAMED])
    return (
        f"{words_for(expected.within)} after the erasure the synthetic person is still in {', '.join(said)}{more}{on}: "
        f"{'; '.join(hints)}"
    )


def _said(hit: Hit) -> str:
    kind = "key" if hit.place.startswith("redis ") else "line" if hit.place.startswith("log ") else "row"
    first = f", first {hit.first}" if hit.first else ""
    return f"{hit.place} ({hit.rows} {kind}{'s' if hit.rows > 1 else ''}{first})"


def _hint(hit: Hit, before: set[str], expected: Erasure) -> str:
    """Say what to do about a place that still holds the person."""
    if hit.place.startswith("redis "):
        return "the erasure misses this cache: have it delete the key, or allow it with a reason"
    if hit.place.startswith("log "):
        return (
            "the platform logs people's data: log an id instead (PostgreSQL's own log: log_parameter_max_length = 0) and remove those "
            "lines, or allow it with a reason"
        )
    if hit.place in expected.expected:
        return "a row of this table was not erased, or only marked as deleted: delete or overwrite it"
    if hit.place not in before:
        return "the erasure itself wrote it there: record a digest instead, or allow it with a reason"
    return "the erasure misses this place; add it there, or to `allowed` with a reason"


def _allowed(hit: Hit, allowed: list[Allowed]) -> bool:
    return any(matches(hit.place, entry.where) for entry in allowed)


def _why(hit: Hit, allowed: list[Allowed]) -> str:
    return next((entry.reason for entry in allowed if matches(hit.place, entry.where)), "")


def _residuals(found: ErasureFacts, expected: Erasure) -> Iterator[str]:
    for backup in expected.backups:
        yield (
            f"residual: {backup.name} hold an erased person until they expire after {words_for(backup.keep)}, for this "
            f"one on {found.at + backup.keep:%Y-%m-%d}; a restore before that must repeat the erasure"
        )


def _skipped(before: Sweep, expected: Erasure) -> Iterator[str]:
    if before.databases:
        yield f"other databases of {before.node} were not searched: {', '.join(before.databases)}"
    if before.large_objects:
        yield f"not searched: {before.large_objects} large objects of the database"
    yield "not looked into: values that are encrypted, hashed, compressed within a table, in base32, or escaped letter by letter"
    for table in before.skipped:
        reason = next((e.reason for e in expected.skip if matches(table, e.where)), "")
        yield f"not searched, as the inventory states: {table} ({reason})"
