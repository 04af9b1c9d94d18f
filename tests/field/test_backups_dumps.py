"""Dumps that hold less than their source, made by the real pg_dump and loaded by the real pg_restore or psql."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.backups import judge
from pytest_deploygate.checks.backups.probe import contents, drill
from pytest_deploygate.checks.backups.probe.seen import Backups, verified
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

SCHEMA = """
CREATE TABLE messages (id int PRIMARY KEY, t text, body text);
INSERT INTO messages SELECT n, 'same', md5(n::text) FROM generate_series(1, 500) n;
CREATE TABLE "Mixed Name" (id int PRIMARY KEY, "Value %" text);
INSERT INTO "Mixed Name" SELECT n, 'x' FROM generate_series(1, 50) n;
CREATE TABLE readings (at timestamptz NOT NULL, value float8) PARTITION BY RANGE (at);
CREATE TABLE readings_old PARTITION OF readings FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
CREATE TABLE readings_new PARTITION OF readings FOR VALUES FROM ('2026-01-01') TO ('2099-01-01');
INSERT INTO readings SELECT '2025-06-01'::timestamptz + n * interval '1 min', n FROM generate_series(1, 1000) n;
INSERT INTO readings SELECT '2026-06-01'::timestamptz + n * interval '1 min', n FROM generate_series(1, 1000) n;
CREATE INDEX ON readings (at);
CREATE TABLE parent (id int, at timestamptz); CREATE TABLE child () INHERITS (parent);
INSERT INTO child SELECT n, now() - interval '2 day' FROM generate_series(1, 300) n;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION touch();
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM messages;
CREATE MATERIALIZED VIEW later AS SELECT count(*) FROM messages WITH NO DATA;
CREATE TABLE empty (id int);
CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b mood);
CREATE RULE quiet AS ON DELETE TO empty DO INSTEAD NOTHING; CREATE STATISTICS dep (dependencies) ON t, body FROM messages;
CREATE PUBLICATION news FOR TABLE messages; COMMENT ON TABLE messages IS 'all of them';
CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER ev ON sql_drop EXECUTE FUNCTION seen();
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq); CREATE CAST (mood AS int) WITH INOUT;
CREATE COLLATION german (provider = icu, locale = 'de'); CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
"""


class Source:
    """A server whose database is dumped into a folder."""

    def __init__(self, server: Scratch) -> None:
        self.server = server

    def dump(self, name: str, *options: str) -> None:
        """Make the only dump of the folder."""
        for each in (self.server.folder / "dumps").iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        target = ["-f", str(self.server.folder / "dumps" / name)]
        self.server.run(
            "pg_dump", "-h", "127.0.0.1", "-p", str(self.server.ports["db1"]), "-U", "postgres", *options, *target, "postgres"
        )  # fmt: skip

    def backups(self, **time_columns: str) -> Backups:
        section = {
            "tool": "pg-dump", "user": self.server.user, "repository": str(self.server.folder / "dumps"), "rpo": "10m",
            "scratch": {
                "folder": str(self.server.folder / "scratch"), "programs": str(self.server.bin), "spare": "1MB"
            },
        }  # fmt: skip
        columns = {f"public.{table}": column for table, column in time_columns.items()}
        return Backups(Backup.model_validate(section), columns)

    def final(self, **time_columns: str) -> Judgement:
        backups = self.backups(**time_columns)
        with closing(Cluster(self.server.database(), "deploygate")) as backups.cluster:
            return judge.judge_final(verified(backups, full=True), backups.criteria)

    def drilled(self, **time_columns: str) -> Judgement:
        backups = self.backups(**time_columns)
        with closing(Cluster(self.server.database(), "deploygate")) as cluster:
            return judge.judge_restore(drill.restore_drill(cluster, backups), backups.criteria)


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    made = Scratch(server_folder("dgd-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create()
        made.sql("db1", "GRANT pg_read_all_data TO gate")
        made.sql("db1", SCHEMA)
        for folder in ("dumps", "scratch"):
            (made.folder / folder).mkdir()
            if made.user == "postgres":
                shutil.chown(made.folder / folder, "postgres", "postgres")
        yield Source(made)
    finally:
        made.destroy()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.dump", ["-Fc"]),
        ("a.tar", ["-Ft"]),
        ("a.sql", []),
        ("a.sql", ["--inserts"]),
        ("a.dump", ["-Fc", "--load-via-partition-root"]),
        ("a.dump", ["-Fc", "--no-owner", "--no-privileges"]),
    ],
)
def test_a_whole_dump_equals_its_source(source: Source, name: str, options: list[str]) -> None:
    """Partitions, INHERITS children, a column called `t`, odd names and an unpopulated view included."""
    source.dump(name, *options)
    said = source.drilled()
    assert said.verdict is Verdict.PASS, said.reason
    assert "2851 rows" in said.reason
    assert source.final().verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ("--exclude-table-data=messages", "public.messages: the dump was made without its rows"),
        ("--exclude-table-data=readings_old", "public.readings_old: the dump was made without its rows"),
        ("--exclude-table-data=readings_*", "public.readings_new: the dump was made without its rows"),
        ("--exclude-table-data=child", "public.child: the dump was made without its rows"),
        ('--exclude-table-data="Mixed Name"', "public.Mixed Name: the dump was made without its rows"),
        ("--schema-only", "made without its rows"),
        ('--exclude-table="Mixed Name"', "table public.Mixed Name (50 rows) is not in the dump"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.dump", "a.sql"])
def test_rows_that_the_dump_was_told_to_leave_out_are_missed(
    source: Source, name: str, left_out: str, words: str
) -> None:
    """Also if the tables were written since: the dump's own table of contents has no entry for their rows."""
    source.dump(name, *(["-Fc"] if name.endswith("dump") else []), left_out)
    final, said = source.final(), source.drilled()
    some = name.endswith("sql") and left_out != "--schema-only"
    assert final.verdict is (
        Verdict.INCONCLUSIVE
        if some and "readings_" not in left_out
        else Verdict.PASS
        if some
        else Verdict.FAIL
    )
    if final.verdict is not Verdict.PASS:
        assert ("it does not name" if some else "it has no rows of") in final.reason
    if name.endswith("sql") and "--exclude-table=" in left_out:
        # A plain dump has no oids, so a table that is not in it may have been made since.
        assert said.verdict is Verdict.INCONCLUSIVE, said.reason
        assert "public.Mixed Name (50 rows) (not in the dump: made since, or left out)" in said.reason
        return
    assert said.verdict is Verdict.FAIL, said.reason
    assert words in said.reason


