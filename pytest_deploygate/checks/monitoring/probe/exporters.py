"""Observes the databases' exporters through Prometheus: their own words about the database, and the required metrics."""

from __future__ import annotations

import math
from datetime import timedelta

from pytest_deploygate.checks.monitoring.facts import Clock, Exporter, Exporters, Sampled, Target
from pytest_deploygate.checks.monitoring.probe import told
from pytest_deploygate.checks.monitoring.section import DatabaseExporters
from pytest_deploygate.clients import prometheus, scrapes
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell

#: How far back samples are looked for: of older ones only their absence is said.
_LOOKED = timedelta(minutes=10)


def exporters(asked: Prometheus, section: DatabaseExporters) -> Exporters:
    """Return the newest samples of each declared exporter. Raises CannotTell."""
    missed = scrapes.missed(asked)
    now_s, low_s, high_s = prometheus.clock(asked)
    targets = _targets(asked, now_s)
    intervals = {target.instance: target.interval_s for target in targets}
    up = {
        sample.labels.get("instance", ""): sample.value
        for sample in prometheus.finite(asked, f'up{{job="{_quoted(section.job)}"}}')
    }
    scraped = any(target.scraped_ago_s is not None for target in targets)
    if scraped and not up and not prometheus.finite(asked, "count(up)"):
        raise told.no_samples(asked)

    def sampled(selector: str, instance: str) -> Sampled:
        own = f'job="{_quoted(section.job)}", instance="{_quoted(instance)}"'
        name, _, more = selector.partition("{")
        matchers = f"{more.rstrip('}')}, {own}" if more else own
        found = prometheus.raw(asked, f"{name}{{{matchers}}}", _LOOKED)
        newest = [series.samples[-1] for series in found if series.samples]
        if not newest:
            return Sampled(0)
        at, value = max(newest, key=lambda sample: sample[0])
        now = [value for moment, value in newest if moment == at]
        odd = next((value for value in now if not math.isfinite(value)), None)
        return Sampled(len(newest), value, max(0.0, now_s - at.timestamp()), "" if odd is None else str(odd))

    return Exporters(
        asked.url,
        Clock(low_s, high_s),
        tuple(
            Exporter(
                instance,
                up.get(instance),
                sampled(section.up, instance),
                sampled(section.failed, instance) if section.failed else None,
                {selector: sampled(selector, instance) for selector in section.metrics},
                intervals.get(instance),
            )
            for instance in section.instances
        ),
        tuple(sorted(up)),
        _running_s(asked, now_s),
        missed,
    )


def _running_s(asked: Prometheus, now_s: float) -> float | None:
    """Return for how long the server runs; None where it does not tell."""
    try:
        return told.running_s(prometheus.api(asked, "status/runtimeinfo"), now_s)
    except CannotTell:
        return None


def _targets(asked: Prometheus, now_s: float) -> tuple[Target, ...]:
    """Return the targets, with their scrape intervals; none where the server does not tell them."""
    try:
        return told.targets(prometheus.api(asked, "targets", {"state": "active"}), now_s)
    except CannotTell:
        return ()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
