"""A drill through Patroni begins when Patroni would promote somebody."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from served_site import Answer, site

from pytest_deploygate.checks.replication.probe.managed import managers
from pytest_deploygate.checks.replication.probe.managed.managers import OfPatroni
from pytest_deploygate.fields.patroni import Patroni

#: As Patroni 3.0 answers, without the keys that are not read.
LEADER = {"name": "db1", "role": "leader", "state": "running"}
REPLICA = {"name": "db2", "role": "replica", "state": "streaming"}
NOTED = {"name": "db2", "role": "sync_standby", "state": "streaming"}
QUORUM = {"name": "db2", "role": "quorum_standby", "state": "streaming"}
NOBODY = "Patroni has noted no synchronous standby, so that it would promote none: see `patronictl list`"


def refusal(config: object, cluster: object) -> str:
    def said(document: object) -> Answer | Callable[[BaseHTTPRequestHandler], Answer]:
        return document if callable(document) else Answer(json.dumps(document), kind="application/json")

    with site({"/config": said(config), "/cluster": said(cluster)}) as found:
        patroni = Patroni.model_validate({"members": [{"name": "db1", "url": found.url}]})
        return OfPatroni(patroni).refusal()


@pytest.mark.parametrize(
    ("config", "members", "why"),
    [
        ({"synchronous_mode": True}, [LEADER, NOTED], ""),
        ({"synchronous_mode": "quorum"}, [LEADER, QUORUM], ""),
        ({"synchronous_mode": False}, [LEADER, REPLICA], ""),
        ({"synchronous_mode": "off"}, [LEADER, REPLICA], ""),
        ({}, [LEADER, REPLICA], ""),
        ({"synchronous_mode": True, "pause": True}, [LEADER, NOTED], "Patroni is paused: `patronictl resume` first"),
        ({"synchronous_mode": True}, [LEADER, REPLICA], NOBODY),
        ({"synchronous_mode": "quorum"}, [LEADER, REPLICA], NOBODY),
        ({"synchronous_mode": True}, [], NOBODY),
        ({"synchronous_mode": True}, "none", NOBODY),
        ({"synchronous_mode": True}, ["db2"], NOBODY),
    ],
)  # fmt: skip
def test_who_would_be_promoted(monkeypatch, config, members, why):
    monkeypatch.setattr(managers, "_READY_S", 0.0)
    assert refusal(config, {"members": members}) == why


def test_it_waits_until_patroni_has_noted_who_is_synchronous():
    """After a switchover that takes some of Patroni's loops: a leader that fails meanwhile has no successor."""
    left = [REPLICA, NOTED]

    def cluster(_request: BaseHTTPRequestHandler) -> Answer:
        return Answer(json.dumps({"members": [LEADER, left.pop(0)]}), kind="application/json")

    assert refusal({"synchronous_mode": True}, cluster) == ""
    assert left == []


@pytest.mark.parametrize("status", [401, 403, 503])
def test_what_cannot_be_asked_is_said(status):
    """Without permission, too: where the REST API asks for a certificate or a password."""
    said = refusal({"synchronous_mode": True}, lambda _request: Answer("{}", status, kind="application/json"))
    assert said == f"Patroni cannot be asked for /cluster: db1 answers {status} to /cluster"


@pytest.mark.parametrize("body", ["", "not JSON", "[]", "null"])
def test_an_answer_that_is_not_patronis_is_a_refusal(body):
    said = refusal({"synchronous_mode": True}, lambda _request: Answer(body, kind="application/json"))
    assert said.startswith("Patroni cannot be asked for /cluster: http://127.0.0.1:")
    assert said.endswith("answers 200 with what is no JSON object: is it Patroni's REST API?")
