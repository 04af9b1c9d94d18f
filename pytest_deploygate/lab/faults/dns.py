"""Faults of DNS."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.lab import client, drilling
from pytest_deploygate.lab.faults import Fault, keep_aside, put_back
from pytest_deploygate.lab.services import dns, edge
from pytest_deploygate.lab.state import HOST, Lab, LabError

_NEEDS = ("dns-primary", "edge")
_INFRASTRUCTURE = {"infra.dns-failover": "fail"}
_GOLIVE = {"golive.dns": "fail"}
_SCOPE = "preflight and infrastructure"


def _lag(lab: Lab) -> None:
    """Refuse zone transfers to the secondary, and change something."""
    dns.again(lab, dns.PRIMARY, transfer=False)
    dns.update(lab, (f"note.{dns.ZONE}", dns.TTL, "TXT", '"the secondary never gets this"'))


def _transfer_again(lab: Lab) -> None:
    dns.again(lab, dns.PRIMARY)
    dns.again(lab, dns.SECONDARY)
    dns.settle(lab)


def _ttl(lab: Lab, ttl: int) -> None:
    dns.point(lab, dns.FAILING_OVER, HOST, ttl=ttl)
    dns.settle(lab)
    dns.again(lab, dns.RESOLVER)


def _low_again(lab: Lab) -> None:
    """Lower the TTL and forget that it was high: in the lab the day of waiting is over."""
    _ttl(lab, dns.TTL)
    dns.forget_high(lab)


def _lame(lab: Lab) -> None:
    dns.again(lab, dns.SECONDARY, serve=False)


def _serve_again(lab: Lab) -> None:
    dns.again(lab, dns.SECONDARY)
    dns.settle(lab)


def _remember_old(lab: Lab) -> None:
    """Let the resolver cache the old answer for an hour, then switch."""
    dns.point(lab, dns.SWITCHED, dns.OLD, ttl=3600)
    dns.again(lab, dns.RESOLVER)
    dns.ask(lab, dns.RESOLVER, dns.SWITCHED, "A")
    dns.point(lab, dns.SWITCHED, HOST)
    dns.settle(lab)


def _forget(lab: Lab) -> None:
    dns.again(lab, dns.RESOLVER)


def _not_switched(lab: Lab) -> None:
    dns.point(lab, dns.SWITCHED, dns.OLD)
    dns.settle(lab)
    dns.again(lab, dns.RESOLVER)


def _switch(lab: Lab) -> None:
    dns.point(lab, dns.SWITCHED, HOST)
    dns.settle(lab)
    dns.again(lab, dns.RESOLVER)
    dns.forget_high(lab)


def _record(lab: Lab) -> Path:
    return Path(dns.values(lab)["dns.drill"])


def _drill_without_controller(lab: Lab) -> None:
    """Stop the controller that moves the name, and run the drill: the name stays."""
    keep_aside(_record(lab))
    client.stop(lab, dns.CONTROLLER)
    if drilling.fail_over_name(lab) == "good":
        raise LabError("the name failed over although its controller had stopped")


def _start_controller(lab: Lab) -> None:
    client.start(lab, dns.CONTROLLER)
    put_back(_record(lab))


LAGS = Fault(
    "dns-secondary-lags",
    "the secondary may no longer copy the zone and lags behind",
    _INFRASTRUCTURE,
    _lag,
    _transfer_again,
    says="serials differ",
    tests=("test_zone",),
    needs=_NEEDS,
    scope=_SCOPE,
)
LONG_TTL = Fault(
    "dns-ttl-86400",
    "app.lab.test has a TTL of a day",
    _INFRASTRUCTURE,
    lambda lab: _ttl(lab, 86400),
    _low_again,
    says="86400",
    tests=("test_name",),
    needs=_NEEDS,
    scope=_SCOPE,
)
LAME = Fault(
    "dns-lame-delegation",
    "the secondary does not serve the zone that is delegated to it",
    _INFRASTRUCTURE | _GOLIVE,
    _lame,
    _serve_again,
    says="lame",
    tests=(
        "test_zone",
        "test_name",
        "test_switched",
    ),
    needs=_NEEDS,
    scope=f"({_SCOPE}) or golive",
)
DEAD_STANDBY = Fault(
    "dns-dead-standby",
    "the standby site fails its health check",
    _INFRASTRUCTURE,
    lambda lab: edge.change(lab, standby_health=503),
    lambda lab: edge.restore(lab, "standby_health"),
    says="standby",
    tests=("test_name",),
    needs=_NEEDS,
    scope=_SCOPE,
)
DRILL_FAILED = Fault(
    "dns-failover-drill-failed",
    "the controller that moves app.lab.test has stopped: in the last drill the name stayed where it was",
    _INFRASTRUCTURE,
    _drill_without_controller,
    _start_controller,
    says="app.lab.test did not point to 127.0.0.2 in time",
    tests=("test_dns_failover",),
    needs=_NEEDS,
    scope=_SCOPE,
)
OLD_ANSWER = Fault(
    "dns-resolver-old-answer",
    "a resolver still has the old address of platform.lab.test cached, for an hour",
    _GOLIVE,
    _remember_old,
    _forget,
    says="resolver",
    tests=("test_switched",),
    needs=_NEEDS,
)
NOT_SWITCHED = Fault(
    "dns-not-switched",
    "platform.lab.test still points to the old system everywhere",
    _GOLIVE,
    _not_switched,
    _switch,
    says="still returns",
    tests=("test_switched",),
    needs=_NEEDS,
)
NEW_CERTIFICATE = Fault(
    "dns-new-address-wrong-certificate",
    "the new address shows the certificate of staging.lab.test",
    _GOLIVE,
    lambda lab: edge.change(lab, new="wrong-name"),
    lambda lab: edge.restore(lab, "new"),
    says="staging.lab.test",
    tests=("test_certificate_at_the_new_address",),
    needs=_NEEDS,
)
