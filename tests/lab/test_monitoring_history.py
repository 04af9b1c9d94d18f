"""Samples from before Prometheus' start, and what replaces them while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import prometheus_server
import pytest

from pytest_deploygate.clients import prometheus
from pytest_deploygate.lab.services.monitoring_history import samples

EVERY_S = 60
AGO_S = 6 * 3600


@pytest.fixture(scope="module")
def began() -> float:
    return time.time() - AGO_S


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, began: float) -> Iterator[prometheus_server.Server]:
    lines = [line for name in ("one", "two") for line in night(name, began, 0, AGO_S, 5.0)]
    with prometheus_server.running(tmp_path_factory.mktemp("prometheus"), lines) as found:
        yield found


def night(name: str, began: float, start_s: float, end_s: float, value: float) -> list[str]:
    times = [began + n * EVERY_S for n in range(round(start_s) // EVERY_S, round(end_s) // EVERY_S)]
    return samples("night", {"job": name}, [(at, value) for at in times])


def seen(server: prometheus_server.Server, name: str) -> list[float]:
    """Return the values that Prometheus has of a series."""
    found = prometheus.raw(server.settings, f'night{{job="{name}"}}', timedelta(hours=7))
    return [value for _, value in found[0].samples]


def test_history_is_there_from_the_start(server: prometheus_server.Server) -> None:
    assert seen(server, "one") == [5.0] * (AGO_S // EVERY_S)


def test_a_part_of_it_is_replaced_at_once_and_put_back(
    server: prometheus_server.Server, began: float
) -> None:
    all_of_it = AGO_S // EVERY_S
    within = (began + 3600 - 1, began + 7200 - 1)
    for _ in range(2):
        server.replace(['night{job="one"}'], within, [])
        assert len(seen(server, "one")) == all_of_it - 60
        assert len(seen(server, "two")) == all_of_it
        server.replace(['night{job="one"}'], within, night("one", began, 3600, 7200, 1234567.25))
        assert seen(server, "one").count(1234567.25) == 60
        server.replace(['night{job="one"}'], within, night("one", began, 3600, 7200, 5.0))
        assert seen(server, "one") == [5.0] * all_of_it
