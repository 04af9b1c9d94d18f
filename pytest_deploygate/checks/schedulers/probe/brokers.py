"""Consumers that a broker lists: of RabbitMQ, Kafka and Redis, sorted by the names that are of this side.

RabbitMQ by the JSON of its management API and Kafka by the table that its program prints, both as documented. Redis keeps
consumers that have left, so when one was last active is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

import requests

from pytest_deploygate.checks.schedulers.facts import Seen, State
from pytest_deploygate.checks.schedulers.section import Place
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.redis import redis_client, redis_error
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_WITHIN_S = 10.0
_KAFKA_S = 40.0
_NAMED = 4


@dataclass(frozen=True)
class Consumer:
    """A consumer by every name that it has. `last` is when it was active, None where it is connected now."""

    names: tuple[str, ...]
    last: datetime | None = None

    @property
    def said(self) -> str:
        """Its names for people."""
        return " ".join(dict.fromkeys(name for name in self.names if name))


def rabbitmq(place: Place) -> Seen:
    """Ask the management API of RabbitMQ. Raises CannotTell."""
    queue = place.rabbitmq
    if queue is None:
        raise AssertionError("the place names a queue")
    url = f"{queue.url.rstrip('/')}/api/queues/{quote(queue.vhost, safe='')}/{quote(queue.queue, safe='')}"
    try:
        answer = sending.get(queue, url, _WITHIN_S, allow_redirects=False)
        if answer.status_code == 404:
            return Seen(State.ABSENT, f"there is no queue {queue.queue} in the virtual host {queue.vhost}")
        if answer.status_code != 200:
            raise CannotTell(
                f"{queue.url} answers {answer.status_code}: use a user with the tag `monitoring` and access to the virtual host"
            )
        return sorted_by_side(place.members, rabbitmq_consumers(answer.json()))
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{queue.url}: {redact(sending.why(error))}") from None


def rabbitmq_consumers(told: Any) -> list[Consumer]:
    """Return the consumers of a queue, from `GET /api/queues/VHOST/NAME`. Raises CannotTell if they are not told. Pure."""
    try:
        number, details = int(told["consumers"]), list(told["consumer_details"])
        found = [
            Consumer(
                (str(each["consumer_tag"]), str(each["channel_details"].get("peer_host", "")),
                 str(each["channel_details"].get("connection_name", "")))
            )
            for each in details
        ]  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CannotTell(
            "the answer has no `consumers` and `consumer_details`: is its management plugin on, with statistics?"
        ) from None
    if len(found) != number:
        raise CannotTell(f"{number} consumers are counted and {len(found)} are listed: run this again")
    return found


def kafka(place: Place) -> Seen:
    """Ask Kafka's own program on a host. Raises CannotTell."""
    group = place.kafka
    if group is None:
        raise AssertionError("the place names a group")
    code, out, err = shell(place.host, _KAFKA_S)(
        f"{group.command.replace('%', '%%')} --describe --members --group %s", group.group
    )
    said = f"{out}\n{err}"
    if "does not exist" in said:
        return Seen(State.ABSENT, f"there is no consumer group {group.group}")
    if "has no active members" in said:
        return Seen(State.STILL, "the group has no active members")
    if code != 0:
        raise CannotTell(
            f"`{redact(group.command)}` ended with exit code {code}: {shortened(redact(said), 200)}"
        )
    return sorted_by_side(place.members, kafka_members(out))


def kafka_members(text: str) -> list[Consumer]:
    """Return the members that `kafka-consumer-groups.sh --describe --members` lists. Raises CannotTell. Pure."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    header = next((n for n, words in enumerate(lines) if words[:2] == ["GROUP", "CONSUMER-ID"]), None)
    if header is None:
        raise CannotTell(f"its output has no table of members: {shortened(redact(text), 160)}")
    at = {name: n for n, name in enumerate(lines[header])}
    rows = [words for words in lines[header + 1 :] if len(words) >= len(at)]
    if not rows or not {"HOST", "CLIENT-ID"} <= at.keys():
        raise CannotTell("its table of members has no rows, or no HOST and CLIENT-ID")
    return [
        Consumer((row[at["CLIENT-ID"]], row[at["HOST"]].lstrip("/"), row[at["CONSUMER-ID"]])) for row in rows
    ]


def redis_stream(place: Place) -> Seen:
    """Ask Redis for the consumers of a group of a stream. Raises CannotTell, NotCovered."""
    stream = place.redis_stream
    if stream is None:
        raise AssertionError("the place names a stream")
    where = f"{stream.host}:{stream.port}"
    server = Redis(
        name=where, host=stream.host, port=stream.port, user=stream.user, password=stream.password,
        tls=stream.tls,
    )  # fmt: skip
    with redis_client(server, stream.database) as client:
        try:
            seconds, micro = client.time()
            if not client.exists(stream.stream):
                return Seen(State.ABSENT, f"there is no stream {stream.stream}")
            names = [_text(each["name"]) for each in client.xinfo_groups(stream.stream)]
            if stream.group not in names:
                return Seen(State.ABSENT, f"the stream {stream.stream} has no group {stream.group}")
            told = client.xinfo_consumers(stream.stream, stream.group)
        except redis_error() as error:
            raise CannotTell(f"Redis {where}: {redact(str(error))}") from None
    now = datetime.fromtimestamp(seconds + micro / 1e6, UTC)
    found = [
        Consumer((_text(each["name"]),), now - timedelta(milliseconds=int(each["idle"]))) for each in told
    ]
    return sorted_by_side(place.members, found, now)


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def sorted_by_side(patterns: Iterable[str], consumers: list[Consumer], now: datetime | None = None) -> Seen:
    """Tell consumers of this side, by any of their names, from others. Pure."""
    patterns = list(patterns)
    mine = [one for one in consumers if any(fnmatchcase(n, p) for n in one.names for p in patterns)]
    strangers = tuple(sorted(one.said for one in consumers if one not in mine))
    if not mine:
        return Seen(
            State.STILL, f"none of {len(consumers)} consumers is of this side", strangers=strangers, now=now
        )
    words = ", ".join(one.said for one in mine[:_NAMED])
    more = f" and {len(mine) - _NAMED} more" if len(mine) > _NAMED else ""
    if now is None:
        return Seen(
            State.RUNS, f"{len(mine)} of {len(consumers)} consumers: {words}{more}", strangers=strangers
        )
    last = max(one.last for one in mine if one.last is not None)
    said = f"{len(mine)} of {len(consumers)} consumers: {words}{more}, active at {last:%Y-%m-%d %H:%M:%S} UTC"
    return Seen(State.TIMED, said, last, now, strangers)
