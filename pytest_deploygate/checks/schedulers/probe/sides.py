"""Read every place of both sides, twice, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pytest_deploygate.checks.schedulers.facts import At, Seen, Sides, State
from pytest_deploygate.checks.schedulers.probe import brokers, hosts, kubernetes, timed
from pytest_deploygate.checks.schedulers.section import Place, Scheduler
from pytest_deploygate.clients import stopping
from pytest_deploygate.model import CannotTell, NotCovered

_AT_ONCE = 8


def sides(scheduler: Scheduler, cutover: datetime | None) -> Sides:
    """Read all places twice. What cannot be read is a value."""
    places = [*scheduler.new, *scheduler.old]
    began = time.monotonic()
    first = _all(places)
    with stopping.interrupting():
        time.sleep(scheduler.again_after.total_seconds())
    second = _all(places)
    found = [
        At(describe(place), (before, after), _source(place))
        for place, before, after in zip(places, first, second, strict=True)
    ]
    split = len(scheduler.new)
    return Sides(tuple(found[:split]), tuple(found[split:]), cutover, round(time.monotonic() - began, 3))


def _all(places: Sequence[Place]) -> list[Seen]:
    with ThreadPoolExecutor(min(_AT_ONCE, len(places)), "schedulers") as pool:
        return list(pool.map(_read, places))


def _read(place: Place) -> Seen:
    try:
        return _reader(place)(place)
    except (CannotTell, NotCovered) as unknown:
        return Seen(State.UNKNOWN, str(unknown))


def _reader(place: Place) -> Callable[[Place], Seen]:
    if place.rabbitmq:
        return brokers.rabbitmq
    if place.kafka:
        return brokers.kafka
    if place.redis_stream:
        return brokers.redis_stream
    if place.kubernetes:
        return kubernetes.seen
    if place.query is not None:
        return timed.seen
    return hosts.scheduled if place.schedule else hosts.seen


def describe(place: Place) -> str:
    """Return what a place is, for people."""
    at = "" if place.host == "local://" else f" on {place.host}"
    if place.rabbitmq:
        return f"consumers of RabbitMQ's queue {place.rabbitmq.queue} of {', '.join(place.members)}"
    if place.kafka:
        return f"members of Kafka's group {place.kafka.group} of {', '.join(place.members)}"
    if place.redis_stream:
        stream = place.redis_stream
        return f"consumers of Redis' group {stream.group} of {stream.stream}, those of {', '.join(place.members)}"
    if place.kubernetes:
        one = place.kubernetes
        return f"{one.name} in {one.namespace} (`{one.command}`)"
    if place.database and place.query is not None:
        return f"the last run in the database {place.database.name} on {place.database.host}:{place.database.port}"
    if place.process is not None:
        return f"process {place.process}{f' {place.arguments!r}' if place.arguments else ''}{at}"
    if place.unit is not None:
        return f"unit {place.unit}{at}"
    return f"`{place.command}`{at}" if place.command is not None else _schedule(place)


def _schedule(place: Place) -> str:
    schedule = place.schedule
    if schedule is None:
        raise AssertionError("a place has one of its keys")
    at = "" if schedule.host == "local://" else f" on {schedule.host}"
    if schedule.crontab is not None:
        return f"line {schedule.command!r} in {schedule.crontab}{at}"
    if schedule.systemd_timer is not None:
        return f"timer {schedule.systemd_timer}{at}"
    name = place.database.name if place.database else ""
    return f"job {schedule.pg_cron} of pg_cron in the database {name}"


def _source(place: Place) -> str:
    if place.rabbitmq:
        return f"{place.rabbitmq.url} {place.rabbitmq.vhost} {place.rabbitmq.queue}"
    if place.kafka:
        return f"{place.kafka.command} {place.kafka.group}"
    if place.redis_stream:
        one = place.redis_stream
        return f"{one.host}:{one.port}/{one.database} {one.stream} {one.group}"
    return ""
