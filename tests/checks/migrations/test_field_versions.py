"""Where the schema is, as the tools themselves see it.

Alembic and Django run here, so their own answer is the truth and is asked in the test. Liquibase's rows, outputs and
contexts were measured with its program 4.28 on PostgreSQL 15 and are typed in, since it is too large to be had for each
run. Flyway's and Rails' are typed in from their manuals (Flyway: Migrations, Info, Baseline, Repeatable migrations;
Rails: ActiveRecord's migration file names).
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scratch_cluster import Scratch, wait

from pytest_deploygate.checks.migrations.judge.versions import judge_versions
from pytest_deploygate.checks.migrations.probe import tool_django, tool_flyway, tool_liquibase, tool_status
from pytest_deploygate.checks.migrations.probe.versions import schema_versions
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict

VERSION = (
    'revision = "{}"\ndown_revision = {!r}\nbranch_labels = None\ndepends_on = {!r}\ndef upgrade(): pass\n'
)
ENV = """
from sqlalchemy import create_engine
from alembic import context
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


GRANTS = "GRANT USAGE ON SCHEMA tools TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA tools TO gate"


def granted(nodes: Scratch, text: str) -> None:
    """Grant on the primary, and wait until the replicas know of it."""
    nodes.sql("db1", text)
    at = nodes.sql("db1", "SELECT pg_current_wal_lsn()")[0][0]
    for name in ("db2", "db3"):
        wait(lambda name=name: nodes.sql(name, f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{at}'"))


class Alembic:
    """A folder with an alembic.ini, and the real program on the primary."""

    def __init__(self, nodes: Scratch, folder: Path) -> None:
        self.nodes, self.folder = nodes, folder / "db"
        (self.folder / "versions").mkdir(parents=True)
        (self.folder / "env.py").write_text(ENV)
        self.ini()

    def ini(self, *more: str) -> None:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{self.nodes.ports['db1']}/postgres"
        lines = ["[alembic]", "script_location = db", f"sqlalchemy.url = {url}", *more]
        (self.folder.parent / "alembic.ini").write_text("\n".join(lines) + "\n")

    def add(
        self, revision: str, down: str | None = None, depends: str | None = None, under: str = ""
    ) -> None:
        place = self.folder / "versions" / under
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{revision}.py").write_text(VERSION.format(revision, down, depends))

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words], cwd=self.folder.parent, capture_output=True, text=True,
            check=True, timeout=120,
        )  # fmt: skip
        granted(self.nodes, "GRANT SELECT ON alembic_version TO gate")
        return done.stdout

    @property
    def status(self) -> str:
        run = f"{sys.executable} -m alembic"
        return f"cd {self.folder.parent} && {run} current 2>/dev/null && {run} heads"

    def judged(self, cluster: Cluster, **more: object) -> Judgement:
        wanted = Migrations.model_validate({"alembic": str(self.folder), **more})
        return judge_versions(schema_versions(cluster, wanted), wanted)


@pytest.fixture
def alembic(nodes: Scratch, tmp_path: Path) -> Iterator[Alembic]:
    yield Alembic(nodes, tmp_path)
    nodes.sql("db1", "DROP TABLE IF EXISTS alembic_version")


def test_a_branch_that_depends_on_another(alembic: Alembic, cluster: Cluster) -> None:
    """Alembic's table has one row for two heads, the other being implied."""
    alembic.add("t1")
    alembic.add("t2", "t1")
    alembic.add("q1", None)
    alembic.add("q2", "q1", "t2")
    alembic.run("upgrade", "heads")
    assert alembic.nodes.sql("db1", "SELECT version_num FROM alembic_version") == [("q2",)]
    for more in ({}, {"status": alembic.status}):
        found = alembic.judged(cluster, **more)
        assert found.verdict is Verdict.PASS, found.reason
    alembic.add("t3", "t2")
    for more in ({}, {"status": alembic.status}):
        found = alembic.judged(cluster, **more)
        assert found.verdict is Verdict.FAIL, found.reason
        assert "t3" in found.reason


def test_versions_in_folders_below(alembic: Alembic, cluster: Cluster) -> None:
    alembic.ini("recursive_version_locations = true")
    alembic.add("r1", under="2024")
    alembic.run("upgrade", "heads")
    assert alembic.judged(cluster).verdict is Verdict.PASS
    alembic.add("r2", "r1", under="2025")
    found = alembic.judged(cluster, status=alembic.status)
    assert found.verdict is Verdict.FAIL
    assert "1 pending (r2)" in found.reason
    alembic.run("upgrade", "heads")
    assert alembic.judged(cluster, status=alembic.status).verdict is Verdict.PASS


