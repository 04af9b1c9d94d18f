"""Resources: what is used now, when it is used up, and what was left at the busiest time."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.resources import judge, probe


@pytest.mark.item("golive.resources")
def test_resources_last(gate, prometheus, resources, resource):
    """Less than the limit is used now, and by the course of the window nothing is used up within the horizon."""
    found = probe.course(prometheus, resources, resource)
    gate.judge(judge.judge_use, found, judge.of_use(resources, resource), target=resource.name)


@pytest.mark.item("stab.resources")
def test_headroom(gate, prometheus, resources, resource):
    """At the busiest time of the window enough was left."""
    found = probe.peaks(prometheus, resources, resource)
    gate.judge(judge.judge_headroom, found, judge.of_headroom(resources, resource), target=resource.name)


@pytest.mark.item("golive.resources")
def test_control_groups(gate, control_group, inventory_hosts):
    """On each host the control group and those above it are not near a limit, hardly throttled, and nothing is killed."""
    gate.judge(
        judge.judge_groups,
        probe.control_groups(control_group, inventory_hosts),
        control_group,
        target=f"control group {control_group.name}",
    )
