"""Messages that are not yet accepted, each a file of its own: whole, with the address that the record does not have.

A file is on the disk before the record says that its message is queued, and is removed when the message is accepted or refused.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pytest_deploygate.files import bounded, write_new
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

FOLDER = "queue"


@dataclass(frozen=True)
class Queued:
    """A message as it is sent: a mail's bytes, or the JSON of a channel."""

    id: str
    kind: Literal["mail", "channel"]
    to: str
    sender: str
    mail: bytes
    document: dict[str, Any]


def put(folder: Path, queued: Queued) -> None:
    """Write a message to the disk. Raises CannotTell."""
    place = folder / FOLDER
    plain = {
        "id": queued.id,
        "kind": queued.kind,
        "to": queued.to,
        "sender": queued.sender,
        "mail": base64.b64encode(queued.mail).decode(),
        "document": queued.document,
    }
    path = place / f"{queued.id}.json"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(str(path), json.dumps(plain, sort_keys=True).encode())
        for each in (path, place):
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise CannotTell(
            f"the message cannot be written to {path}: {error.strerror}; nothing was sent"
        ) from None


def get(folder: Path, message: str) -> Queued:
    """Read a message. Raises CannotTell."""
    path = folder / FOLDER / f"{message}.json"
    try:
        raw = bounded.from_json(bounded.read(path, bounded.MADE))
        kind: Literal["mail", "channel"] = "channel" if raw["kind"] == "channel" else "mail"
        return Queued(
            str(raw["id"]),
            kind,
            str(raw["to"]),
            str(raw["sender"]),
            base64.b64decode(raw["mail"]),
            dict(raw["document"]),
        )
    except FileNotFoundError:
        raise CannotTell(
            "its message is no longer in the queue: name the notice again (`deploygate notify send NOTICE --to AUDIENCE`)"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotTell(
            f"{path} cannot be read ({type(error).__name__}): remove it, and name the notice again"
        ) from None


def done(folder: Path, message: str) -> None:
    """Remove a message that needs no further try."""
    with contextlib.suppress(OSError):
        (folder / FOLDER / f"{message}.json").unlink()


def there(folder: Path) -> set[str]:
    """Return the ids of the messages in the queue."""
    return {path.stem for path in (folder / FOLDER).glob("*.json")}
