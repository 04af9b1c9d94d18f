"""Read all logs in the latest hours that are over and in the same hours of the baseline, side by side."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pytest_deploygate.checks.error_logs.facts import Compared, Hours, Place, Source
from pytest_deploygate.checks.error_logs.probe import entries as reading
from pytest_deploygate.checks.error_logs.probe import files
from pytest_deploygate.checks.error_logs.probe.entries import Counts, Entry
from pytest_deploygate.checks.error_logs.probe.parts import LogOnHost
from pytest_deploygate.checks.error_logs.probe.tally import Presence, Tally
from pytest_deploygate.checks.error_logs.section import ErrorLogs, ErrorSource, hours
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.clients import log_stores
from pytest_deploygate.model import CannotTell

_AT_ONCE = 8
#: Entries that are counted together, while other places wait.
_BATCH = 1000
#: Where entries of a log come from; `counts` is filled meanwhile.
_Read = Callable[[Counts], Iterator[Entry]]


def compare(section: ErrorLogs, hosts: Mapping[str, Host], now: datetime | None = None) -> Compared:
    """Read all logs; what cannot be read is a value of its place. `hosts` are the servers that sources name.

    `now` is the time from which the latest hours are looked for; the current one if it is None.
    """
    zone = ZoneInfo(section.zone)
    latest = _latest(section, now or datetime.now(zone))
    before = Hours(*(_earlier(at, section.baseline_age, zone) for at in (latest.begin, latest.end)))
    until = time.monotonic() + section.within.total_seconds()

    def one(source: ErrorSource) -> Source:
        return _source(source, section, hosts, latest, before, until)

    with ThreadPoolExecutor(min(_AT_ONCE, len(section.sources)), "error-logs") as pool:
        return Compared(latest, before, tuple(pool.map(one, section.sources)))


def _latest(section: ErrorLogs, now: datetime) -> Hours:
    """Return the latest part of a day that is over."""
    begins, ends = hours(section.hours)
    zone = ZoneInfo(section.zone)
    today = now.astimezone(zone).date()
    end = datetime.combine(today, ends, zone)
    if end > now:
        end = datetime.combine(today - timedelta(days=1), ends, zone)
    day = end.date() - timedelta(days=1) if begins >= ends else end.date()
    return Hours(datetime.combine(day, begins, zone), end)


def _earlier(at: datetime, age: timedelta, zone: ZoneInfo) -> datetime:
    """Return the same time of the clock on an earlier day."""
    return datetime.combine(at.date() - age, at.timetz().replace(tzinfo=zone))


def _source(
    source: ErrorSource,
    section: ErrorLogs,
    hosts: Mapping[str, Host],
    now: Hours,
    before: Hours,
    until: float,
) -> Source:
    tally, one_at_a_time = Tally(source, now, before), threading.Lock()

    def one(place: tuple[str, _Read]) -> Place:
        name, read = place
        counts, presence, problem = Counts(), Presence(), ""
        try:
            entries = read(counts)
            while batch := list(itertools.islice(entries, _BATCH)):
                with one_at_a_time:
                    tally.take(batch)
                presence.take(batch)
                counts.unzoned += sum(entry.minute is None for entry in batch)
        except CannotTell as error:
            problem = str(error)
        seen = (presence.seen(now), presence.seen(before))
        return Place(name, problem, counts.lines, counts.strange, counts.shape, counts.unzoned, *seen)

    places = list(_places(source, section, hosts, now, before, until))
    with ThreadPoolExecutor(min(_AT_ONCE, len(places)), "error-logs-places") as pool:
        return tally.source(tuple(pool.map(one, places)))


def _places(
    source: ErrorSource,
    section: ErrorLogs,
    hosts: Mapping[str, Host],
    now: Hours,
    before: Hours,
    until: float,
) -> Iterator[tuple[str, _Read]]:
    timeout_s = section.timeout.total_seconds()
    if source.file is None:
        yield (
            "Loki" if source.loki else "OpenSearch",
            lambda counts: _of_store(source, now, before, timeout_s, counts),
        )
        return
    given = [hosts[name] for name in source.hosts]  # the inventory's loader has checked the names
    places = [(host.name, host.connection, host.run_as, host.run_as_password) for host in given]
    if source.connection is not None:
        place = source.connection.partition("://")[2].partition("?")[0] or "this host"
        places = [(place, source.connection, source.run_as, None)]
    begins = reading.beginning(source)

    def minute(line: str) -> int | None:
        entry = begins(line)
        return entry.minute if entry else None

    for name, connection, run_as, password in places:
        log = LogOnHost(connection, run_as, password, source.file, timeout_s, section.most, until)

        def read(counts: Counts, log: LogOnHost = log) -> Iterator[Entry]:
            lines = files.lines(log, now, before, minute)
            return reading.entries(lines, begins, counts, alone=source.format == "json")

        yield f"{name}:{source.file}", read


def _of_store(
    source: ErrorSource, now: Hours, before: Hours, timeout_s: float, counts: Counts
) -> Iterator[Entry]:
    """Yield the entries of a log store in both parts of a day. The store's own time counts, the level may be in the line."""
    begins = reading.beginning(source)
    for part in (before, now):
        since, until = part.begin.timestamp(), part.end.timestamp()
        if source.loki is not None:
            found = log_stores.loki(source.loki, (), since, until, timeout_s)
        elif source.opensearch is not None:
            found = log_stores.opensearch(source.opensearch, (), since, until, timeout_s)
        else:
            return
        for entry in found:
            counts.lines += 1
            yield _entry(entry, source, begins)


def _entry(entry: log_stores.Entry, source: ErrorSource, begins: reading.Begins) -> Entry:
    """Read an entry of a store: the time is the store's, the level that of a label or field, or else that in the line."""
    first, *rest = entry.line.split("\n")
    inner = begins(first)
    minute = int(entry.at_s) // 60 if entry.at_s is not None else None
    told = {"message": entry.line, **entry.fields, "deploygate.time": str(entry.at_s)}
    named = reading.of_fields(told, {**source.fields, "time": "deploygate.time"}, None)
    level = next((each.level for each in (named, inner) if each and each.level), "")
    if inner is not None:
        return Entry(minute, level, inner.head, [*inner.rest, *rest])
    return Entry(minute, level, *((named.head, named.rest) if named else (first, rest)))
