"""The least that the gate's role must be granted for an inventory, statement by statement, with the items that need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from pytest_deploygate.inventory.models import Inventory


@dataclass(frozen=True, slots=True)
class Grant:
    """One statement for a superuser to run on the primary, in the database of the inventory. `why` says what it is for."""

    statement: str
    items: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class More:
    """What items need beside SQL: a shell, another role's password, a line of a configuration file."""

    items: tuple[str, ...]
    what: str


_STATISTICS = ("db.cluster", "db.replication", "db.pooling", "db.monitoring-queries", "stab.slow-queries",
               "phase2.replication")  # fmt: skip


def grants(inventory: Inventory) -> list[Grant]:
    """Return the statements in the order in which they must run. An inventory without database needs none."""
    return list(_grants(inventory)) if inventory.database else []


def _grants(inventory: Inventory) -> Iterator[Grant]:
    database = inventory.database
    if database is None:
        return
    role, name = _quoted(database.user), _quoted(database.name)
    yield Grant(f"GRANT CONNECT ON DATABASE {name} TO {role};", ("all",), "to log in")
    yield Grant(
        f"GRANT pg_monitor TO {role};",
        _STATISTICS,
        "to see settings, statistics and statements of other roles",
    )
    yield from _reading(inventory, role)
    if database.indexes is None or database.indexes.amcheck:
        yield Grant("CREATE EXTENSION IF NOT EXISTS amcheck;", ("phase2.indexes",), "to verify indexes")
        for arguments in ("regclass", "regclass, boolean"):
            yield Grant(
                f"GRANT EXECUTE ON FUNCTION bt_index_check({arguments}) TO {role};",
                ("phase2.indexes",),
                "same",
            )
    if database.monitoring or database.statements:
        yield Grant(
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;",
            ("db.monitoring-queries", "stab.slow-queries"),
            "needs shared_preload_libraries and a restart, too",
        )
    if database.replication.failover and not database.replication.failover.promote:
        yield Grant(
            f"GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {role};",
            ("phase2.replication",),
            "for the failover drill only",
        )
    if inventory.backup and inventory.backup.tool != "pg-dump":
        yield Grant(
            f"GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {role};",
            ("db.continuous-backup", "db.restore"),
            "to have the marker's WAL segment archived now",
        )
    if inventory.writes:
        schema = _quoted(inventory.writes.schema_)
        yield Grant(
            f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};",
            ("db.replication", "phase2.replication", "db.continuous-backup", "db.restore", "comp.erasure"),
            "for the gate's marker rows; it writes nowhere else",
        )


def _reading(inventory: Inventory, role: str) -> Iterator[Grant]:
    """Reading everything where unknown tables are read, else the tables that are named."""
    database = inventory.database
    if database is None:
        return
    queries = [
        *(["comp.erasure"] if inventory.erasure else []),
        # Rows of a default partition are counted on that partition, which has privileges of its own.
        *(["db.partitioning", "phase2.partitioning"] if database.partitioning else []),
        *(["phase2.validation"] if database.validation else []),
        *(["phase2.aggregates"] if database.aggregates else []),
        *(["phase2.indexes"] if database.indexes and database.indexes.queries else []),
        *(["guard.after-load"] if inventory.after_load else []),
        *(["phase2.migrations"] if database.migrations and database.migrations.query else []),
        *(["comp.audit-trail"] if inventory.audit_trail else []),
        *(["db.restore"] if inventory.backup and inventory.backup.scratch else []),
    ]
    if queries:
        yield Grant(
            f"GRANT pg_read_all_data TO {role};",
            tuple(queries),
            "to read what queries and sweeps name (14 and later; on 13 GRANT SELECT ON ALL TABLES IN SCHEMA … instead)",
        )
        return
    wanted = [(r.table, "db.retention") for r in database.retention or []]
    personal = inventory.data_retention.tables if inventory.data_retention else []
    wanted += [(r.table, "comp.retention") for r in personal]
    wanted += [(f"{r.partman}.part_config", "db.retention") for r in database.retention or [] if r.partman]
    wanted += [(f"{r.partman}.part_config", "comp.retention") for r in personal if r.partman]
    if database.migrations and database.migrations.version_table:
        wanted.append((database.migrations.version_table, "phase2.migrations"))
    for schema in sorted({table.partition(".")[0] for table, _ in wanted if "." in table}):
        yield Grant(f"GRANT USAGE ON SCHEMA {_quoted(schema)} TO {role};", ("all",), "to reach its tables")
    for table in sorted({table for table, _ in wanted}):
        items = tuple(sorted({item for name, item in wanted if name == table}))
        yield Grant(f"GRANT SELECT ON {_quoted(*table.split('.'))} TO {role};", items, "to read it")


def more(inventory: Inventory) -> list[More]:
    """Return what no SQL grant gives, for the sections that the inventory has."""
    return list(_more(inventory))


def _more(inventory: Inventory) -> Iterator[More]:
    database = inventory.database
    if database is None:
        return
    if database.backups:
        yield More(
            ("phase2.backup-jobs",), "a shell that reads crontab or timer and the record of the last run"
        )
    jobs = [r for r in database.retention or [] if r.schedule and r.schedule.pg_cron is None]
    if jobs:
        yield More(
            ("db.retention",), "a shell that reads the schedule and the record of the job that removes rows"
        )
    if backup := inventory.backup:
        who = backup.user or "a user who may read the repository"
        yield More(
            (
                "infra.backup-system",
                "db.continuous-backup",
                "day.final-backup",
                "phase1.backup",
                "after.backup",
            ),
            f"a shell on {backup.host} as {who}, where {backup.tool} answers",
        )
        if backup.scratch:
            yield More(
                ("db.restore",),
                f"a shell on {backup.scratch.host} as a user other than root, PostgreSQL's programs of the same version, "
                f"and room for a restore in {backup.scratch.folder}",
            )
    if inventory.data_retention:
        yield More(("comp.retention",), "a shell that lists the folders with logs and backups")
    if database.pooling:
        names = ", ".join(pooler.name for pooler in database.pooling.poolers)
        yield More(
            ("db.pooling",), f"{database.user} in `stats_users` of {names} (pgbouncer.ini), then RELOAD"
        )
    if inventory.audit_trail:
        yield More(
            ("comp.audit-trail",),
            f"the password of {inventory.audit_trail.role.user}, which does the operation",
        )
    if inventory.erasure:
        yield More(
            ("comp.erasure",),
            f"the password of {inventory.erasure.role.user}, or the platform's own interface",
        )
        if inventory.erasure.logs:
            yield More(("comp.erasure",), "a shell that reads the log files named")
        for cache in inventory.erasure.redis:
            yield More(
                ("comp.erasure",), f"in Redis {cache.name} a user with ~* +@read +scan +type +client|setname"
            )
        yield More(
            ("comp.erasure",), "BYPASSRLS for the gate's role where tables have row security (superuser)"
        )
    if database.replication.failover:
        yield More(
            ("phase2.replication",), "the commands that stop and rebuild a node, for the failover drill"
        )
    yield More(
        ("db.cluster",), "a superuser's pg_checksums and a stop of the server, only to mend missing checksums"
    )


def _quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string(None)
