"""Faults of authentication: what is open, whom the platform believes, and sessions and accounts that are not safe."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import platform

_INVENTORY = "lab-application"
_ITEMS = {"phase3.auth": "fail"}
_NEEDS = (*platform.REPLICAS, platform.BALANCER)


def _with(**switches: object) -> Change:
    return lambda lab: platform.change(lab, **switches)


OPEN = Fault(
    "auth-endpoint-open",
    "one operation of the API answers without a token",
    _ITEMS,
    _with(auth_open="/api/devices"),
    platform.as_started,
    says="GET /api/devices is open: it answers 200",
    tests=("test_tokens",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
NONE = Fault(
    "auth-alg-none",
    "the API believes tokens that say of themselves that they are not signed",
    _ITEMS,
    _with(auth_none_accepted=True),
    platform.as_started,
    says="a token with alg none is accepted by",
    tests=("test_tokens",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
FOREIGN = Fault(
    "auth-object-of-another-user",
    "an order is shown to users of another tenant",
    _ITEMS,
    _with(order_of_anybody=True),
    platform.as_started,
    says="GET /api/orders/{id} gives synthetic-b an object of synthetic-a",
    tests=("test_access",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
COOKIE = Fault(
    "auth-cookie-without-secure",
    "the session's cookie is set without Secure",
    _ITEMS,
    _with(cookie_insecure=True),
    platform.as_started,
    says="cookie session: is set without Secure",
    tests=("test_sessions_and_refused_logins",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
UNLOCKED = Fault(
    "auth-never-locked",
    "no number of wrong passwords locks an account",
    _ITEMS,
    _with(auth_never_locks=True),
    platform.as_started,
    says="is let in with the right password after 5 wrong passwords",
    tests=("test_lockout",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
