"""Judge the start of a migration: a source at rest or captured, and a target that is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.migration.facts import Started
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import Live, Migration

_MOST = 5


def judge_start(found: Started, expected: Migration) -> Judgement:
    """Pass if nobody writes to a frozen source, or a slot keeps the changes of a live one, and the target has all tables."""
    said = Collector(confirmed=True)
    if not found.tables:
        said.unknown("no table of the source is named by `migration.tables`: correct the rules")
    if expected.live is not None:
        _live(found, expected.live, said)
    elif expected.frozen_at is not None:
        _frozen(found, expected, said)
    else:
        said.unknown("it is not said whether the source is frozen: write `frozen_at`, or `live: {slot: …}`")
    said.read(Reading("tables to move", found.tables))
    if found.not_there:
        named = ", ".join(f"{here} (as {there})" for here, there in found.not_there[:_MOST])
        said.wrong(f"{len(found.not_there)} tables are not on the target: {named}; create the schema first")
    _room(found, expected, said)
    return said.judgement(
        lambda: (
            f"the source is {'captured' if expected.live else 'at rest'}, and the target has all {found.tables} tables"
        )
    )


def _frozen(found: Started, expected: Migration, said: Collector) -> None:
    rows = sum(number for _, number in found.written)
    looked = words_for(found.seconds)
    said.read(
        Reading(f"rows written on the source within {looked}", rows, limit="0", ok=not rows),
        Reading("open transactions that write", len(found.writers), limit="0", ok=not found.writers),
    )
    if rows:
        named = ", ".join(f"{name} ({number})" for name, number in found.written[:_MOST])
        said.wrong(
            f"the source is still written to: {rows} rows within {looked} in {named}; stop what writes there"
        )
    if found.writers:
        said.wrong(
            f"the source has open transactions that have written: {', '.join(found.writers[:_MOST])}; end them"
        )
    if found.last_commit is not None and expected.frozen_at is not None:
        late = found.last_commit > expected.frozen_at
        said.read(
            Reading(
                "last commit on the source",
                f"{found.last_commit:%Y-%m-%d %H:%M:%S} UTC",
                limit=f"by {expected.frozen_at:%Y-%m-%d %H:%M:%S %Z}",
                ok=not late,
            )
        )
        if late:
            said.wrong(
                f"the last commit on the source was at {found.last_commit:%Y-%m-%d %H:%M:%S} UTC, after the freeze at "
                f"{expected.frozen_at:%Y-%m-%d %H:%M:%S %Z}: find out what wrote, and migrate its rows"
            )
    if not found.read_only:
        said.note(
            "nothing keeps clients from writing to the source: ALTER DATABASE … SET default_transaction_read_only = on"
        )


def _live(found: Started, live: Live, said: Collector) -> None:
    if live.slot is None:
        said.unknown(
            "which replication slot keeps the changes of the source is not said: write `live: {slot: …}`"
        )
        return
    if found.slot is None:
        said.wrong(f"the source has no replication slot {live.slot}: changes since the copy are not kept")
        said.read(Reading(f"slot {live.slot}", "missing", limit="exists", ok=False))
        return
    slot = found.slot
    good = slot.lag_bytes <= live.max_lag
    said.read(
        Reading(f"slot {slot.name} active", str(slot.active), limit="True", ok=slot.active),
        Reading(
            f"not confirmed by slot {slot.name}",
            words_for_bytes(slot.lag_bytes),
            limit=f"at most {words_for_bytes(live.max_lag)}",
            ok=good,
        ),
    )
    if slot.lost:
        said.wrong(f"slot {slot.name} has lost changes that the target needs: copy the data again")
    if not slot.active:
        said.wrong(f"slot {slot.name} is not used: the target receives no changes; start its subscription")
    if not good:
        said.wrong(
            f"slot {slot.name} holds {words_for_bytes(slot.lag_bytes)} that the target has not confirmed "
            f"(limit {words_for_bytes(live.max_lag)}): wait until it has caught up"
        )


def _room(found: Started, expected: Migration, said: Collector) -> None:
    need = max(found.source_bytes - found.target_bytes, 0)
    said.read(Reading("size of the tables on the source", words_for_bytes(found.source_bytes)))
    said.read(Reading("rows on the target, estimated", found.target_rows))
    if expected.room is None:
        said.note("whether the tables fit on the target is not known: `room` is not given")
        return
    good = need <= expected.room
    said.read(
        Reading(
            "still to be moved",
            words_for_bytes(need),
            limit=f"at most {words_for_bytes(expected.room)}",
            ok=good,
        )
    )
    if not good:
        said.wrong(
            f"{words_for_bytes(need)} are still to be moved, and the target has room for {words_for_bytes(expected.room)}"
        )
