"""Read a file on a host in parts, packed on the way: no more than one part is held."""

from __future__ import annotations

import gzip
import shlex
import time
import zlib
from collections.abc import Iterator

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.host import tail
from pytest_deploygate.clients.host.asking import Told, ask
from pytest_deploygate.clients.host.tail import Seen
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for_bytes
from pytest_deploygate.redaction import Secret

PART = 8 << 20
_UNPACK = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zst": "zstd -dc"}


@dataclass(frozen=True)
class LogOnHost:
    """A log file on a host, and how much of it may be read until when (`time.monotonic`)."""

    connection: str
    run_as: str | None
    password: Secret | None
    path: str
    timeout_s: float
    most: int
    until: float


def unpacks(file: Seen) -> str:
    """Return the command that unpacks a file; empty for one that is not packed."""
    return next((how for end, how in _UNPACK.items() if file.name.endswith(end)), "")


def parts(log: LogOnHost, file: Seen, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield what a file has from `begin` to `end` (or its end), unpacked. Raises CannotTell."""
    at = begin
    while end is None or at < end:
        part = read(log, file, at, PART if end is None else min(PART, end - at))
        at += len(part)
        if part:
            yield part
        if len(part) < PART:
            return


def read(log: LogOnHost, file: Seen, at: int, size: int) -> bytes:
    """Return so many bytes of a file from a place on. Raises CannotTell, also for a file that was rotated meanwhile."""
    stopping.may_begin()
    if time.monotonic() > log.until:
        raise CannotTell(
            f"not all of it could be read in time ({words_for_bytes(at)} of {file.name}): raise `within`"
        )
    name, unpack = shlex.quote(file.name), unpacks(file)
    source = f"{unpack} <{name} | tail -c +{at + 1}" if unpack else f"tail -c +{at + 1} -- {name}"
    commands = {
        "encoder": tail.ENCODER,
        "packs": "Z=cat; command -v gzip >/dev/null && Z='gzip -1c'; echo \"$Z\"",
        "same": f'[ "$(stat -L -c %i -- {name})" = {file.inode} ] && echo same',
        "part": f"{source} | head -c {size} | $Z | $E",
    }
    if unpack and not at:
        commands["whole"] = f"{unpack} <{name} >/dev/null && echo whole"
    told = ask_for(log, commands)
    if told.parts.get("same") != "same":
        raise CannotTell(f"{file.name} was rotated while it was read: run it again")
    if unpack and not at and told.parts.get("whole") != "whole":
        raise CannotTell(
            f"{file.name} cannot be unpacked: the host lacks `{unpack.split()[0]}`, or it is damaged"
        )
    try:
        part = tail.decoded(told.parts.get("part", ""), told.parts.get("encoder", ""))
        return gzip.decompress(part) if told.parts.get("packs", "").startswith("gzip") else part
    except (ValueError, OSError, EOFError, zlib.error):
        raise CannotTell(f"what was read of {file.name} arrived cut off") from None


def ask_for(log: LogOnHost, commands: dict[str, str]) -> Told:
    """Run commands on the host of a log. Raises CannotTell."""
    told = ask(log.connection, log.run_as, commands, log.timeout_s, log.password)
    if isinstance(told, Failure):
        raise CannotTell(f"the host cannot be asked: {told.said}")
    return told
