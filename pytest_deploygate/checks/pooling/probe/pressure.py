"""The pressure test of a pooler: more clients than the server takes ask at once, for a stated moment.

It does not begin where the pools could ask for more than the server takes: the clients of others would be refused.
Each client connects, asks `pg_sleep(hold)` until the time is over, and leaves; meanwhile the server's connections
of our role are counted. Nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from pytest_deploygate.checks.pooling.facts import PressureFacts
from pytest_deploygate.checks.pooling.probe.console import capacity, login
from pytest_deploygate.checks.pooling.section import Pooler, Pooling, Pressure
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

FORMAT = "deploygate-pooling-pressure/1"
_LONGEST = timedelta(seconds=60)
#: PgBouncer hands a client's application_name on to the server connection that serves it.
_NAME = "deploygate-pressure"
_SERVERS = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = %s
"""


@dataclass(slots=True)
class _Client:
    answers: int = 0
    slowest_s: float = 0.0
    error: str = ""


def under_pressure(
    cluster: Cluster, pooling: Pooling, pooler: Pooler, environment: str, *, allowed: bool
) -> PressureFacts:
    """Put a pooler under pressure where that is allowed, else read the record of the last time.

    Raises CannotTell where neither is possible, or where pressure could hurt.
    """
    pressure = pooling.pressure
    if pressure is None:
        raise CannotTell(
            "the pooler was not put under pressure: add `pressure: {clients: …, record: FILE}` to database.pooling"
        )
    if not allowed and pressure.opt_in != environment:
        return _on_record(pressure, pooler, environment)
    facts = _press(cluster, pooling, pooler, pressure)
    if pressure.record:
        _write(pressure.record, facts, environment)
    return facts


def _press(cluster: Cluster, pooling: Pooling, pooler: Pooler, pressure: Pressure) -> PressureFacts:
    whole = capacity(cluster, pooling)
    mine = next(p for p in whole.poolers if p.name == pooler.name)
    if mine.problem:
        raise CannotTell(
            f"{pooler.name} was not put under pressure, its console does not answer: {mine.problem}"
        )
    room = whole.max_connections - whole.reserved
    if sum(p.most for p in whole.poolers) + pooling.direct > room:
        raise CannotTell(
            f"{pooler.name} was not put under pressure: its pools could take more than the {room} connections of "
            f"{whole.node}, and others would be refused; mend the sizes first"
        )
    clients = min(pressure.clients, pressure.cap)
    if mine.max_clients and clients > mine.max_clients:
        raise CannotTell(
            f"{clients} clients are more than max_client_conn of {pooler.name} ({mine.max_clients}): lower `clients`"
        )
    with _counted(cluster) as servers:
        found = _ask_all(cluster, pooler, pressure, clients)
    bad = [client for client in found if client.error or not client.answers]
    return PressureFacts(
        pooler.name,
        clients,
        whole.max_connections,
        mine.size,
        sum(client.answers for client in found),
        len(bad),
        next((client.error for client in bad if client.error), "no answer in the time") if bad else "",
        max((client.slowest_s for client in found), default=0.0),
        servers.most,
    )


def _ask_all(cluster: Cluster, pooler: Pooler, pressure: Pressure, clients: int) -> list[_Client]:
    how = login(cluster, pooler, pooler.database or cluster.settings.name)
    patience_s = max(pressure.answer_within.total_seconds() * 2, 5.0)
    ends = time.monotonic() + min(pressure.duration, _LONGEST).total_seconds()
    hold_s = min(pressure.hold.total_seconds(), 1.0)
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda _: _one(how, hold_s, ends, patience_s), range(clients)))


def _one(how: dict[str, Any], hold_s: float, ends: float, patience_s: float) -> _Client:
    """Connect and ask until the time is over; at least once, however late the first connection is."""
    client = _Client()
    began = time.monotonic()
    try:
        with psycopg.connect(
            **how | {"connect_timeout": max(2, round(patience_s)), "application_name": _NAME}
        ) as connection:
            while True:
                connection.execute("SELECT pg_sleep(%s)", (hold_s,))
                client.answers += 1
                client.slowest_s = max(client.slowest_s, time.monotonic() - began)
                began = time.monotonic()
                if began > ends:
                    return client
    except psycopg.Error as error:
        client.error = redact(" ".join(str(error).split()))
        client.slowest_s = max(client.slowest_s, time.monotonic() - began)
        return client


class _Count:
    """The most connections of ours on the primary while a block runs; None where they cannot be counted."""

    def __init__(self) -> None:
        self.most: int | None = None


@contextlib.contextmanager
def _counted(cluster: Cluster) -> Iterator[_Count]:
    count, done = _Count(), threading.Event()

    def watch() -> None:
        with contextlib.suppress(CannotTell):
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


def _on_record(pressure: Pressure, pooler: Pooler, environment: str) -> PressureFacts:
    step = f"run it with --allow-disruptive={environment}, or set `opt_in: {environment}`"
    if pressure.record is None:
        raise CannotTell(f"{pooler.name} was not put under pressure and `pressure` names no record: {step}")
    try:
        record = json.loads(pressure.record.read_text())
        if record["format"] != FORMAT or record["inventory"] != environment:
            raise CannotTell(f"{pressure.record} is no record of a pressure test of {environment}: {step}")
        facts = record["poolers"][pooler.name]
        age = datetime.now(UTC) - datetime.fromisoformat(facts.pop("at"))
        return PressureFacts(**facts, on_record=True, age=age)
    except OSError as error:
        raise CannotTell(
            f"no pressure test of {pooler.name} is on record ({error.strerror}): {step}"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise CannotTell(f"{pressure.record} cannot be read as a record ({error}): {step}") from None


def _write(file: Path, facts: PressureFacts, environment: str) -> None:
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError):
        record = {}
    if record.get("format") != FORMAT or record.get("inventory") != environment:
        record = {"format": FORMAT, "inventory": environment, "poolers": {}}
    kept = {
        name: getattr(facts, name) for name in PressureFacts.__slots__ if name not in ("on_record", "age")
    }
    record["poolers"][facts.pooler] = kept | {"at": datetime.now(UTC).isoformat()}
    beside = file.with_suffix(".part")
    try:
        beside.write_text(json.dumps(record, indent=1) + "\n")
        beside.replace(file)
    except OSError as error:
        raise CannotTell(f"the record {file} cannot be written: {error.strerror}") from None
