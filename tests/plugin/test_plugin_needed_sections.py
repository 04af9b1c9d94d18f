"""Runs of a few items read the sections that these need; what they decide and record is the same."""

from __future__ import annotations

import pytest

from pytest_deploygate.inventory import loader

INVENTORY = """\
name: prod
database: {name: platform, user: gate, primary: 127.0.0.1, connect_timeout: 9s}
endpoints: [{name: app, host: app.example.com}]
hosts: {servers: [{name: db1, connection: ssh://db1.example.com}]}
uptime: {t0: "2026-12-01T02:30:00-05:00", targets: [{name: front, url: "https://app.example.com/"}], availability: 90}
"""
SUITE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.tables")
def test_tables(gate, hosts):
    says(gate, reason=hosts.servers[0].name)

@pytest.mark.item("b.notes")
def test_notes(gate, inventory):
    says(gate, reason=str(inventory.uptime.availability))
"""
#: What a test asks for in its body is not known before.
LATE = """
@pytest.mark.item("c.errors")
def test_errors(gate, request):
    says(gate, reason=request.getfixturevalue("sections").need("uptime").targets[0].name)
"""


@pytest.fixture
def known(project, monkeypatch, tmp_path):
    """A project whose inventory has been checked whole."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    project.inventory(INVENTORY)
    project.suite(SUITE)
    project.suite(LATE, "test_late.py")
    project.run()
    assert list((tmp_path / "caches").rglob("*.json"))
    return project


def recorded(project, *args):
    """Run, and return the subjects that the inventory was composed of at first, and what was recorded."""
    composed_of = []
    with pytest.MonkeyPatch.context() as patch:
        composed = loader.composed
        patch.setattr(loader, "composed", lambda subjects: composed_of.append(subjects) or composed(subjects))
        ran = project.run("--fresh", *args)
    found = project.verdicts()
    items = [(one["id"], one["verdict"], one["reason"], one["in_scope"]) for one in found["items"]]
    decision = {name: found["decision"][name] for name in ("rules", "scope")}
    return composed_of, (ran.code, items, decision, found["weakenings"])


@pytest.mark.parametrize(
    ("items", "read"),
    [
        ("b.migrations", [{"hosts"}]),
        ("b.tables", [{"hosts"}]),
        ("b.notes", [{"hosts"}, {"hosts", "tls", "uptime"}]),
        ("c.errors", [set(), {"hosts", "tls", "uptime"}]),
    ],
)
def test_an_item_alone_is_decided_as_if_the_whole_were_read(known, monkeypatch, tmp_path, items, read):
    """A file's tests are collected together. Also that of a test which reads a section that nothing says it needs: then the whole is read."""
    composed_of, found = recorded(known, "--items", items)
    assert [set(subjects) for subjects in composed_of] == read
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    composed_of, whole = recorded(known, "--items", items)
    assert [set(subjects) for subjects in composed_of] == [{"hosts", "tls", "uptime"}]
    assert found == whole
    assert "pass" in {verdict for item, verdict, *_ in found[1] if item == items}, found


def test_a_mistake_in_a_section_that_no_test_needs_ends_the_run_at_once(known):
    known.inventory(INVENTORY.replace("availability: 90", "availabilty: 90"))
    ran = known.run("--items", "b.migrations")
    assert ran.code == 4
    assert "inventories/prod.yml:5: uptime.availabilty: no such key; did you mean 'availability'?" in ran.text


def test_a_secret_that_is_gone_when_a_section_is_read_late_is_inconclusive(known, monkeypatch):
    """With the sentence of a run's start, and no traceback."""
    monkeypatch.setenv("DB_PASSWORD", "correct-horse")
    known.inventory(INVENTORY.replace("user: gate,", "user: gate, password: env:DB_PASSWORD,"))
    known.suite(
        SUITE.replace(
            "def test_notes(gate, inventory):\n",
            "def test_notes(gate, inventory):\n    os.environ.pop('DB_PASSWORD')\n",
        )
    )
    known.run()
    monkeypatch.setenv("DB_PASSWORD", "correct-horse")
    known.run("--items", "b.notes", "--fresh")
    assert known.verdict("b.notes") == "inconclusive"
    assert "the environment variable DB_PASSWORD is not set" in known.reason("b.notes")
