"""Judge whether the old side is fenced: zero writes since the cutover, and none during the measurement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.way_back.facts import OldSideSeen
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.way_back.section.fence import Fence

_NAMED = 4
_STEP = (
    "find the clients (stale DNS, a job, a pooler), then keep them out: "
    "ALTER DATABASE … SET default_transaction_read_only = on, end their sessions"
)


def judge_old_side(found: OldSideSeen, expected: Fence) -> Judgement:
    """Pass only when the rows since the cutover were counted, twice, as zero, and no table's counter rose meanwhile."""
    readings, notes = tuple(_readings(found)), tuple(_notes(found, expected))
    wrong = list(_wrong(found))
    if wrong:
        # Rows that are present in both reads were seen twice.
        twice = found.rows is not None and min(found.rows) > 0
        reason = f"{found.where}: {'; '.join(wrong)}: {_STEP}"
        return Judgement(Verdict.FAIL, reason, readings, notes, confirmed=twice)
    unclear = list(_unclear(found))
    if unclear:
        return Judgement(Verdict.INCONCLUSIVE, f"{found.where}: {'; '.join(unclear)}", readings, notes)
    return Judgement(
        Verdict.PASS,
        f"{found.where}: no row was written since the cutover at {found.cutover:%Y-%m-%d %H:%M} UTC, and none during the "
        f"measurement ({words_for(found.over_s)}, tables: {found.tables})",
        readings,
        notes,
    )


def _wrong(found: OldSideSeen) -> Iterator[str]:
    if found.rows is not None and max(found.rows) > 0:
        yield (
            f"{max(found.rows)} rows were written to the old side since the cutover at "
            f"{found.cutover:%Y-%m-%d %H:%M} UTC, they are neither on the new side nor in its backups"
        )
    if found.written:
        said = ", ".join(f"{name} ({by} rows)" for name, by in found.written[:_NAMED])
        more = f" and {len(found.written) - _NAMED} more" if len(found.written) > _NAMED else ""
        yield f"it is being written now, within {words_for(found.over_s)}: {said}{more}{_who(found)}"


def _who(found: OldSideSeen) -> str:
    clients = ", ".join(f"{c.role} from {c.address}" for c in found.clients[:_NAMED])
    return f"; connected are {clients}" if clients else ""


def _unclear(found: OldSideSeen) -> Iterator[str]:
    if found.rows is None:
        yield found.rows_problem
    if found.reset:
        yield "its write counters fell during the measurement: the statistics were reset, run this again"
    if not found.tables:
        yield "it has no visible tables, which proves nothing: check that this is the old side, and that the role may read its statistics"
    if found.front_problem:
        yield found.front_problem


def _notes(found: OldSideSeen, expected: Fence) -> Iterator[str]:
    if not found.read_only:
        yield (
            "nothing prevents clients from writing to it: the database is neither in recovery nor read-only by default"
        )
    if found.requests:
        yield f"{found.requests} requests still reached the old side's balancer in {words_for(found.over_s)}: stale DNS"
    if found.clients:
        yield f"still connected: {', '.join(f'{c.sessions} of {c.role} from {c.address}' for c in found.clients[:_NAMED])}"
    if found.ignored:
        yield f"written, but ignored by the inventory: {', '.join(found.ignored[:_NAMED])}"
    if expected.front is None:
        yield "clients with stale DNS are not checked: add rollback.fence.front"


def _readings(found: OldSideSeen) -> Iterator[Reading]:
    rows = max(found.rows) if found.rows is not None else None
    yield Reading("rows written since the cutover", rows, limit="0", ok=None if rows is None else rows == 0)
    yield Reading(
        "tables written during the measurement", len(found.written), limit="0", ok=not found.written
    )
    yield Reading("sessions on it", sum(c.sessions for c in found.clients))
    if found.requests is not None:
        yield Reading("requests through its balancer during the measurement", found.requests)
