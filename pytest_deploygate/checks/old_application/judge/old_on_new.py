"""Judge whether the old application works on the new schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_deploygate.checks.old_application.facts import OldOnNew, Statement
from pytest_deploygate.checks.old_application.judge.inserts import Found, incomplete
from pytest_deploygate.checks.old_application.judge.types import fits
from pytest_deploygate.fields.names import matches
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.old_application.section import OldApplication

#: What a schema lacks, by SQLSTATE: schema, table, column, function or operator, type, unique constraint; or what it refuses:
#: a value of another type, or one for a generated column. Other errors may come from how the text was recorded.
_OF_SCHEMA = ("3F000", "42P01", "42703", "42883", "42704", "42P10", "42804", "428C9")
_NOT_ALLOWED = "42501"
_NAMED = 3


def judge(found: OldOnNew, expected: OldApplication) -> Judgement:
    """Pass when every recorded statement prepares, nothing required is left out of what is inserted, and its smoke checks pass."""
    collector = Collector(about=found.where, most=6, confirmed=True)
    statements = list(found.statements)
    # Without an old schema beside it, that nothing prepares is more likely a wrong search_path than a change.
    tells = found.compared or any(each.new.good for each in statements)
    broken = [each for each in statements if tells and _is_broken(each)]
    unclear = [each for each in statements if not each.new.good and each not in broken]
    good = [each for each in statements if each.new.good]
    collector.read(
        Reading("statements on record", found.recorded.statements, limit="at least 1", ok=found.recorded.statements > 0),
        Reading("prepared on the new schema", len(good)),
        Reading("no longer prepare", len(broken), limit="0", ok=not broken),
    )  # fmt: skip
    for said, those in _by_error(broken).items():
        many = f"{len(those)} statements of the old application no longer prepare"
        one = "a statement of the old application no longer prepares"
        collector.wrong(f"{one if len(those) == 1 else many}: {said}: `{those[0].text}`")
    for each in good:
        _of_types(each, expected, collector)
        if each.denied:
            collector.wrong(
                f"the role {expected.as_role or expected.roles[0]} lacks {', '.join(each.denied)} for `{each.text}`"
            )
    for insert in incomplete(found.writes, found.tables, expected.accepted):
        {Found.WRONG: collector.wrong, Found.UNKNOWN: collector.unknown, Found.NOTE: collector.note}[
            insert.what
        ](insert.words)
    _of_record(found, expected, collector)
    _of_smoke(found, collector)
    if unclear:
        collector.unknown(
            f"{len(unclear)} statements could not be tried, {_some(unclear)}: list those of them under `ignore` that need not "
            "work"
        )
    if found.untried:
        collector.note(
            f"no server prepares {len(found.untried)} recorded statements, so they were not tried: "
            + "; ".join(f"`{text}`" for text, _ in found.untried[:_NAMED])
        )
    return collector.judgement(
        lambda: (
            f"{found.where}: all {len(good)} recorded statements of {', '.join(expected.roles)} prepare, and the "
            f"{len(found.writes)} that insert rows leave out nothing that is required{_smoked(found)}"
        )
    )


def _is_broken(statement: Statement) -> bool:
    """Tell whether the new schema is the reason that a statement does not prepare: the old one prepares it."""
    if statement.new.good or statement.new.code == _NOT_ALLOWED:
        return False
    if statement.old is not None:
        return statement.old.good
    return statement.new.code in _OF_SCHEMA


def _by_error(statements: Iterable[Statement]) -> dict[str, list[Statement]]:
    """Group statements by their error, those that are called most first."""
    found: dict[str, list[Statement]] = {}
    for each in statements:
        found.setdefault(each.new.said, []).append(each)
    return found


def _some(statements: Iterable[Statement]) -> str:
    def why(each: Statement) -> str:
        if each.new.code == _NOT_ALLOWED:
            return f"{each.new.said}: grant it to the gate's role"
        return each.new.said + (", on the old schema as well" if each.old is not None else "")

    listed = list(statements)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return "; ".join(f"`{each.text}` ({why(each)})" for each in listed[:_NAMED]) + more


def _of_types(statement: Statement, expected: OldApplication, collector: Collector) -> None:
    old = statement.old
    if old is None or not old.good:
        return
    if statement.typed is not None and not statement.typed.good:
        words = (
            f"with parameters of the types that they have on the old schema ({', '.join(old.parameters)}) `{statement.text}` "
            f"does not prepare: {statement.typed.said}"
        )
        if expected.parameters == "typed":
            collector.wrong(words)
        elif expected.parameters is None:
            collector.unknown(
                f"{words}; that matters where the driver sends types: say `parameters: typed` or `untyped`"
            )
        else:
            collector.note(words)
    now = dict(statement.new.results)
    lost = [name for name, _ in old.results if name not in now]
    if lost:
        collector.wrong(f"`{statement.text}` no longer returns {', '.join(lost)}")
    for name, before in old.results:
        after = now.get(name, before)
        if after == before or _accepted(name, expected.accepted):
            continue
        words = f"`{statement.text}` returns {name} as {after}, and {before} on the old schema"
        if fits(before, after):
            collector.note(words)
        else:
            collector.unknown(
                f"{words}: whether the old application reads it is unknown; try it, then list the column under `accepted`"
            )


def _accepted(column: str, accepted: Iterable[str]) -> bool:
    return any(matches(column, pattern.rpartition(".")[2]) for pattern in accepted)


def _of_record(found: OldOnNew, expected: OldApplication, collector: Collector) -> None:
    record = found.recorded
    roles = ", ".join(expected.roles)
    if not record.statements:
        collector.unknown(
            f"{record.where} has no statement of {roles}: check the names of the roles, and that the old application ran there"
        )
    elif not any(each.new.good for each in found.statements):
        collector.unknown(
            f"none of the {record.statements} statements of {roles} could be tried: does the application set a `search_path`?"
        )
    if record.hidden:
        collector.unknown(
            f"{record.hidden} statements in {record.where} are hidden or have lost their text: GRANT pg_read_all_stats to the "
            "gate's role there"
        )
    age = record.now - record.since if record.now is not None and record.since is not None else None
    if age is None:
        collector.note(f"how far back {record.where} reaches is not told by this version of PostgreSQL")
    else:
        reading = Reading(
            "record reaches back", round(age.total_seconds()), "s",
            f"at least {expected.covers.total_seconds():.0f} s", age >= expected.covers,
        )  # fmt: skip
        collector.read(reading)
        if age < expected.covers:
            collector.unknown(
                f"{record.where} reaches back {words_for(age)} only, {words_for(expected.covers)} are required (`covers`): "
                "statements that run seldom may be missing; wait, or lower it"
            )
    if record.evicted:
        collector.note(
            f"{record.where} dropped entries {record.evicted} times for lack of room, so statements may be missing: raise "
            "pg_stat_statements.max"
        )
    if record.cut:
        collector.note(f"only the {record.statements} most frequent statements were tried")
    if not found.compared:
        collector.note("there is no old schema to compare with (`recorded_in`): changed types are not seen")


def _of_smoke(found: OldOnNew, collector: Collector) -> None:
    for each in found.smoke:
        collector.read(
            Reading(
                f"smoke: {each.name}", each.said, limit="as expected", ok=each.good if each.reached else None
            )
        )
        if each.reached and not each.good:
            collector.wrong(f"the old application's smoke check {each.name} failed: {each.said}")
        elif not each.good:
            collector.unknown(f"the old application's smoke check {each.name} could not run: {each.said}")
    if not found.smoke:
        collector.note(
            "no instance of the old application was tried on the new schema: name its smoke checks under `smoke`"
        )


def _smoked(found: OldOnNew) -> str:
    return f"; its {len(found.smoke)} smoke checks pass" if found.smoke else ""
