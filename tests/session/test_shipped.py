"""The shipped suites: every fixture that their tests request exists."""

from __future__ import annotations

from pytest_deploygate.inventory import sections
from pytest_deploygate.session import fixtures, shipped


def test_every_argument_of_a_shipped_test_is_a_section_or_a_fixture():
    """A section whose field lost its name would make a test fail in setup, as inconclusive."""
    known = {
        *sections.declared(),
        *fixtures.declared(),
        "capsys",
    }  # a plan is printed before a drill disturbs
    unknown = {f.test: set(f.arguments) - known for f in shipped.functions() if set(f.arguments) - known}
    assert unknown == {}
    assert len(list(shipped.functions())) > 40
