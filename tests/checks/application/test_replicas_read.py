"""Replicas for real: the lab's platform behind HAProxy, containers' and workloads' recordings are those of `stack`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platform_server
import pytest

from pytest_deploygate.checks.application import judge, probe
from pytest_deploygate.checks.application.section import Application
from pytest_deploygate.lab.services import platform as service
from pytest_deploygate.model import Judgement, NotCovered, Verdict


@pytest.fixture(scope="module")
def running(lab_place: Path) -> Iterator[platform_server.Running]:
    with platform_server.serving(lab_place / "rr", [service.REPLICAS[1]]) as platform:
        yield platform


@pytest.fixture
def platform(running: platform_server.Running) -> Iterator[platform_server.Running]:
    yield running
    running.as_started()


def application(platform: platform_server.Running, **keys: Any) -> Application:
    def replica(name: str) -> dict[str, Any]:
        own = f"http://127.0.0.1:{platform.lab.ports[name]}"
        return {
            "name": name,
            "hosts": "here",
            "process": Path(sys.executable).name,
            "arguments": platform.value(f"platform.process.{name}"),
            "endpoint": {"url": f"{own}/api/version", "field": "version"},
            "health": {"url": f"{own}/readyz", "contains": '"ready"'},
        }

    entrance = {"url": f"{platform.url}/api/version", "field": "version", "ca_file": platform.ca_file}
    services = [
        {
            "name": "platform",
            "version": service.VERSION,
            "replicas": [replica(name) for name in service.REPLICAS],
            "entrance": entrance,
            **keys,
        }
    ]
    return Application.model_validate({"services": services, "reads": 2, "every": "200ms", "steady": "100ms"})


def both(platform: platform_server.Running, **keys: Any) -> tuple[Judgement, Judgement]:
    wanted = application(platform, **keys)
    return (
        judge.judge_replicas(probe.replicas(wanted, None), wanted),
        judge.judge_readiness(probe.readiness(wanted, None), wanted),
    )


def test_both_replicas_run_and_are_ready(platform):
    replicas, ready = both(platform)
    assert (replicas.verdict, ready.verdict) == (Verdict.PASS, Verdict.PASS)
    assert replicas.reason == f"platform: 2 of 2 run {service.VERSION}"


def test_one_is_of_the_version_before(platform):
    platform.change(version={"platform2": "2.3.9"})
    replicas, ready = both(platform)
    # The load balancer has not seen both yet when it has just started, and takes out one that was slow on a busy machine.
    deadline = time.monotonic() + 30
    while "in 3 of 6 answers" not in replicas.reason and time.monotonic() < deadline:
        assert replicas.verdict is Verdict.FAIL
        replicas, ready = both(platform)
    assert (replicas.verdict, ready.verdict) == (Verdict.FAIL, Verdict.PASS)
    assert "is 2.3.9 in 3 of 6 answers" in replicas.reason, "as clients of the load balancer see it"


def test_one_is_not_ready(platform):
    platform.change(not_ready=["platform2"])
    replicas, ready = both(platform)
    assert (replicas.verdict, ready.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert "platform2" in ready.reason
    assert "HTTP 503" in ready.reason


def test_an_entrance_that_nobody_answers_at(platform):
    page = {"url": "http://127.0.0.1:9/version"}
    replicas, _ = both(platform, entrance=page)
    assert replicas.verdict is Verdict.INCONCLUSIVE
    assert "does not tell its version in 6 of 6 answers" in replicas.reason


def test_nothing_says_what_must_run():
    bare = {"name": "app", "replicas": [{"name": "app1", "health": {"url": "http://app1/readyz"}}]}
    with pytest.raises(NotCovered, match="no service of `application` says what must run"):
        probe.replicas(Application.model_validate({"services": [bare]}), None)
