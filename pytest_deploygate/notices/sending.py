"""Sending what is in the queue of a change. Only a person's `deploygate notify send` does this, never a run of the gate."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pytest_deploygate.fields.notices import Notices
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.notices import queue, web
from pytest_deploygate.notices.queue import Queued
from pytest_deploygate.notices.record import Known, Log, State
from pytest_deploygate.notices.smtp import Outcome, Post

#: What pytest sets for itself and all that it starts.
_OF_TESTS = ("PYTEST_VERSION", "PYTEST_CURRENT_TEST")


class WithinTestsError(RuntimeError):
    """A run of tests would send notices."""


@dataclass(frozen=True)
class Sent:
    """A message that was tried now, with what became of it."""

    known: Known
    outcome: Outcome


def refuse_in_tests(environment: Mapping[str, str] | None = None) -> None:
    """Raise WithinTestsError in a process that pytest runs in, or that it has started."""
    found = os.environ if environment is None else environment
    if any(name in found for name in _OF_TESTS):
        raise WithinTestsError(
            "notices are sent by people, never by a run of tests: this was started by pytest; run it from a shell"
        )


def due(log: Log) -> list[Known]:
    """Return the messages that are to be tried, in the order in which they were queued."""
    return [known for known in log.known.values() if known.state is State.WAITING]


def tidy(log: Log, folder: Path) -> None:
    """Remove what a command that was killed left in the queue: messages that need no further try, and unfinished files."""
    known = log.known
    for message in queue.there(folder):
        if message not in known or known[message].state in (State.ACCEPTED, State.REFUSED):
            queue.done(folder, message)


def send(
    section: Notices,
    log: Log,
    folder: Path,
    waiting: list[Known],
    tell: Callable[[Sent], None] = lambda _sent: None,
) -> list[Sent]:
    """Try messages, each once. Raises JournalError: nothing goes out whose attempt is not on the disk before.

    A server that cannot be used as a whole is not asked again for the others.
    """
    refuse_in_tests()
    found: list[Sent] = []
    unusable: dict[str, Outcome] = {}
    for known, outcome in _tried(section, log, folder, waiting, unusable):
        outcome = Outcome(  # noqa: PLW2901
            outcome.state,
            _without(outcome.said, section, folder, known),
            outcome.stage,
            outcome.code,
            outcome.whole,
        )
        log.result(known.notice.id, outcome.state, outcome.said, stage=outcome.stage, code=outcome.code)
        if outcome.state in (State.ACCEPTED, State.REFUSED):
            queue.done(folder, known.notice.id)
        found.append(Sent(known, outcome))
        tell(found[-1])
    return found


def _tried(
    section: Notices, log: Log, folder: Path, waiting: list[Known], unusable: dict[str, Outcome]
) -> Iterator[tuple[Known, Outcome]]:
    post = Post(section.server) if section.server is not None else None
    try:
        for known in waiting:
            try:
                message = queue.get(folder, known.notice.id)
            except CannotTell as error:
                yield known, Outcome(State.WAITING, str(error), "queue")
                continue
            server = "mail" if message.kind == "mail" else message.to
            outcome = unusable.get(server) or _one(section, log, message, post)
            if outcome.whole:
                unusable[server] = outcome
            yield known, outcome
    finally:
        if post is not None:
            post.close()


def _one(section: Notices, log: Log, message: Queued, post: Post | None) -> Outcome:
    def before() -> None:
        log.attempt(message.id)

    if message.kind == "mail":
        if post is None:
            return Outcome(
                State.WAITING,
                "the inventory names no mail server: add `notices.server`",
                "server",
                whole=True,
            )
        return post.deliver(message.sender, message.to, message.mail, before)
    channel = next((one for one in section.channels if one.name == message.to), None)
    if channel is None:
        return Outcome(
            State.WAITING, f"the inventory has no channel {message.to!r} any more", "server", whole=True
        )
    return web.deliver(channel, message.document, message.id, before)


def _without(said: str, section: Notices, folder: Path, known: Known) -> str:
    """Return a server's answer without the recipient's address, where the record has digests."""
    if section.privacy != "digest":
        return said
    try:
        address = queue.get(folder, known.notice.id).to
    except CannotTell:
        return said
    return re.sub(re.escape(address), "(the address)", said, flags=re.IGNORECASE)
