"""Prepare what the old side recorded on the new schema, and beside it on the old one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase

from pytest_deploygate.checks.old_application.facts import (
    OldOnNew,
    Prepared,
    Smoke,
    Statement,
    Table,
    Write,
)
from pytest_deploygate.checks.old_application.probe import recorded, texts
from pytest_deploygate.checks.old_application.probe.schema import (
    Relation,
    Schema,
    Tried,
    opened,
    same_everywhere,
)
from pytest_deploygate.checks.old_application.section import OldApplication
from pytest_deploygate.clients.http import health
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_WORDS = {"insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}


def on_new_schema(cluster: Cluster, application: OldApplication) -> OldOnNew:
    """Try every recorded statement. Raises CannotTell if one of the databases cannot be used."""
    with ExitStack() as closing:
        old_cluster = cluster
        if application.recorded_in is not None:
            old_cluster = Cluster(application.recorded_in.settings)
            closing.callback(old_cluster.close)
        record = recorded.read(old_cluster, application.roles)
        role = application.as_role or application.roles[0]
        new = closing.enter_context(opened(cluster, role, application.search_path))
        old = None
        if application.recorded_in is not None:
            own = application.roles[0]
            old = closing.enter_context(opened(old_cluster, own, application.search_path))
        node = cluster.primary
        where = f"{cluster.settings.name} on {node.name} ({node.host}:{node.port})"
        return _tried(where, record, application, role, new, old)


def _tried(
    where: str,
    record: recorded.Texts,
    application: OldApplication,
    role: str,
    new: Schema,
    old: Schema | None,
) -> OldOnNew:
    if not new.has_role(role):
        raise CannotTell(
            f"there is no role {role} in {where}: name the one that the old application uses there with `as_role`"
        )
    statements: list[Statement] = []
    untried: list[tuple[str, str]] = []
    writes: list[Write] = []
    tables: dict[str, Table] = {}
    session = ignored = 0
    for text, calls in record.texts:
        shown = _shown(text)
        if any(fnmatchcase(" ".join(text.split()), pattern) for pattern in application.ignore):
            ignored += 1
            continue
        if texts.of_session(text):
            session += 1
            continue
        if texts.is_query(text):
            statements.append(_statement(text, shown, calls, role, new, old))
        elif not (name := texts.named(text)):
            untried.append((shown, "no server prepares it"))
        else:
            before = _named(name, old) if old is not None else None
            statements.append(Statement(shown, calls, _named(name, new), before))
        for one in texts.inserted(text):
            if table := new.table(one.table):
                writes.append(Write(table.name, one.columns, shown, one.copies))
                tables.setdefault(table.name, _table(table, one.table, new, old))
    return OldOnNew(
        where=where,
        recorded=record.recorded,
        statements=tuple(statements),
        writes=tuple(dict.fromkeys(writes)),
        tables=tuple(tables.values()),
        untried=tuple(untried),
        session=session,
        ignored=ignored,
        compared=old is not None,
        smoke=tuple(
            Smoke(each.name, each.good, each.reached, f"{each.where} {each.said}")
            for each in health.look(application.smoke)
        ),
    )


def _statement(text: str, shown: str, calls: int, role: str, new: Schema, old: Schema | None) -> Statement:
    tried = new.prepare(text)
    if not tried.prepared.good:
        tried = new.prepare(text)  # a migration may have been in between
    before = old.prepare(text) if old is not None else None
    typed = None
    if before is not None and before.prepared.good and tried.prepared.good and before.parameter_types:
        typed = new.prepare(text, same_everywhere(before.parameter_types))
    denied = tuple(_denied(text, tried, role, new)) if tried.prepared.good else ()
    return Statement(
        shown,
        calls,
        tried.prepared,
        before.prepared if before else None,
        typed.prepared if typed else None,
        denied,
    )


def _denied(text: str, tried: Tried, role: str, new: Schema) -> Iterator[str]:
    """Yield the privileges that a role lacks for a statement; behind a view its owner's count, so they are left out."""
    if tried.has_view:
        return
    words = texts.bare(texts.readable(text)).lower().split()
    needed = [privilege for word, privilege in _WORDS.items() if word in words]
    wanted: list[tuple[Relation, str]] = [(table, "SELECT") for table in tried.reads]
    # With several kinds in one statement (WITH, ON CONFLICT) it is not known which table needs which.
    if len(needed) == 1:
        wanted += [(table, needed[0]) for table in tried.writes]
    for table, privilege in wanted:
        if not new.may(role, table, privilege):
            yield f"{privilege} on {table.name}"


def _named(name: str, schema: Schema) -> Prepared:
    """Look for the table of a statement that is no query, such as COPY or TRUNCATE."""
    if schema.table(name) is not None:
        return Prepared()
    return Prepared("42P01", f'relation "{name}" does not exist')


def _table(table: Relation, written: str, new: Schema, old: Schema | None) -> Table:
    before = old.table(written) if old is not None else None
    return Table(
        table.name,
        new.columns(table),
        old.columns(before) if old is not None and before is not None else None,
        new.filled_in(table),
    )


def _shown(text: str, most: int = 200) -> str:
    """Return a statement for people, on one line, redacted before it is cut."""
    words = redact(" ".join(text.split()))
    return words if len(words) <= most else f"{words[:most]} …"
