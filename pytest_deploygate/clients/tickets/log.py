"""What was begun and done at a ticket, kept in the change's folder: a killed command leaves its intent.

It is not in the journal: a line there would change the head that the ticket is told.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_deploygate.clients.tickets.asking import BrokenError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.moments import time_of

#: The folder of these logs in the change's folder.
FOLDER = "tickets"
_LOCK = ".lock"


@dataclass(frozen=True)
class Done:
    """What the log says of one file or comment: when it was begun last, whether it is done, and its link."""

    begun: datetime | None = None
    done: bool = False
    link: str = ""


class Log:
    """The log of one ticket: lines of JSON, each on disk before what it announces is sent."""

    def __init__(self, path: Path) -> None:
        """Read what is there; the unfinished last line of a killed command is cut off. Raises OSError."""
        self._path = path
        self._lines = _read(path)

    def of(self, name: str) -> Done:
        """Return what is known of a file's name or a comment's mark."""
        begun, done, link = None, False, ""
        for line in self._lines:
            if line.get("name") != name:
                continue
            if line.get("what") == "begun":
                begun, done, link = _time(line.get("at")), False, ""
            else:
                done, link = True, str(line.get("link", ""))
        return Done(begun, done, link)

    def begin(self, name: str, **more: object) -> None:
        """Record that something will be sent now. Raises OSError."""
        self._append({"what": "begun", "name": name, **more})

    def done(self, name: str, link: str = "", **more: object) -> None:
        """Record that something is in the ticket. Raises OSError."""
        self._append({"what": "done", "name": name, "link": link, **more})

    def _append(self, line: dict[str, Any]) -> None:
        line["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        raw = json.dumps(line, sort_keys=True).encode() + b"\n"
        with open(self._path, "ab", opener=_private) as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        self._lines.append(line)


@contextlib.contextmanager
def opened(folder: Path, ticket: str) -> Iterator[Log]:
    """Open the log of a ticket (`jira:OPS-42`) in the change's folder; one command at a time. Raises BrokenError."""
    place = folder / FOLDER
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        with open(place / _LOCK, "a", opener=_private) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BrokenError(f"another command is attaching from {folder}; wait for it") from None
            yield Log(place / f"{ticket.replace(':', '-')}.jsonl")
    except OSError as error:
        raise BrokenError(f"{error.filename or place}: {error.strerror}: nothing more was sent") from None


def commented(folder: Path, head: str) -> bool:
    """Tell whether a log of the change's folder says that a ticket was told of this head of the journal."""
    try:
        logs = [Log(path) for path in sorted((folder / FOLDER).glob("*.jsonl"))]
    except OSError:
        return False
    return any(log.of(head).done for log in logs)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        os.truncate(path, len(whole))
    found = []
    for line in whole.splitlines():
        with contextlib.suppress(ValueError):
            plain = json.loads(line)
            if isinstance(plain, dict):
                found.append(plain)
    return found


def _time(value: object) -> datetime | None:
    try:
        return time_of(str(value))
    except (TypeError, ValueError):
        return None
