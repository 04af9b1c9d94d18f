"""Read the times that logs have. What has another form is None: no form is guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from pytest_deploygate.checks.access_logs.facts import Stamp

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
#: `29/Nov/2026:11:30:01 +0000`; HAProxy has milliseconds and no zone.
_CLF = re.compile(
    r"\[?(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?: ([+-])(\d{2})(\d{2}))?\]?"
)
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s?(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?"
)
_EPOCH = re.compile(r"(\d{9,10})(?:\.(\d{1,9}))?|(\d{12,13})|(\d{15,16})|(\d{18,19})")


def stamp(text: str) -> Stamp | None:
    """Read a time in the form of the Common Log Format, of ISO 8601, or in seconds (or ms, µs, ns) since 1970."""
    text = text.strip()
    try:
        return _clf(text) or _iso(text) or _epoch(text)
    except (ValueError, OverflowError, OSError):  # the 31st of a short month
        return None


def _clf(text: str) -> Stamp | None:
    found = _CLF.fullmatch(text)
    if not found or found[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second = (
        found[1],
        _MONTHS[found[2]],
        found[3],
        found[4],
        found[5],
        found[6],
    )
    at = datetime(int(year), month, int(day), int(hour), int(minute), int(second))  # noqa: DTZ001 (its zone follows)
    zone = _zone(f"{found[8]}{found[9]}{found[10]}") if found[8] else None
    return _exact(at.replace(tzinfo=zone), found[7])


def _iso(text: str) -> Stamp | None:
    found = _ISO.fullmatch(text)
    if not found:
        return None
    at = datetime.fromisoformat(f"{found[1]}T{found[2]}")
    return _exact(at.replace(tzinfo=_zone(found[4]) if found[4] else None), found[3])


def _epoch(text: str) -> Stamp | None:
    found = _EPOCH.fullmatch(text)
    if not found:
        return None
    if found[1]:
        return _exact(datetime.fromtimestamp(int(found[1]), UTC), found[2])
    digits = len(text) // 3 * 3 - 9  # 3, 6 or 9 of them are a fraction
    return _exact(datetime.fromtimestamp(int(text[:-digits]), UTC), text[-digits:])


def _exact(at: datetime, fraction: str | None) -> Stamp:
    digits = fraction or ""
    return Stamp(at + timedelta(seconds=float(f"0.{digits or 0}")), 10.0 ** -len(digits))


def _zone(text: str) -> timezone:
    if text in ("Z", "z", "UTC"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
