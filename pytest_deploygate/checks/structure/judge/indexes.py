"""Judge indexes: the expected ones exist as defined; none is invalid, redundant or built for another collation."""

from __future__ import annotations

import difflib
from collections import defaultdict

from pytest_deploygate.checks.structure.facts import Indexes, IndexState
from pytest_deploygate.checks.structure.snapshot import Index
from pytest_deploygate.fields.names import plain, written
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict

_MOST = 5
#: Names of indexes and what is wrong with each.
Wrong = list[tuple[str, str]]


@dataclass(frozen=True)
class ExpectedIndexes:
    """Indexes that must exist: with a definition (from the snapshot) or only by name (from the inventory)."""

    defined: tuple[Index, ...]
    named: tuple[str, ...]


def judge_indexes(found: Indexes, expected: ExpectedIndexes) -> Judgement:
    """Pass if all expected indexes exist as defined, and no index is invalid or redundant."""
    by_name = {state.name: state for state in found.found}
    wanted = list(
        dict.fromkeys([index.name for index in expected.defined] + [plain(name) for name in expected.named])
    )
    if not wanted:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "no index is expected: neither a table snapshot nor indexes.expected names one, so nothing was "
            "compared; write a snapshot with `deploygate snapshot` or list them in indexes.expected",
        )
    missing, redefined = _missing(by_name, wanted, expected), _redefined(by_name, expected.defined)
    broken, doubled, collations = _broken(found), _doubled(found, wanted), _collations(found)
    wrong = [*missing, *redefined, *broken, *doubled, *collations]
    building = [
        (s.name, f"is being built on {s.table} right now: wait until it is finished, then run again")
        for s in found.found
        if s.building and not _sound(s)
    ]
    notes = _notes(found, expected, wanted)
    readings = (
        Reading("expected indexes", len(wanted), limit="all exist as defined", ok=not missing + redefined),
        Reading("indexes seen", len(found.found), limit="none invalid", ok=not broken + building),
        Reading("redundant", len(doubled), limit="0", ok=not doubled),
        Reading("built for another collation", len(collations), limit="0", ok=not collations),
        *(Reading(name, text, limit="as expected", ok=False) for name, text in wrong),
        *(Reading(name, text) for name, text in building),
    )
    if wrong:
        return Judgement(Verdict.FAIL, _listed(wrong), readings, notes, confirmed=True)
    if building:
        return Judgement(Verdict.INCONCLUSIVE, _listed(building), readings, notes)
    return Judgement(
        Verdict.PASS,
        f"{len(wanted)} expected indexes exist as defined; of {len(found.found)} none is invalid or redundant",
        readings,
        notes,
    )


def _listed(wrong: Wrong) -> str:
    said = "; ".join(f"{name}: {text}" for name, text in wrong[:_MOST])
    return said + (f"; and {len(wrong) - _MOST} more" if len(wrong) > _MOST else "")


def _sound(state: IndexState) -> bool:
    return state.valid and state.ready and state.live


def _missing(by_name: dict[str, IndexState], wanted: list[str], expected: ExpectedIndexes) -> Wrong:
    defined = {index.name for index in expected.defined}
    # A name in the inventory was written by hand; one in the snapshot was not, and its neighbours are called alike.
    others = {name: [o for o in by_name if name not in defined or o not in wanted] for name in wanted}
    words = "is missing; create it (CREATE INDEX CONCURRENTLY does not block writes)"
    return [(name, words + _called(name, others[name])) for name in wanted if name not in by_name]


def _called(name: str, others: list[str]) -> str:
    """Name an index that is called much the same: frameworks append a hash to names."""
    case = next((other for other in others if other.lower() == name.lower()), "")
    close = [case] if case else difflib.get_close_matches(name, others, n=1, cutoff=0.7)
    if not close:
        return ""
    there = written(*close[0].split(".", 1))
    return f", or correct its name: there is {there if there == close[0] else repr(there)}"


def _redefined(by_name: dict[str, IndexState], defined: tuple[Index, ...]) -> Wrong:
    return [
        (
            index.name,
            (
                f"has another definition: expected {index.definition}, found {by_name[index.name].definition}; recreate it, "
                "or review a new snapshot"
            ),
        )
        for index in defined
        if index.name in by_name and by_name[index.name].definition != index.definition
    ]


def _broken(found: Indexes) -> Wrong:
    wrong: Wrong = []
    for state in found.found:
        if _sound(state) or state.building:
            continue
        flags = (("invalid", state.valid), ("not ready", state.ready), ("not live", state.live))
        what = ", ".join(word for word, good in flags if not good)
        words = (
            f"is {what} on {state.table}: queries do not use it, but writes may maintain it; "
            f"REINDEX INDEX CONCURRENTLY {state.name}, or DROP INDEX CONCURRENTLY {state.name}"
        )
        wrong.append((state.name, words))
    return wrong


def _collations(found: Indexes) -> Wrong:
    wrong: Wrong = []
    if found.stale_collation:
        words = (
            f"{found.stale_collation}: indexes on text may be in the wrong order; REINDEX them, "
            "then ALTER DATABASE … REFRESH COLLATION VERSION"
        )
        wrong.append(("the database's collation", words))
    for state in found.found:
        if state.collation_mismatch:
            words = (
                f"was built with another version of collation {state.collation_mismatch}: its order may be "
                "wrong; REINDEX it, then ALTER COLLATION … REFRESH VERSION"
            )
            wrong.append((state.name, words))
    return wrong


def _doubled(found: Indexes, wanted: list[str]) -> Wrong:
    """Return redundant indexes of a table; if all belong to partitions, only their parents' indexes are reported."""
    alike: defaultdict[str, list[IndexState]] = defaultdict(list)
    for state in found.found:
        if state.valid:
            alike[state.shape].append(state)
    wrong: Wrong = []
    for states in alike.values():
        keep, *others = sorted(
            states, key=lambda s: (s.partition_of is None, s.constraint is None, s.name not in wanted, s.name)
        )
        wrong += [
            (s.name, f"does the same work as {keep.name} on {s.table}: each write maintains both; drop one")
            for s in others
            if s.partition_of is None
        ]
    return wrong


def _notes(found: Indexes, expected: ExpectedIndexes, wanted: list[str]) -> tuple[str, ...]:
    """Name the indexes of the snapshot's schemas that are not listed, except those of partitions."""
    if not expected.defined:
        return ()
    schemas = {index.name.partition(".")[0] for index in expected.defined}
    extra = [
        state.name
        for state in found.found
        if state.name not in wanted
        and state.name.partition(".")[0] in schemas
        and state.partition_of is None
        and not state.on_partition
    ]
    if not extra:
        return ()
    more = f" and {len(extra) - _MOST} more" if len(extra) > _MOST else ""
    return (f"not in the snapshot: {', '.join(extra[:_MOST])}{more}",)
