"""The CDN: assets come from its cache, whole and unchanged; nothing private does; and it is not poisoned.

A purge and a drill run alone: other tests fetch the same objects.
"""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.cdn import judge, probe


@pytest.mark.item("infra.cdn")
def test_asset(gate, cdn, cdn_asset, budget):
    """The asset is a hit, has the origin's content in each coding, and may be kept for as long as required."""

    def fetch():
        return probe.asset(cdn, cdn_asset, budget)

    gate.judge_confirmed(
        judge.judge_asset, fetch(), fetch, judge.Wanted(cdn, cdn_asset), target=cdn_asset.name
    )


@pytest.mark.item("infra.cdn")
def test_private_pages(gate, cdn, budget):
    """A page with a login is shown to its owner alone, and no shared cache may keep it."""

    def fetch():
        return probe.private(cdn, budget)

    gate.judge_confirmed(judge.judge_private, fetch(), fetch, cdn, target="private pages")


@pytest.mark.item("infra.cdn")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the tries on record")
def test_not_poisoned(gate, cdn, cdn_tried, inventory, budget, allow_disruptive):
    """Nothing that is no part of the cache's key reaches another user, and no private page is kept as a file."""
    found = probe.tries(cdn, cdn_tried, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_tries, found, cdn_tried, target="tries")


@pytest.mark.item("infra.cdn")
@pytest.mark.alone
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the purge on record")
def test_purge(gate, cdn, cdn_tried, cdn_purge, inventory, budget, allow_disruptive):
    """After a purge, every cache serves a new object in time."""
    found = probe.purged(cdn, cdn_tried, cdn_purge, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_purge, found, cdn_tried, target="purge")


@pytest.mark.item("infra.cdn")
@pytest.mark.alone
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the drill on record")
def test_origin_down(gate, cdn, cdn_tried, cdn_origin_down, inventory, budget, allow_disruptive):
    """Where stale answers are promised, the object is served while its origin is down."""
    found = probe.down(cdn, cdn_tried, cdn_origin_down, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_down, found, cdn_tried, target="origin down")
