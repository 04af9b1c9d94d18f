"""Judges whether the databases' exporters see their databases, and whether the required metrics are fresh."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.monitoring.facts import Exporter, Exporters, Sampled
from pytest_deploygate.checks.monitoring.judge.clock import read_clock
from pytest_deploygate.checks.monitoring.judge.missed import note_missed
from pytest_deploygate.checks.monitoring.judge.started import just_started, not_yet
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading
from pytest_deploygate.problems import nearest

if TYPE_CHECKING:
    from pytest_deploygate.checks.monitoring.section import DatabaseExporters

_TOLERANCE = timedelta(seconds=5)


def judge_exporters(exporters: Exporters, wanted: DatabaseExporters) -> Judgement:
    """Pass if each exporter says that its database answers, without errors, and has all required metrics, fresh."""
    found = Collector(most=6)
    timely = read_clock(found, exporters.clock, _TOLERANCE)
    note_missed(found, exporters.missed)
    well = 0
    for exporter in exporters.exporters:
        said = _exporter(found, exporter, exporters, wanted, timely=timely)
        not_yet(found, exporters.running_s, *said, where=exporter.instance)
        well += not said
    number = len(exporters.exporters)
    found.read(
        Reading("exporters that see their database", well)
        if well < number and just_started(exporters.running_s)
        else Reading("exporters that see their database", well, "", f"≥ {number}", ok=well == number)
    )
    return found.judgement(
        lambda: (
            f"{number} exporters see their databases; {len(wanted.metrics)} required metrics are fresh on each"
        )
    )


def _exporter(
    found: Collector, exporter: Exporter, all_of_them: Exporters, wanted: DatabaseExporters, *, timely: bool
) -> list[str]:
    if exporter.scrape is None:
        return [
            f"no target of the job {wanted.job} has this instance{nearest(exporter.instance, all_of_them.known)}: add it to the "
            "scrape configuration"
        ]
    if exporter.scrape != 1:
        return [
            f"the exporter does not answer its scrapes (up is {exporter.scrape:g}): start it, or look at /targets"
        ]
    if exporter.interval_s is None:
        found.unknown(
            "its scrape interval is unknown, so how fresh its samples are is too", where=exporter.instance
        )
        return []
    limit_s = wanted.intervals * exporter.interval_s if timely else math.inf
    if said := _old(wanted.up, exporter.up, limit_s):
        return [said]
    if exporter.up.odd:
        found.unknown(f"{wanted.up} is {exporter.up.odd}, which is no number", where=exporter.instance)
        return []
    if exporter.up.value != 1:
        return [
            f"{wanted.up} is {exporter.up.value:g}: the exporter answers, but its database does not; check its address and role"
        ]
    wrong = []
    if wanted.failed and exporter.failed is not None:
        if said := _old(wanted.failed, exporter.failed, limit_s):
            wrong.append(said)
        elif exporter.failed.odd:
            found.unknown(
                f"{wanted.failed} is {exporter.failed.odd}, which is no number", where=exporter.instance
            )
        elif exporter.failed.value != 0:
            wrong.append(
                f"{wanted.failed} is {exporter.failed.value:g}: some of its queries fail, so metrics are missing; its log says which"
            )
    for selector, sampled in exporter.metrics.items():
        if said := _old(selector, sampled, limit_s):
            wrong.append(said)
        elif sampled.odd:
            found.unknown(f"{selector} is {sampled.odd}, which is no number", where=exporter.instance)
    return wrong


def _old(name: str, sampled: Sampled, limit_s: float) -> str:
    if not sampled.series or sampled.ago_s is None:
        return f"there is no series {name} in the last 10 min"
    if sampled.ago_s > limit_s:
        return f"the newest sample of {name} is {sampled.ago_s:.0f} s old, more than {limit_s:g} s"
    return ""
