"""The ways out: what they have in common, and making the one that an inventory names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.probe.exits.polled import PolledApi, PolledDatabase
from pytest_deploygate.checks.pipeline.probe.exits.pushed import PushedSse, PushedWebSocket
from pytest_deploygate.checks.pipeline.probe.seen import Seen
from pytest_deploygate.checks.pipeline.section.exits import Exit
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.postgres.cluster import Cluster

__all__ = ["WayOut", "made"]


class WayOut(Protocol):
    """Something that events come out of. What comes is told to `Seen`."""

    async def begin(self) -> None:
        """Subscribe, or read for the first time. Raises CannotTell."""

    async def last(self) -> None:
        """Read once more what is kept; nothing where events are pushed."""

    async def end(self) -> None:
        """Close, without waiting for the other side."""


def made(
    out: Exit,
    events: Events,
    seen: Seen,
    spending: Spending,
    database: Cluster | None,
    devices: Sequence[str],
    since: datetime,
) -> WayOut:
    """Return the way out that an inventory names."""
    if out.websocket is not None:
        return PushedWebSocket(out.name, out.websocket, events, seen, spending, out.id)
    if out.sse is not None:
        return PushedSse(out.name, out.sse, events, seen, spending, out.id)
    if out.api is not None:
        return PolledApi(out.name, out.api, events, seen, spending, out.id, devices, since)
    if out.database is not None and database is not None:
        return PolledDatabase(out.name, out.database, events, seen, database, out.id, devices, since)
    raise ValueError(out)