def test_indexes_constraints_and_triggers_that_are_not_in_the_dump(source: Source) -> None:
    """Only the sections pre-data and data: the catalog is compared, not claimed."""
    source.dump("a.dump", "-Fc", "--section=pre-data", "--section=data")
    said = source.drilled()
    assert said.verdict is Verdict.FAIL, said.reason
    assert "messages_pkey is not in the dump" in said.reason


@pytest.mark.parametrize(
    ("name", "options", "verdict", "words"),
    [
        ("a.tar", ["-Ft", "--section=pre-data", "--section=data"], Verdict.FAIL, "messages_pkey is not in the dump"),
        # A plain dump has no oids, so what is not in it may have been made since.
        ("a.sql", ["--section=pre-data", "--section=data"], Verdict.INCONCLUSIVE, "messages_pkey (not in the dump"),
        ("a.dump", ["-Fc", "--section=pre-data", "--section=post-data"], Verdict.FAIL, "made without its rows"),
        ("a.dump", ["-Fc", "--section=pre-data", "--section=data", "--section=post-data"], Verdict.PASS, ""),
    ],
)  # fmt: skip
def test_other_parts_of_a_dump(
    source: Source, name: str, options: list[str], verdict: Verdict, words: str
) -> None:
    source.dump(name, *options)
    said = source.drilled()
    assert said.verdict is verdict, said.reason
    assert words in said.reason


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--no-publications", "publication news is not in the dump, and is older than what is"),
        ("--no-comments", "comments on tables any is not in the dump"),
        ("-T empty", "table public.empty (0 rows) is not in the dump"),
    ],
)
def test_objects_that_the_dump_was_told_to_leave_out(source: Source, option: str, words: str) -> None:
    source.dump("a.dump", "-Fc", *option.split())
    said = source.drilled()
    assert said.verdict is Verdict.FAIL, said.reason
    assert words in said.reason


@pytest.mark.parametrize("cut", [0, 300, 3000])
def test_a_folder_whose_uncompressed_data_was_cut_off(source: Source, cut: int) -> None:
    """Nothing in the folder says how long a file is, but pg_dump ends each with two line ends."""
    source.dump("d", "-Fd", "-Z0")
    assert source.final().verdict is Verdict.PASS
    file = max((source.server.folder / "dumps/d").glob("[0-9]*.dat"), key=lambda p: p.stat().st_size)
    file.write_bytes(file.read_bytes()[:cut])
    said = source.final()
    assert said.verdict is Verdict.FAIL, said.reason
    assert f"{file.name} ends before the last line of a table's rows" in said.reason


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE odd (t int, u text)",
        'CREATE TABLE odd ("T" int, "t.*" text)',
        "CREATE TABLE t (t int, u text)",
        "CREATE TABLE odd (t text[], u text)",
    ],
)
def test_a_change_beside_a_column_of_any_name(source: Source, table: str) -> None:
    """Each column is read, also beside one that is called like the alias of the statement."""
    name = table.split()[2]
    first = "ARRAY['1']" if "[]" in table else "1"
    source.server.sql("db1", f"{table}; INSERT INTO {name} VALUES ({first}, 'before')")
    try:
        before = read_all(source)
        again = read_all(source)
        source.server.sql("db1", f"UPDATE {name} SET " + ("u" if " u " in table else '"t.*"') + " = 'after'")
        after = read_all(source)
    finally:
        source.server.sql("db1", f"DROP TABLE {name}")
    assert before == again
    assert {key for key in before if before[key] != after[key]} == {f"public.{name}"}


