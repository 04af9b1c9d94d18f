"""Read a log file on a host with what is beside it, rotated and packed, as far as it has the hours in question."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_deploygate.checks.error_logs.facts import Hours
from pytest_deploygate.checks.error_logs.probe import parts, seeking
from pytest_deploygate.checks.error_logs.probe.parts import LogOnHost
from pytest_deploygate.checks.error_logs.probe.seeking import Minute
from pytest_deploygate.clients.host import tail
from pytest_deploygate.clients.host.tail import Seen
from pytest_deploygate.model import CannotTell, words_for_bytes

#: What was written last may be older than the file's time by as much.
_SLACK_S = 3600


def lines(log: LogOnHost, now: Hours, before: Hours, minute: Minute) -> Iterator[str]:
    """Yield the lines of all files of a log that may have entries of these hours, the oldest first. Raises CannotTell.

    `minute` returns the minutes since 1970 of a line that begins an entry, None for others.
    """
    taken = 0
    begins_with: dict[str, str] = {}
    for file in _wanted(_files(log), now, before):
        for begin, end in seeking.ranges(log, file, minute, (before, now)):
            rest, cut = b"", begin > 0
            for part in parts.parts(log, file, begin, None if parts.unpacks(file) else end):
                taken += len(part)
                if taken > log.most:
                    raise CannotTell(
                        f"more than {words_for_bytes(log.most)} of it would have to be read: raise `most`, or log less"
                    )
                *whole, rest = (rest + part).split(b"\n")
                if not begin and whole and file.name not in begins_with.values():
                    _no_copy(begins_with, whole[0].decode(errors="backslashreplace"), file.name)
                for line in whole[1:] if cut and whole else whole:
                    yield line.decode(errors="backslashreplace").rstrip("\r")
                cut = cut and not whole
            if rest and not cut and (parts.unpacks(file) or end >= file.size):
                yield rest.decode(errors="backslashreplace")


def _no_copy(begins_with: dict[str, str], line: str, name: str) -> None:
    """Note the first line of a file. Raises CannotTell if another one has the same: its lines would count twice."""
    if line in begins_with:
        raise CannotTell(
            f"{begins_with[line]} and {name} begin with the same line, so one is a copy of the other: remove one of them"
        )
    begins_with[line] = name


def _files(log: LogOnHost) -> list[Seen]:
    name = shlex.quote(log.path)
    readable = f"[ -r {name} ] && echo yes; [ -d {name} ] && echo folder"
    told = parts.ask_for(
        log,
        {"list": tail.listing(log.path), "readable": readable, "said": f"stat -L -- {name} 2>&1 >/dev/null"},
    )
    said = told.parts.get("said", "")
    if "Permission denied" in said:
        raise CannotTell(
            "permission to enter its folder is denied: let the gate's user read it, or set `run_as`"
        )
    if "No such file" in said:
        raise CannotTell("there is no such file: correct `file`, or look why nothing is logged")
    if told.parts.get("readable") != "yes":
        folder = "folder" in told.parts.get("readable", "")
        raise CannotTell(
            "it is a folder: name the file in it"
            if folder
            else "permission to read it is denied: let the gate's user read it"
        )
    seen = tail.seen(told.parts.get("list", ""))
    found = [file for file in seen if file.name == log.path or tail.is_rotated(log.path, file.name)]
    if not found:
        raise CannotTell("stat does not tell what it is: a host with GNU's or busybox's tools is needed")
    return sorted(found, key=lambda file: (file.name == log.path, file.changed))


def _wanted(files: list[Seen], now: Hours, before: Hours) -> Iterator[Seen]:
    """Yield the files that may have entries of these hours: each was written from the end of the one before it to its own."""
    earlier = float("-inf")
    for file in files:
        if any(
            file.changed >= hours.begin.timestamp() - _SLACK_S and earlier <= hours.end.timestamp() + _SLACK_S
            for hours in (now, before)
        ):
            yield file
        earlier = file.changed