def test_version_folders_that_alembic_is_not_told_of(alembic: Alembic, cluster: Cluster) -> None:
    alembic.add("r1")
    alembic.run("upgrade", "heads")
    alembic.add("r2", "r1", under="2025")
    with pytest.raises(CannotTell, match=r"versions/2025/r2\.py"):
        alembic.judged(cluster)


def test_several_version_folders(alembic: Alembic, cluster: Cluster) -> None:
    alembic.ini("version_locations = %(here)s/db/versions %(here)s/db/more", "path_separator = space")
    alembic.add("a1")
    (alembic.folder / "more").mkdir()
    (alembic.folder / "more" / "b1.py").write_text(VERSION.format("b1", None, None))
    alembic.run("upgrade", "heads")
    found = alembic.judged(cluster)
    assert found.verdict is Verdict.PASS, found.reason
    alembic.nodes.sql("db1", "DELETE FROM alembic_version WHERE version_num = 'b1'")
    found = alembic.judged(cluster, status=alembic.status)
    assert found.verdict is Verdict.FAIL
    assert "1 pending (b1)" in found.reason


def test_a_database_ahead_of_the_code(alembic: Alembic, cluster: Cluster) -> None:
    alembic.add("a1")
    alembic.run("upgrade", "heads")
    alembic.nodes.sql("db1", "UPDATE alembic_version SET version_num = 'zz'")
    found = alembic.judged(cluster)
    assert found.verdict is Verdict.FAIL
    assert "ahead of this code" in found.reason


def test_the_tool_says_something_else(alembic: Alembic, cluster: Cluster) -> None:
    """Another answer than ours is neither a pass nor a failure; both are said."""
    alembic.add("a1")
    alembic.run("upgrade", "heads")
    found = alembic.judged(cluster, status="printf 'a0\\n'")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "says pending: a0" in found.reason
    assert "scripts say pending: none" in found.reason
    for command, words in (("echo hello world", "nothing that is known"), ("exit 3", "exit code 3")):
        found = alembic.judged(cluster, status=command)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert words in found.reason


@pytest.fixture
def tools(nodes: Scratch) -> Iterator[Callable[[str], None]]:
    def make(text: str) -> None:
        nodes.sql("db1", text)
        granted(nodes, GRANTS)

    nodes.sql("db1", "DROP SCHEMA IF EXISTS tools CASCADE; CREATE SCHEMA tools")
    yield make
    nodes.sql("db1", "DROP SCHEMA tools CASCADE")


