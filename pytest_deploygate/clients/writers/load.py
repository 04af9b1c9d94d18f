"""Write to a cluster and keep account: which ids were acknowledged, and when.

An id is acknowledged only after its COMMIT returned without a warning: PostgreSQL lets a commit that waits for
synchronous replicas return when it is cancelled, with a warning that it is not replicated. Such an id, and one
whose connection broke, is indeterminate. `statement_timeout` does not end that wait (it is off by then), so
a watchdog cancels it.

Counters count one row up together: an increment that was acknowledged and is gone shows as a count that comes twice.

Without a way to reconnect, a load ends with the first write that goes wrong. With one, a client whose connection broke, or
whose server takes no writes any more, connects again and goes on with a new id: no id is ever sent twice.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from pytest_deploygate.clients.budget import Ended, Spending
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.clients.postgres.cutting import cutting
from pytest_deploygate.clients.writers.ledger import Ledger
from pytest_deploygate.clients.writers.ways import Way
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.judging.histories.history import Kind, Outcome
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

#: A commit that takes longer hangs; no application waits that long.
COMMIT_BOUND_S = 5.0
#: Clients that count one row up together, where updates are looked for.
COUNTERS = 2
#: A cancelled commit returns at once.
_CANCELLED_S = 0.5
#: Between two attempts to connect again.
_AGAIN_S = 0.05
#: Between two reads of one reader, and two increments of one counter.
_READ_EVERY_S = 0.02
_COUNT_EVERY_S = 0.05


class Planned(Protocol):
    """How much to write."""

    @property
    def duration(self) -> timedelta:
        """How long."""

    @property
    def writers(self) -> int:
        """How many connections write."""

    @property
    def rows_per_second(self) -> int:
        """The cap over all writers."""


@dataclass()
class _Client:
    """One connection, and what it does; `since` is when its running statement began."""

    index: int
    kind: Kind
    connection: Connection | None = None
    since: float | None = None
    warning: str = ""


class Load:
    """A bounded write load: `start()`, then `finish()` for its ledger.

    Without a `way` it writes to `node` until something goes wrong. With one, clients connect there and connect again until
    the time is up; `readers` read the greatest id meanwhile, and `counters` count up. Set `ended` to end it early.
    """

    def __init__(
        self,
        cluster: Cluster,
        node: Node,
        plan: Planned,
        mine: markers.Rows,
        spending: Spending,
        *,
        way: Way | None = None,
        readers: int = 0,
        counters: int = 0,
    ) -> None:
        self.plan, self.node, self.mine, self.spending = plan, node, mine, spending
        self.cluster, self.way = cluster, way
        self.ledger = Ledger()
        self.ended = threading.Event()
        self.began = 0.0
        self.lasted_s = 0.0
        self._greatest = sql.SQL("SELECT coalesce(max(id), 0) FROM {} WHERE run = %s").format(mine.table)
        self._count_up = sql.SQL("UPDATE {} SET id = id + 1 WHERE run = %s RETURNING id").format(mine.table)
        kinds = [Kind.WRITE] * plan.writers + [Kind.READ] * readers + [Kind.INCREMENT] * counters
        self._clients = [_Client(n, kind) for n, kind in enumerate(kinds)]
        try:
            spending.take(requests=0, connections=len(self._clients), opens=0)
            for client in self._clients:
                self._open(client)
            if counters:
                self._begin_to_count(self._clients[-1])
        except (CannotTell, Ended):
            self._close()
            raise
        does = {Kind.WRITE: self._write, Kind.READ: self._read, Kind.INCREMENT: self._count}
        self._threads = [
            threading.Thread(target=does[client.kind], args=(client,), daemon=True)
            for client in self._clients
        ]
        self._watchdog = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start writing."""
        self.began = time.monotonic()
        for thread in (*self._threads, self._watchdog):
            thread.start()

    def finish(self) -> Ledger:
        """Wait for the end: the plan's duration plus at most twice the bound of a commit. Raises Ended."""
        deadline = self.began + self.plan.duration.total_seconds() + 2 * COMMIT_BOUND_S + 5
        try:
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        except Ended:
            self.ended.set()
            for thread in self._threads:  # what they wait for has been cancelled
                thread.join(_CANCELLED_S)
            self._close()
            raise
        self.lasted_s = time.monotonic() - self.began
        self.ended.set()
        self._watchdog.join(COMMIT_BOUND_S)
        if any(thread.is_alive() for thread in self._threads):
            self.ledger.hung = True
        else:
            self._close()
        return self.ledger

    def now_s(self) -> float:
        """Return the seconds since the start, as the ledger counts them."""
        return time.monotonic() - self.began

    def _close(self) -> None:
        for client in self._clients:
            if client.connection is not None:
                with contextlib.suppress(psycopg.Error):
                    client.connection.close()

    def _open(self, client: _Client) -> None:
        if self.way is not None:
            connection = self.way.open(self.cluster, writes=client.kind is not Kind.READ)
        else:
            connection, _ = self.cluster.writer(self.node)

        def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                client.warning = redact(f"{self._where} warned: {diagnostic.message_primary}")

        connection.add_notice_handler(notice)
        client.connection = connection

    @property
    def _where(self) -> str:
        return self.way.name if self.way is not None else self.node.name

    def _due(self, client: _Client) -> Iterator[int]:
        """Yield this writer's ids as they are due, until the time is up. What came due during an outage is left out."""
        until = self.began + self.plan.duration.total_seconds()
        number = client.index + 1
        while True:
            due = self.began + number / self.plan.rows_per_second
            late_s = time.monotonic() - due
            if self.way is not None and late_s > 1.0:
                number += int(late_s * self.plan.rows_per_second) // self.plan.writers * self.plan.writers
                due = self.began + number / self.plan.rows_per_second
            if due > until or self.ended.wait(max(0.0, due - time.monotonic())) or time.monotonic() > until:
                return
            yield number
            number += self.plan.writers

    def _write(self, client: _Client) -> None:
        """Write this writer's share of the ids until the time is up or something goes wrong."""
        with contextlib.suppress(Ended):  # the thread that waits for us is told, too
            for number in self._due(client):
                if self._one(client, number):
                    continue
                if self.way is None or not self._again(client):
                    break
            else:
                return
        self.ended.set()

    def _read(self, client: _Client) -> None:
        """Read until the time is up."""
        until = self.began + self.plan.duration.total_seconds()
        with contextlib.suppress(Ended):
            while not self.ended.wait(_READ_EVERY_S) and time.monotonic() < until:
                if not self._seen(client) and (self.way is None or not self._again(client)):
                    return

    def _begin_to_count(self, client: _Client) -> None:
        """Write the row that is counted up. Raises CannotTell."""
        if client.connection is not None:
            try:
                client.connection.execute(self.mine.insert(), (self.mine.counter, 1))
            except psycopg.Error as error:
                raise CannotTell(f"no row could be written: {explain(self._node, error)}") from error

    def _count(self, client: _Client) -> None:
        """Count up until the time is up."""
        until = self.began + self.plan.duration.total_seconds()
        with contextlib.suppress(Ended):
            while not self.ended.wait(_COUNT_EVERY_S) and time.monotonic() < until:
                if not self._counted(client) and (self.way is None or not self._again(client)):
                    return

    def _again(self, client: _Client) -> bool:
        """Connect again; false when the time is up before that. Raises Ended."""
        if client.connection is not None:
            with contextlib.suppress(psycopg.Error):
                client.connection.close()
            client.connection = None
        until = self.began + self.plan.duration.total_seconds()
        while time.monotonic() < until and not self.ended.wait(_AGAIN_S):
            self.spending.take(requests=0, connections=1, opens=0)
            with contextlib.suppress(CannotTell):
                self._open(client)
                with self.ledger.lock:
                    self.ledger.reconnected += 1
                return True
        return False

    def _one(self, client: _Client, number: int) -> bool:
        """Write one id and record the outcome; false if something went wrong."""
        began, _, outcome, problem = self._asked(client, self.mine.insert(), (self.mine.run, number))
        self._record(client, began, outcome, number, problem)
        return not problem

    def _seen(self, client: _Client) -> bool:
        """Read the greatest id and record it; false if something went wrong."""
        began, row, outcome, problem = self._asked(client, self._greatest, (self.mine.run,))
        self._record(client, began, Outcome.REFUSED if problem else outcome, int(row[0]) if row else 0)
        return not problem

    def _counted(self, client: _Client) -> bool:
        """Count up by one and record the new count; false if something went wrong."""
        began, row, outcome, problem = self._asked(client, self._count_up, (self.mine.counter,))
        # A row that is not seen was not counted up; whether it is there is asked at the end.
        seen = row is not None or outcome is not Outcome.ACKNOWLEDGED
        self._record(client, began, outcome if seen else Outcome.INDETERMINATE, int(row[0]) if row else 0)
        return not problem

    def _asked(
        self, client: _Client, statement: sql.Composed, parameters: tuple[object, ...]
    ) -> tuple[float, TupleRow | None, Outcome, str]:
        """Run a statement; return when it began, its row, what became of it, and what went wrong. Raises Ended."""
        connection, row, outcome, problem = client.connection, None, Outcome.ACKNOWLEDGED, ""
        client.warning = ""
        if connection is None:
            return time.monotonic(), None, Outcome.REFUSED, "it is not connected"
        self.spending.take()
        client.since = began = time.monotonic()
        try:
            with cutting(connection):
                done = connection.execute(statement, parameters)
                row = done.fetchone() if done.description else None
            if client.warning:
                outcome, problem = Outcome.INDETERMINATE, client.warning
        except psycopg.Error as error:
            outcome, problem = _outcome_of(error), explain(self._node, error)
        client.since = None
        self.spending.give(wrong=int(bool(problem)))
        return began, row, outcome, problem

    def _record(self, client: _Client, began: float, outcome: Outcome, value: int, problem: str = "") -> None:
        self.ledger.add(client.index, began - self.began, self.now_s(), client.kind, outcome, value, problem)

    @property
    def _node(self) -> Node:
        """What the server's answers are explained with."""
        if self.way is None:
            return self.node
        return Node.model_construct(name=self.way.name, host=self.node.host, port=self.node.port)

    def _watch(self) -> None:
        """Cancel a commit that waits too long; it then returns with a warning."""
        while any(thread.is_alive() for thread in self._threads):
            for client in self._clients:
                since, connection = client.since, client.connection
                if since is not None and connection and time.monotonic() - since > COMMIT_BOUND_S:
                    self.ledger.hung = self.ledger.hung or self.way is None
                    with contextlib.suppress(psycopg.Error):
                        connection.cancel_safe(timeout=2)
            time.sleep(0.1)


def _outcome_of(error: psycopg.Error) -> Outcome:
    """Return what an error says of the write: that it was rolled back, or nothing."""
    # Answered by the server before COMMIT: a full disk, a lock, a node that is (or has become) a standby.
    known = psycopg.errors.DiskFull, psycopg.errors.LockNotAvailable, psycopg.errors.ReadOnlySqlTransaction
    broken = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return Outcome.INDETERMINATE if broken and not isinstance(error, known) else Outcome.REFUSED
