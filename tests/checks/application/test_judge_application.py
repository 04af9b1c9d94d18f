"""Both judges, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_deploygate.checks.application import judge
from pytest_deploygate.checks.application.facts import Replicas
from pytest_deploygate.checks.application.section import Application
from pytest_deploygate.checks.stack.facts import (
    Deployed,
    Health,
    Replaced,
    Running,
    Seen,
    State,
    Told,
    Watched,
)
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.model import Judgement, Verdict

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
UP = Seen(State.UP, "1 running", "7@1", None, 3600.0)
DOWN = Seen(State.DOWN, "HTTP 503, expected 200")
URL = "http://app{}/version"
ENTRANCE = "https://app/version"


def replica(number: int) -> dict[str, Any]:
    return {
        "name": f"app{number}",
        "endpoint": {"url": URL.format(number)},
        "health": {"url": f"http://app{number}/readyz"},
    }


def application(**changes: Any) -> Application:
    app = {
        "name": "app",
        "version": "2.4.0",
        "replicas": [replica(1), replica(2)],
        "entrance": {"url": ENTRANCE},
        "needs": ["database"],
    }
    database = {"name": "database", "replicas": [{"name": "db1", "health": {"url": "http://db1/ready"}}]}
    return Application.model_validate({"services": [app | changes, database]})


def told(*versions: str | None, entrance: tuple[str | None, ...] = ("2.4.0", "2.4.0")) -> tuple[Told, ...]:
    replicas = [
        Told(f"app{n}", URL.format(n), version=version, why="" if version else "HTTP 502")
        for n, version in enumerate(versions, 1)
    ]
    behind = [
        Told("app, entrance", ENTRANCE, version=version, why="" if version else "HTTP 502")
        for version in entrance
    ]
    return (*replicas, *behind)


def judged(measurement: Replicas, criterion: Application) -> Judgement:
    return judge.judge_replicas(measurement, criterion)


def replicas(*versions: str | None, criterion: Application | None = None, **changes: Any) -> Judgement:
    entrance = changes.pop("entrance", ("2.4.0", "2.4.0"))
    health = changes.pop("health", None)
    deployed = Deployed(**{"versions": told(*versions, entrance=entrance), **changes})
    return judged(Replicas(deployed, health), criterion or application())


def test_as_many_as_expected():
    found = replicas("2.4.0", "2.4.0")
    assert (found.verdict, found.reason) == (Verdict.PASS, "app: 2 of 2 run 2.4.0")


def test_one_on_the_old_version():
    found = replicas("2.4.0", "2.3.9", entrance=("2.4.0", "2.3.9", "2.4.0"))
    assert found.verdict is Verdict.FAIL
    assert "app: app2: http://app2/version is 2.3.9, expected 2.4.0" in found.reason
    assert "is 2.3.9 in 1 of 3 answers" in found.reason


def test_an_old_one_that_only_the_load_balancer_knows():
    found = replicas("2.4.0", "2.4.0", entrance=("2.4.0", "2.3.9"))
    assert found.verdict is Verdict.FAIL
    assert "behind the load balancer" in found.reason


@pytest.mark.parametrize(
    ("versions", "entrance"),
    [
        (("2.4.0", None), ("2.4.0",)),
        (("2.4.0", "2.4.0"), ("2.4.0", None)),
        (("2.4.0", "2.4.0"), ()),
        (("2.4.0",), ("2.4.0",)),
    ],
)
def test_what_was_not_told_is_no_pass(versions, entrance):
    assert replicas(*versions, entrance=entrance).verdict is Verdict.INCONCLUSIVE


def test_fewer_than_expected():
    found = replicas("2.4.0", "2.4.0", criterion=application(expected=3))
    assert found.verdict is Verdict.FAIL
    assert "2 replicas run 2.4.0, expected 3: deploy the others" in found.reason


def pods(*digests: str, **changes: Any) -> Judgement:
    """Three pods are expected of a workload."""
    workload = {"name": "orders", "workload": "deployment/orders", "image": DIGEST}
    service = {"name": "orders", "replicas": [workload], "expected": 3}
    running = (
        Running("orders", "deployment/orders", "", tuple((digest,) for digest in digests) or None, "why"),
    )
    measurement = Replicas(Deployed(**{"images": running, **changes}), None)
    return judged(measurement, Application.model_validate({"services": [service]}))


def test_pods_of_a_workload():
    assert pods(DIGEST, DIGEST, DIGEST).verdict is Verdict.PASS
    assert "in 1 of 3 pods" in pods(DIGEST, OTHER, DIGEST).reason
    assert "2 replicas run what is named, expected 3: deploy the others" in pods(DIGEST, DIGEST).reason
    more = pods(DIGEST, DIGEST, DIGEST, DIGEST)
    assert more.verdict is Verdict.FAIL
    assert "an earlier release left?" in more.reason
    assert pods().verdict is Verdict.INCONCLUSIVE
    assert pods(images=()).verdict is Verdict.INCONCLUSIVE


def test_a_component_on_several_hosts_is_a_replica_on_each():
    service = {
        "name": "web",
        "version": "1.24",
        "replicas": [{"name": "nginx", "hosts": "web", "package": "nginx"}],
        "expected": 2,
    }
    criterion = Application.model_validate({"services": [service]})
    versions = tuple(Told("nginx", "package nginx", host, "1.24.1") for host in ("web1", "web2"))
    assert judged(Replicas(Deployed(versions), None), criterion).verdict is Verdict.PASS
    assert judged(Replicas(Deployed(versions[:1]), None), criterion).verdict is Verdict.FAIL
    silent = (("web2", Failure(Cause.DOWN, "no answer")),)
    assert (
        judged(Replicas(Deployed(versions[:1], silent=silent), None), criterion).verdict
        is Verdict.INCONCLUSIVE
    )


def watched(*reads: Seen, component: str = "app2", what: str = "process app") -> Health:
    return Health((Watched(component, what, "web2", reads),), 2.0)


def test_a_restart_loop():
    again = Seen(State.UP, "1 running", "8@2", None, 1.0)
    found = replicas("2.4.0", None, health=watched(UP, again, again))
    assert found.verdict is Verdict.FAIL
    assert "web2: app2 (process app): it was restarted while it was watched" in found.reason
    counted = Seen(State.UP, "running", "c@1", 7, 1.0)
    assert (
        "it restarts: 7 times so far" in replicas("2.4.0", "2.4.0", health=watched(counted, counted)).reason
    )


def test_one_that_was_just_started_is_judged_later():
    young = Seen(State.UP, "1 running", "7@1", None, 2.0)
    assert replicas("2.4.0", "2.4.0", health=watched(young, young)).verdict is Verdict.INCONCLUSIVE


def test_a_program_that_was_replaced_under_its_process():
    found = replicas("2.4.0", "2.4.0", replaced=(Replaced("app1", "web1", "/usr/bin/app"),))
    assert found.verdict is Verdict.FAIL
    assert "restart it" in found.reason


def ready(**reads: tuple[Seen, ...]) -> Judgement:
    return judge.judge_readiness(
        Health(tuple(Watched(name, f"http://{name}/ready", "", each) for name, each in reads.items()), 2.0),
        application(),
    )


def test_all_are_ready_in_order():
    found = ready(db1=(UP, UP), app1=(UP, UP), app2=(UP, UP))
    assert found.verdict is Verdict.PASS
    assert "ready in this order: database, app" in found.reason


def test_where_to_begin_comes_first():
    found = ready(db1=(DOWN, DOWN), app1=(DOWN, DOWN), app2=(UP, UP))
    assert found.verdict is Verdict.FAIL
    first, second = found.reason.index("database: db1"), found.reason.index("app: app1")
    assert first < second
    assert "app needs database, not ready either: begin there" in found.reason
    assert "begin there" not in ready(db1=(UP, UP), app1=(DOWN, DOWN), app2=(UP, UP)).reason


def test_a_service_that_nothing_was_seen_of():
    found = ready(app1=(UP, UP), app2=(UP, UP))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "database: nothing says whether db1 is ready" in found.reason


def test_one_read_that_saw_it_down():
    assert "it flaps" in ready(db1=(UP, UP), app1=(UP, DOWN), app2=(UP, UP)).reason


def test_a_replica_that_was_not_read_is_unknown():
    found = ready(db1=(UP, UP), app1=(UP, UP))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "app2" in found.reason
