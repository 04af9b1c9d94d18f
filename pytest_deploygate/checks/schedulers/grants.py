"""What the checks of this subject need beside privileges in the platform's database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.checks.schedulers.section import Scheduler
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections

_ITEMS = ("guard.one-scheduler",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    schedulers: Sequence[Scheduler] = sections.get("scheduler") or ()
    places = [place for each in schedulers for place in (*each.new, *each.old)]
    if any(place.schedule or place.unit or place.process or place.command for place in places):
        yield BesideSql(
            _ITEMS, "a login with a POSIX shell on each host of both sides that `schedulers` names"
        )
    for name in dict.fromkeys(place.database.name for place in places if place.database):
        yield BesideSql(
            _ITEMS, f"a role in the database {name} that may read the table of runs, or `cron.job`"
        )
    if any(place.rabbitmq for place in places):
        yield BesideSql(_ITEMS, "a user of RabbitMQ with the tag `monitoring` and access to the virtual host")
    if any(place.kafka for place in places):
        yield BesideSql(_ITEMS, "DESCRIBE on the consumer group, and Kafka's programs on the host")
    if any(place.redis_stream for place in places):
        yield BesideSql(_ITEMS, "a user of Redis with EXISTS, TIME, XINFO GROUPS and XINFO CONSUMERS")
    if any(place.kubernetes for place in places):
        yield BesideSql(
            _ITEMS, "`get` on cronjobs, deployments and statefulsets in the namespaces of both sides"
        )
