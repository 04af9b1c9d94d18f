"""Envoy: `/clusters?format=json` for states and counters, `/config_dump` for checks, TLS and slow start.

By the documented format (envoy.admin.v3.Clusters, envoy.config.cluster.v3.Cluster).
"""

from __future__ import annotations

from typing import Any

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import statuses
from pytest_deploygate.checks.load_balancer.probe.asking import TIMEOUT_S
from pytest_deploygate.checks.load_balancer.probe.documents import entry, number, objects, parsed
from pytest_deploygate.checks.load_balancer.section import Envoy
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.reach import at
from pytest_deploygate.model import CannotTell

PROGRAM = "Envoy"
_FAILED = ("failed_active_health_check", "failed_outlier_check", "pending_active_hc")
#: Load balancers of a cluster that can have slow start.
_SLOW = ("round_robin_lb_config", "least_request_lb_config")


def read(name: str, settings: Envoy) -> facts.Control:
    """Return what Envoy knows of a cluster's hosts. Raises CannotTell."""
    found = next(
        (
            each
            for each in objects(_get(settings, "/clusters?format=json"), "cluster_statuses")
            if each.get("name") == settings.cluster
        ),
        None,
    )
    if found is None:
        raise CannotTell(f"Envoy at {settings.admin} knows no cluster {settings.cluster!r}")
    lacking: tuple[str, ...] = ()
    configured: dict[str, Any] = {}
    try:
        configured = _configured(_get(settings, "/config_dump"), settings.cluster)
    except CannotTell as unknown:
        lacking = (str(unknown),)
    if not configured and not lacking:
        lacking = (f"`/config_dump` has no cluster {settings.cluster!r}",)
    members = tuple(_member(host, configured) for host in objects(found, "host_statuses"))
    return facts.Control(name, PROGRAM, members, lacking=lacking, group=settings.cluster)


def _get(settings: Envoy, path: str) -> dict[str, Any]:
    url = settings.admin.rstrip("/") + path
    limit_s = settings.timeout.total_seconds() if settings.timeout else TIMEOUT_S
    try:
        answer = sending.get(settings, url, limit_s)
    except OSError as error:
        raise CannotTell(f"Envoy at {url} cannot be asked: {sending.why(error)}") from None
    if answer.status_code != 200:
        raise CannotTell(f"Envoy at {url} answers {answer.status_code}")
    return parsed(answer.text, url)


def _configured(dump: dict[str, Any], cluster: str) -> dict[str, Any]:
    for part in objects(dump, "configs"):
        for kind in ("static_clusters", "dynamic_active_clusters"):
            for each in objects(part, kind):
                if entry(each, "cluster", "name") == cluster:
                    found: dict[str, Any] = each["cluster"]
                    return found
    return {}


def _member(host: dict[str, Any], cluster: dict[str, Any]) -> facts.Member:
    socket = entry(host, "address", "socket_address") or {}
    health = host.get("health_status") if isinstance(host.get("health_status"), dict) else {}
    stats = {each.get("name"): number(each.get("value", "0")) for each in objects(host, "stats")}
    bad = [name for name in _FAILED if entry(health, name)]
    given = str(entry(health, "eds_health_status") or "HEALTHY")
    state = State.IN
    if given == "DRAINING":
        state, bad = State.DRAIN, [given, *bad]
    elif bad or given in ("UNHEALTHY", "TIMEOUT"):
        state, bad = State.DOWN, bad or [given]
    elif number(host.get("weight", 1)) == 0:
        state, bad = State.DRAIN, ["weight 0"]
    count = stats.get("rq_total") or stats.get("cx_total")
    return facts.Member(
        at(str(socket.get("address", "")), socket.get("port_value", 0)),
        state,
        ", ".join(bad),
        number(host.get("weight", 1)),
        _check(cluster) if cluster else None,
        _tls(cluster) if cluster else None,
        _slow_start_s(cluster) if cluster else None,
        None if count is None else int(count),
    )


def _check(cluster: dict[str, Any]) -> facts.Check:
    """Return the most telling of a cluster's checks."""
    found = [_one(each) for each in objects(cluster, "health_checks")]
    if found:
        order = (Kind.HTTP, Kind.TLS, Kind.TCP)
        return min(found, key=lambda each: (bool(each.always), order.index(each.kind)))
    return facts.Check(Kind.PASSIVE if "outlier_detection" in cluster else Kind.NONE)


def _one(check: dict[str, Any]) -> facts.Check:
    if (http := entry(check, "http_health_check")) is not None:
        ranges = [
            (number(each.get("start")) or 0, number(each.get("end")) or 0)
            for each in objects(http, "expected_statuses")
        ]
        # `end` is not part of a range. Without any only 200 is healthy.
        accepted = statuses.accepted_errors(
            [lambda status: any(low <= status < high for low, high in ranges)]
        )
        always = "`expected_statuses` has every error" if accepted == statuses.ERRORS else ""
        return facts.Check(Kind.HTTP, str(entry(http, "path") or "/"), accepted, always)
    if entry(check, "grpc_health_check") is not None:
        return facts.Check(Kind.HTTP, says="gRPC")
    tcp = entry(check, "tcp_health_check") or {}
    return facts.Check(
        Kind.HTTP if objects(tcp, "receive") or entry(check, "custom_health_check") else Kind.TCP
    )


def _tls(cluster: dict[str, Any]) -> str:
    typed = entry(cluster, "transport_socket", "typed_config")
    if typed is None or "Tls" not in str(entry(typed, "@type")):
        return "none"
    common = entry(typed, "common_tls_context") or {}
    contexts = [
        entry(common, "validation_context"),
        entry(common, "combined_validation_context", "default_validation_context"),
    ]
    named = entry(common, "validation_context_sds_secret_config") or entry(
        common, "combined_validation_context", "validation_context_sds_secret_config"
    )
    trusts = any(
        isinstance(each, dict)
        and (
            each.keys()
            & {"trusted_ca", "system_root_certs", "verify_certificate_hash", "verify_certificate_spki"}
        )
        and each.get("trust_chain_verification") != "ACCEPT_UNTRUSTED"
        for each in contexts
    )
    return "verified" if trusts or named else "unverified"


def _slow_start_s(cluster: dict[str, Any]) -> float:
    for each in _SLOW:
        text = entry(cluster, each, "slow_start_config", "slow_start_window")
        if isinstance(text, str):
            return number(text.removesuffix("s")) or 0.0
    return 0.0
