"""`policy.time_limit`: a run ends in time, and what it left out is inconclusive and says so."""

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


def test_a_run_ends_when_its_time_limit_is_reached(project):
    """The test in progress is ended, the next does not start; both are inconclusive, and what was done counts."""
    project.inventory("name: prod\npolicy: {time_limit: 2s}\n")
    project.suite(SUITE)
    began = time.monotonic()
    ran = project.run("-m", "phase2")
    assert time.monotonic() - began < 15
    assert ran.code == 21
    assert project.verdict("b.migrations") == "pass"
    assert project.verdict("b.tables") == "inconclusive"
    assert "ended before it was done: the run's time limit of 2 s was reached" in project.reason("b.tables")
    assert project.verdict("b.notes") == "inconclusive"
    assert "left out: the run's time limit of 2 s was reached" in project.reason("b.notes")
    assert "--resume" in project.reason("b.notes")


def test_a_drill_is_not_ended_in_the_middle(project):
    """A disruptive test restores what it broke, however long that takes; what comes after it is left out."""
    project.inventory("name: prod\npolicy: {time_limit: 1s}\n")
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


def test_each_worker_keeps_to_the_time_limit(project):
    """With pytest-xdist the tests run in other processes, in their main thread."""
    project.inventory("name: prod\npolicy: {time_limit: 4s}\n")
    project.suite(SUITE)
    began = time.monotonic()
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert time.monotonic() - began < 25
    assert ran.code == 21, ran.text
    assert project.verdict("b.tables") == "inconclusive"
    assert "the run's time limit of 4 s was reached" in project.reason("b.tables")


@pytest.mark.parametrize("limit", ["", "policy: {time_limit: 10m}"])
def test_without_need_a_time_limit_changes_nothing(good, limit):
    good.inventory(f"name: prod\n{limit}\n")
    assert good.run("-m", "phase2").code == 0


def test_a_time_limit_that_is_no_duration_is_a_mistake_in_the_file(good):
    good.inventory("name: prod\npolicy: {time_limit: 10}\n")
    ran = good.run("-m", "phase2")
    assert ran.code == 4
    assert "inventories/prod.yml:2: policy.time_limit: " in ran.text


def test_the_old_name_of_the_key_is_accepted_and_said(good):
    good.inventory("name: prod\npolicy: {budget: 10m}\n")
    ran = good.run("-m", "phase2")
    assert ran.code == 0
    assert "policy.budget: this key was renamed to `time_limit`" in " ".join(ran.text.split())