def files(folder: Path, *names: str, **texts: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(texts.get("text", ""))


def judged(cluster: Cluster, tool: str, table: str, folder: Path | None, **more: object) -> Judgement:
    given = {"tool": tool, "version_table": f"tools.{table}", **more} | (
        {"scripts": str(folder)} if folder else {}
    )
    wanted = Migrations.model_validate(given)
    return judge_versions(schema_versions(cluster, wanted), wanted)


HISTORY = (
    "CREATE TABLE tools.flyway_schema_history (installed_rank int, version text, description text, type text, script text,"
    " checksum int, success boolean);"
)
VIEW = "CREATE OR REPLACE VIEW v AS\nSELECT 1;\n"


def _crc(text: str) -> int:
    value = 0
    for line in text.split("\n"):
        value = zlib.crc32(line.encode(), value)
    return value - (1 << 32) if value >= 1 << 31 else value


#: Rows (version, description, type, checksum), files, verdict, words.
FLYWAY = {
    "1.0 is 1": ([("1.0", "x", "SQL", 1)], ["V1_0__x.sql"], "pass", ""),
    "without a description, pending": ([("1", "x", "SQL", 1)], ["V1__x.sql", "V2.sql"], "fail", "1 pending (2)"),
    "without a description, applied": ([("1", "", "SQL", 1), ("2.1", "", "SQL", 1)], ["V1.sql", "V2_1.sql"], "pass", ""),
    "dots in the name": ([("1.1", "x", "SQL", 1)], ["V1.1__x.sql", "V1.2__y.sql"], "fail", "1 pending (1.2)"),
    "files that are none": (
        [("1", "x", "SQL", 1)], ["V1__x.sql", "U1__x.sql", "v2__y.sql", "V3__z.sql.bak", "afterMigrate.sql", "V4__q.sql.conf"], "pass", ""),
    "folders of two vendors": ([("1", "x", "SQL", 1)], ["postgresql/V1__x.sql", "h2/V1__x.sql"], "pass", ""),
    "leading zeros": ([("001", "x", "SQL", 1), ("2.01", "y", "SQL", 1)], ["V1__x.sql", "V2_1__y.sql"], "pass", ""),
    "ten after two": ([("2", "x", "SQL", 1)], ["V2__x.sql", "V10__y.sql"], "fail", "1 pending (10)"),
    "baseline covers what is below": (
        [("5", "b", "BASELINE", None), ("6", "f", "SQL", 1)], [f"V{n}__f.sql" for n in range(1, 7)], "pass", ""),
    "baseline without a file": ([("1", "b", "BASELINE", None), ("2", "x", "SQL", 1)], ["V2__x.sql"], "pass", ""),
    "baseline between two versions": (
        [("1.2", "b", "BASELINE", None)], ["V1_1__x.sql", "V1_2__y.sql", "V1_10__z.sql"], "fail", "1 pending (1.10)"),
    "baseline with nothing above it": ([("20260101", "b", "BASELINE", None)], ["V1__x.sql", "V20251231__y.sql"], "pass", ""),
    "baseline by a script, and one above it": (
        [("5", "b", "SQL_BASELINE", 1)], ["V4__x.sql", "B5__b.sql", "V6__y.sql"], "fail", "1 pending (6)"),
    "a newer script of a baseline beside what ran": (
        [("1", "x", "SQL", 1), ("2", "y", "SQL", 1)], ["V1__x.sql", "V2__y.sql", "B2__b.sql"], "pass", ""),
    "baseline by a script": ([("5", "b", "SQL_BASELINE", 1)], ["V4__x.sql", "V5__y.sql", "B5__b.sql"], "pass", ""),
    "above the baseline": ([("5", "b", "BASELINE", None)], ["V5__x.sql", "V6__y.sql"], "fail", "1 pending (6)"),
    "repeatable that never ran": ([("1", "x", "SQL", 1)], ["V1__x.sql", "R__views.sql"], "fail", "repeatable views"),
    "repeatable that changed": (
        [("1", "x", "SQL", 1), (None, "views", "SQL", 7)], ["V1__x.sql", "R__views.sql"], "fail", "changed since"),
    "repeatable as it ran": (
        [("1", "x", "SQL", 1), (None, "views", "SQL", _crc(VIEW.rstrip("\n")))], ["V1__x.sql", "R__views.sql"], "pass", ""),
    "repeatable in a folder below": ([("1", "x", "SQL", 1)], ["V1__x.sql", "views/R__sums.sql"], "fail", "repeatable sums"),
    "one of two repeatable ones": (
        [("1", "x", "SQL", 1), (None, "views", "SQL", _crc(VIEW.rstrip("\n")))], ["V1__x.sql", "R__views.sql", "R__more_views.sql"],
        "fail", "repeatable more views"),
    "repeatable alone, as it ran": ([(None, "views", "SQL", _crc(VIEW.rstrip("\n")))], ["R__views.sql"], "pass", ""),
    "undone": ([("1", "x", "SQL", 1), ("2", "y", "SQL", 1), ("2", "y", "UNDO_SQL", 1)], ["V1__x.sql", "V2__y.sql"], "fail", "1 pending (2)"),
    "deleted and repaired": ([("1", "x", "SQL", 1), ("2", "y", "SQL", 1), ("2", "y", "DELETE", 1)], ["V1__x.sql"], "pass", ""),
    "ahead of the code": ([("1", "x", "SQL", 1), ("3", "y", "SQL", 1)], ["V1__x.sql"], "fail", "ahead of the code"),
}  # fmt: skip


@pytest.mark.parametrize("case", FLYWAY)
def test_flyway(cluster: Cluster, tools: Callable[[str], None], tmp_path: Path, case: str) -> None:
    rows, names, verdict, words = FLYWAY[case]
    values = ", ".join(
        f"({rank}, {_literal(v)}, '{d}', '{kind}', 's', {'NULL' if c is None else c}, true)"
        for rank, (v, d, kind, c) in enumerate(rows, 1)
    )
    tools(f"{HISTORY} INSERT INTO tools.flyway_schema_history VALUES {values}")
    files(tmp_path, *names, text=VIEW)
    found = judged(cluster, "flyway", "flyway_schema_history", tmp_path)
    assert (found.verdict.value, words in found.reason) == (verdict, True), found.reason


@pytest.mark.parametrize(
    "names", [("V1__x.sql", "V1_0__y.sql"), ("V01__x.sql", "V1__y.sql"), ("V2.1__x.sql", "V2_1.sql")]
)
def test_two_files_of_one_version(tmp_path: Path, names: tuple[str, str]) -> None:
    """Flyway finds "more than one migration with version" and does not run."""
    files(tmp_path, *names)
    with pytest.raises(CannotTell, match="has two migrations of version"):
        tool_flyway.read(tmp_path)


def _literal(value: str | None) -> str:
    return "NULL" if value is None else f"'{value}'"


def test_an_expected_version_of_flyway_is_a_number(cluster: Cluster, tools: Callable[[str], None]) -> None:
    tools(f"{HISTORY} INSERT INTO tools.flyway_schema_history VALUES (1, '1', 'x', 'SQL', 's', 1, true)")
    assert judged(cluster, "flyway", "flyway_schema_history", None, expect="1.0").verdict is Verdict.PASS
    assert judged(cluster, "flyway", "flyway_schema_history", None, expect="1.1").verdict is Verdict.FAIL
    assert tool_flyway.numbers("10") > tool_flyway.numbers("9.9")


CHANGELOG = (
    "CREATE TABLE tools.databasechangelog (id text, author text, filename text, orderexecuted int, exectype text);"
    "CREATE TABLE tools.databasechangeloglock (id int, locked boolean);"
)
SQL = "--liquibase formatted sql\n"
#: Rows (id, author, file), files, the inventory's contexts, verdict, words.
LIQUIBASE = {
    "the same id in another file": (
        [("1", "alice", "db/a.sql")], {"a.sql": SQL + "--changeset alice:1\n", "b.sql": SQL + "--changeset alice:1\n"}, None,
        "fail", "alice:1 in b.sql"),
    "the same id of another author": (
        [("1", "alice", "a.sql")], {"a.sql": SQL + "--changeset alice:1\n--changeset bob:1\n"}, None, "fail", "bob:1"),
    "the same id in both files, applied": ([("1", "alice", "a.sql"), ("1", "alice", "b.sql")],
        {"a.sql": SQL + "--changeset alice:1\n", "b.sql": SQL + "--changeset alice:1\n"}, None, "pass", ""),
    "the same id in SQL and XML": ([("1", "alice", "a.sql")], {"a.sql": SQL + "--changeset alice:1\n",
        "b.xml": '<databaseChangeLog><changeSet id="1" author="alice"/></databaseChangeLog>'}, None, "fail", "alice:1 in b.xml"),
    "settings behind the id": ([("1", "x", "a.sql")],
        {"a.sql": SQL + "--changeset x:1 runOnChange:true endDelimiter:/\n--changeset x:2 splitStatements:false\n"}, None, "fail", "x:2"),
    "blanks and capitals in the first line": ([("1", "x", "a.sql")],
        {"a.sql": "-- Liquibase Formatted SQL\n-- changeset x:1\n-- changeset x:two\n"}, None, "fail", "x:two"),
    "author in quotes, applied": ([("1", "Bob Smith", "a.sql")], {"a.sql": SQL + '--changeset "Bob Smith":1\n'}, None, "pass", ""),
    "author with a blank, pending": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n--changeset Bob Smith:2\n"}, None,
        "fail", "Bob Smith:2"),
    "author with a blank, applied": ([("2", "Bob Smith", "a.sql")], {"a.sql": SQL + "--changeset Bob Smith:2\n"}, None, "pass", ""),
    "capitals": ([("1", "bob", "a.sql")], {"a.sql": SQL + "--changeset bob:1\n-- CHANGESET bob:2\n"}, None, "fail", "bob:2"),
    "capitals, applied": ([("1", "bob", "a.sql"), ("2", "bob", "a.sql")],
        {"a.sql": SQL + "--changeset bob:1\n--CHANGESET bob:2\n"}, None, "pass", ""),
    "id in quotes": ([("add it", "bob", "a.sql")], {"a.sql": SQL + '--changeset bob:"add it"\n'}, None, "pass", ""),
    "another database": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n--changeset x:2 dbms:mysql\n"}, None, "pass", ""),
    "not on another database": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n--changeset x:2 dbms:!mysql\n"}, None,
        "fail", "x:2"),
    "a context, and nobody says which": ([("1", "x", "a.sql")],
        {"a.sql": SQL + "--changeset x:1\n--changeset x:2 context:faker\n"}, None, "inconclusive", "`contexts`"),
    "a context that never runs here": ([("1", "x", "a.xml")],
        {"a.xml": '<databaseChangeLog><changeSet id="1" author="x"/><changeSet id="2" author="x" context="faker"/></databaseChangeLog>'},
        ["prod"], "pass", ""),
    "a context that runs here": ([("1", "x", "a.sql")],
        {"a.sql": SQL + '--changeset x:1\n--changeset x:2 context:"prod and !faker"\n'}, ["prod"], "fail", "x:2"),
    "no context given runs all": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n--changeset x:2 context:faker\n"}, [],
        "fail", "x:2"),
    "json": ([("1", "x", "a.json")], {"a.json": '{"databaseChangeLog": [{"changeSet": {"id": "1", "author": "x"}},'
        ' {"changeSet": {"id": 2, "author": "x"}}]}'}, None, "fail", "x:2"),
    "yaml of something else": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n", "application.yml": "- a\n- b\n",
        "other.yaml": "databaseChangeLog: none\n"}, None, "pass", ""),
    "a format that is not read": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n", "b.groovy": "databaseChangeLog {}"}, None,
        "inconclusive", "b.groovy"),
    "a logical file": ([("1", "x", "shop")], {"a.sql": SQL + "--changeset x:1 logicalFilePath:shop\n"}, None, "pass", ""),
    "plain sql beside": ([("1", "x", "a.sql")], {"a.sql": SQL + "--changeset x:1\n", "p.sql": "--changeset x:9\n"}, None, "pass", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", LIQUIBASE)
def test_liquibase(cluster: Cluster, tools: Callable[[str], None], tmp_path: Path, case: str) -> None:
    rows, texts, contexts, verdict, words = LIQUIBASE[case]
    values = ", ".join(f"('{i}', '{a}', '{f}', {n}, 'EXECUTED')" for n, (i, a, f) in enumerate(rows))
    tools(f"{CHANGELOG} INSERT INTO tools.databasechangelog VALUES {values}")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = judged(cluster, "liquibase", "databasechangelog", tmp_path, contexts=contexts)
    assert (found.verdict.value, words in found.reason) == (verdict, True), found.reason


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.sql", b"--liquibase formatted sql\n-- caf\xe9\n"),
        ("broken.xml", b"<databaseChangeLog><changeSet></databaseChangeLog>"),
        ("broken.yaml", b"databaseChangeLog:\n  - changeSet: {id: 1\n"),
        ("broken.json", b'{"databaseChangeLog": ['),
    ],
)
def test_a_changelog_that_cannot_be_read_is_named(
    cluster: Cluster, tools: Callable[[str], None], tmp_path: Path, name: str, content: bytes
) -> None:
    tools(CHANGELOG)
    (tmp_path / "a.sql").write_text(SQL + "--changeset x:1\n")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CannotTell, match=rf"{tmp_path}/{name} cannot be read: [^\n]+$"):
        judged(cluster, "liquibase", "databasechangelog", tmp_path)


