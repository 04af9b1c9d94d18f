"""Notices of a small section, queued and sent as the command does it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mail_server import HOST

from pytest_deploygate.fields.notices import Audience, Notices
from pytest_deploygate.journal import utcnow
from pytest_deploygate.notices import preparing, queue, sending
from pytest_deploygate.notices.record import Known, Log
from pytest_deploygate.notices.values import Said

PEOPLE = ["ann@example.com", "bob@example.com", "cem@example.com"]


def notices(port: int = 25, **changed: Any) -> Notices:
    """A section with three people, and a server without TLS."""
    server = {"host": HOST, "port": port, "security": "none", "timeout": "60s"} | changed.pop("server", {})
    whole = {
        "sender": "Platform operations <platform@example.com>",
        "server": server,
        "product": "Plant portal",
        "window": {"start": "2026-12-01T17:00:00Z", "end": "2026-12-01T19:00:00Z", "interruption": "15m"},
        "changes": ["Dashboards load in under a second."],
        "action": "nothing.",
        "look": "https://status.example.com/",
        "audiences": [{"name": "customers", "people": [{"mail": mail} for mail in PEOPLE]}],
    }
    return Notices.model_validate(whole | changed)


def put(
    section: Notices, folder: Path, notice: str = "pre-deployment", *, again: bool = False, reason: str = ""
) -> list[str]:
    """Queue a notice to the customers, as the command does; return the ids of its messages."""
    said = Said(section, "CHG-1", {})
    audience: Audience | None = section.audience("customers")
    assert audience is not None
    log = Log(folder)
    try:
        ready = preparing.all_of(said, notice, [audience], [])
        stands = preparing.standing(ready, log.known, "CHG-1", again=again)
        for one in stands:
            if one.known is None:
                queue.put(folder, preparing.queued(one, said, utcnow()))
                log.queue(preparing.notice(one, said, reason))
    finally:
        log.close()
    return [one.id for one in stands]


def go(section: Notices, folder: Path) -> list[Known]:
    """Send what waits, once; return what is known of all messages."""
    log = Log(folder)
    try:
        with from_a_shell():
            sending.tidy(log, folder)
            sending.send(section, log, folder, sending.due(log))
        return list(log.known.values())
    finally:
        log.close()


@contextlib.contextmanager
def from_a_shell() -> Iterator[None]:
    """Without what pytest sets in its environment: sending refuses within pytest."""
    kept = {
        name: os.environ.pop(name) for name in ("PYTEST_VERSION", "PYTEST_CURRENT_TEST") if name in os.environ
    }
    try:
        yield
    finally:
        os.environ.update(kept)
