"""Judge the lines of a hop: they have the declared form, tell what is required, and their time is right."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.access_logs.facts import Clock, Hop, Line, Log, Sent, Stamp
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.access_logs import section as sections
    from pytest_deploygate.checks.access_logs.section import AccessLogs, Told

#: What each hop must log.
_EACH: tuple[Told, ...] = ("time", "source", "method", "path", "status")
#: Zones differ by multiples of this.
_STEP_S = 900.0
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?\s?(?:ns|us|µs|ms|s)?(?:[,:\s].*)?")


def _is_address(value: str) -> bool:
    host = value.split(",", maxsplit=1)[0].strip()
    if found := re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+", host):
        host = found[1] or found[2]
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # Apache writes the name of a client's host if it looks them up.
        return re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\.?", host) is not None
    return True


_GOOD: Mapping[str, Callable[[str], object]] = {
    "time": bool,
    "source": _is_address,
    "method": re.compile(r"[A-Z]{3,10}").fullmatch,
    "path": re.compile(r"(?:/|https?://|\*).*").fullmatch,
    "status": re.compile(r"[1-5]\d\d").fullmatch,
    "duration": _NUMBER.fullmatch,
    # Nobody has to be logged in; that a log has a place for it can be seen.
    "user": lambda _: True,
}


def says(name: str, value: str) -> bool:
    """Tell whether a value is one: `-` is none, but for a user."""
    return bool(_GOOD[name](value.strip()))


def judge(
    hop: Hop, wanted: sections.Hop, sent: Sequence[Sent], criterion: AccessLogs, found: Collector
) -> None:
    """Add what is wrong with, or unknown of, the lines of a hop; the first line of each request counts."""
    for request in sent:
        log, one = next(
            ((log, one) for log in hop.logs for one in log.lines if one.request == request.name), (None, None)
        )
        if log is None or one is None:
            continue
        if one.told is None:
            found.unknown(
                f"the line of the {request.method} request has another form than declared; it is like: {one.shape}",
                where=log.name,
            )
            continue
        _fields(log, one, one.told, wanted, request, found)
        _time(log, one, wanted, request, criterion, found)


def _fields(
    log: Log, one: Line, told: Mapping[str, str], wanted: sections.Hop, request: Sent, found: Collector
) -> None:
    required = [name for name in (*_EACH, *wanted.must_have) if name not in wanted.may_lack]
    for name in dict.fromkeys(required):
        value = told.get(name)
        if value is None:
            found.wrong(f"has no {name}: add it to the log's format, or name it in `fields`", where=log.name)
        elif name != "time" and not says(name, value):
            found.wrong(f"has no {name} of the request where it should be", where=log.name)
        elif name == "time" and one.stamp is None:
            found.unknown(
                "its time is in a form that is not known here: CLF, ISO 8601 and seconds are", where=log.name
            )
    method = told.get("method")
    if method and says("method", method) and method != request.method:
        found.note(f"logs {method} for a {request.method} request", where=log.name)
    status = told.get("status")
    if status and says("status", status) and request.status is not None and int(status) != request.status:
        found.note(f"logs status {status}, the client got {request.status}", where=log.name)


def _time(
    log: Log, one: Line, wanted: sections.Hop, request: Sent, criterion: AccessLogs, found: Collector
) -> None:
    """Judge that the logged time is within the request's own. A host whose own clock is off logs that time."""
    if one.stamp is None or "time" in wanted.may_lack:
        return
    stamp = one.stamp
    if not stamp.zoned and wanted.zone is None:
        found.wrong(
            f"its time ({stamp.at:%H:%M:%S}) has no zone, so it cannot be told apart from the same time of another zone: "
            "log the offset, or declare `zone`",
            where=log.name,
        )
        return
    tolerance_s = criterion.clock_tolerance.total_seconds()
    off_s = min((_off(each, stamp, request, log.clock) for each in _moments(stamp, wanted.zone)), key=abs)
    limit = f"at most {words_for(tolerance_s)}"
    ok = abs(off_s) <= tolerance_s
    found.read(
        Reading(
            f"{log.name}: time outside of the {request.method} request's",
            round(abs(off_s), 2),
            "s",
            limit,
            ok,
        )
    )
    if log.clock.low_s > tolerance_s or log.clock.high_s < -tolerance_s:
        ahead = log.clock.low_s > 0
        found.note(
            f"its host's clock is {words_for(min(abs(log.clock.low_s), abs(log.clock.high_s)))} "
            f"{'ahead of' if ahead else 'behind'} ours, and so are the times in its log",
            where=log.name,
        )
    if ok:
        return
    by = f"{words_for(abs(off_s))} {'ahead of' if off_s > 0 else 'behind'} the request"
    steps = round(off_s / _STEP_S)
    if steps and abs(off_s - steps * _STEP_S) <= tolerance_s + stamp.resolution_s + (
        request.answered_s - request.sent_s
    ):
        found.wrong(
            f"its time is {abs(steps) / 4:g} h {'ahead of' if steps > 0 else 'behind'} the request: its time "
            f"zone is wrong{'' if stamp.zoned else ', or `zone` is'}",
            where=log.name,
        )
    else:
        found.wrong(f"its time is {by}; its host's clock is not the cause", where=log.name)


def _moments(stamp: Stamp, zone: str | None) -> list[datetime]:
    """Return the moments that a logged time can be: two in the hour that comes again in autumn."""
    if stamp.zoned:
        return [stamp.at]
    from zoneinfo import ZoneInfo  # noqa: PLC0415 (few logs have no zone)

    own = ZoneInfo(zone or "UTC")
    return [stamp.at.replace(tzinfo=own, fold=fold).astimezone(UTC) for fold in (0, 1)]


def _off(at: datetime, stamp: Stamp, request: Sent, clock: Clock) -> float:
    """Return how far a time is outside of the request's on the host's clock: positive if it is later, 0 within."""
    low, high = at.timestamp(), (at + timedelta(seconds=stamp.resolution_s)).timestamp()
    begun, ended = request.sent_s + clock.low_s, request.answered_s + clock.high_s
    if low > ended:
        return low - ended
    return high - begun if high < begun else 0.0