def test_other_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Also a repeatable migration, whose checksum is asked for only when it is compared."""
    repeatable = tmp_path / "R__views.sql"
    repeatable.write_bytes(b"-- caf\xe9\n")
    with pytest.raises(CannotTell, match=f"{repeatable} cannot be read"):
        tool_flyway._checksum(repeatable)
    (tmp_path / "shop" / "migrations").mkdir(parents=True)
    (tmp_path / "shop" / "migrations" / "0001_initial.py").write_text("")
    (tmp_path / "shop" / "apps.py").write_bytes(b"# caf\xe9\n")
    with pytest.raises(CannotTell, match=f"{tmp_path}/shop/apps.py cannot be read"):
        tool_django._label(tmp_path / "shop")


@pytest.mark.parametrize(
    ("expression", "contexts", "runs"),
    [
        ("a, b", ("b",), True), ("a and b", ("a",), False), ("!a", ("a",), False), ("not (a or b)", ("c",), True),
        ("A", ("a",), True), ("a or b and c", ("a",), True), ("@a", ("a",), True), ("a", (), True),
        ("@a", (), False), ("prod and !faker", ("prod",), True), ("faker", ("prod",), False),
    ],
)  # fmt: skip
def test_contexts_of_liquibase(expression: str, contexts: tuple[str, ...], runs: bool) -> None:
    assert tool_liquibase._matches(expression, contexts) is runs


RAILS = "CREATE TABLE tools.schema_migrations (version text); INSERT INTO tools.schema_migrations VALUES ('20260101120000')"


def test_an_engines_migration_of_rails(
    cluster: Cluster, tools: Callable[[str], None], tmp_path: Path
) -> None:
    tools(RAILS)
    files(tmp_path, "20260101120000_a.rb", "20260201120000_create_active_storage_tables.active_storage.rb")
    found = judged(cluster, "rails", "schema_migrations", tmp_path)
    assert found.verdict is Verdict.FAIL
    assert "20260201120000" in found.reason
    tools("INSERT INTO tools.schema_migrations VALUES ('20260201120000')")
    assert judged(cluster, "rails", "schema_migrations", tmp_path).verdict is Verdict.PASS
    tools("INSERT INTO tools.schema_migrations VALUES ('20260301120000')")
    found = judged(cluster, "rails", "schema_migrations", tmp_path)
    assert found.verdict is Verdict.FAIL
    assert "ahead of the code" in found.reason


@pytest.mark.parametrize(
    ("names", "applied", "verdict", "words"),
    [
        # Two engines' files at one time of day, both applied; one of them pending.
        (["20260201120000_a.blorgh.rb", "20260201120001_b.shop_core.rb"], ["20260201120000", "20260201120001"], "pass", ""),
        (["20260201120000_a.blorgh.rb", "20260201120001_b.shop_core.rb"], ["20260201120000"], "fail", "20260201120001"),
        # A file without a number is no migration; a short number is one, and is kept without its zeros.
        (["20260201120000_a.active_storage.rb", "helper.rb"], ["20260201120000"], "pass", ""),
        (["20260201120000_a.action_text.rb", "007_old.rb"], ["20260201120000"], "fail", "1 pending (007)"),
        (["20260201120000_a.action_text.rb", "007_old.rb"], ["20260201120000", "7"], "pass", ""),
    ],
)  # fmt: skip
def test_engines_of_rails_beside_each_other(
    cluster: Cluster, tools: Callable[[str], None], tmp_path: Path,
    names: list[str], applied: list[str], verdict: str, words: str,
) -> None:  # fmt: skip
    tools(RAILS)
    files(tmp_path, "20260101120000_a.rb", *names)
    for version in applied:
        tools(f"INSERT INTO tools.schema_migrations VALUES ('{version}')")
    found = judged(cluster, "rails", "schema_migrations", tmp_path)
    assert (found.verdict.value, words in found.reason) == (verdict, True), found.reason


MANAGE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shop"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
    "HOST": "127.0.0.1", "PORT": "PORT_OF", "OPTIONS": {"options": "-c search_path=tools"}}})
execute_from_command_line(sys.argv)
"""
STEP = """
from django.db import migrations, models
class Migration(migrations.Migration):
    replaces = %s
    dependencies = %s
    operations = []
"""


