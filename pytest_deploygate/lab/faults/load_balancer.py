"""Faults of the load balancers: backends without requests or checks, checks that see nothing, ejection that users notice."""

from __future__ import annotations

import signal

from pytest_deploygate.lab import client
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import balancer
from pytest_deploygate.lab.state import Lab

_BACKENDS, _SHARES = "test_backends_and_their_checks", "test_shares"
_REDUNDANT, _DRILL = "test_balancer_is_redundant", "test_bad_backend_leaves"


def _fault(name: str, what: str, says: str, *tests: str, breaks: Change, heals: Change) -> Fault:
    return Fault(
        name,
        what,
        {"infra.load-balancer": "fail"},
        breaks,
        heals,
        says,
        tests,
        needs=(*balancer.BALANCERS, balancer.NGINX),
        scope="preflight and infrastructure",
    )


def _switched(name: str, what: str, says: str, *tests: str, **switches: object) -> Fault:
    def breaks(lab: Lab) -> None:
        balancer.change(lab, **switches)

    def heals(lab: Lab) -> None:
        balancer.restore(lab, *switches)

    return _fault(name, what, says, *tests, breaks=breaks, heals=heals)


def _told(name: str, what: str, says: str, balancers: tuple[str, ...], server: str, state: str) -> Fault:
    def breaks(lab: Lab) -> None:
        for each in balancers:
            balancer.tell(lab, each, f"set server web/{server} state {state}")

    def heals(lab: Lab) -> None:
        for each in balancers:
            balancer.tell(lab, each, f"set server web/{server} state ready")
        balancer.wait_whole(lab)

    return _fault(name, what, says, _BACKENDS, _SHARES, breaks=breaks, heals=heals)


def _start_second(lab: Lab) -> None:
    client.start(lab, "lb2")
    balancer.wait_whole(lab)


NO_CHECK = _switched(
    "lb-no-check",
    "web2 has no health check",
    "web2 on lb1 and lb2: no health check",
    _BACKENDS,
    unchecked="web2",
)
TCP_CHECK = _switched(
    "lb-tcp-check",
    "the health checks of HAProxy only see that the port accepts connections",
    "only sees that",
    _BACKENDS,
    _DRILL,
    checks="",
)
ANY_STATUS = _switched(
    "lb-check-accepts-all",
    "the health checks of HAProxy accept every status",
    "accepts every status",
    _BACKENDS,
    _DRILL,
    expect="rstatus ^[1-5]",
)
ALWAYS_GOOD = _switched(
    "lb-health-always-good",
    "the backends' health page answers 200 whether they can serve or not",
    "it always succeeds",
    _DRILL,
    health="always",
)
STARVED = _switched(
    "lb-backend-starved",
    "a rule left behind sends all requests to web1 and web2; web3 is up and gets nothing",
    "web3 got nothing",
    _SHARES,
    rule="use-server web1 if { rand(2) eq 0 }\n    use-server web2 if TRUE",
)
WEIGHTS = _switched(
    "lb-weights-equal",
    "the weights of HAProxy are equal, although web1 should get half of all requests",
    "declared web1 2, web2 1, web3 1",
    _BACKENDS,
    _SHARES,
    weights="10 10 10",
)
DRAIN = _told(
    "lb-backend-drained",
    "web2 is in DRAIN on one of two balancers, where somebody forgot it",
    "web2 on lb2: in DRAIN",
    ("lb2",),
    "web2",
    "drain",
)
MAINT = _told(
    "lb-backend-in-maintenance",
    "web2 is in MAINT on both balancers",
    "web2 on lb1 and lb2: in MAINT",
    ("lb1", "lb2"),
    "web2",
    "maint",
)
STAYS = _switched(
    "lb-backend-stays",
    "the health checks of HAProxy must fail a hundred times before a backend leaves, which takes 20 s",
    "stayed in rotation",
    _DRILL,
    fall=100,
)
ERRORS = _switched(
    "lb-errors-on-ejection",
    "HAProxy passes on the errors of a backend that turns bad instead of asking another one",
    "clients got an error while web3 left",
    _DRILL,
    retries=False,
)
CUT = _switched(
    "lb-cuts-running-requests",
    "HAProxy cuts the requests that run on a backend when its health turns bad",
    "did not end well",
    _DRILL,
    when_down="shutdown-sessions",
)
UNVERIFIED = _switched(
    "lb-backend-tls-unverified",
    "HAProxy does not verify the certificates of the backends",
    "its certificate is not verified, declared verified",
    _BACKENDS,
    verify="none",
)
NO_SLOW_START = _switched(
    "lb-no-slow-start",
    "a backend that returns gets its full share at once",
    "gets its full share at once",
    _BACKENDS,
    slow_start="",
)
NO_PASSIVE = _switched(
    "lb-nginx-no-check",
    "nginx counts no failed requests: max_fails is 0",
    "set `max_fails` above 0",
    _BACKENDS,
    max_fails=0,
)
ALONE = _fault(
    "lb-second-down",
    "the second HAProxy is down: nothing takes over from the first",
    "does not serve the pool",
    _REDUNDANT,
    breaks=lambda lab: client.stop(lab, "lb2", signal.SIGKILL),
    heals=_start_second,
)
