"""Writers for hours: as fast as a rate or the server allows, in memory that does not grow.

Each writer sends one INSERT at a time through libpq itself, which is three times as fast as the driver above it, and puts
each answer into a file. What a process keeps is a few counters and a number for each tenth of a second.
"""

from __future__ import annotations

import contextlib
import threading
import time
from array import array

import psycopg
from psycopg import pq, sql

from pytest_deploygate.clients.budget import Ended, Spending
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection
from pytest_deploygate.clients.writers.ledger import count
from pytest_deploygate.clients.writers.ledger_file import LedgerFile
from pytest_deploygate.clients.writers.load import COMMIT_BOUND_S, Planned
from pytest_deploygate.clients.writers.ways import Way
from pytest_deploygate.judging.histories.history import Kind, Outcome
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_AGAIN_S = 0.05
_READ_EVERY_S = 0.05
#: Requests taken from the budget at a time.
_LOT = 500
#: Classes of SQLSTATE after which nobody knows whether the row is there: connection, operator, system and internal errors.
_OPEN = ("08", "57", "58", "XX")


class Steady:
    """`start()`, then `wait()` until the end. `counts` are acknowledged, indeterminate and refused writes, and reads."""

    def __init__(
        self,
        cluster: Cluster,
        way: Way,
        table: sql.Identifier,
        plan: Planned,
        file: LedgerFile,
        spending: Spending,
    ) -> None:
        self.cluster, self.way, self.plan, self.file, self.spending = cluster, way, plan, file, spending
        self.acknowledged_per_100ms: array[int] = array("I")
        self.counts = {"acknowledged": 0, "indeterminate": 0, "refused": 0, "reads": 0, "reconnected": 0}
        self.problem = ""
        self.hung = False
        self.ended = threading.Event()
        self.began, self.lasted_s, self.busy = 0.0, 0.0, 0.0
        self._insert = sql.SQL("INSERT INTO {} (id) VALUES ($1)").format(table).as_bytes()
        self._greatest = sql.SQL("SELECT coalesce(max(id), 0) FROM {}").format(table).as_bytes()
        self._lock = threading.Lock()
        self._warned: dict[int, str] = {}
        self._since: dict[int, tuple[float, Connection]] = {}
        spending.take(requests=0, connections=plan.writers + 1, opens=0)
        self._first = [self._open(index) for index in range(plan.writers + 1)]
        self._threads = [
            threading.Thread(target=self._client, args=(index,), daemon=True)
            for index in range(plan.writers + 1)
        ]

    def start(self) -> None:
        """Start writing."""
        self.began = time.monotonic()
        self._cpu = time.process_time()
        for thread in (*self._threads, threading.Thread(target=self._watch, daemon=True)):
            thread.start()

    def wait(self) -> None:
        """Wait until the plan's duration is over, or `ended` was set. Raises Ended on a stop; the writers end first."""
        until = self.began + self.plan.duration.total_seconds()
        try:
            while any(t.is_alive() for t in self._threads) and time.monotonic() < until:
                self.spending.check()
                self.ended.wait(0.2)
                if self.ended.is_set():
                    break
        finally:
            self.ended.set()
            self.lasted_s = time.monotonic() - self.began
            self.busy = (time.process_time() - self._cpu) / max(self.lasted_s, 1e-9)
            ends = time.monotonic() + COMMIT_BOUND_S + 1
            for thread in self._threads:
                thread.join(max(0.0, ends - time.monotonic()))
            self.hung = any(thread.is_alive() for thread in self._threads)

    def _open(self, index: int) -> Connection:
        connection = self.way.open(self.cluster, writes=index < self.plan.writers)

        def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                self._warned[index] = f"{self.way.name} warned: {diagnostic.message_primary}"

        connection.add_notice_handler(notice)
        return connection

    def _client(self, index: int) -> None:
        """Write (the last client reads) until the end, and connect again where the connection broke."""
        connection: Connection | None = self._first[index]
        number = index + 1
        with contextlib.suppress(Ended):
            while not self.ended.is_set():
                if connection is None:
                    connection = self._again(index)
                    continue
                if index == self.plan.writers:
                    good = self._read(index, connection)
                else:
                    number, good = self._write(index, connection, number)
                if not good:
                    connection.close()
                    connection = None
        if connection is not None:
            connection.close()

    def _again(self, index: int) -> Connection | None:
        if self.ended.wait(_AGAIN_S):
            return None
        self.spending.take(requests=0, connections=1, opens=0)
        try:
            connection = self._open(index)
        except CannotTell as unknown:
            self._note(str(unknown))
            return None
        with self._lock:
            self.counts["reconnected"] += 1
        return connection

    def _write(self, index: int, connection: Connection, number: int) -> tuple[int, bool]:
        """Write ids one after the other until something goes wrong or a lot is used up; return the next id, and whether all was good."""
        lot, used = self.spending.reserve(_LOT), 0
        pgconn, writers = connection.pgconn, self.plan.writers
        every_s = writers / self.plan.rows_per_second
        due = time.monotonic()
        try:
            while used < lot and not self.ended.is_set():
                begin = time.monotonic()
                if due > begin and self.ended.wait(due - begin):
                    break
                begin = time.monotonic()
                due = max(due + every_s, begin - 1.0)
                used += 1
                self._since[index] = begin, connection
                outcome, problem = self._sent(index, pgconn, number)
                self._since.pop(index, None)
                self._record(index, begin, Kind.WRITE, outcome, number, problem)
                number += writers
                if problem:
                    return number, False
        finally:
            self.spending.give_back(lot - used)
            self.spending.give(closes=0)
        return number, True

    def _sent(self, index: int, pgconn: pq.abc.PGconn, number: int) -> tuple[Outcome, str]:
        self._warned.pop(index, None)
        try:
            result = pgconn.exec_params(self._insert, [b"%d" % number])
        except psycopg.Error as error:
            return Outcome.INDETERMINATE, redact(str(error).strip())
        if result.status == pq.ExecStatus.COMMAND_OK:
            warned = self._warned.get(index, "")
            return (Outcome.INDETERMINATE if warned else Outcome.ACKNOWLEDGED), warned
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        said = redact(" ".join(pgconn.error_message.decode(errors="replace").split()))
        unknown = not state or state.startswith(_OPEN) or pgconn.status != pq.ConnStatus.OK
        return (Outcome.INDETERMINATE if unknown else Outcome.REFUSED), said or state or "no answer"

    def _read(self, index: int, connection: Connection) -> bool:
        if self.ended.wait(_READ_EVERY_S):
            return True
        self.spending.take(opens=0)
        begin = time.monotonic()
        self._since[index] = begin, connection
        try:
            result = connection.pgconn.exec_params(self._greatest, None)
        except psycopg.Error:
            return False
        finally:
            self._since.pop(index, None)
        if result.status != pq.ExecStatus.TUPLES_OK:
            return False
        self._record(index, begin, Kind.READ, Outcome.ACKNOWLEDGED, int(result.get_value(0, 0) or b"0"))
        return True

    def _record(
        self, index: int, begin: float, kind: Kind, outcome: Outcome, value: int, problem: str = ""
    ) -> None:
        end_s = time.monotonic() - self.began
        with self._lock:
            try:
                self.file.add(index, begin - self.began, end_s, kind, outcome, value)
            except OSError as error:
                self.problem = f"the ledger {self.file.path} cannot be written: {error.strerror}"
                self.ended.set()
                return
            self.counts["reads" if kind is Kind.READ else outcome.name.lower()] += 1
            if kind is Kind.WRITE and outcome is Outcome.ACKNOWLEDGED:
                count(self.acknowledged_per_100ms, end_s)
            self.problem = self.problem or problem

    def _note(self, problem: str) -> None:
        with self._lock:
            self.problem = self.problem or problem

    def _watch(self) -> None:
        """Cancel a commit that waits too long; it then returns with a warning, and its id is indeterminate."""
        while any(thread.is_alive() for thread in self._threads):
            for since, connection in list(self._since.values()):
                if time.monotonic() - since > COMMIT_BOUND_S or (
                    self.ended.is_set() and time.monotonic() - since > 0.5
                ):
                    with contextlib.suppress(psycopg.Error):
                        connection.cancel_safe(timeout=2)
            time.sleep(0.1)
