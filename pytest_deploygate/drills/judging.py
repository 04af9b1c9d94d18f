"""Criteria common to all drills: on record, of this environment, good, recent, and of this configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, timedelta
from typing import Any, Generic

from pytest_deploygate.drills.record import GOOD, Evidence, Facts, Record, digest
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

#: The clocks of two machines may differ by this much.
CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True)
class Counted(Generic[Facts]):
    """A drill that succeeded and applies to the current system, with all its readings. Its facts must still be judged."""

    record: Record[Facts]
    readings: tuple[Reading, ...]


def counted(
    found: Evidence[Facts],
    max_age: timedelta,
    what: str,
    again: str,
    *,
    readings: Callable[[Record[Facts]], Iterable[Reading]],
    failure: Callable[[Record[Facts]], str] | None = None,
) -> Counted[Facts] | Judgement:
    """Return the drill if its facts are to be judged, else a judgement: FAIL if it failed, INCONCLUSIVE if it does not count.

    `what` is the drill's name in the reason, `again` the next step. `failure` may return a better reason for a failed
    drill from its facts than the record has.
    """
    record = found.record
    said = doubt(found, max_age, what)
    if record is None:
        return Judgement(Verdict.INCONCLUSIVE, f"{said}; {again}")
    whole = (*common_readings(found, max_age), *readings(record))
    failed = (failure(record) if failure else "") or failure_of(record)
    if failed and not _elsewhere(found, record):
        return Judgement(Verdict.FAIL, f"the {what} of {when(record)} failed: {failed}; {again}", whole)
    return Judgement(Verdict.INCONCLUSIVE, f"{said}; {again}", whole) if said else Counted(record, whole)


def doubt(found: Evidence[Any], max_age: timedelta, what: str) -> str:
    """Return why a drill proves nothing about the current system, or an empty string.

    A drill of this run needs no further check.
    """
    record = found.record
    if record is None:
        return f"no {what} on record: {found.problem or 'no reason was recorded'}"
    if found.ran_now:
        return ""
    if _elsewhere(found, record):
        return f"the {what} on record was run in {record.environment!r}, this is {found.environment!r}"
    age = found.now - record.date
    if age < -CLOCKS:
        return f"the {what} on record is dated {when(record)}, which is in the future: check the clocks"
    if age > max_age:
        return f"the {what} on record, {when(record)}, is {words_for(age)} old, limit {words_for(max_age)}"
    if changed := changes(found, record):
        return f"the {what} on record ({when(record)}) tested another configuration: {changed}"
    return ""


def failure_of(record: Record[Any]) -> str:
    """Return how a drill failed; an empty string for a good one."""
    return "" if record.outcome == GOOD else record.reason or record.outcome or "no outcome was recorded"


def changes(found: Evidence[Any], record: Record[Any]) -> str:
    """Return the settings that differ between the record's configuration and the current one; empty if none does."""
    now, then = found.configuration, record.configuration
    if now is None or record.digest == digest(now):
        return ""
    if not then:
        return "its settings are not on record" if record.digest else "the record names no configuration"
    names = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    said = [f"{n} was {_shown(then.get(n))}, is {_shown(now.get(n))}" for n in names]
    return "; ".join(said) or "its digest does not match its settings"


def common_readings(found: Evidence[Any], max_age: timedelta) -> tuple[Reading, ...]:
    """Return the readings of every drill: outcome, date, and configuration if it matters."""
    record = found.record
    if record is None:
        return ()
    recent = -CLOCKS <= found.now - record.date <= max_age
    limit = f"at most {words_for(max_age)} ago"
    readings = [
        Reading("outcome of the drill", record.outcome, limit=GOOD, ok=record.outcome == GOOD),
        Reading("date of the drill", record.date.isoformat(), limit=limit, ok=recent),
    ]
    if found.environment and record.environment:
        elsewhere = _elsewhere(found, record)
        readings.append(
            Reading("environment of the drill", record.environment, limit=found.environment, ok=not elsewhere)
        )
    if found.configuration is not None:
        wanted = digest(found.configuration)
        shown = record.digest[:12] or "not named"
        readings.append(
            Reading("configuration", shown, limit=wanted[:12], ok=found.ran_now or record.digest == wanted)
        )
    return tuple(readings)


def when(record: Record[Any]) -> str:
    """Return the time of a drill as text."""
    return f"{record.date.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def rerun(environment: str) -> str:
    """Return how to run a disruptive drill."""
    return f"run the drill with --allow-disruptive={environment or 'INVENTORY'}"


def _elsewhere(found: Evidence[Any], record: Record[Any]) -> bool:
    named = record.environment and found.environment
    return bool(named and not found.ran_now and record.environment != found.environment)


def _shown(value: str | None) -> str:
    return "not set" if value is None else repr(value)
