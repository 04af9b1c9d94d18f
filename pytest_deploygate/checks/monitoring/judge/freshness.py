"""Judges whether the samples of every target are fresh."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_deploygate.checks.monitoring.facts import Freshness, Newest
from pytest_deploygate.checks.monitoring.judge.clock import read_clock
from pytest_deploygate.checks.monitoring.judge.missed import note_missed
from pytest_deploygate.checks.monitoring.judge.started import just_started, not_yet
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.monitoring.section import Expected

_MOST = 5


def judge_freshness(freshness: Freshness, expected: Expected) -> Judgement:
    """Pass if the newest sample of each target is no older than two scrape intervals, and every expected target has some."""
    found = Collector(f"Prometheus at {freshness.url}", most=6)
    timely = read_clock(found, freshness.clock, expected.clock_tolerance)
    note_missed(found, freshness.missed)
    judged = [target for target in freshness.targets if target.job not in expected.may_be_down]
    stale: list[str] = []
    for target in judged:
        if said := _stale(target, expected, freshness, timely=timely):
            stale.append(said)
        elif target.interval_s is None:
            found.unknown(
                f"the scrape interval of {target.instance} of {target.job} is unknown: set `expected.scrape_interval`"
            )
    there = {(target.job, target.instance) for target in freshness.targets}
    for job in expected.targets:
        own = {instance for other, instance in there if other == job.job}
        stale += [
            f"{i} of {job.job} is no target, so it has no samples" for i in job.instances if i not in own
        ]
        if not own and not job.instances:
            stale.append(f"{job.job} has no target, so it has no samples")
    not_yet(found, freshness.running_s, *stale[:_MOST])
    if len(stale) > _MOST:
        found.note(f"{len(stale)} targets are not fresh: {'; '.join(stale[:30])}")
    wanted = len(judged) + sum(said.endswith("no samples") for said in stale)
    fresh = wanted - len(stale)
    if stale and just_started(freshness.running_s):
        found.read(Reading("targets with fresh samples", fresh))
    elif judged or stale:
        found.read(Reading("targets with fresh samples", fresh, "", f"≥ {wanted}", ok=not stale))
    oldest = [(target.newest_ago_s, target) for target in judged if target.newest_ago_s is not None]
    if oldest:
        ago_s, target = max(oldest, key=lambda one: one[0])
        found.read(Reading(f"oldest newest sample ({target.job} {target.instance})", round(ago_s, 1), "s"))
    names = {job.job for job in expected.targets}
    for name, number in sorted(freshness.unlooked.items()):
        said = f"{name} has {number} series, too many to look at them all: name a `metric` that each of its targets has"
        if name in names:
            found.unknown(said)
        else:
            found.note(said)
    return found.judgement(
        lambda: f"all {len(judged)} targets have samples of their last {expected.intervals:g} scrapes"
    )


def _stale(target: Newest, expected: Expected, freshness: Freshness, *, timely: bool) -> str:
    """Return why a target's samples are not fresh; nothing if they are."""
    where = f"{target.instance} of {target.job}"
    if target.up is None or math.isnan(target.up):
        return f"{where} was never scraped or is no longer: look at /targets"
    if target.up != 1:
        old = (
            f"; what is seen of it is {target.newest_ago_s:.0f} s old"
            if target.newest_ago_s is not None
            else ""
        )
        return f"{where} does not answer its scrapes as it should (up is {target.up:g}){old}: look at /targets for the error"
    if target.samples == 0:
        return f"{where} answers its scrapes with no sample: check its address and path"
    if target.interval_s is None or not timely:
        return ""
    limit_s = expected.intervals * target.interval_s
    if target.up_ago_s is None or target.up_ago_s > limit_s:
        ago = "never" if target.up_ago_s is None else f"{target.up_ago_s:.0f} s ago"
        return (
            f"{where} was last scraped {ago}, its interval is {target.interval_s:g} s: the server is behind"
        )
    if target.job in freshness.unlooked:
        return ""
    if target.newest_ago_s is None:
        return (
            f"{where} is scraped, but has no series: they are dropped, or older than 5 min by their own time"
        )
    if target.newest_ago_s > limit_s:
        return (
            f"the newest sample of {where} is {target.newest_ago_s:.0f} s old, more than {limit_s:g} s ({expected.intervals:g} "
            "scrape intervals): it is scraped, but tells old values with times of its own"
        )
    return ""
