"""The inventory's `pipeline` section: synthetic devices, the ways in and out of the platform, and how fast events must be."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.pipeline.section.entrances import Entrance, Message
from pytest_deploygate.checks.pipeline.section.exits import EventLimits, Exit
from pytest_deploygate.checks.pipeline.section.left_out import CleanUp, DatabaseLogin, LeftOut
from pytest_deploygate.fields.types import (
    Duration,
    Given,
    InventoryKeys,
    Section,
)
from pytest_deploygate.problems import nearest


class Pipeline(Section):
    """Events from synthetic devices: how they enter, where they come out, and how fast.

    Events are sent if `opt_in` is the inventory's name, or with `--allow-disruptive`.
    """

    opt_in: str = Field(
        default="", description="the inventory's name: synthetic events may be sent in this environment"
    )
    devices: Annotated[list[Annotated[str, Field(min_length=3)]], Field(min_length=1)] = Field(
        description="names of synthetic devices, which no real device has"
    )
    message: Message = Field(
        default={"id": "{id}", "device": "{device}", "sent_at": "{sent_at}", "value": "{value}"},
        description="an event, as JSON; a text that is nothing but {sequence}, {sent_at_ms} or {value} becomes a number",
    )
    value: float = Field(default=20.0, description="the value of every event: one that raises no alert")
    entrances: Annotated[list[Entrance], Field(min_length=1)] = Field(description="the ways in")
    exits: Annotated[list[Exit], Field(min_length=1)] = Field(
        description="the ways out: all show every event"
    )
    events: int = Field(
        default=1000,
        ge=10,
        le=1_000_000,
        json_schema_extra={"weaker": "smaller"},
        description="how many events are sent, over all ways in",
    )
    per_second: float = Field(
        default=100,
        gt=0,
        le=10_000,
        json_schema_extra={"weaker": "smaller"},
        description="how many events are sent each second",
    )
    limits: EventLimits = Field(default=EventLimits(), description="how long events may take")
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="an event that has not come out after this is lost",
    )
    look_on: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "smaller"},
        description="how long to look for more of the same events after all have come out",
    )
    left_out: LeftOut = Field(default=LeftOut(), description="where synthetic devices must not be seen")
    clean_up: list[CleanUp] = Field(
        default=[], description="steps that take synthetic events away, before a test and after it"
    )
    role: DatabaseLogin | None = Field(default=None, description="the role for `sql` of `clean_up`")

    def limits_of(self, out: Exit) -> EventLimits:
        """The limits of one exit."""
        return out.limits or self.limits

    def message_of(self, entrance: Entrance) -> Mapping[str, Any]:
        """The message of one entrance."""
        return entrance.message or self.message

    @property
    def lasts_s(self) -> float:
        """How long sending takes."""
        return self.events / self.per_second

    @property
    def shares(self) -> list[tuple[str, int]]:
        """Each device with the number of the entrance that it uses."""
        named = {device: n for n, entrance in enumerate(self.entrances) for device in entrance.devices or ()}
        free = [n for n, entrance in enumerate(self.entrances) if entrance.devices is None]
        rest = [device for device in self.devices if device not in named]
        named |= {device: free[n % len(free)] for n, device in enumerate(rest)}
        return [(device, named[device]) for device in self.devices]

    @property
    def needs_database(self) -> bool:
        """Whether something is read from, or done in, the database."""
        return (
            any(out.database for out in self.exits)
            or bool(self.left_out.queries)
            or any(step.sql for step in self.clean_up)
        )

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self


def _contradictions(pipeline: Pipeline) -> list[str]:
    """Return the contradictions in the section, in words."""
    found = []
    for what, names in (
        ("devices", pipeline.devices),
        ("entrances", [each.name for each in pipeline.entrances]),
        ("exits", [each.name for each in pipeline.exits]),
    ):
        if twice := next((name for name in names if names.count(name) > 1), None):
            found.append(f"two of `{what}` are called {twice!r}")
    found += [
        f"the entrance {entrance.name!r} names the device {device!r}, which is not in `devices`"
        f"{nearest(device, pipeline.devices)}"
        for entrance in pipeline.entrances
        for device in entrance.devices or ()
        if device not in pipeline.devices
    ]
    given = [device for entrance in pipeline.entrances for device in entrance.devices or ()]
    if twice := next((device for device in given if given.count(device) > 1), None):
        found.append(f"the device {twice!r} uses two entrances: its order would mean nothing")
    open_ones = [entrance.name for entrance in pipeline.entrances if entrance.devices is None]
    rest = [device for device in pipeline.devices if device not in given]
    if rest and not open_ones:
        found.append(f"the device {rest[0]!r} uses no entrance: each of them names its own `devices`")
    if len(rest) < len(open_ones):
        found.append(
            f"the entrance {open_ones[-1]!r} gets no device: name at least as many `devices` as there are entrances"
        )
    if any(step.sql for step in pipeline.clean_up) and pipeline.role is None:
        found.append(
            "`clean_up` has `sql`: name the role that may do that with `role: {user: …, password: …}`"
        )
    return found


class Keys(InventoryKeys):
    """The key `pipeline`."""

    pipeline: Annotated[
        Pipeline | None,
        Given(
            "pipeline",
            "pipeline: {opt_in: NAME, devices: [synthetic-1], entrances: [{name: http, http: {url: …}}], "
            "exits: [{name: live, websocket: {url: 'wss://…'}}]}",
        ),
    ] = Field(default=None, description="events that synthetic devices send, and where they come out")
