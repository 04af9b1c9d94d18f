"""The pressure test of a pooler: for a given time, more clients than the server accepts run statements at once.

It does not start if the pools could open more connections than the server has: other clients would be refused.
Each client connects, runs `pg_sleep(hold)` until the time is up, and disconnects; meanwhile the server connections
of the test are counted. Nothing is written.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from datetime import timedelta
from typing import Any

import psycopg

from pytest_deploygate.checks.pooling.facts import Capacity, PressureFacts
from pytest_deploygate.checks.pooling.probe.console import capacity, login
from pytest_deploygate.checks.pooling.section import Pooler, Pooling, Pressure
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag, reach, stopping
from pytest_deploygate.clients.budget import Budget, Ended, Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.clients.postgres import beside
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.cutting import cutting
from pytest_deploygate.drills import record as drills
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for
from pytest_deploygate.redaction import redact

Evidence = drills.Evidence[PressureFacts]
_LONGEST = timedelta(seconds=60)
#: PgBouncer passes a client's application_name to the server connection that serves it.
_NAME = "deploygate-pressure"
#: A session that only waits for its next client belongs to the pooler.
_WORKING = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = %s AND state = 'active'
"""
_GONE_S = 1.0
_ITEM = "db.pooling"
_SERVERS = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = %s
"""


@dataclass()
class _Client:
    answers: int = 0
    slowest_s: float = 0.0
    error: str = ""
    silent: bool = False
    lag: OwnLag = field(default_factory=OwnLag)

    def took(self, began: float, lag: Lag) -> None:
        """Keep the longest wait, and what delayed us in it."""
        if (seconds := time.monotonic() - began) > self.slowest_s:
            self.slowest_s, self.lag = seconds, lag.since(began)


def under_pressure(
    cluster: Cluster,
    pooling: Pooling,
    pooler: Pooler,
    environment: str,
    *,
    allowed: bool,
    budget: Budget | None = None,
) -> Evidence:
    """Put a pooler under pressure if that is allowed, else read the record of the last run.

    The pressure draws on `budget`; left out, on one that is in no ledger. Raises CannotTell if neither is possible, or if the test could do harm.
    """
    pressure = pooling.pressure
    if pressure is None:
        raise CannotTell(
            "the pooler was not put under pressure: add `pressure: {clients: …, record: FILE}` to database.pooling"
        )
    whole = capacity(cluster, pooling)
    about = drills.described(configuration(whole, pooler, pressure))
    ran = None
    if allowed or pressure.opt_in == environment:
        facts = _press(cluster, pooling, pooler, pressure, whole, budget or budgets.unrecorded(_ITEM))
        outcome = "failed" if facts.failed else drills.GOOD
        ran = drills.made(facts, outcome, about, reason=facts.first_error, environment=environment)
        if pressure.record:
            drills.write(pressure.record, ran, of=pooler.name)
    return drills.evidence(
        pressure.record,
        PressureFacts,
        ran=ran,
        configuration=about,
        environment=environment,
        of=pooler.name,
        former=lambda raw: _former(raw, about),
    )


def configuration(whole: Capacity, pooler: Pooler, pressure: Pressure) -> dict[str, str]:
    """Return what the result depends on: the server's limit, the pool, the number of clients, and how long a statement takes."""
    mine = next(p for p in whole.poolers if p.name == pooler.name)
    return {
        "pooler": pooler.name,
        "max_connections": str(whole.max_connections),
        "pool size": str(mine.size) if not mine.problem else f"unknown ({mine.problem})",
        "pool mode": mine.mode,
        "clients": str(min(pressure.clients, pressure.cap)),
        "hold": words_for(pressure.hold),
    }


def _former(raw: dict[str, Any], now: dict[str, str]) -> dict[str, Any]:
    """Convert a record of earlier versions, with one environment per file and no configuration but what was measured."""
    if raw.get("format") != "deploygate-pooling-pressure/1":
        return raw
    found = {}
    for name, facts in raw["poolers"].items():
        then = now | {
            "max_connections": str(facts["max_connections"]),
            "pool size": str(facts["pool_size"]),
            "clients": str(facts["clients"]),
        }
        found[name] = facts | {
            "date": facts["at"],
            "environment": raw["inventory"],
            "outcome": "failed" if facts["failed"] else drills.GOOD,
            "reason": facts["first_error"],
            "configuration": then,
            "digest": drills.digest(then),
        }
    return {"drills": found}


