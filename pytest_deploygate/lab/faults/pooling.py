"""Faults of the connection pooler."""

from __future__ import annotations

import re

from pytest_deploygate.lab import client, nodes
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import pooler
from pytest_deploygate.lab.state import Lab

_SCOPE = "preflight and database"


def configure(**settings: int | str) -> Change:
    """Return a change of settings in pgbouncer.ini, with the restart that empties the pools."""

    def change(lab: Lab) -> None:
        pooler.start(lab)
        text = pooler.where(lab).read_text()
        for name, value in settings.items():
            text = re.sub(rf"^{name} = .+$", f"{name} = {value}", text, flags=re.MULTILINE)
        nodes.put(lab, pooler.where(lab), text)
        client.stop(lab, pooler.NAME)
        client.start(lab, pooler.NAME)

    return change


def as_started(lab: Lab) -> None:
    """Start PgBouncer with the configuration that it came up with."""
    client.stop(lab, pooler.NAME)
    pooler.start(lab)


DOWN = Fault(
    "pooler-down",
    "PgBouncer is down; the server behind it is up",
    {"db.pooling": "fail"},
    lambda lab: client.stop(lab, pooler.NAME),
    as_started,
    says="pgbouncer is down",
    tests=(
        "test_pools_fit_the_server",
        "test_pooler_works",
        "test_more_clients_than_the_server_takes",
    ),
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
ONE = Fault(
    "pool-size-one",
    "PgBouncer has a pool of one connection: clients wait for each other",
    {"db.pooling": "fail"},
    configure(default_pool_size=1, reserve_pool_size=0),
    as_started,
    says="pool of 1",
    tests=("test_more_clients_than_the_server_takes",),
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
TOO_LARGE = Fault(
    "pools-over-server-limit",
    "PgBouncer's pools may open more connections than the server accepts",
    {"db.pooling": "fail"},
    configure(default_pool_size=50, reserve_pool_size=5),
    as_started,
    says="too many clients",
    tests=(
        "test_pools_fit_the_server",
        "test_more_clients_than_the_server_takes",
    ),
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
SESSION_MODE = Fault(
    "pooler-session-mode",
    "PgBouncer pools by session: each client holds a server connection until it leaves",
    {"db.pooling": "fail"},
    configure(pool_mode="session"),
    as_started,
    says="uses session pooling, expected transaction",
    tests=("test_pooler_works",),
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
