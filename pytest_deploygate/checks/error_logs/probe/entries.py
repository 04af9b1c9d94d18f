"""Read entries of a log from its lines: time, level and text. Lines that begin no entry belong to the one before them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pytest_deploygate.checks.access_logs.probe import formats, times
from pytest_deploygate.checks.error_logs.section import ErrorSource

#: Of one entry, more lines than this are not kept.
_MOST_LINES = 200
_ISO = re.compile(
    r"[\[(]?(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2})(?::\d{2}(?:[.,]\d{1,9})?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})?[\])]?[\s,]+"
)
#: The level stands near the beginning.
_NEAR = 80
_WORDS = "trace|debug|info|information|notice|warn|warning|err|error|crit|critical|fatal|alert|emerg|emergency|panic|severe|log"
_LEVEL = re.compile(rf"(?<![A-Za-z0-9.$_])({_WORDS})(?![A-Za-z0-9_])", re.IGNORECASE)
_RFC5424 = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::\d{2}(?:\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2}) \S+ (\S+) \S+ \S+ "
    r"(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?(.*)",
    re.DOTALL,
)
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_USUAL = {"time": ("@timestamp", "timestamp", "time", "ts"), "level": ("level", "severity", "levelname", "lvl"),
          "message": ("message", "msg", "event"), "logger": ("logger", "name", "module"),
          "trace": ("exception", "exc_info", "stack_trace", "stack", "error.stack_trace")}  # fmt: skip


class Entry(NamedTuple):
    """An entry: minutes since 1970 (None: its time has no zone), level in lower case (empty if unknown), and its lines."""

    minute: int | None
    level: str
    head: str
    rest: tuple[str, ...] | list[str] = ()


Begins = Callable[[str], Entry | None]


def beginning(source: ErrorSource) -> Begins:
    """Return the function that reads the first line of an entry; it returns None for a line that begins none."""
    zone = ZoneInfo(source.zone) if source.zone else None
    if source.format == "json":
        return lambda line: _json(line, source.fields, zone)
    return _rfc5424 if source.format == "rfc5424" else lambda line: _text(line, zone)


class Counts:
    """How many lines were read, and how many have another form than declared."""

    def __init__(self) -> None:
        self.lines = self.strange = self.unzoned = 0
        self.shape = ""

    def is_strange(self, line: str) -> None:
        """Count a line that is of no entry."""
        self.strange += 1
        self.shape = self.shape or formats.shape(line)


def entries(lines: Iterable[str], begins: Begins, counts: Counts, *, alone: bool) -> Iterator[Entry]:
    """Yield the entries of lines. `alone`: each line is an entry of its own, as JSON is."""
    open_entry: Entry | None = None
    for line in lines:
        counts.lines += 1
        entry = begins(line)
        if entry is not None:
            if open_entry is not None:
                yield open_entry
            open_entry = entry
        elif open_entry is None or alone:
            if line.strip():
                counts.is_strange(line)
        else:
            if not open_entry.rest:
                open_entry = open_entry._replace(rest=[])
            rest = open_entry.rest
            if isinstance(rest, list) and len(rest) < _MOST_LINES:
                rest.append(line)
            elif line.strip():
                counts.is_strange(line)
    if open_entry is not None:
        yield open_entry


def _text(line: str, zone: tzinfo | None) -> Entry | None:
    found = _ISO.match(line)
    if found is None:
        return None
    head = line[found.end() :]
    level = _LEVEL.search(head, 0, _NEAR)
    return Entry(_minute(found[1], found[2] or "", zone), level[1].lower() if level else "", head)


def _rfc5424(line: str) -> Entry | None:
    found = _RFC5424.match(line)
    if found is None:
        return None
    return Entry(_minute(found[2], found[3], None), _SEVERITIES[int(found[1]) % 8], f"{found[4]}: {found[5]}")


@lru_cache(maxsize=4096)
def _minute(text: str, offset: str, zone: tzinfo | None) -> int | None:
    """Return the minutes since 1970 of `2026-11-29T22:00`; None without a zone."""
    try:
        at = datetime.fromisoformat(f"{text}:00")
        if offset in ("Z", "UTC"):
            at = at.replace(tzinfo=UTC)
        elif offset:
            at = datetime.fromisoformat(f"{text}:00{offset}")
        elif zone is None:
            return None
        else:
            at = at.replace(tzinfo=zone)
    except ValueError:
        return None
    return int(at.timestamp()) // 60


def _json(line: str, fields: Mapping[Any, str], zone: tzinfo | None) -> Entry | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    return of_fields(document, fields, zone)


def of_fields(document: Mapping[str, Any], fields: Mapping[Any, str], zone: tzinfo | None) -> Entry | None:
    """Read an entry from named values; None without a time or a message."""
    told = {
        name: _first(document, (fields[name],) if name in fields else usual) for name, usual in _USUAL.items()
    }
    if told["message"] is None or told["time"] is None:
        return None
    stamp = times.stamp(told["time"])
    if stamp is None:
        return None
    at = stamp.at if stamp.zoned else (stamp.at.replace(tzinfo=zone) if zone else None)
    head, *rest = told["message"].split("\n")
    if told["logger"]:
        head = f"{told['logger']}: {head}"
    if told["trace"]:
        rest += told["trace"].split("\n")
    return Entry(
        int(at.timestamp()) // 60 if at else None, (told["level"] or "").lower(), head, rest[:_MOST_LINES]
    )


def _first(document: Mapping[str, Any], names: Iterable[str]) -> str | None:
    for name in names:
        found: Any = document.get(name)
        if found is None and "." in name:
            found = document
            for part in name.split("."):
                found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str | int | float) and not isinstance(found, bool) and str(found):
            return str(found)
    return None
