"""Django's history as Django itself writes it: its own `migrate`, forwards, half way and back."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.migrations.judge.versions import judge_versions
from pytest_deploygate.checks.migrations.probe.versions import schema_versions
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

FIRST = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)), ("note", models.TextField())])]
"""
SECOND = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddField("order", "paid", models.BooleanField(default=False))]
"""
MIGRATE = """
import sys
import django
from django.conf import settings
from django.core.management import call_command
settings.configure(INSTALLED_APPS=["shop"], USE_TZ=True, DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": "127.0.0.1",
    "PORT": sys.argv[1], "OPTIONS": {"options": "-c search_path=tools"}}})
django.setup()
call_command("migrate", "shop", *sys.argv[2:], verbosity=0)
"""


@pytest.fixture
def migrate(nodes: Scratch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    if importlib.util.find_spec("django") is None:
        pytest.skip("Django is not installed: pip install django")
    folder = tmp_path / "shop" / "migrations"
    folder.mkdir(parents=True)
    files = {"__init__.py": "", "0001_initial.py": FIRST, "0002_order_paid.py": SECOND}
    for name, text in files.items():
        (folder / name).write_text(text)
    (tmp_path / "shop" / "__init__.py").touch()
    nodes.sql("db1", "DROP SCHEMA IF EXISTS tools CASCADE; CREATE SCHEMA tools")

    def run(*target: str) -> None:
        command = [sys.executable, "-c", MIGRATE, str(nodes.ports["db1"]), *target]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        nodes.sql(
            "db1", "GRANT USAGE ON SCHEMA tools TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA tools TO gate"
        )

    yield run
    nodes.sql("db1", "DROP SCHEMA IF EXISTS tools CASCADE")


def judged(cluster: Cluster, folder: Path) -> Judgement:
    wanted = Migrations.model_validate(
        {"tool": "django", "version_table": "tools.django_migrations", "scripts": str(folder)}
    )
    return judge_versions(schema_versions(cluster, wanted), wanted)


def test_djangos_own_migrate(cluster: Cluster, migrate: Callable[..., None], tmp_path: Path) -> None:
    """One of two is pending until the second has run; after migrating to zero, both are."""
    migrate("0001_initial")
    half = judged(cluster, tmp_path)
    assert half.verdict is Verdict.FAIL
    assert "shop.0002_order_paid" in half.reason
    migrate()
    whole = judged(cluster, tmp_path)
    assert whole.verdict is Verdict.PASS, whole.reason
    migrate("zero")
    assert judged(cluster, tmp_path).verdict is Verdict.FAIL
