"""`policy.budget`: a run ends in time, and what it left out is inconclusive and says so."""

from __future__ import annotations

import time

import pytest

SUITE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.tables")
def test_tables(gate):
    says(gate, item="b.tables")
    try:
        time.sleep(30)
    except Exception:
        says(gate, "fail", "a probe took the end of the run for an answer")

@pytest.mark.item("b.notes")
def test_notes(gate):
    says(gate)
"""


def test_a_run_ends_when_its_budget_is_used_up(project):
    """The test in progress is ended, the next does not start; both are inconclusive, and what was done counts."""
    project.inventory("name: prod\npolicy: {budget: 2s}\n")
    project.suite(SUITE)
    began = time.monotonic()
    ran = project.run("-m", "phase2")
    assert time.monotonic() - began < 15
    assert ran.code == 21
    assert project.verdict("b.migrations") == "pass"
    assert project.verdict("b.tables") == "inconclusive"
    assert "ended before it was done: the run's budget of 2 s was used up" in project.reason("b.tables")
    assert project.verdict("b.notes") == "inconclusive"
    assert "left out: the run's budget of 2 s was used up" in project.reason("b.notes")
    assert "--resume" in project.reason("b.notes")


def test_a_drill_is_not_ended_in_the_middle(project):
    """A disruptive test restores what it broke, however long that takes; what comes after it is left out."""
    project.inventory("name: prod\npolicy: {budget: 1s}\n")
    project.suite(
        """
        @pytest.mark.item("b.migrations")
        @pytest.mark.disruptive(otherwise="judge the record")
        def test_drill(gate):
            time.sleep(2)
            says(gate)

        @pytest.mark.item("b.tables", "b.notes")
        def test_after(gate):
            says(gate)
        """
    )
    project.run("-m", "phase2", "--allow-disruptive", "prod")
    assert project.verdict("b.migrations") == "pass"
    assert project.verdict("b.tables") == "inconclusive"


def test_each_worker_keeps_to_the_budget(project):
    """With pytest-xdist the tests run in other processes, in their main thread."""
    project.inventory("name: prod\npolicy: {budget: 4s}\n")
    project.suite(SUITE)
    began = time.monotonic()
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert time.monotonic() - began < 25
    assert ran.code == 21, ran.text
    assert project.verdict("b.tables") == "inconclusive"
    assert "the run's budget of 4 s was used up" in project.reason("b.tables")


@pytest.mark.parametrize("budget", ["", "policy: {budget: 10m}"])
def test_without_need_a_budget_changes_nothing(good, budget):
    good.inventory(f"name: prod\n{budget}\n")
    assert good.run("-m", "phase2").code == 0


def test_a_budget_that_is_no_duration_is_a_mistake_in_the_file(good):
    good.inventory("name: prod\npolicy: {budget: 10}\n")
    ran = good.run("-m", "phase2")
    assert ran.code == 4
    assert "inventories/prod.yml:2: policy.budget: " in ran.text
