"""Compare structures with the snapshot: every difference is a failure, listed with what was expected and found."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.checks.structure.facts import PARTITION, Relation, Surplus, differences
from pytest_deploygate.checks.structure.snapshot import Aspects, Structure
from pytest_deploygate.fields.names import matches
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict

_MOST = 5
# A publication more is usual while a copy or a way back is being prepared.
_PUBLICATION = "publication "
#: What each format of the snapshot has that those before it have not.
_SINCE = {
    2: "privileges on the database, default privileges, arguments of functions, STRICT, aggregates, list and hash partitions, "
    "foreign servers, event triggers, extended statistics, publications, empty materialized views",
    3: "inheritance, owners of sequences, settings of the database, operators, casts, collations, text search configurations",
}


@dataclass(frozen=True)
class ExpectedRelation:
    """What one relation must look like. `ignore` are patterns of relations that may differ."""

    aspects: Aspects
    server_major: int
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExpectedAll:
    """What the schemas must contain as a whole."""

    snapshot: Structure
    ignore: tuple[str, ...] = ()


def judge_relation(found: Relation, expected: ExpectedRelation) -> Judgement:
    """Pass if the relation and its partitions are exactly as in the snapshot."""
    if _ignored(found.name, expected.ignore):
        return Judgement(
            Verdict.NOT_APPLICABLE, "ignored by the inventory (tables.ignore): it was not compared"
        )
    if found.aspects is None:
        return Judgement(
            Verdict.FAIL,
            f"{found.name} does not exist; in the snapshot it is a {expected.aspects.get('kind', 'table')}",
            (Reading("relation", "missing", limit="as in the snapshot", ok=False),),
        )
    wrong = differences(expected.aspects, found.aspects) + list(found.partitions.items())
    notes = _version_note(found.server_major, expected.server_major)
    notes += _new_partitions(found.aspects, expected.aspects)
    if wrong:
        return Judgement(Verdict.FAIL, _reason(found.name, wrong), _readings(wrong), notes, confirmed=True)
    count = len(expected.aspects)
    return Judgement(
        Verdict.PASS,
        f"{count} aspects (columns, constraints, triggers, policies, owner, grants) are as in the snapshot",
        (Reading("aspects compared", count, limit="no difference", ok=True),),
        notes,
    )


def judge_surplus(found: Surplus, expected: ExpectedAll) -> Judgement:
    """Pass if the schemas contain nothing besides the snapshot, with the same sequences, functions, types and grants."""
    snapshot = expected.snapshot
    wrong = [
        (name, f"not expected, this {aspects['kind']} is not in the snapshot")
        for name, aspects in found.relations.items()
        if name not in snapshot.relations and not _ignored(name, expected.ignore)
    ]
    tables = set(snapshot.table_names)
    sequences = [n for n in snapshot.relations if n not in tables and not _ignored(n, expected.ignore)]
    wrong += _compared({n: snapshot.relations[n] for n in sequences}, found.relations)
    wrong += _compared(snapshot.others, found.others)
    extra = [name for name in found.others if name not in snapshot.others]
    wrong += [
        (name, f"not expected, it is not in the snapshot{_granted(found.others[name])}")
        for name in extra
        if not name.startswith(_PUBLICATION)
    ]
    schemas = ", ".join(found.schemas)
    notes = _version_note(found.server_major, snapshot.server_major) + _extension_notes(found, snapshot)
    notes += tuple(f"{name} is not in the snapshot" for name in extra if name.startswith(_PUBLICATION))
    lacking = [what for since, what in _SINCE.items() if since > snapshot.format]
    if lacking:
        notes += (
            f"the snapshot is of an earlier version, so these were not compared: {', '.join(lacking)}. Write it again with "
            "`deploygate snapshot`",
        )
    if wrong:
        return Judgement(
            Verdict.FAIL, _reason(f"schema {schemas}", wrong), _readings(wrong), notes, confirmed=True
        )
    return Judgement(
        Verdict.PASS,
        f"schema {schemas}: no relation besides the snapshot's {len(snapshot.relations)}; its {len(sequences)} "
        f"sequences and {len(snapshot.others)} functions, types, schemas and objects of the database match",
        (
            Reading("relations", len(found.relations), limit="none besides the snapshot's", ok=True),
            Reading(
                "sequences, functions, types, schemas and objects of the database compared",
                len(sequences) + len(snapshot.others),
                limit="no difference",
                ok=True,
            ),
        ),
        notes,
    )


def _granted(aspects: Aspects) -> str:
    """Return to whom something that is not expected gives what, if it is about privileges."""
    given = [
        f"{text} {name.removeprefix('grant ')}"
        for name, text in aspects.items()
        if name.startswith("grant to ")
    ]
    return f": {'; '.join(given)}" if given else ""


def _new_partitions(found: Aspects, expected: Aspects) -> tuple[str, ...]:
    new = [
        f"{name} {text}"
        for name, text in found.items()
        if name.startswith(PARTITION) and name not in expected
    ]
    return (f"not in the snapshot: {'; '.join(new[:_MOST])}",) if new and expected else ()


def _compared(expected: Mapping[str, Aspects], found: Mapping[str, Aspects]) -> list[tuple[str, str]]:
    wrong = []
    for name, aspects in expected.items():
        if name not in found:
            wrong.append((name, "expected, but missing"))
        else:
            wrong += [(f"{name}: {aspect}", text) for aspect, text in differences(aspects, found[name])]
    return wrong


def _extension_notes(found: Surplus, snapshot: Structure) -> tuple[str, ...]:
    """Note which extensions differ: their objects are not compared, so this is not a failure."""
    if not snapshot.extensions:
        return ()
    return tuple(
        f"extension {name}: {text}" for name, text in differences(snapshot.extensions, found.extensions)
    )


def _ignored(name: str, patterns: tuple[str, ...]) -> bool:
    return any(matches(name, pattern) for pattern in patterns)


def _reason(what: str, wrong: list[tuple[str, str]]) -> str:
    said = "; ".join(f"{name}: {text}" for name, text in wrong[:_MOST])
    more = f"; and {len(wrong) - _MOST} more" if len(wrong) > _MOST else ""
    plural = "difference" if len(wrong) == 1 else "differences"
    return (
        f"{what} has {len(wrong)} {plural} from the snapshot: {said}{more}. "
        "Fix the database, or review a new snapshot"
    )


def _readings(wrong: list[tuple[str, str]]) -> tuple[Reading, ...]:
    return tuple(Reading(name, text, limit="as in the snapshot", ok=False) for name, text in wrong)


def _version_note(found: int, expected: int) -> tuple[str, ...]:
    if found == expected:
        return ()
    return (
        f"the snapshot was made on PostgreSQL {expected}, the server is {found}: definitions may be worded differently",
    )
