"""Read what the aggregator keeps of a message: its host, level, time and text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.checks.access_logs.facts import Stamp
from pytest_deploygate.checks.access_logs.probe import times
from pytest_deploygate.checks.log_delivery.section import Aggregator
from pytest_deploygate.clients.log_stores import Entry
from pytest_deploygate.lazy import dataclass

_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_OTHER_NAMES = {
    "emergency": "emerg",
    "panic": "emerg",
    "fatal": "crit",
    "critical": "crit",
    "error": "err",
    "warn": "warning",
    "informational": "info",
    "information": "info",
}
#: RFC 5424, 6: the value of PRI is 8 times the facility plus the severity. Structured data may have `\]` in its values.
_RFC5424 = re.compile(
    r"(?:<(?P<pri>\d{1,3})>)?1 (?P<time>\S+) (?P<host>\S+) \S+ \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?(?P<message>.*)",
    re.DOTALL,
)
#: The tag has a colon, unless the message came in the form of RFC 5424.
_SYSLOG = re.compile(
    r"(?:<(?P<pri>\d{1,3})>)?(?P<time>[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T\S+) (?P<host>\S+) "
    r"[^\s:\[]+(?:\[[^\]]*\])?:? ?(?P<message>.*)",
    re.DOTALL,
)
_USUAL = {"host": ("host", "hostname"), "time": ("@timestamp", "timestamp", "time", "timereported"),
          "level": ("level", "severity", "syslogseverity-text"), "message": ("message", "msg")}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """What the aggregator has of a message; None for what it does not have."""

    host: str | None
    level: str | None
    stamp: Stamp | None
    message: str


Reader = Callable[[str], Record | None]


def reader(section: Aggregator) -> Reader:
    """Return the reader of the lines of a file; it returns None for a line of another form."""
    if section.format == "json":
        return lambda line: _json(line, section.fields)
    return _rfc5424 if section.format == "rfc5424" else _syslog


def of_entry(entry: Entry, section: Aggregator) -> Record:
    """Read an entry of a log store: from its labels or fields, and what they lack from its line if that has a known form."""
    told = {name: _first(entry.fields, name, section.fields) for name in ("host", "level", "time", "message")}
    inner = _rfc5424(entry.line) or _syslog(entry.line) or _json(entry.line, section.fields)
    stamp = times.stamp(told["time"]) if told["time"] else None
    if stamp is None and entry.at_s is not None:
        stamp = Stamp(datetime.fromtimestamp(entry.at_s, UTC), 0.001)
    host = told["host"] or (inner.host if inner else None)
    level = _severity(told["level"]) if told["level"] else (inner.level if inner else None)
    return Record(host, level, stamp, told["message"] or (inner.message if inner else entry.line))


def _rfc5424(line: str) -> Record | None:
    found = _RFC5424.fullmatch(line)
    if found is None:
        return None
    host = None if found["host"] == "-" else found["host"]
    return Record(
        host, _priority(found["pri"]), times.stamp(found["time"]), found["message"].lstrip("\ufeff")
    )


def _syslog(line: str) -> Record | None:
    found = _SYSLOG.fullmatch(line)
    if found is None:
        return None
    return Record(found["host"], _priority(found["pri"]), _stamp(found["time"]), found["message"])


def _json(line: str, fields: Mapping[Any, str]) -> Record | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    told = {name: _first(document, name, fields) for name in _USUAL}
    if told["message"] is None:
        return None
    stamp = times.stamp(told["time"]) if told["time"] else None
    return Record(told["host"], _severity(told["level"]), stamp, told["message"])


def _first(document: Mapping[str, object], name: str, fields: Mapping[Any, str]) -> str | None:
    names = (fields[name],) if name in fields else _USUAL[name]
    for each in names:
        found: object = document.get(each)
        if found is None and "." in each:
            found = document
            for part in each.split("."):
                found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str | int | float) and str(found):
            return str(found)
    return None


def _priority(text: str | None) -> str | None:
    return _SEVERITIES[int(text) % 8] if text else None


def _severity(text: str | None) -> str | None:
    if text is None:
        return None
    if text.isdigit() and int(text) < len(_SEVERITIES):
        return _SEVERITIES[int(text)]
    return _OTHER_NAMES.get(text.lower(), text.lower())


def _stamp(text: str) -> Stamp | None:
    """Read the time of RFC 3164, which has neither year nor zone: the year is the one in which it is nearest to now."""
    if text[0].isdigit():
        return times.stamp(text)
    now = datetime.now(UTC).replace(tzinfo=None)
    found = []
    for year in (now.year - 1, now.year, now.year + 1):
        try:
            found.append(datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S"))  # noqa: DTZ007 (it has no zone)
        except ValueError:  # the 29th of February
            continue
    return Stamp(min(found, key=lambda at: abs(at - now)), 1.0) if found else None
