"""A run imports only what its scope needs, judges and facts import no client, a pytest run without the gate imports nothing.

Each runs in its own process: the modules loaded at its end show what it needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_deploygate import checks

CONFTEST = """\
import json, sys
from pathlib import Path

def pytest_unconfigure(config):
    (Path(__file__).parent / "modules.json").write_text(json.dumps(sorted(sys.modules)))
"""

INVENTORY = """\
name: prod
database:
  name: platform
  user: deploygate
  password: env:PASSWORD
  primary: {name: db1, host: 127.0.0.1, port: 1}
  cluster: {version: "15", memory: 16GB}
  migrations: {alembic: .}
  connect_timeout: 1s
endpoints:
  - {name: shop, host: 127.0.0.1, port: 1}
"""

CLIENTS = ("psycopg", "requests", "pycurl", "OpenSSL", "cryptography", "dns", "aiohttp", "alembic")
#: What a run without an incident and signatures needs of these: the caller of hooks, the folder's names.
ROLLBACK = {"pytest_deploygate.rollback", "pytest_deploygate.rollback.hooks"}
SIGNOFF = {"pytest_deploygate.signoff", "pytest_deploygate.signoff.aside", "pytest_deploygate.signoff.folder"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\naddopts = -p no:cacheprovider\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "suites").mkdir()
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.yml").write_text(INVENTORY)
    return tmp_path


def run(project: Path, *args: str) -> tuple[set[str], str]:
    """Run pytest; return the modules loaded at its end, and its output."""
    # Third-party plugins may import anything: they are disabled, as in a plain installation.
    words = ["-p", "pytest_deploygate.plugin", "-p", "pytest_timeout", *args]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PASSWORD": "a-secret-of-this-test"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout + done.stderr
    return set(json.loads((project / "modules.json").read_text())), said


def verdict(project: Path, item: str) -> str:
    found = json.loads((project / "deploygate-out" / "local" / "verdicts.json").read_text())
    return next(one["verdict"] for one in found["items"] if one["id"] == item)


def below(modules: set[str], *packages: str) -> list[str]:
    return sorted(
        name for name in modules if name.startswith(tuple(f"{p}." for p in packages)) or name in packages
    )


@pytest.mark.parametrize(
    ("item", "needs"),
    [
        ("db.cluster", {"psycopg"}),
        ("phase2.migrations", {"psycopg", "alembic"}),
        ("infra.certificates", {"OpenSSL", "cryptography"}),
    ],
)
def test_one_item_imports_the_clients_of_its_subject_alone(project: Path, item: str, needs: set[str]) -> None:
    modules, said = run(project, "--inventory", "prod", "--items", item)
    assert verdict(project, item) == "inconclusive", said  # it was tried: nothing listens on these ports
    assert needs <= modules, said
    unneeded = [client for client in CLIENTS if client not in needs]
    assert not below(modules, *unneeded)
    assert not set(below(modules, "pytest_deploygate.rollback")) - ROLLBACK
    assert not set(below(modules, "pytest_deploygate.signoff")) - SIGNOFF
    assert not below(modules, "pytest_deploygate.cli", "pytest_deploygate.lab")
    sections = {
        name.split(".")[2] for name in below(modules, "pytest_deploygate.checks") if ".section" in name
    }
    # Beside those of the inventory: the ones that have defaults, and the ones that other items may do without.
    assert len(sections) < len(checks.subjects()) / 2, "sections that the inventory has no word of"


def test_an_item_that_the_inventory_lacks_imports_no_client(project: Path) -> None:
    modules, said = run(project, "--inventory", "prod", "--items", "golive.dns")
    assert verdict(project, "golive.dns") == "not_covered", said
    assert not below(modules, "pytest_deploygate.clients.postgres")


def test_a_run_that_gates_nothing_imports_nothing_of_ours(project: Path) -> None:
    (project / "suites" / "test_plain.py").write_text("def test_plain():\n    pass\n")
    modules, said = run(project)
    assert "1 passed" in said
    assert below(modules, "pytest_deploygate") == [
        "pytest_deploygate",
        "pytest_deploygate.hookspecs",
        "pytest_deploygate.plugin",
        "pytest_deploygate.startup",
    ]
    assert not below(modules, *CLIENTS, "pydantic", "jinja2", "rich", "yaml")


IMPORTS = """\
import importlib, json, pkgutil, sys
from pytest_deploygate import checks
found = []
for subject in checks.subjects():
    for part in {parts}:
        module = checks.part(subject, part)
        if module is None:
            continue
        found.append(module.__name__)
        for inner in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
            found.append(importlib.import_module(inner.name).__name__)
print(json.dumps([found, sorted(sys.modules)]))
"""


@pytest.mark.parametrize("parts", [["judge"], ["judge", "facts", "section"]])
def test_judges_facts_and_sections_import_no_client(tmp_path: Path, parts: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(parts=parts)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    found, modules = json.loads(done.stdout)
    assert {name.split(".")[2] for name in found if name.split(".")[3] == "judge"} == {
        subject for subject in checks.subjects() if checks.part(subject, "judge")
    }
    assert not below(set(modules), *CLIENTS, "testinfra", "pytest_deploygate.clients")
