"""Judges Grafana: its database, the dashboards that people need, and its data sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.monitoring.facts import GrafanaFacts
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.monitoring.section import Grafana


def judge_grafana(there: GrafanaFacts, wanted: Grafana) -> Judgement:
    """Pass if its database is well, every dashboard is there with a panel, and every data source is healthy."""
    found = Collector(f"Grafana at {there.url}", most=6)
    if there.database != "ok":
        found.wrong(f"its database is {there.database}: look at its log")
    boards = [name for name, panels in there.dashboards.items() if isinstance(panels, int) and panels]
    for name, panels in there.dashboards.items():
        if isinstance(panels, str):
            found.wrong(f"the dashboard {name} is missing ({panels}): import it, or correct its UID")
        elif not panels:
            found.wrong(f"the dashboard {name} has no panel, so nobody sees anything on it")
    number = len(wanted.dashboards)
    found.read(Reading("dashboards there", len(boards), "", f"≥ {number}", ok=len(boards) == number))
    if not there.data_sources:
        found.unknown("it has no data source, so its dashboards show nothing")
        return found.judgement(str)
    healthy = [name for name, state in there.data_sources.items() if state == "OK"]
    for name, state in there.data_sources.items():
        if state != "OK":
            found.wrong(f"the data source {name} is not healthy: {state}")
    number = len(there.data_sources)
    found.read(Reading("data sources healthy", len(healthy), "", f"≥ {number}", ok=len(healthy) == number))
    return found.judgement(
        lambda: (
            f"Grafana {there.version} has {len(boards)} dashboards; {len(healthy)} data sources are healthy"
        )
    )
