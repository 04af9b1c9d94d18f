"""A database of many tables: the comparison's script is longer than an argument may be, and its locks are released."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.backups import judge
from pytest_deploygate.checks.backups.probe import contents, drill
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Verdict

TABLES = 1500
#: Plain names; names as long as they may be, with blanks, quotes, signs of a shell and letters that are not ASCII; in many schemas.
MAKE = """
DO $$ DECLARE place text; BEGIN FOR n IN {}..{} LOOP
  place := CASE n % 3 WHEN 0 THEN format('t%s', n) WHEN 1 THEN format('%I', 'T''"$(x) ' || n || repeat('ä', 22))
    ELSE format('%I.%I', 'Shop ' || n % 50, 'Order ' || n) END;
  EXECUTE format('CREATE TABLE %s AS SELECT %s AS id', place, n);
END LOOP; END $$
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgn-"))
    here = made.folder
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run(
        [*prefix, "mkdir", here / "archive", here / "backups", here / "scratch"], check=True, cwd="/"
    )
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        store = f"cp %p {here}/archive/%f"
        made.create(
            "archive_mode = on", f"archive_command = '{store}'", "archive_timeout = 60", "max_locks_per_transaction = 10",
            "autovacuum = off",
        )  # fmt: skip
        made.sql("db1", "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO gate; GRANT pg_read_all_data TO gate")
        made.sql(
            "db1",
            "DO $$ BEGIN FOR n IN 0..49 LOOP EXECUTE format('CREATE SCHEMA %I', 'Shop ' || n); END LOOP; END $$",
        )
        for begin in range(0, TABLES, 100):
            made.sql("db1", MAKE.format(begin, begin + 99))
        made.run(
            "pg_basebackup", "-D", "backups/one", "-h", "127.0.0.1", "-p", str(made.ports["db1"]), "-U", "postgres", "-c", "fast"
        )  # fmt: skip
        yield made
    finally:
        made.destroy()


def test_a_restore_of_many_tables(server: Scratch) -> None:
    section = Backup.model_validate({
        "tool": "base-backup", "user": server.user, "repository": str(server.folder / "backups"),
        "archive": str(server.folder / "archive"), "archived_within": "20s",
        "scratch": {"folder": str(server.folder / "scratch"), "programs": str(server.bin), "spare": "1MB", "amcheck": False},
    })  # fmt: skip
    with closing(Cluster(server.database(statement_timeout="30s"), "deploygate")) as cluster:
        found = judge.judge_restore(drill.restore_drill(cluster, Backups(section)), section)
    assert found.verdict is Verdict.PASS, found.reason
    assert f"{TABLES} rows of {TABLES} tables" in found.reason


def test_few_tables_are_locked_at_a_time(server: Scratch) -> None:
    with closing(Cluster(server.database(statement_timeout="30s"), "deploygate")) as cluster:
        connection = cluster.connect(cluster.primary)
        with connection:
            connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            chosen = contents.choose(connection, "deploygate", 10**9, "deploygate_replication")
            assert len(contents.read(connection, chosen.tables).tables) == TABLES
            held = connection.execute(
                "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
            ).fetchone()
    assert held is not None
    assert held[0] < 100