class Django:
    """A project with the app `shop`, and its manage.py on the primary."""

    def __init__(self, nodes: Scratch, folder: Path) -> None:
        self.nodes, self.folder = nodes, folder
        files(folder, "shop/__init__.py", "shop/migrations/__init__.py", "shop/migrations/_helpers.py")
        (folder / "manage.py").write_text(MANAGE.replace("PORT_OF", str(nodes.ports["db1"])))
        self.step("0001_initial")
        self.step("0002_more", "0001_initial")

    def step(self, name: str, down: str = "", replaces: tuple[str, ...] = ()) -> None:
        needs = [("shop", down)] if down else []
        text = STEP % ([("shop", r) for r in replaces], needs)
        (self.folder / "shop/migrations" / f"{name}.py").write_text(text)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=self.folder, capture_output=True, text=True, check=True,
            timeout=120,
        )  # fmt: skip
        granted(self.nodes, GRANTS)
        return done.stdout

    def judged(self, cluster: Cluster, **more: object) -> Judgement:
        return judged(cluster, "django", "django_migrations", self.folder, **more)

    def agree(self, cluster: Cluster, *, pending: bool) -> None:
        """What Django says is what we say, also with its own command beside ours."""
        assert ("[ ]" in self.run("showmigrations", "--plan")) is pending
        wanted = Verdict.FAIL if pending else Verdict.PASS
        status = f"cd {self.folder} && {sys.executable} manage.py"
        for more in (
            {},
            {"status": f"{status} showmigrations --plan"},
            {"status": f"{status} migrate --plan"},
        ):
            found = self.judged(cluster, **more)
            assert found.verdict is wanted, found.reason


