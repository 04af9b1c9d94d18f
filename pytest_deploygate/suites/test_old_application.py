"""The old application works on the new schema."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.old_application import judge, probe


@pytest.mark.item("guard.n-minus-1")
def test_old_application_on_new_schema(gate, postgres, old_application):
    """Its recorded statements prepare on the new schema, what they insert is complete there, and its smoke checks pass."""
    gate.judge(judge.judge, probe.on_new_schema(postgres, old_application), old_application)
