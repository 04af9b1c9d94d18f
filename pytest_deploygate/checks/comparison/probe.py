"""Choose the tables of a migration and compare them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_deploygate.checks.comparison.facts import Compared
from pytest_deploygate.checks.migration.section import Migration, Moved
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.comparison import engine, large_objects, matching, parquet, position, shards
from pytest_deploygate.comparison.adapter import Server
from pytest_deploygate.comparison.described import alike
from pytest_deploygate.comparison.outcome import Outcome
from pytest_deploygate.comparison.servers import server
from pytest_deploygate.comparison.spec import Budget, Live, Shard, Table, Wanted
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotCovered
from pytest_deploygate.problems import nearest

__all__ = ["compared"]
_BOUNDED = (
    "rows that differ were looked at again when slot {slot} had confirmed what the source had written by then: what differs "
    "still was not late"
)


@dataclass(frozen=True)
class Chosen:
    """What is compared, and what is not: see `Compared`. `unknown` says why tables cannot be compared."""

    tables: tuple[Table, ...]
    unknown: tuple[str, ...]
    not_named: tuple[str, ...]
    not_there: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    large_objects: tuple[int, int]


def compared(postgres: Cluster, migration: Migration) -> Compared:
    """Compare all tables of the migration with those of the target. Raises CannotTell."""
    return run(postgres.settings, migration)


def run(
    database: ConnectionSettings | None,
    migration: Migration,
    *,
    only: tuple[str, ...] = (),
    folder: Path | None = None,
    shard: Shard | None = None,
    resume: bool = False,
    watch: engine.Watch | None = None,
) -> Compared:
    """Compare tables of the migration, `only` some by name. `database` is the target unless the section names one.

    Raises NotCovered without a target, and CannotTell, also where the journal in the folder is of another comparison (`engine.CannotResume` is its cause).
    """
    into = folder or migration.folder
    given = migration.budget
    _can_write(migration)
    source, target = servers(database, migration)
    chosen = choose(source, target, migration, only)
    live = migration.live
    caught_up = position.by_slot(migration.source.alone(), live.slot) if live and live.slot else None
    try:
        outcome = engine.compare(
            chosen.tables,
            source,
            target,
            into,
            budget=Budget(
                given.connections,
                given.rest,
                given.max_active,
                given.max_written,
                given.statement_timeout.total_seconds(),
            ),
            live=Live(live.delay.total_seconds(), live.times, caught_up) if live else None,
            notes=[_BOUNDED.format(slot=live.slot)] if live and live.slot else (),
            shard=shard,
            resume=resume,
            watch=watch,
            unknown=chosen.unknown,
        )
        _as_parquet(migration, into)
    except engine.CannotResume as changed:
        raise CannotTell(str(changed)) from changed
    except OSError as error:
        raise CannotTell(
            f"{into} cannot be written: {error.strerror or error}; correct `migration.folder`"
        ) from error
    found = _compared(outcome, into, chosen)
    if only or (shard is not None and shard.of > 1):  # of all tables; of shards when they are merged
        return found
    return _with_objects(found, source, target)


def merged(
    database: ConnectionSettings | None,
    migration: Migration,
    folders: Sequence[Path],
    folder: Path | None = None,
) -> Compared:
    """Merge the shards in these folders, and tell what of the migration's tables they do not have.

    Large objects have no shards: they are compared now.

    Raises NotCovered and CannotTell; the cause is `shards.CannotMerge` where shards do not belong together.
    """
    into = folder or migration.folder
    _can_write(migration)
    source, target = servers(database, migration)
    chosen = choose(source, target, migration)
    try:
        outcome = shards.merge(folders, into)
        _as_parquet(migration, into)
    except shards.CannotMerge as error:
        raise CannotTell(str(error)) from error
    except OSError as error:
        raise CannotTell(f"{into} cannot be written: {error.strerror or error}") from error
    there = {table.source for table in outcome.tables}
    lacking = tuple(
        f"{t.name} is in none of the shards: compare them again" for t in chosen.tables if t.name not in there
    )
    found = _compared(replace(outcome, unknown=(*outcome.unknown, *lacking)), into, chosen)
    return _with_objects(found, source, target)


def _can_write(migration: Migration) -> None:
    """Raise CannotTell before rows are compared, not after hours."""
    if migration.parquet and (what := parquet.missing()):
        raise CannotTell(what)


def _as_parquet(migration: Migration, folder: Path) -> None:
    if migration.parquet:
        parquet.write(folder)


def servers(database: ConnectionSettings | None, migration: Migration) -> tuple[Server, Server]:
    """Return source and target. Raises NotCovered without a target."""
    destination = migration.target or database
    if destination is None:
        raise NotCovered("the migration has no target: add `database`, or `migration: {target: …}`")
    seconds = migration.budget.statement_timeout.total_seconds()
    return server(migration.source, "source", seconds), server(destination, "target", seconds)


def _compared(outcome: Outcome, into: Path, chosen: Chosen) -> Compared:
    return Compared(
        outcome, str(into), chosen.not_named, chosen.not_there, chosen.left_out, chosen.large_objects
    )


def _with_objects(found: Compared, source: Server, target: Server) -> Compared:
    if not all(found.large_objects):
        return found
    return replace(found, objects=large_objects.compare(source, target))


def choose(source: Server, target: Server, migration: Migration, only: tuple[str, ...] = ()) -> Chosen:
    """Match the source's tables with the rules of the migration. Raises CannotTell."""
    here, there = source.catalog(), target.catalog()
    tables: list[Table] = []
    unknown: list[str] = [text for text in (here.unseen, there.unseen) if text]
    not_named: list[str] = []
    not_there: list[tuple[str, str]] = []
    left_out: list[tuple[str, str]] = []
    known = sorted(here.tables)
    for schema, table in known:
        name = f"{schema}.{table}"
        if only and name not in only and table not in only:
            continue
        if reason := migration.reason_left_out(schema, table):
            left_out.append((name, reason))
        elif (rule := migration.rule(schema, table)) is None:
            not_named.append(name)
        elif (other := there.tables.get(rule.at_target(table))) is None:
            not_there.append((name, ".".join(rule.at_target(table))))
        else:
            found = matching.matched(wanted(rule, schema, table), here.tables[schema, table], other)
            if isinstance(found, str):
                unknown.append(found)
            else:
                tables.append(found)
                unknown += found.unknown
    unknown += list(_not_found(migration, known, only))
    return Chosen(
        tuple(tables),
        tuple(unknown),
        tuple(not_named),
        tuple(not_there),
        tuple(left_out),
        (here.large_objects, there.large_objects) if alike(source.kind, target.kind) else (0, 0),
    )


def wanted(rule: Moved, schema: str, table: str) -> Wanted:
    """Return a rule for one table."""
    return Wanted(
        source=(schema, table),
        target=rule.at_target(table),
        key=tuple(rule.key or ()),
        renamed=dict(rule.columns),
        left_out=dict(rule.left_out),
        source_sql={column: both.source for column, both in rule.expressions.items() if both.source},
        target_sql={column: both.target for column, both in rule.expressions.items() if both.target},
        sensitive=tuple(rule.sensitive),
    )


def _not_found(migration: Migration, known: list[tuple[str, str]], only: tuple[str, ...]) -> list[str]:
    """Say which rules and names have no table on the source: a table that is misspelt would not be compared at all."""
    names = [".".join(name) for name in known]
    found = [
        f"the source has no table {rule.source}{nearest(rule.source, names)}: correct `migration.tables`"
        for rule in migration.tables
        if not only and not any(rule.names(*name) for name in known)
    ]
    tables: Callable[[str], bool] = lambda name: name in names or any(n == name for _, n in known)  # noqa: E731
    return found + [
        f"the source has no table {name}{nearest(name, names)}" for name in only if not tables(name)
    ]
