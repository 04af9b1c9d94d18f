"""The record of what was sent: a hash-chained journal of its own, in a folder for each change.

A message has a line `notice` when it is queued, a line `attempt` before its text goes to a server, and a line `result` with
the server's answer. An attempt without a result is uncertain: the message may have arrived. People say which (`answer`); it
is neither sent again nor counted as sent before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_deploygate import journal
from pytest_deploygate.files import sha256
from pytest_deploygate.journal import Entry, JournalError
from pytest_deploygate.lazy import dataclass

NOTICE, ATTEMPT, RESULT, ANSWER = "notice", "attempt", "result", "answer"


class State(StrEnum):
    """What is known of a message."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Notice:
    """A message to one recipient, before it is sent. `key` stands for the recipient, `source` for all that it was made from."""

    id: str
    template: str
    audience: str
    language: str
    key: str
    called: str
    digest: str
    source: str
    given: Mapping[str, str] = field(default_factory=dict)
    again: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Known:
    """A message with what is known of it: the last answer in words, how often it was tried, and when that was.

    `answered`: what is known was said by a person, as the server's answer was missing.
    """

    notice: Notice
    state: State
    said: str = ""
    tries: int = 0
    at: datetime | None = None
    answered: bool = False


def folder_of(given: Path | None, change_folder: Path, change: str) -> Path:
    """Return the folder of a change's record."""
    return given / change if given is not None else change_folder / "notices"


def identity(change: str, template: str, digest: str, key: str, again: int) -> str:
    """Return the id of a message: the same notice to the same recipient has the same one."""
    return sha256("\0".join((change, template, digest, key, str(again))).encode())[:20]


def read(folder: Path) -> dict[str, Known]:
    """Return all messages of a change by id, also of folders that `--fresh` moved aside. Raises JournalError."""
    found: dict[str, Known] = {}
    for each in (*_aside(folder), folder):
        found |= states(journal.read(each)[0])
    return found


def _aside(folder: Path) -> list[Path]:
    """Return the records in folders of the change that were moved aside: what was sent then was sent."""
    change = folder.parent
    return [path / folder.name for path in sorted(change.parent.glob(f"{change.name}.before-*"))]


def states(entries: Sequence[Entry]) -> dict[str, Known]:
    """Return what the lines of a record say, by message. Raises JournalError for lines of another shape."""
    found: dict[str, Known] = {}
    with journal.readable():
        for entry in entries:
            body = entry.body
            if entry.kind == NOTICE:
                found[body["id"]] = Known(_notice(body), State.WAITING, at=entry.at)
            elif entry.kind == ATTEMPT:
                known = found[body["id"]]
                said = "the command ended before the server's answer was recorded"
                found[body["id"]] = replace(
                    known, state=State.UNCERTAIN, said=said, tries=known.tries + 1, at=entry.at
                )
            elif entry.kind in (RESULT, ANSWER):
                known = found[body["id"]]
                # One that ended before its text went out has no line for its attempt.
                tried = entry.kind == RESULT and known.state is not State.UNCERTAIN
                found[body["id"]] = replace(
                    known,
                    state=State(body["state"]),
                    said=str(body["said"]),
                    tries=known.tries + tried,
                    at=entry.at,
                    answered=entry.kind == ANSWER,
                )
    return found


def _notice(body: Mapping[str, Any]) -> Notice:
    names = ("id", "template", "audience", "language", "key", "called", "digest", "source", "reason")
    given = {str(name): str(value) for name, value in body["given"].items()}
    return Notice(**{name: str(body[name]) for name in names}, given=given, again=int(body["again"]))


class Log:
    """The record of a change, held for writing. Each line is on the disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        """Open the record. Raises JournalError: another command writes to it, or it is damaged."""
        self._before: dict[str, Known] = {}
        for each in _aside(folder):
            self._before |= states(journal.read(each)[0])
        try:
            self._writer = journal.Writer(folder)
        except journal.BusyError:
            raise journal.BusyError(
                f"another `deploygate notify` is sending notices of this change (it holds {folder}): wait for it"
            ) from None

    @property
    def known(self) -> dict[str, Known]:
        """All messages by id."""
        return self._before | states(self._writer.entries)

    def queue(self, notice: Notice) -> None:
        """Record a message that is to be sent. Raises JournalError."""
        self._writer.append(NOTICE, {**vars_of(notice)})

    def attempt(self, message: str) -> None:
        """Record that a message's text goes to its server next. Raises JournalError."""
        self._writer.append(ATTEMPT, {"id": message})

    def result(self, message: str, state: State, said: str, **more: str | int) -> None:
        """Record the outcome of an attempt. Raises JournalError."""
        self._writer.append(RESULT, {"id": message, "state": state.value, "said": said, **more})

    def answer(self, message: str, *, sent: bool, by: str) -> None:
        """Record what a person says of an uncertain message. Raises JournalError."""
        state = State.ACCEPTED if sent else State.WAITING
        said = f"{by} says that it arrived" if sent else f"{by} says that it did not arrive"
        self._writer.append(ANSWER, {"id": message, "state": state.value, "said": said, "by": by})

    def close(self) -> None:
        """Release the record. Raises JournalError if something else changed it meanwhile."""
        altered = self._writer.altered()
        self._writer.close()
        if altered:
            raise JournalError(altered)


def vars_of(notice: Notice) -> dict[str, Any]:
    """Return a message as its line has it."""
    names = ("id", "template", "audience", "language", "key", "called", "digest", "source", "again", "reason")
    return {name: getattr(notice, name) for name in names} | {"given": dict(notice.given)}


def latest(known: Iterable[Known], template: str, key: str) -> Known | None:
    """Return the last message of a template to a recipient; one that was accepted counts before later ones that were not."""
    mine = [one for one in known if one.notice.template == template and one.notice.key == key]
    return mine[-1] if mine else None
