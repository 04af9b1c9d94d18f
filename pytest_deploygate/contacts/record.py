"""The record of codes: who was sent one, until when it is valid, and who acknowledged it.

`contact-codes.jsonl` in the change's folder, one JSON object in each line, only ever appended to. Neither a code nor an
address is in it: their digests are, each with a salt of its line.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_deploygate.contacts import codes
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass

FILE = "contact-codes.jsonl"
_PATIENCE_S = 5.0


class RecordError(ValueError):
    """The record cannot be read or written; the text says where and why."""


class CodeError(ValueError):
    """A code that acknowledges nothing; the text says why, and what to do."""


@dataclass(frozen=True)
class Code:
    """A code that was sent. `address` and `code` are digests with `salt`. `failed`: it was not delivered."""

    role: str
    salt: str
    address: str
    code: str
    sent: datetime
    expires: datetime
    deputy: bool = False
    acknowledged: datetime | None = None
    failed: bool = False


def read(folder: Path) -> tuple[Code, ...]:
    """Return the codes of a change, oldest first; none without a record. Raises RecordError."""
    path = folder / FILE
    try:
        raw = bounded.read(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error}") from None
    found: dict[str, Code] = {}
    # A line that a crash cut short was never told to anybody: its code was not sent, or its answer not given.
    whole = raw[: raw.rfind(b"\n") + 1]
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            _take(bounded.from_json(line), found)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(
                f"{path}:{number} cannot be read ({error}): it was changed by hand; restore it, or move it aside and "
                "send new codes"
            ) from None
    return tuple(found.values())


def _take(line: dict[str, Any], found: dict[str, Code]) -> None:
    if line["what"] == "sent":
        found[line["code"]] = Code(
            str(line["role"]),
            str(line["salt"]),
            str(line["address"]),
            str(line["code"]),
            _time(line["at"]),
            _time(line["expires"]),
            bool(line["deputy"]),
        )
    elif line["what"] == "failed":
        found[line["code"]] = replace(found[line["code"]], failed=True)
    elif line["what"] == "acknowledged":
        found[line["code"]] = replace(found[line["code"]], acknowledged=_time(line["at"]))
    else:
        raise ValueError(f"{line['what']!r} is not known")


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)


def sent(
    folder: Path, role: str, address: str, expires: datetime, now: datetime, *, deputy: bool = False
) -> str:
    """Record a new code for an address, and return it. Raises RecordError.

    It is on the disk when this returns: a message is never sent with a code that nobody would know.
    """
    code, salt = codes.made(), secrets.token_hex(16)
    line = {
        "what": "sent",
        "role": role,
        "deputy": deputy,
        "salt": salt,
        "address": codes.digest(salt, address.casefold()),
        "code": codes.digest(salt, codes.plain(code)),
        "at": now.isoformat(),
        "expires": expires.isoformat(),
    }
    with _open(folder) as append:
        append(line)
    return code


def failed(folder: Path, code: str) -> None:
    """Record that the message with a code was not delivered. Raises RecordError."""
    with _open(folder) as append:
        if found := _known(read(folder), codes.plain(code)):
            append({"what": "failed", "code": found.code})


def acknowledge(folder: Path, typed: str, now: datetime) -> Code:
    """Record that whoever got this code has read it; return it. Raises CodeError, RecordError.

    A code acknowledges once, until its end.
    """
    try:
        plain = codes.plain(typed)
    except ValueError as error:
        raise CodeError(str(error)) from None
    with _open(folder, create=False) as append:
        found = _known(read(folder), plain)
        if found is None:
            raise CodeError("no such code was sent for this change: check the code and `--change`")
        if found.acknowledged is not None:
            raise CodeError(
                f"the code of {found.role} was acknowledged already, on {_words(found.acknowledged)}"
            )
        if now >= found.expires:
            raise CodeError(
                f"the code of {found.role} expired on {_words(found.expires)}: send a new one with "
                "`deploygate notify test`"
            )
        append({"what": "acknowledged", "code": found.code, "at": now.isoformat()})
    return replace(found, acknowledged=now)


def _known(known: tuple[Code, ...], plain: str) -> Code | None:
    """Compare with every code, each in constant time: how long it takes says nothing about them."""
    matches = [one for one in known if hmac.compare_digest(codes.digest(one.salt, plain), one.code)]
    return matches[0] if matches else None


def acknowledged(folder: Path) -> Callable[[str, str], datetime | None]:
    """Return a function for when the address of a role last acknowledged a code. Raises RecordError.

    An address that was changed since has acknowledged nothing.
    """
    known = [one for one in read(folder) if one.acknowledged is not None]

    def last(role: str, address: str) -> datetime | None:
        times = [
            one.acknowledged
            for one in known
            if one.acknowledged is not None
            and one.role == role
            and hmac.compare_digest(codes.digest(one.salt, address.casefold()), one.address)
        ]
        return max(times, default=None)

    return last


def _words(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")


@contextlib.contextmanager
def _open(folder: Path, *, create: bool = True) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Hold the record alone while it is read and appended to. Raises RecordError."""
    path = folder / FILE
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise CodeError(f"no codes were sent for this change: there is no {path}")
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror}") from None
    try:
        _lock(descriptor, path)
        _end_line(descriptor)

        def append(line: dict[str, Any]) -> None:
            raw = json.dumps(line, sort_keys=True).encode() + b"\n"
            try:
                while raw:
                    raw = raw[os.write(descriptor, raw) :]
                os.fsync(descriptor)
            except OSError as error:
                raise RecordError(f"{path} cannot be written: {error.strerror}") from None

        yield append
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                raise RecordError(f"{path} is in use by another command; try again") from None
            time.sleep(0.02)
        else:
            return


def _end_line(descriptor: int) -> None:
    """Take away what a crash left of a line: whoever wrote it was killed before it told anybody."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, min(size, 65536), max(0, size - 65536))
    whole = max(0, size - 65536) + tail.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
