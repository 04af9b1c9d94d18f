"""Every fault of what watches the platform changes exactly the items that it declares, over all items of its inventory."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shared_lab import shared_lab

from faults.breaking import (
    WATCHED,
    all_of,
    changes_exactly_what_it_declares,
    is_as_before,
    together_and_alone,
    when_healthy,
)
from pytest_deploygate.clients import prometheus
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lab import faults
from pytest_deploygate.lab.services import monitoring, portal
from pytest_deploygate.lab.state import HOST, Lab

#: What is missing in a Prometheus that runs no longer than a minute may still come, and is inconclusive.
SETTLED_S = 61


@pytest.fixture(scope="module")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab with Prometheus and what belongs to it; its drills are not needed."""
    for running in shared_lab(lab_place, "watched", profiles=[monitoring.PROFILE], drilled=False):
        if monitoring.PROMETHEUS not in running.ports:
            pytest.skip("this machine has no Prometheus")
        while runs_for_s(running) < SETTLED_S:
            time.sleep(0.5)
        yield running


def runs_for_s(lab: Lab) -> float:
    """How long Prometheus runs."""
    address = f"http://{HOST}:{lab.ports[monitoring.PROMETHEUS]}/api/v1/status/runtimeinfo"
    with urllib.request.urlopen(address, timeout=30) as answer:
        started = datetime.fromisoformat(json.load(answer)["data"]["startTime"].partition(".")[0] + "+00:00")
    return (datetime.now(UTC) - started).total_seconds()


@pytest.fixture(scope="module")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of that lab when nothing is broken."""
    return when_healthy(lab, run_gate)


@pytest.mark.parametrize("broken", together_and_alone("monitoring"))
def test_fault_changes_exactly_what_it_declares(
    broken: Sequence[faults.Fault], lab: Lab, healthy: Callable, run_gate: Callable
) -> None:
    changes_exactly_what_it_declares(broken, lab, healthy, run_gate)


def test_what_the_portal_is_given_joins_what_is_scraped_of_it(lab: Lab) -> None:
    """A restart between two samples that are far apart would be a doubt about what was counted."""
    began = time.time()
    portal.disturb(lab, 60.0)
    portal.as_before(lab)
    server = Prometheus(url=f"http://{HOST}:{lab.ports[monitoring.PROMETHEUS]}")
    for counter in (
        'http_requests_total{job="portal",code="200"}',
        'haproxy_frontend_http_responses_total{job="portal-balancer",proxy="portal",code="2xx"}',
    ):
        (series,) = prometheus.raw(server, counter, timedelta(minutes=2))
        pairs = itertools.pairwise((at.timestamp(), value) for at, value in series.samples)
        before, after = [(before, after) for (before, was), (after, value) in pairs if value < was][-1]
        assert after > began
        assert after - before < monitoring.EVERY_S + 0.1, counter


@pytest.mark.long  # the runs of later faults would show what an earlier one left
def test_lab_is_healthy_after_all_faults(lab: Lab, healthy: Callable, run_gate: Callable) -> None:
    scope, options = all_of(WATCHED)
    is_as_before(scope, lab, healthy, run_gate, options)
