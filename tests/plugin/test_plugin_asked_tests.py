"""Which tests a checklist asks: none for an item that does not apply or a line left out, and those that a line borrows."""

from __future__ import annotations

import json

import pytest
from project import CHECKLIST, Project

NOT_APPLICABLE = """\
name: prod
not_applicable:
  - {item: b.migrations, reason: the schema is another team's, owner: technical-lead}
"""
#: Breaks when it is imported or run: what is asked no test must do neither.
BROKEN = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    raise AssertionError("asked")
"""
OTHERS = """
@pytest.mark.item("b.tables", "b.notes")
def test_others(gate):
    says(gate)
"""


def ran_tests(project: Project) -> set[str]:
    lines = (project.out / "journal.jsonl").read_text().splitlines()
    bodies = [json.loads(line) for line in lines]
    return {body["test"] for body in bodies if body["kind"] == "test"}


def test_an_item_that_does_not_apply_asks_no_test_and_is_decided(project: Project) -> None:
    project.inventory(NOT_APPLICABLE)
    project.suite(BROKEN + OTHERS)
    ran = project.run("-m", "phase2")
    assert ran.code == 0, ran.text
    assert project.verdict("b.migrations") == "not_applicable"
    assert project.reason("b.migrations") == "the schema is another team's (decided by: technical-lead)"
    assert ran_tests(project) == {"suites/test_suite.py::test_others"}


def test_a_file_of_tests_that_are_asked_nothing_is_not_imported(project: Project) -> None:
    project.inventory(NOT_APPLICABLE)
    project.suite(OTHERS)
    (project.path / "suites" / "test_gone.py").write_text(
        'import pytest, nowhere\n\n@pytest.mark.item("b.migrations")\ndef test_gone(gate):\n    pass\n'
    )
    assert project.run("-m", "phase2").code == 0


def test_a_test_of_two_items_is_asked_about_the_one_that_applies(project: Project) -> None:
    project.inventory(NOT_APPLICABLE)
    project.suite(
        OTHERS
        + """
@pytest.mark.item("b.migrations", "b.tables")
def test_both(gate):
    says(gate, "fail", "slow", item="b.migrations")
    says(gate, "pass", "quick", item="b.tables")
"""
    )
    ran = project.run("-m", "phase2")
    assert ran.code == 0, ran.text
    assert (project.verdict("b.migrations"), project.verdict("b.tables")) == ("not_applicable", "pass")


def test_workers_ask_no_test_either(project: Project) -> None:
    project.inventory(NOT_APPLICABLE)
    project.suite(BROKEN + OTHERS)
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert ran.code == 0, ran.text
    assert ran_tests(project) == {"suites/test_suite.py::test_others"}


@pytest.mark.parametrize("braces", [".automated", ".manual", ".hybrid", ".documented"])
def test_items_of_every_kind_can_be_not_applicable(project: Project, braces: str) -> None:
    (project.path / "suites" / "checklist.md").write_text(
        CHECKLIST.replace("{#b.migrations .automated .critical}", f"{{#b.migrations {braces}}}")
    )
    project.inventory(NOT_APPLICABLE)
    project.suite((BROKEN if braces in (".automated", ".hybrid") else "") + OTHERS)
    assert project.run("-m", "phase2").code == 0
    assert project.verdict("b.migrations") == "not_applicable"


def test_a_scope_of_which_nothing_applies_is_no_go_and_says_why(project: Project) -> None:
    project.inventory(NOT_APPLICABLE)
    project.suite(BROKEN)
    assert project.run("--items", "b.migrations").code == 21
    assert "the inventory declares that none of them applies" in project.because()


def test_no_phase_waits_for_one_of_which_nothing_applies(project: Project) -> None:
    entries = "".join(
        f"  - {{item: {item}, reason: rented platform, owner: technical-lead}}\n"
        for item in ("a.servers", "a.tls")
    )
    project.inventory(f"name: prod\nnot_applicable:\n{entries}")
    project.suite(OTHERS + '\n@pytest.mark.item("b.migrations")\ndef test_m(gate):\n    says(gate)\n')
    ran = project.run("-m", "phase2", "--change", "CHG-1")
    assert ran.code == 0, ran.text


def shipped_checklist(project: Project, *lines: str) -> None:
    (project.path / "suites" / "checklist.md").write_text("\n".join(("# Data {#phase2}", *lines, "")))


def test_tests_of_a_line_that_was_left_out_are_left_out_in_one_line(project: Project) -> None:
    shipped_checklist(project, "- [ ] Migrations {#phase2.migrations .critical}")
    project.suite(
        """
