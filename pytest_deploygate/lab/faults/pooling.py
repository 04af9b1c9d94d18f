"""Faults of the connection pooler."""

from __future__ import annotations

import re

from pytest_deploygate.lab import client, nodes
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import pooler
from pytest_deploygate.lab.state import Lab

_SCOPE = "preflight and database"


def _resize(size: int, reserve: int) -> Change:
    """Return a change of the pool's size in pgbouncer.ini, with the restart that empties the pools."""

    def change(lab: Lab) -> None:
        pooler.start(lab)
        text = pooler.where(lab).read_text()
        text = re.sub(r"default_pool_size = \d+", f"default_pool_size = {size}", text)
        text = re.sub(r"reserve_pool_size = \d+", f"reserve_pool_size = {reserve}", text)
        nodes.put(lab, pooler.where(lab), text)
        client.stop(lab, pooler.NAME)
        client.start(lab, pooler.NAME)

    return change


def _again(lab: Lab) -> None:
    client.stop(lab, pooler.NAME)
    pooler.start(lab)


DOWN = Fault(
    "pooler-down",
    "PgBouncer is down; the server behind it is well",
    {"db.pooling": "fail"},
    lambda lab: client.stop(lab, pooler.NAME),
    _again,
    says="pgbouncer is down",
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
ONE = Fault(
    "pool-size-one",
    "PgBouncer has a pool of one connection: everybody waits for everybody",
    {"db.pooling": "fail"},
    _resize(1, 0),
    _again,
    says="pool of 1",
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
TOO_LARGE = Fault(
    "pools-over-server-limit",
    "PgBouncer's pools may ask for more connections than the server takes",
    {"db.pooling": "fail"},
    _resize(50, 5),
    _again,
    says="too many clients",
    needs=(pooler.NAME,),
    scope=_SCOPE,
)