@pytest.fixture
def django(nodes: Scratch, tmp_path: Path) -> Iterator[Django]:
    pytest.importorskip("django")
    nodes.sql("db1", "DROP SCHEMA IF EXISTS tools CASCADE; CREATE SCHEMA tools")
    yield Django(nodes, tmp_path)
    nodes.sql("db1", "DROP SCHEMA tools CASCADE")


@pytest.mark.long
def test_django_with_installed_packages_and_squashed_migrations(django: Django, cluster: Cluster) -> None:
    folder = django.folder / "shop/migrations"
    django.run("migrate", "--verbosity=0")
    django.agree(cluster, pending=False)  # rows of auth and contenttypes, and _helpers.py
    django.step("0001_squashed_0002_more", replaces=("0001_initial", "0002_more"))
    django.agree(cluster, pending=False)  # there, and not recorded: what it replaces is applied
    for name in ("0001_initial", "0002_more"):
        (folder / f"{name}.py").unlink()
    django.agree(cluster, pending=False)  # the old files are deleted
    django.run("migrate", "--verbosity=0")
    django.step("0001_squashed_0002_more")
    django.agree(cluster, pending=False)  # and `replaces` is removed
    django.step("0003_last", "0001_squashed_0002_more")
    django.agree(cluster, pending=True)
    django.run("migrate", "--verbosity=0")
    (folder / "0003_last.py").unlink()
    found = django.judged(cluster)
    assert found.verdict is Verdict.FAIL
    assert "ahead of the code" in found.reason


