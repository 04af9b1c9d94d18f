"""The source's side of a restore drill: two snapshots around a marker, and what a scratch server must know about it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg

from pytest_deploygate.checks.backups.facts import Mark
from pytest_deploygate.checks.backups.probe import archiving, contents
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: Settings that a server in recovery must have at least as large as its source, or its WAL cannot be replayed.
_AT_LEAST = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_FACTS = """
SELECT current_setting('server_version_num')::int / 10000,
    (SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid LIMIT 1),
    (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),
    (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck'),
    (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name = ANY (%s)),
    (SELECT string_agg(datname, ', ' ORDER BY 1) FROM pg_database WHERE datallowconn AND NOT datistemplate
     AND datname NOT IN (current_database(), 'postgres'))
"""


@dataclass(frozen=True)
class Facts:
    """What a scratch server must know. `libraries` is None if the gate's role may not read them."""

    major: int
    superuser: str
    libraries: str | None
    amcheck_schema: str | None
    at_least: dict[str, str]
    other_databases: str


@dataclass(frozen=True)
class Marked:
    """The marker, how long its segment took to reach the archive, and the source's contents around it."""

    mark: Mark
    archived_s: float | None
    stored: bool | None
    before: contents.Contents
    after: contents.Contents
    chosen: contents.Chosen
    script: str


def facts(cluster: Cluster) -> Facts:
    """Read them from the primary. Raises CannotTell."""
    major, superuser, libraries, amcheck, at_least, others = cluster.rows(
        cluster.primary, _FACTS, (list(_AT_LEAST),)
    )[0]
    if superuser is None:
        raise CannotTell("no superuser may log in on the source, so a restored server could not be inspected")
    return Facts(major, superuser, libraries, amcheck, dict(at_least), others or "")


def marked(cluster: Cluster, backups: Backups, whole_bytes: int) -> Marked:
    """Take a snapshot, write the marker, take another, read both, wait for the marker's segment. Raises CannotTell."""
    try:
        with contextlib.ExitStack() as stack:
            before, after = (stack.enter_context(_snapshot(cluster)) for _ in range(2))
            connection, mine = stack.enter_context(markers.rows(cluster))
            chosen = contents.choose(before, cluster.writes_schema or "", whole_bytes, markers.TABLE)
            _begin(before)
            began = time.monotonic()
            made = archiving.mark(connection, mine)
            _begin(after)
            with ThreadPoolExecutor(3) as pool:
                waiting = pool.submit(archiving.wait, cluster, backups, made, began)
                first = pool.submit(contents.read, before, chosen.tables)
                second = contents.read(after, chosen.tables)
                archived_s, stored = waiting.result()
                return Marked(
                    made,
                    archived_s,
                    stored,
                    first.result(),
                    second,
                    chosen,
                    contents.script(connection, chosen.tables),
                )
    except psycopg.Error as error:
        raise CannotTell(f"the source cannot be read: {explain(cluster.primary, error)}") from error


@contextlib.contextmanager
def _snapshot(cluster: Cluster) -> Iterator[Connection]:
    with contextlib.closing(cluster.connect(cluster.primary)) as connection:
        connection.execute(contents.SETTINGS.encode())
        yield connection


def _begin(connection: Connection) -> None:
    connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.execute("SELECT 1")
