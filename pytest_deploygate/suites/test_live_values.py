"""Values on pages that change as their device's do."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.live_values import judge, probe


@pytest.mark.item("crit.realtime")
@pytest.mark.disruptive(otherwise="send readings where the inventory opts in")
def test_live_value(gate, live_value, browser, postgres_if_named, inventory, budget, allow_disruptive):
    """Each value that is caused appears on the page within the bound."""

    def look():
        return probe.watched(
            live_value, browser, postgres_if_named, inventory.name, budget, allowed=allow_disruptive
        )

    gate.judge_confirmed(judge.judge, look(), look, live_value)
