"""A test bound to two items, like the load test: each has its own finding, and an unjudged one is not a pass."""

from __future__ import annotations

from project import Project

TWO = """
@pytest.mark.item("b.migrations", "b.tables")
def test_both(gate):
    {body}

@pytest.mark.item("b.notes")
def test_notes(gate):
    says(gate)
"""


def test_each_item_has_its_own_finding(project: Project) -> None:
    project.suite(
        TWO.format(
            body='says(gate, "fail", "slow", item="b.migrations"); says(gate, "pass", "quick", item="b.tables")'
        )
    )
    ran = project.run("-m", "phase2")
    assert ran.code == 1
    assert (project.verdict("b.migrations"), project.reason("b.migrations")) == ("fail", "slow")
    assert (project.verdict("b.tables"), project.reason("b.tables")) == ("pass", "quick")


def test_an_item_that_the_test_forgot_is_no_pass(project: Project) -> None:
    """Only one of the two was judged: the other is not covered, holds, and names the test."""
    project.suite(TWO.format(body='says(gate, item="b.migrations")'))
    ran = project.run("-m", "phase2")
    assert ran.code == 21, ran.text
    assert project.verdict("b.migrations") == "pass"
    assert project.verdict("b.tables") == "not_covered"
    assert "test_both" in project.reason("b.tables")


def test_an_item_that_the_test_is_not_bound_to_is_refused(project: Project) -> None:
    """A misspelt item ends as inconclusive for both, with the valid names."""
    project.suite(TWO.format(body='says(gate, item="b.tabels")'))
    ran = project.run("-m", "phase2")
    assert ran.code == 21, ran.text
    for item in ("b.migrations", "b.tables"):
        assert project.verdict(item) == "inconclusive"
        assert "not bound to b.tabels, but to b.migrations, b.tables" in project.reason(item)
