"""A whole rehearsal: a scratch server, the live schema, the pending migrations, what they did, and the live sizes."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from psycopg import sql

from pytest_deploygate.checks.migrations.facts import Rehearsal, Relation, Write
from pytest_deploygate.checks.migrations.probe.rehearsal import runs, schema
from pytest_deploygate.checks.migrations.probe.rehearsal import server as scratch_server
from pytest_deploygate.checks.migrations.probe.rehearsal.plans import Target
from pytest_deploygate.checks.migrations.probe.rehearsal.relay import Relay
from pytest_deploygate.checks.migrations.probe.rehearsal.watching import Watch
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres import beside
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_FIRST_WORDS = 60
#: psql's commands that make statements or variables of an answer.
_GOES_ON = re.compile(rb"\\g(exec|set)\b")


def rehearse(
    cluster: Cluster,
    lint: MigrationLint,
    migrations: Migrations | None,
    files: Sequence[Path],
    budget: Budget,
) -> Rehearsal:
    """Run the pending migrations on a scratch server, on `budget`. Raises CannotTell if there can be none."""
    version = str(cluster.value(cluster.primary, "SHOW server_version_num"))
    programs = scratch_server.programs(lint.scratch, int(version) // 10000)
    relations = schema.live_relations(cluster)
    record = (migrations.version_table if migrations else "") or "alembic_version"
    level = str(cluster.value(cluster.primary, "SHOW wal_level"))
    settings = {"wal_level": level, "max_wal_senders": "0" if level == "minimal" else "2"}
    with (
        scratch_server.running(lint.scratch, programs, settings) as server,
        beside.asking(cluster) as live,
        budget.probe("rehearsal", control=live, connects=False) as spending,
    ):
        spending.leaves(f"folder {server.root}", lambda: not server.root.exists())
        spending.take(opens=0)
        copied = schema.copy(cluster, server, record)
        watch = Watch(server, copied.database, record)
        password = secrets.token_hex(16)
        with Relay(server.socket, password, watch.ready) as relay:
            at = runs.Address(relay.port, password, copied.database)
            sources, problem = _run(at, programs, lint, migrations, files, watch)
        if relay.problems:
            raise CannotTell(f"the rehearsal was not observed whole: {relay.problems[0]}")
    relations = tuple(replace(r, copied=r.name in watch.names) for r in relations)
    left_out = copied.left_out
    if not watch.plans:
        left_out += (
            "auto_explain: the scratch server has no such module, so rows that are changed are unknown",
        )
    texts = {
        file.name: bounded.read(file, bounded.SQL).decode("utf-8-sig", errors="replace") for file in files
    }
    at_line: dict[str, int] = {}
    observed = []
    sizes = {relation.name: relation for relation in relations}
    for done, found in watch.seen:
        line = _line(texts.get(done.source, ""), done.text, at_line, done.source)
        writes = [
            _write(cluster, target, watch.quoted.get((target.schema, target.table), ""), sizes)
            for target in found
        ]
        observed.append(
            replace(done, line=line, text=redact(done.text), writes=tuple(w for w in writes if w))
        )
    return Rehearsal(
        f"PostgreSQL {int(version) // 10000}", sources, tuple(observed), relations, left_out, problem
    )


def _run(
    at: runs.Address, programs: Path, lint: MigrationLint, migrations: Migrations | None,
    files: Sequence[Path], watch: Watch,
) -> tuple[tuple[str, ...], str]:  # fmt: skip
    """Run everything in order, up to the first error; return what was tried, and why it did not end well."""
    ends = time.monotonic() + lint.scratch.within.total_seconds()
    sources: list[str] = []
    watch.answers_decide = True
    if lint.command:
        watch.source = lint.command.split()[0]
        problem = runs.command(at, lint.command, lint.scratch.within.total_seconds())
        if not watch.turns and not problem:
            problem = (
                "ended well without a statement on the scratch server: does it use the address in `{url}`? Look at once "
                "whether it reached another database"
            )
        sources.append(f"`{lint.command}`")
        if problem:
            return tuple(sources), f"`{lint.command}` {problem}"
    elif migrations and migrations.alembic and lint.alembic:
        before = watch.turns
        table = migrations.table
        problem = runs.alembic(at, migrations.alembic, migrations.alembic_ini, table, ends - time.monotonic())
        sources += dict.fromkeys(done.source for done, _ in watch.seen[before:] if done.source)
        if problem:
            return tuple(sources or ["Alembic"]), f"Alembic: {problem}"
    for file in files:
        watch.source = file.name
        sources.append(file.name)
        watch.answers_decide = bool(_GOES_ON.search(bounded.read(file, bounded.SQL)))
        problem = runs.psql(programs, at, file, lint.files_as, max(1.0, ends - time.monotonic()))
        if problem:
            return tuple(sources), f"{file.name}: {problem}"
    return tuple(sources), ""


def _line(text: str, statement: str, at: dict[str, int], source: str) -> int:
    """Return the line of a file at which a statement stands, behind those before it; 0 if it is not found."""
    words = next((line.strip() for line in statement.splitlines() if line.strip()), "")[:_FIRST_WORDS]
    place = text.find(words, at.get(source, 0)) if words else -1
    if place < 0:
        return 0
    at[source] = place
    return text.count("\n", 0, place) + 1


def _write(cluster: Cluster, target: Target, name: str, sizes: dict[str, Relation]) -> Write | None:
    """Return which part of a live table's rows a plan changes; None if the table is not live."""
    if name not in sizes:
        return None
    condition = " AND ".join(target.conditions)
    if target.bounded:
        return Write(name, f"{condition} LIMIT", 0.0)
    if not target.conditions and not target.joined:
        return Write(name, "", 1.0)
    if target.joined and not target.conditions:
        return Write(name, "a join", None)
    return Write(name, condition, _share(cluster, target))


def _share(cluster: Cluster, target: Target) -> float | None:
    """Ask the live planner, which has the statistics, for the share of rows that meet the conditions. It only plans."""
    where = sql.SQL(" AND ").join(sql.SQL("({})").format(sql.SQL(c)) for c in target.conditions)
    table, alias = sql.Identifier(target.schema, target.table), sql.Identifier(target.alias)
    rows = []
    for more in (sql.SQL(""), sql.SQL(" WHERE {}").format(where)):
        query = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM ONLY {} AS {}{}").format(table, alias, more)
        try:
            plan: Any = cluster.value(cluster.primary, query)
        except CannotTell:
            return None
        plan = json.loads(plan) if isinstance(plan, str) else plan
        rows.append(float(plan[0]["Plan"]["Plan Rows"]))
    return min(1.0, rows[1] / rows[0]) if rows[0] else None