def read_all(source: Source) -> dict[str, object]:
    with closing(Cluster(source.server.database(), "deploygate")) as cluster:
        connection = cluster.connect(cluster.primary)
        with connection:
            connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            chosen = contents.choose(connection, "deploygate", 10**9, "deploygate_replication")
            return dict(contents.read(connection, chosen.tables).tables)


def test_a_table_that_was_written_since_is_compared_by_time_or_is_no_pass(source: Source) -> None:
    """A partition is compared by the time column of the table above it."""
    source.dump("a.dump", "-Fc")
    source.server.sql("db1", "INSERT INTO readings VALUES (now(), 1)")
    try:
        unknown, known = source.drilled(), source.drilled(readings="at")
        source.server.sql("db1", "INSERT INTO readings VALUES ('2026-02-02', 1)")
        lost = source.drilled(readings="at")
        source.server.sql("db1", "DELETE FROM readings WHERE at < '2026-06-01 01:00'")
        removed = source.drilled(readings="at")
    finally:
        source.server.sql("db1", "TRUNCATE readings")
        source.server.sql(
            "db1", "INSERT INTO readings SELECT '2026-06-01'::timestamptz + n * interval '1 min', n FROM generate_series(1, 1000) n"
        )  # fmt: skip
        source.server.sql(
            "db1", "INSERT INTO readings SELECT '2025-06-01'::timestamptz + n * interval '1 min', n FROM generate_series(1, 1000) n"
        )  # fmt: skip
    assert unknown.verdict is Verdict.INCONCLUSIVE
    assert "public.readings_new (written since the dump" in unknown.reason
    assert known.verdict is Verdict.PASS, known.reason
    assert lost.verdict is Verdict.FAIL
    assert "at least 1 are lost" in lost.reason
    assert removed.verdict is Verdict.INCONCLUSIVE
    assert "in the dump only: deleted since, or damaged" in removed.reason


def test_a_dump_of_another_database_and_one_that_was_cut_off(source: Source) -> None:
    """The dump's header names its database; a script without its last line is not whole."""
    source.server.sql("db1", "CREATE DATABASE other")
    try:
        port = str(source.server.ports["db1"])
        source.dump("a.sql")
        folder = source.server.folder / "dumps"
        source.server.run(
            "pg_dump",
            "-h",
            "127.0.0.1",
            "-p",
            port,
            "-U",
            "postgres",
            "-Fc",
            "-f",
            str(folder / "b.dump"),
            "other",
        )
        os.utime(folder / "b.dump", (time.time() + 2,) * 2)
        said = source.drilled()
    finally:
        source.server.sql("db1", "DROP DATABASE other")
    assert said.verdict is Verdict.FAIL
    assert "b.dump is a dump of the database other, not of postgres" in said.reason
    (folder / "b.dump").unlink()
    whole = (folder / "a.sql").read_text()
    (folder / "a.sql").write_text(whole[: len(whole) // 2])
    found = verified(source.backups(), full=True)
    judged = judge.judge_final(found, source.backups().criteria)
    assert judged.verdict is Verdict.FAIL
    assert "ends before pg_dump's last line" in judged.reason
    (folder / "a.sql").write_text("SELECT 1;\n" * 99)
    assert (
        "not made by pg_dump"
        in judge.judge_final(verified(source.backups(), full=True), source.backups().criteria).reason
    )


def test_what_was_made_since_the_dump_is_not_said_to_be_lost(source: Source) -> None:
    """A table and an index that are younger than everything in the dump could not be compared."""
    source.dump("a.dump", "-Fc")
    source.server.sql(
        "db1",
        "CREATE TABLE young (id int); INSERT INTO young VALUES (1); CREATE INDEX young_at ON messages (body)",
    )
    try:
        said = source.drilled()
    finally:
        source.server.sql("db1", "DROP TABLE young; DROP INDEX young_at")
    assert said.verdict is Verdict.INCONCLUSIVE, said.reason
    assert "public.young (1 rows) (not in the dump: made since, or left out)" in said.reason


def test_a_password_or_a_path_with_blanks_is_quoted(source: Source) -> None:
    """The name of a dump is an argument, never a part of the shell's text."""
    source.dump("a b'c.dump", "-Fc")
    assert source.drilled().verdict is Verdict.PASS
    assert shlex.quote("a b'c.dump") not in source.drilled().reason