@pytest.mark.item("phase2.tables")
def test_of_a_line_that_is_gone(gate):
    raise AssertionError("asked")

@pytest.mark.item("phase2.migrations")
def test_migrations(gate):
    says(gate)
"""
    )
    ran = project.run("-m", "phase2")
    assert ran.code == 21, ran.text  # the shipped test of the line that is left finds no database
    said = [line for line in ran.text.splitlines() if line.startswith("checklist: without")]
    assert len(said) == 1
    assert said[0].endswith("shipped items: all 8 of infra, all 8 of db, all 8 of sec and 99 more")
    assert not any("gone" in test for test in ran_tests(project))
    weakenings = [w for w in project.verdicts()["weakenings"] if "without" in w]
    assert len(weakenings) == 2  # beside the line that is left, and everywhere else
    assert any("phase2.tables, " in said for said in weakenings)


def test_an_unknown_id_is_still_a_mistake(project: Project) -> None:
    shipped_checklist(project, "- [ ] Migrations {#phase2.migrations .critical}")
    project.suite('@pytest.mark.item("phase2.tabels")\ndef test_it(gate):\n    says(gate)\n')
    ran = project.run("-m", "phase2")
    assert (ran.code, "no item 'phase2.tabels'" in ran.text) == (4, True), ran.text


def test_a_shipped_item_without_a_line_may_be_not_applicable(project: Project) -> None:
    """An inventory may serve several checklists."""
    project.inventory("name: prod\nnot_applicable: [{item: infra.cdn, reason: no CDN here, owner: lead}]\n")
    project.suite(BROKEN.replace('raise AssertionError("asked")', "says(gate)") + OTHERS)
    assert project.run("-m", "phase2").code == 0


def test_a_borrowed_check_is_not_applicable_by_the_name_of_its_line(project: Project) -> None:
    shipped_checklist(project, "- [ ] Ours {#before.backup check=infra.backup-system}")
    entry = "not_applicable: [{item: infra.backup-system, reason: no backups here, owner: lead}]\n"
    project.inventory(f"name: prod\n{entry}")
    ran = project.run("-m", "phase2")
    assert (ran.code, "name before.backup" in ran.text) == (4, True), ran.text


def test_a_line_borrows_a_shipped_check(project: Project) -> None:
    shipped_checklist(project, "- [ ] Somebody can restore {#before.backup check=infra.backup-system}")
    ran = project.run("-m", "phase2")
    (item,) = [i for i in project.verdicts()["items"] if i["in_scope"]]
    assert (ran.code, item["id"], item["verdict"]) == (21, "before.backup", "not_covered")
    assert {t["test"].partition("::")[0] for t in item["targets"]} == {
        "pytest_deploygate/suites/test_backups.py"
    }
    assert "checklist: without" not in ran.text


def test_a_line_borrows_a_check_of_the_repository(project: Project) -> None:
    shipped_checklist(project, "- [ ] A {#ours.a}", "- [ ] B {#ours.b check=ours.a .critical}")
    project.suite('@pytest.mark.item("ours.a")\ndef test_a(gate):\n    says(gate, item="ours.a")\n')
    assert project.run("-m", "phase2").code == 0
    assert (project.verdict("ours.a"), project.verdict("ours.b")) == ("pass", "pass")


def test_an_attestation_speaks_for_its_own_line_alone(project: Project) -> None:
    shipped_checklist(project, "- [ ] Pentest {#sec.pentest}", "- [ ] Ours {#ours.pentest check=sec.pentest}")
    ran = project.run("-m", "phase2")
    assert ran.code == 21, ran.text
    targets = {i["id"]: {t["test"] for t in i["targets"]} for i in project.verdicts()["items"]}
    assert targets == {
        "sec.pentest": {"checklist.md::sec.pentest"},
        "ours.pentest": {"checklist.md::ours.pentest"},
    }


def test_a_borrowed_check_that_does_not_exist_is_a_mistake(project: Project) -> None:
    shipped_checklist(project, "- [ ] Ours {#before.backup check=infra.backup-systm}")
    ran = project.run("-m", "phase2")
    assert ran.code == 4
    assert "checklist.md:2: no check 'infra.backup-systm' to borrow; did you mean 'infra.backup-system'?" in (
        ran.text
    )