@pytest.mark.parametrize(
    ("tool", "text", "pending"),
    [
        ("alembic", "b2\nc3 (head)\n", ["b2"]),
        ("alembic", "c3 (head)\nc3 (head)\n", []),
        ("alembic", "c3 (head)\nc3 (head)\nd4 (head)\n", ["d4"]),
        ("alembic", "", None),
        ("flyway", 'WARNING x\n{"migrations": [{"version": "1", "state": "Success"}, {"version": "2", "state": "Pending"},'
         ' {"version": "", "description": "views", "state": "Outdated"}]}', ["2", "repeatable views"]),
        ("flyway", '{"error": {"message": "x"}}', None),
        ("liquibase", "1 changesets have not been applied to me@jdbc\n     db/a.sql::1::alice\n", ["alice:1 in db/a.sql"]),
        ("liquibase", "postgres@jdbc:postgresql://127.0.0.1:5432/postgres is up to date\n", []),
        ("liquibase", "1 changeset has not been applied to postgres@jdbc:postgresql://127.0.0.1:5432/postgres\n"
         "     a.sql::add it::Bob Smith\n\n", ["Bob Smith:add it in a.sql"]),
        ("liquibase", "Liquibase: Unknown\n", None),
        ("rails", "database: x\n Status   Migration ID    Migration Name\n   up     20260101120000  A\n  down    20260201120000  B\n",
         ["20260201120000"]),
        ("rails", "Schema migrations table does not exist yet.", None),
        ("golang-migrate", "12\n", []),
        ("golang-migrate", "12 (dirty)\n", ["12 (dirty)"]),
        ("golang-migrate", "11\n", ["12"]),
        ("golang-migrate", "error: no migration\n", None),
    ],
)  # fmt: skip
def test_what_tools_print(tmp_path: Path, tool: str, text: str, pending: list[str] | None) -> None:
    (tmp_path / "said").write_text(text)
    given = {"alembic": str(tmp_path)} if tool == "alembic" else {"tool": tool, "scripts": str(tmp_path)}
    answer = tool_status.ask(Migrations.model_validate({**given, "status": f"cat {tmp_path}/said"}), ("12",))
    assert bool(answer.problem) is (pending is None), answer.problem
    assert list(answer.pending) == (pending or [])
