"""The inventory's `schedulers` section: what must run on one side only, and where each side shows whether it does."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.postgres import OtherDatabase
from pytest_deploygate.fields.schedule import Schedule
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    InventoryKeys,
    Port,
    SecretReference,
    Section,
    Text,
)

Side = Literal["new", "old"]


class Queue(HttpAccess):
    """A queue of RabbitMQ, whose consumers its management plugin lists."""

    url: Url = Field(description="address of the management API, for example https://mq1.example.com:15671")
    vhost: str = Field(default="/", description="virtual host")
    queue: str = Field(description="name of the queue")


class Stream(Section):
    """A consumer group of a Redis stream."""

    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=6379, description="TCP port")
    user: str | None = Field(default=None, description="ACL user; default: Redis' default user")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    tls: bool = Field(default=False, description="connect with TLS")
    database: int = Field(default=0, ge=0, description="number of the database")
    stream: str = Field(description="key of the stream")
    group: str = Field(description="name of the consumer group")


class Group(Section):
    """A consumer group of Kafka, described by Kafka's own program."""

    group: str = Field(description="name of the consumer group")
    command: Text = Field(
        description="program and options, for example `kafka-consumer-groups.sh --bootstrap-server kafka1:9092`"
    )


class Object(Section):
    """A CronJob, Deployment or StatefulSet of Kubernetes."""

    name: str = Field(
        pattern=r"^(cronjob|deployment|statefulset)/[a-z0-9][a-z0-9.-]*$",
        description="kind and name, for example `cronjob/report`",
    )
    namespace: str = Field(default="default", description="its namespace")
    command: Text = Field(
        default="kubectl", description="program and options, for example `kubectl --context old`"
    )


class Place(Section):
    """Where one side shows whether a scheduler or consumer runs there."""

    exactly_one = (
        "schedule", "unit", "process", "command", "query", "rabbitmq", "kafka", "redis_stream", "kubernetes",
    )  # fmt: skip

    schedule: Schedule | None = Field(
        default=None,
        description="entry of a crontab, timer of systemd, or job of pg_cron: switched on or not",
    )
    unit: str | None = Field(
        default=None,
        pattern=r"^[\w:.@\\-]+\.\w+$",
        description="service of systemd on `host`, for example `celery-beat.service`",
    )
    process: Text | None = Field(
        default=None,
        pattern=r"^[^\s/()]+$",
        description="name of the process on `host`, as `ps -o comm` shows it",
    )
    arguments: Text = Field(
        default="", description="text in the command line of the process, where others have the same name"
    )
    command: str | None = Field(
        default=None,
        description="command on `host` that only looks: exit code 0 is running, 1 is not running, anything else unknown",
    )
    host: Text = Field(
        default="local://",
        description="connection of the host for `unit`, `process`, `command` and `kafka`, for example ssh://old1",
    )
    query: str | None = Field(
        default=None,
        description="query in `database` for the time of the last run or heartbeat, with a time zone",
    )
    database: OtherDatabase | None = Field(
        default=None, description="database of `query`, or of a job of pg_cron"
    )
    rabbitmq: Queue | None = Field(default=None, description="consumers of a queue of RabbitMQ")
    kafka: Group | None = Field(default=None, description="members of a consumer group of Kafka")
    redis_stream: Stream | None = Field(default=None, description="consumers of a Redis stream")
    kubernetes: Object | None = Field(
        default=None, description="a CronJob that is not suspended, or a workload with pods"
    )
    members: list[str] = Field(
        default=[],
        description="consumers of this side by name or address, * as wildcard, for example `[10.1.*]`",
    )
    fresh: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=5),
        description="of `query` and `redis_stream`: what ran within this time runs",
    )
    gone: bool = Field(
        default=False,
        json_schema_extra={"weaker": "any"},
        description="true: the entry was removed there on purpose, so that its absence is no question",
    )

    @property
    def shared(self) -> bool:
        """Whether both sides show in one place, and are told apart by `members`."""
        return any((self.rabbitmq, self.kafka, self.redis_stream))

    @model_validator(mode="after")
    def _whole_place(self) -> Self:
        in_database = self.query is not None or (
            self.schedule is not None and self.schedule.pg_cron is not None
        )
        if in_database != (self.database is not None):
            raise ValueError(
                "name the `database` of the query or of the job of pg_cron"
                if in_database
                else "`database` is that of `query` or of a job of pg_cron"
            )
        if self.shared != bool(self.members):
            raise ValueError(
                "both sides may consume there: say with `members` which consumers are of this side"
                if self.shared
                else "`members` are consumers of `rabbitmq`, `kafka` or `redis_stream`"
            )
        if self.arguments and self.process is None:
            raise ValueError("`arguments` are those of a `process`")
        return self


class Scheduler(Section):
    """A scheduler, a scheduled job or a queue consumer that must run on one side only."""

    name: str = Field(description="name used in findings")
    runs_on: Side = Field(
        default="new", description="the side that must run it: `new`, or before the cutover `old`"
    )
    new: list[Place] = Field(min_length=1, description="where the new side shows whether it runs")
    old: list[Place] = Field(min_length=1, description="where the old side shows whether it runs")
    one_is_enough: bool = Field(
        default=False,
        json_schema_extra={"weaker": "any"},
        description="true: one place of the side that must run it has to show that (active and standby), not all",
    )
    again_after: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(seconds=2),
        description="every place is read twice, with this time between; at most a minute",
    )

    def places(self, side: Side) -> list[Place]:
        """Return the places of a side."""
        return self.new if side == "new" else self.old

    @model_validator(mode="after")
    def _gone_only_where_it_must_not_run(self) -> Self:
        if any(place.gone for place in self.places(self.runs_on)):
            raise ValueError(f"`gone` is for the side that must not run it; {self.runs_on} must")
        if self.again_after > timedelta(minutes=1):
            raise ValueError("`again_after` is at most 1m")
        return self


_EXAMPLE = (
    "schedulers: [{name: reports, new: [{unit: reports.timer, host: 'ssh://app1'}], "
    "old: [{unit: reports.timer, host: 'ssh://old1'}]}]"
)


class Keys(InventoryKeys):
    """The key `schedulers`."""

    schedulers: Annotated[list[Scheduler] | None, Each("scheduler", _EXAMPLE)] = Field(
        default=None, min_length=1, description="schedulers and consumers that must run on one side only"
    )

    @model_validator(mode="after")
    def _schedulers_differ(self) -> Self:
        names = [each.name for each in self.schedulers or []]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two schedulers are named {twice!r}")
        return self