def _press(
    cluster: Cluster, pooling: Pooling, pooler: Pooler, pressure: Pressure, whole: Capacity, budget: Budget
) -> PressureFacts:
    mine = next(p for p in whole.poolers if p.name == pooler.name)
    if mine.problem:
        raise CannotTell(
            f"{pooler.name} was not put under pressure: its console cannot be queried: {mine.problem}"
        )
    room = whole.max_connections - whole.reserved
    if sum(p.most for p in whole.poolers) + pooling.direct > room:
        raise CannotTell(
            f"{pooler.name} was not put under pressure: its pools could open more than the {room} connections of "
            f"{whole.node}, and other clients would be refused; lower the sizes first"
        )
    clients = min(pressure.clients, pressure.cap)
    if mine.max_clients and mine.max_clients <= whole.max_connections:
        raise CannotTell(
            f"{pooler.name} accepts {mine.max_clients} clients in all (max_client_conn), no more than {whole.node} itself "
            f"({whole.max_connections} max_connections), so it cannot be put under pressure: raise max_client_conn and restart it"
        )
    if mine.max_clients and clients > mine.max_clients:
        raise CannotTell(
            f"{clients} clients exceed max_client_conn of {pooler.name} ({mine.max_clients}): lower `clients`"
        )
    # The server itself is watched, not the pooler: that clients wait there is what is measured.
    with (
        _counted(cluster) as servers,
        beside.asking(cluster) as answers,
        budget.probe("pressure", control=answers, connects=False) as spending,
    ):
        spending.leaves(f"sessions {_NAME} on {cluster.primary.name}", lambda: _gone(cluster))
        found = _ask_all(cluster, pooler, pressure, clients, spending)
    slowest = max(found, key=lambda client: client.slowest_s, default=None)
    bad = [client for client in found if client.error or not client.answers]
    return PressureFacts(
        pooler.name,
        clients,
        whole.max_connections,
        mine.size,
        sum(client.answers for client in found),
        len(bad),
        next((client.error for client in bad if client.error), "no answer in time") if bad else "",
        slowest.slowest_s if slowest else 0.0,
        servers.most,
        sum(client.silent for client in bad),
        slowest.lag if slowest else OwnLag(),
    )


def _gone(cluster: Cluster) -> bool:
    """Tell whether no session of the test is left; the pooler closes some only a moment later."""
    ends = time.monotonic() + _GONE_S
    while int(cluster.value(cluster.primary, _WORKING, (_NAME,)) or 0):
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


def _ask_all(
    cluster: Cluster, pooler: Pooler, pressure: Pressure, clients: int, spending: Spending
) -> list[_Client]:
    how = login(cluster, pooler, pooler.database or cluster.settings.name)
    patience_s = max(pressure.patience_s * 2, 5.0)
    ends = time.monotonic() + min(pressure.duration, _LONGEST).total_seconds()
    hold_s = min(pressure.hold.total_seconds(), 1.0)
    with own_lag.watching() as lag, ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda _: _one(how, hold_s, ends, patience_s, lag, spending), range(clients)))


def _one(
    how: dict[str, Any], hold_s: float, ends: float, patience_s: float, lag: Lag, spending: Spending
) -> _Client:
    """Connect and run statements until the time is up; at least one, however late the connection is."""
    client = _Client()
    began = time.monotonic()
    try:
        spending.take(requests=0, connections=1, opens=0)
        with _connected(how, patience_s) as connection, cutting(connection):
            while True:
                with spending.request() as asked:
                    connection.execute("SELECT pg_sleep(%s)", (hold_s,))
                    asked.answered()
                client.answers += 1
                client.took(began, lag)
                began = time.monotonic()
                if began > ends:
                    return client
    except psycopg.Error as error:
        client.error = redact(" ".join(str(error).split()))
        client.silent = reach.no_answer_in(client.error)
        client.took(began, lag)
        return client


def _connected(how: dict[str, Any], patience_s: float) -> psycopg.Connection[Any]:
    with stopping.interrupting():
        return psycopg.connect(
            **how | {"connect_timeout": max(2, round(patience_s)), "application_name": _NAME}
        )


class _Count:
    """The highest number of our connections on the primary while a block runs; None if they cannot be counted."""

    def __init__(self) -> None:
        self.most: int | None = None


@contextlib.contextmanager
def _counted(cluster: Cluster) -> Iterator[_Count]:
    count, done = _Count(), threading.Event()

    def watch() -> None:
        with contextlib.suppress(CannotTell, Ended):
            while not done.wait(0.02):
                now = int(cluster.value(cluster.primary, _SERVERS, (_NAME,)) or 0)
                count.most = max(count.most or 0, now)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield count
    finally:
        done.set()
        thread.join(10.0)
