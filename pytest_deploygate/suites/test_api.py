"""The API answers as its own document says."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.api import judge, probe


@pytest.mark.item("phase3.api")
def test_api(gate, api, inventory, budget, allow_disruptive):
    """Every safe operation answers as documented: status, content type, schema, errors; others only in a synthetic tenant."""
    found = probe.answers(api, budget, inventory.name, allowed=allow_disruptive)
    gate.judge(judge.judge, found, api)
