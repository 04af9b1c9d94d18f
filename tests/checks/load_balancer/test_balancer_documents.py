"""Envoy's, Kubernetes' and a hook's JSON."""

from __future__ import annotations

import json

import pytest

from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import envoy, hook, kubernetes
from pytest_deploygate.checks.load_balancer.section import Envoy
from pytest_deploygate.model import CannotTell


def slices(*endpoints: dict) -> dict:
    return {"items": [{"endpoints": list(endpoints)}]}


def endpoint(pod: str, **conditions: bool) -> dict:
    return {"addresses": ["10.1.2.3"], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}}


def pods(**probes: dict | None) -> dict:
    return {
        "items": [
            {"metadata": {"name": name}, "spec": {"containers": [{"readinessProbe": probe} if probe else {}]}}
            for name, probe in probes.items()
        ]
    }


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ({"ready": True, "serving": True, "terminating": False}, State.IN),
        ({"ready": False, "serving": False, "terminating": False}, State.DOWN),
        ({"ready": False, "serving": True, "terminating": True}, State.DRAIN),
        ({}, State.IN),
    ],
)
def test_endpoints(conditions, state):
    found = kubernetes.of("svc", slices(endpoint("web-1", **conditions)), None)
    assert [(each.name, each.state, each.check) for each in found.members] == [("web-1", state, None)]
    assert found.lacking == ("readiness probes were not read: add `pods`",)


@pytest.mark.parametrize(
    ("probe", "kind", "always"),
    [
        (None, Kind.NONE, False),
        ({"httpGet": {"path": "/ready", "port": 80}}, Kind.HTTP, False),
        ({"tcpSocket": {"port": 80}}, Kind.TCP, False),
        ({"grpc": {"port": 80}}, Kind.HTTP, False),
        ({"exec": {"command": ["cat", "/tmp/ready"]}}, Kind.HTTP, False),
        ({"exec": {"command": ["/bin/true"]}}, Kind.HTTP, True),
        ({"exec": {"command": ["sh", "-c", "exit 0"]}}, Kind.HTTP, True),
    ],
)
def test_readiness_probes(probe, kind, always):
    found = kubernetes.of("svc", slices(endpoint("w")), pods(w=probe)).members[0].check
    assert (found.kind, bool(found.always)) == (kind, always)


def test_a_pod_with_addresses_of_two_families_is_one_backend():
    assert len(kubernetes.of("svc", slices(endpoint("w"), endpoint("w")), None).members) == 1


def test_a_service_without_endpoints():
    with pytest.raises(CannotTell, match="no endpoints"):
        kubernetes.of("svc", slices(), None)


WHOLE = {
    "name": "web1", "state": "in", "weight": 2, "requests": 7, "tls": "verified", "slow_start_s": 30,
    "check": {"kind": "http", "path": "/h", "accepts": "200-299"},
}  # fmt: skip


def test_a_hook():
    found = hook.of("cloud", {"backends": [WHOLE, {"name": "web2", "state": "drain"}]})
    one, other = found.members
    assert (one.state, one.weight, one.requests, one.tls, one.slow_start_s) == (
        State.IN,
        2.0,
        7,
        "verified",
        30.0,
    )
    assert (one.check.kind, one.check.accepts_errors) == (Kind.HTTP, ())
    assert (other.state, other.check, other.tls) == (State.DRAIN, None, None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": "drian"}, "state 'drian' of web1; did you mean 'drain'"),
        ({"tls": "yes"}, "tls 'yes' of web1"),
        ({"check": {"kind": "htpt"}}, "check kind 'htpt' of web1"),
    ],
)
def test_a_hook_with_another_word(changes, says):
    with pytest.raises(CannotTell) as error:
        hook.of("cloud", {"backends": [WHOLE | changes]})
    assert says in str(error.value)


def test_a_hook_whose_matcher_accepts_all():
    check = (
        hook.of("cloud", {"backends": [WHOLE | {"check": {"kind": "http", "accepts": "200-599"}}]})
        .members[0]
        .check
    )
    assert check.always == "its matcher is 200-599, which accepts every status"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("echo '{}'", "no `backends`"),
        ("echo no", "not JSON"),
        ("echo '[]'", "no JSON object"),
        ("echo broken >&2; exit 3", "exit code 3: broken"),
    ],
)
def test_a_hook_that_gives_nothing(command, says):
    with pytest.raises(CannotTell, match=says):
        hook.read("cloud", command)


def test_a_hook_that_prints_much():
    """More than what is shown of a command's output."""
    many = {"backends": [{"name": f"web{i}", "state": "in", "says": "x" * 100} for i in range(200)]}
    assert len(hook.read("cloud", f"cat <<'END'\n{json.dumps(many)}\nEND").members) == 200


def host(**more: object) -> dict:
    address = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}
    return {"address": address, "health_status": {"eds_health_status": "HEALTHY"}, "weight": 1} | more


def read_envoy(monkeypatch, hosts: list[dict], cluster: dict):
    answers = {
        "/clusters?format=json": {"cluster_statuses": [{"name": "web", "host_statuses": hosts}]},
        "/config_dump": {"configs": [{"static_clusters": [{"cluster": {"name": "web"} | cluster}]}]},
    }
    monkeypatch.setattr(envoy, "_get", lambda _settings, path: answers[path])
    return envoy.read("envoy", Envoy(admin="http://127.0.0.1:1", cluster="web")).members


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, State.IN),
        ({"health_status": {"failed_active_health_check": True, "eds_health_status": "HEALTHY"}}, State.DOWN),
        ({"health_status": {"failed_outlier_check": True}}, State.DOWN),
        ({"health_status": {"eds_health_status": "DRAINING"}}, State.DRAIN),
        ({"health_status": {"eds_health_status": "UNHEALTHY"}}, State.DOWN),
        ({"weight": 0}, State.DRAIN),
    ],
)
def test_hosts_of_envoy(monkeypatch, more, state):
    (found,) = read_envoy(monkeypatch, [host(**more)], {})
    assert (found.name, found.state, found.check.kind) == ("10.0.0.1:80", state, Kind.NONE)


TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def context(**validation: object) -> dict:
    typed = {"@type": TLS, "common_tls_context": {"validation_context": validation} if validation else {}}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}


@pytest.mark.parametrize(
    ("cluster", "kind", "accepted", "tls"),
    [
        ({"health_checks": [{"http_health_check": {"path": "/h"}}]}, Kind.HTTP, (), "none"),
        ({"health_checks": [{"tcp_health_check": {}}]}, Kind.TCP, (), "none"),
        (
            {"health_checks": [{"http_health_check": {"path": "/h", "expected_statuses": [{"start": "200", "end": "600"}]}}]},
            Kind.HTTP, (500, 502, 503, 504), "none",
        ),
        ({"outlier_detection": {}} | context(), Kind.PASSIVE, (), "unverified"),
        ({"health_checks": [{"grpc_health_check": {}}]} | context(trusted_ca={"filename": "/ca"}), Kind.HTTP, (), "verified"),
        (context(trusted_ca={"filename": "/ca"}, trust_chain_verification="ACCEPT_UNTRUSTED"), Kind.NONE, (), "unverified"),
    ],
)  # fmt: skip
def test_clusters_of_envoy(monkeypatch, cluster, kind, accepted, tls):
    (found,) = read_envoy(monkeypatch, [host()], cluster)
    assert (found.check.kind, found.check.accepts_errors, found.tls) == (kind, accepted, tls)
