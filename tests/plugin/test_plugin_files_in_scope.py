"""Files of a repository's own suite are imported only if they may contain a test in scope."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from project import Project

IMPORTED = "from pathlib import Path\nIMPORTED = (Path(__file__).parent / 'imported').touch()\n"
SERVERS = '@pytest.mark.item("a.servers")\ndef test_servers(gate):\n    says(gate)\n'
TABLES = '@pytest.mark.item("b.tables")\ndef test_tables(gate):\n    says(gate)\n'


def imported(project: Project, text: str, args: Sequence[str]) -> tuple[bool, str]:
    """Run with a file beside a good suite; return whether it was imported, and the output."""
    project.suite(IMPORTED + text, "test_servers.py")
    ran = project.run(*args)
    return (project.path / "suites" / "imported").exists(), ran.text


@pytest.mark.parametrize("args", [["-m", "phase2"], ["--items", "b.tables"], ["-m", "database", "suites"]])
def test_a_file_without_a_test_of_the_scope_is_not_imported(good: Project, args: list[str]) -> None:
    was, text = imported(good, SERVERS, args)
    assert not was, text
    assert good.verdict("b.tables") == "pass"


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (SERVERS, ["-m", "preflight"]),
        (SERVERS, []),
        (SERVERS + TABLES, ["-m", "phase2"]),
        (SERVERS + "def test_plain():\n    pass\n", ["-m", "phase2"]),  # a hook may add a phase's marker
        (SERVERS, ["-m", "phase2 or other"]),  # a marker of its own, which its tests may have
        (SERVERS, ["-m", "phase2", "suites/test_servers.py", "suites/test_suite.py"]),  # selected by name
    ],
)
def test_any_other_file_is_imported(good: Project, text: str, args: list[str]) -> None:
    ini = good.path / "pytest.ini"
    ini.write_text(ini.read_text() + "markers = other: of this project\n")
    was, said = imported(good, text, args)
    assert was, said


def test_a_file_that_is_not_imported_is_expected_where_its_items_are_in_scope(good: Project) -> None:
    """The record of a run still names its tests, so that a later run without it does not count as complete."""
    imported(good, SERVERS, ["-m", "phase2"])
    journal = (good.out / "journal.jsonl").read_text()
    assert '"suites/test_servers.py::test_servers"' in journal


def test_an_unknown_item_is_a_mistake_whatever_the_scope_is(good: Project) -> None:
    good.suite(SERVERS.replace("a.servers", "a.serverz"), "test_servers.py")
    ran = good.run("-m", "phase2")
    assert ran.code == 4, ran.text
    assert "no item 'a.serverz' in checklist.md; did you mean 'a.servers'" in ran.text


def test_other_names_of_tests_are_imported(good: Project) -> None:
    ini = good.path / "pytest.ini"
    ini.write_text(ini.read_text() + "python_functions = test check\n")
    was, said = imported(good, SERVERS + "def check_it():\n    pass\n", ["-m", "phase2"])
    assert was, said


def test_a_subjects_fixture_is_imported_when_it_is_used(project: Project) -> None:
    """From a conftest.py, by an argument and by name; pytest shows what each fixture is for."""
    (project.path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef mine(dns_observations):\n    return dns_observations\n"
        "@pytest.fixture\ndef named(request):\n    return request.getfixturevalue('change_folder')\n"
    )
    project.inventory("name: prod\ndns: {zone: example.com, servers: [192.0.2.1], observations: seen.json}\n")
    project.suite(
        '@pytest.mark.item("b.tables")\ndef test_both(gate, mine, named):\n'
        "    says(gate, reason=f'{mine.name} {named.name}')\n"
    )
    ran = project.run("-m", "phase2", "--items", "b.tables")
    assert project.reason("b.tables") == "seen.json local", ran.text
    listed = project.run("--fixtures").text
    assert "The file of earlier observations of TTLs" in listed
