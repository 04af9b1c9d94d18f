"""The ways out: where events are seen again, and how long they may take until then."""

from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.pipeline.section.entrances import WebSocketUrl
from pytest_deploygate.fields.http import HttpRequest, Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import (
    Duration,
    Section,
)


class EventLimits(Section):
    """How long events may take from when they were due at a device until they come out."""

    p50: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(milliseconds=500),
        description="half of all events must take less than this",
    )
    p99: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=2),
        description="99 of 100 events must take less than this",
    )
    alpha: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.05,
        gt=0,
        le=0.2,
        description="maximum probability of a wrong PASS, or of a wrong FAIL",
    )

    @model_validator(mode="after")
    def _half_before_most(self) -> Self:
        if self.p50 <= timedelta(0) or self.p99 < self.p50:
            raise ValueError("p50 must be over 0 and p99 at least p50")
        return self


class WebSocketExit(TokenAccess):
    """Events that are pushed on a WebSocket."""

    url: WebSocketUrl = Field(description="address, e.g. wss://app.example.com/ws/events")
    subscribe: list[str] = Field(default=[], description="texts to send after connecting, in this order")


class SseExit(TokenAccess):
    """Events that are pushed as server-sent events."""

    url: Url = Field(description="address, e.g. https://app.example.com/events")


class Polled(Section):
    """Where events are kept, and read again and again."""

    every: Duration = Field(
        default=timedelta(milliseconds=500),
        ge=timedelta(milliseconds=50),
        description="how often it is read; an event's delay is known to this",
    )
    order: Literal["oldest first", "newest first"] | None = Field(
        default=None,
        description="how an answer is sorted, by when events were stored; left out: order is not judged here",
    )


class ApiExit(HttpRequest, TokenAccess, Polled):
    """Events read through the platform's API. `{device}` in the address asks once for each device."""

    url: Url = Field(
        description="address; `{since}` is a time shortly before the test, e.g. …/readings?since={since}&limit=10000"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="how long an answer may take")


class DatabaseExit(Polled):
    """Events read from the platform's database."""

    query: str = Field(
        min_length=1,
        description="query whose rows have the ids; %(devices)s is the list of devices, %(since)s a time shortly before the test",
    )


class Exit(Section):
    """One way out of the platform. Exactly one of the protocols."""

    ways: ClassVar[tuple[str, ...]] = ("websocket", "sse", "api", "database")
    exactly_one = ways
    instead = "say where events come out: exactly one of `websocket`, `sse`, `api`, `database`"

    name: str = Field(min_length=1, description="its name in findings")
    websocket: WebSocketExit | None = Field(default=None, description="pushed on a WebSocket")
    sse: SseExit | None = Field(default=None, description="pushed as server-sent events")
    api: ApiExit | None = Field(default=None, description="read through an API")
    database: DatabaseExit | None = Field(default=None, description="read from the database")
    id: str = Field(
        default="",
        description="where an event's id stands in what comes out, as keys with dots between, e.g. data.id (default: anywhere)",
    )
    limits: EventLimits | None = Field(default=None, description="instead of `pipeline.limits`")

    @property
    def way(self) -> str:
        """Its protocol: one of `ways`."""
        return next(way for way in self.ways if getattr(self, way) is not None)

    @property
    def keeps(self) -> bool:
        """Whether events are stored there."""
        return self.api is not None or self.database is not None

    @property
    def has_order(self) -> bool:
        """Whether the order in which events came out can be seen."""
        polled = self.api or self.database
        return polled is None or polled.order is not None
