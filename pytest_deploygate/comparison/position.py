"""The position up to which rows of a live source can be compared: what the target has confirmed by its logical slot.

A row that differs may only be late. The source's position in its log (LSN) is taken after the row was read there; when the
slot's `confirmed_flush_lsn` has reached it, the subscriber has committed all changes that the source had written by then,
so the row is no longer late. See "Logical Replication" and `pg_replication_slots` in PostgreSQL's manual.

What the bound does not mean: with `synchronous_commit = off` the source shows a commit up to a moment before it is in the
log; such a row is seen to change when it is looked at again. Changes that the subscriber skips count as confirmed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.model import CannotTell

_POLL_S = 0.1
_NOW = "SELECT pg_current_wal_lsn()::text"
_CONFIRMED = """
SELECT active, confirmed_flush_lsn::text, confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s
"""

#: Waits at most so many seconds, or until it is stopped. Raises CannotTell if the target has not confirmed by then.
CaughtUp = Callable[[float, threading.Event], None]


def by_slot(source: ConnectionSettings, slot: str) -> CaughtUp:
    """Return what waits until the target has confirmed all that the source has written so far."""

    def wait(seconds: float, stopped: threading.Event) -> None:
        try:
            with Cluster(source).connect(source.primary) as connection:
                _wait(connection, slot, seconds, stopped)
        except psycopg.Error as error:
            raise CannotTell(explain(source.primary, error)) from error

    return wait


def _wait(connection: Connection, slot: str, seconds: float, stopped: threading.Event) -> None:
    position = connection.execute(_NOW).fetchall()[0][0]
    deadline = time.monotonic() + seconds
    while True:
        found = connection.execute(_CONFIRMED, (position, slot)).fetchall()
        if not found:
            raise CannotTell(f"the source has no replication slot {slot}: correct `migration.live.slot`")
        active, confirmed, reached = found[0]
        if confirmed is None:
            raise CannotTell(f"slot {slot} is not a logical one: nothing tells what the target has applied")
        if reached:
            return
        if time.monotonic() > deadline:
            raise CannotTell(
                f"the target has confirmed {confirmed} by slot {slot}{'' if active else ', which is not used'}, and "
                f"not {position}, within {seconds:.0f} s: rows that differ may be late; wait until it has caught up"
            )
        if stopped.wait(_POLL_S):
            raise CannotTell("the comparison was stopped")
