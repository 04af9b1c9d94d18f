"""Who takes writes, about every 50 ms on every node, and when clients get through again.

A node takes writes if it is not in recovery, its transactions are not read-only, and it assigns a transaction id. The last
one is a real change of the server and waits for no replica, so an old leader that hangs in its commits is seen, too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator

import psycopg

from pytest_deploygate.checks.replication.section import Entry
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection
from pytest_deploygate.clients.postgres.markers import Rows
from pytest_deploygate.clients.writers import AnyOf, Pool, Way
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.judging.overlaps import Span
from pytest_deploygate.model import CannotTell

EVERY_S = 0.05
#: Between two samples of a span: longer, and the span has ended.
_GAP_S = 0.5
#: A server that does not answer a sample for this long is frozen or gone.
_ANSWER_S = 1.0
#: Clients that do not get through for longer had an outage.
_OUTAGE_S = 1.0
#: A commit of a client that takes longer did not get through.
_COMMIT_S = 3.0
_TAKES_WRITES = (
    b"SELECT CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only')::bool THEN NULL"
    b" ELSE pg_current_xact_id()::text END"
)


class Sampling:
    """Threads that look until `end()`. Times are those of `time.monotonic`."""

    def __init__(self, cluster: Cluster, entries: list[Entry], mine: Rows) -> None:
        self.cluster, self.mine = cluster, mine
        self.spans: list[Span] = []
        self.samples = 0
        self.longest_unseen_s = 0.0
        self._got_through: dict[str, list[tuple[float, float]]] = {"writes": [], "reads": []}
        self._over = threading.Event()
        self._lock = threading.Lock()
        anywhere: Way = AnyOf(tuple(cluster.nodes), reads="any")
        jobs = [(self._node, (node,)) for node in cluster.nodes]
        jobs += [(self._client, ("writes", anywhere)), (self._client, ("reads", anywhere))]  # type: ignore[list-item]
        for entry in entries:
            self._got_through[entry.name] = []
            jobs.append((self._client, (entry.name, Pool(entry.name, entry.host, entry.port))))  # type: ignore[arg-type]
        self._threads = [threading.Thread(target=do, args=about, daemon=True) for do, about in jobs]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        for thread in self._threads:
            thread.join(_COMMIT_S + 3.0)

    def writable_since(self, since: float) -> str:
        """Return the node that takes writes now, if it is the only one; `since` excludes what was seen before."""
        now = time.monotonic()
        with self._lock:
            names = {who for who, _, last in self.spans if last >= max(since, now - 4 * EVERY_S)}
        return names.pop() if len(names) == 1 else ""

    def seen(self) -> list[Span]:
        """Return who took writes, and from when to when."""
        with self._lock:
            return list(self.spans)

    def through(self, what: str, since: float) -> float | None:
        """Return when a client got through that began after `since`; None if none did."""
        with self._lock:
            return min((done for began, done in self._got_through[what] if began >= since), default=None)

    def through_again(self, what: str, since: float) -> float | None:
        """Return when a client got through after the longest outage since then, or at all if there was none; None if none did."""
        with self._lock:
            done = sorted(done for began, done in self._got_through[what] if began >= since)
        if not done:
            return None
        gaps = [(after - before, after) for before, after in itertools.pairwise([since, *done])]
        longest_s, ended = max(gaps)
        return ended if longest_s > _OUTAGE_S else done[0]

    def _node(self, node: Node) -> None:
        connection: Connection | None = None
        last = time.monotonic()
        while not self._over.is_set():
            began = time.monotonic()
            try:
                if connection is None:
                    connection = self.cluster.connect(node, read_only=None, afresh=True)
                with _within(connection, _ANSWER_S):
                    row = connection.execute(_TAKES_WRITES).fetchone()
                ended = time.monotonic()
                last = self._looked(last)
                with self._lock:
                    self.samples += 1
                    if row and row[0] is not None:
                        self._extend(node.name, began, ended)
            except (CannotTell, psycopg.Error, OSError) as error:
                _closed(connection)
                connection = None
                # Refused at once is an answer: nothing takes writes there. What hung, or is cut off, was not seen.
                if time.monotonic() - began < _ANSWER_S and not _cut_off(error):
                    last = self._looked(last)
            self._over.wait(max(0.0, EVERY_S - (time.monotonic() - began)))
        _closed(connection)
        self._looked(last)

    def _looked(self, last: float) -> float:
        """Note how long a node was not seen since `last`; return the time."""
        now = time.monotonic()
        with self._lock:
            self.longest_unseen_s = max(self.longest_unseen_s, now - last)
        return now

    def _extend(self, name: str, began: float, ended: float) -> None:
        for index in range(len(self.spans) - 1, -1, -1):
            who, first, last = self.spans[index]
            if who == name:
                if began - last <= _GAP_S:
                    self.spans[index] = (name, first, ended)
                    return
                break
        self.spans.append((name, ended, ended))

    def _client(self, what: str, way: Way) -> None:
        """Connect anew and write a row, or read, as a client does that has just started."""
        number = 0
        while not self._over.is_set():
            began, number = time.monotonic(), number + 1
            connection: Connection | None = None
            try:
                connection = way.open(self.cluster, writes=what != "reads")
                with _within(connection, _COMMIT_S):
                    if what == "reads":
                        connection.execute(self.mine.ids(), (f"{self.mine.run}",)).fetchone()
                    else:
                        connection.execute(self.mine.insert(), (f"{self.mine.run} {what}", number))
                with self._lock:
                    self._got_through[what].append((began, time.monotonic()))
            except (CannotTell, psycopg.Error, OSError):
                pass
            finally:
                _closed(connection)
            self._over.wait(max(0.0, 2 * EVERY_S - (time.monotonic() - began)))


@contextlib.contextmanager
def _within(connection: Connection, limit_s: float) -> Iterator[None]:
    """Cut the connection if an answer takes longer: a frozen server's kernel still holds it."""
    timer = threading.Timer(limit_s, _cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: Connection) -> None:
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as held,
    ):
        held.shutdown(socket.SHUT_RDWR)


def _cut_off(error: Exception) -> bool:
    """Whether an error is the network's: the kernel soon answers by itself for an address that is silent."""
    said = str(error).lower()
    return any(words in said for words in ("no route to host", "unreachable", "timed out", "timeout expired"))


def _closed(connection: Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(psycopg.Error, OSError):
            connection.close()
