"""Judge what a bulk load left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.postgres.facts import AfterLoadFacts, Sequence
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.postgres.section.after_load import AfterLoad

_NAMED = 4
#: What each list holds, in singular and plural, and what to do about it.
_LISTS = {
    "unanalyzed": (
        "table with rows that was never analyzed",
        "tables with rows that were never analyzed",
        "ANALYZE them; plans are guesses until then",
    ),
    "stale": (
        "table changed by more than half since it was analyzed",
        "tables changed by more than half since they were analyzed",
        "ANALYZE them",
    ),
    "not_valid": (
        "constraint not validated",
        "constraints not validated",
        "ALTER TABLE … VALIDATE CONSTRAINT; existing rows may violate it",
    ),
    "switched_off": (
        "trigger or foreign key switched off",
        "triggers or foreign keys switched off",
        "ALTER TABLE … ENABLE TRIGGER ALL, then check the rows",
    ),
    "no_identity": (
        "table published without a replica identity",
        "tables published without a replica identity",
        "add a primary key, or updates fail at the publisher",
    ),
    "unlogged": (
        "unlogged table (not on replicas, emptied by a crash)",
        "unlogged tables (not on replicas, emptied by a crash)",
        "ALTER TABLE … SET LOGGED",
    ),
    "no_autovacuum": (
        "table with autovacuum switched off",
        "tables with autovacuum switched off",
        "ALTER TABLE … RESET (autovacuum_enabled)",
    ),
}


def judge_after_load(found: AfterLoadFacts, expected: AfterLoad) -> Judgement:
    """Pass if something was loaded and it left nothing behind."""
    said = Collector(about=found.node)
    said.wrong(*_sequences(found, expected), *_lists(found))
    said.read(*_readings(found, expected))
    if found.ignored:
        said.note(f"ignored by the inventory: {', '.join(found.ignored)}")
    if found.unread:
        count = words_for_count(len(found.unread), "sequence", "sequences")
        said.unknown(f"{count} could not be read: {'; '.join(found.unread[:_NAMED])}")
    if not found.with_rows:
        said.unknown(
            f"none of the {found.tables} tables has rows, which proves nothing: run again after phase 4",
            deferred_to="phase4",
        )
    return said.judgement(
        lambda: (
            f"{found.node}: {len(found.sequences)} sequences are past their columns, {found.with_rows} tables with rows "
            "are analyzed, constraints validated, triggers on"
        )
    )


def used(sequence: Sequence) -> float:
    """Return the used share of a sequence's range, 0 to 1; a descending sequence is measured from its top."""
    if sequence.given is None or sequence.last <= sequence.first:
        return 0.0
    done = sequence.given - sequence.first if sequence.increment > 0 else sequence.last - sequence.given
    return max(0.0, done / (sequence.last - sequence.first))


def behind(sequence: Sequence) -> bool:
    """Return whether the next value would collide with one that is already in the column."""
    if sequence.highest is None:
        return False
    if sequence.increment > 0:
        start = sequence.first - 1 if sequence.given is None else sequence.given
        return sequence.highest > start
    start = sequence.last + 1 if sequence.given is None else sequence.given
    return sequence.highest < start


def _sequences(found: AfterLoadFacts, expected: AfterLoad) -> Iterator[str]:
    late = [s for s in found.sequences if behind(s)]
    if late:
        said = [f"{s.name} is at {s.given or 'its start'}, {s.column} has {s.highest}" for s in late[:_NAMED]]
        yield (
            f"{words_for_count(len(late), 'sequence is behind its column', 'sequences are behind their columns')}, so "
            f"inserts fail: {'; '.join(said)}{_more(late)}: "
            "SELECT setval(sequence, max(column)) for each"
        )
    full = [s for s in found.sequences if used(s) > expected.max_sequence_used and not s.cycles]
    if full:
        said = [f"{s.name} at {s.given} of {s.last} ({used(s):.0%})" for s in full[:_NAMED]]
        yield (
            f"{words_for_count(len(full), 'sequence is', 'sequences are')} over {expected.max_sequence_used:.0%} of the range: {'; '.join(said)}"
            f"{_more(full)}: widen column and sequence to bigint before inserts fail"
        )


def _lists(found: AfterLoadFacts) -> Iterator[str]:
    for name, (one, many, step) in _LISTS.items():
        names: tuple[str, ...] = getattr(found, name)
        if names:
            yield f"{words_for_count(len(names), one, many)}: {', '.join(names[:_NAMED])}{_more(names)}: {step}"


def _more(names: list[Sequence] | tuple[str, ...]) -> str:
    return f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""


def _readings(found: AfterLoadFacts, expected: AfterLoad) -> Iterator[Reading]:
    yield Reading("tables with rows", found.with_rows)
    late = sum(map(behind, found.sequences))
    yield Reading("sequences behind their column", late, limit="0", ok=late == 0)
    # A sequence that cycles never runs out.
    most = max((used(s) for s in found.sequences if not s.cycles), default=0.0)
    yield Reading("largest used share of a sequence", round(most, 4), limit=f"at most {expected.max_sequence_used:g}",
                  ok=most <= expected.max_sequence_used)  # fmt: skip
    for name, (_, many, _) in _LISTS.items():
        count = len(getattr(found, name))
        yield Reading(many, count, limit="0", ok=count == 0)
