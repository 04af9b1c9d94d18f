"""The inventory's `blast_radius` section: what active probes may send, and when they end by themselves."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from pytest_deploygate import checks
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Size, Words
from pytest_deploygate.judging.spending import UNBOUNDED, Bounds, Limits


class Caps(Section):
    """Limits of each probe in one run. What is left out keeps its shipped limit."""

    requests: int | None = Field(
        default=None, ge=1, description="requests, statements, attempts to connect, commands on hosts"
    )
    connections: int | None = Field(default=None, ge=1, description="new connections")
    sent: Size | None = Field(default=None, description="bytes of requests")
    received: Size | None = Field(default=None, description="bytes of answers")
    duration: Duration | None = Field(default=None, description="time in all")
    concurrency: int | None = Field(default=None, ge=1, description="requests at a time")

    @property
    def said(self) -> dict[str, float]:
        """The limits that are given, by their names in `Limits`."""
        found = {
            "requests": self.requests,
            "connections": self.connections,
            "sent_bytes": self.sent,
            "received_bytes": self.received,
            "seconds": self.duration.total_seconds() if self.duration is not None else None,
            "concurrency": self.concurrency,
        }
        return {name: value for name, value in found.items() if value is not None}


#: The keys of `Caps` by the names in `Limits`.
_KEYS = {"sent_bytes": "sent", "received_bytes": "received", "seconds": "duration"}


class ItemCaps(Caps):
    """Limits of each probe of one item. They may be higher than the shipped ones only with a reason."""

    item: str = Field(description="the item's id, e.g. `sec.waf`")
    more: Words | None = Field(
        json_schema_extra={"weaker": "any"},
        default=None,
        description="why the item needs more than its shipped limits; shown as a weakening",
    )

    @property
    def name(self) -> str:
        """The name of the entry in messages."""
        return self.item

    @model_validator(mode="after")
    def _more_has_a_reason(self) -> Self:
        usual = checks.limits_of(self.item)
        for name, value in self.said.items():
            if value > getattr(usual, name) and self.more is None:
                key = _KEYS.get(name, name)
                raise ValueError(
                    f"{key} of {self.item} is more than its shipped limit of {getattr(usual, name):g}: lower it, or say "
                    "why with `more: REASON`"
                )
        return self


class BlastRadius(Section):
    """What the gate's own probes may do to the platform."""

    every: Caps | None = Field(
        default=None, description="limits of the probes of every item; they only lower"
    )
    items: list[ItemCaps] = Field(default_factory=list, description="limits of the probes of single items")
    together: Caps | None = Field(
        default=None,
        description="limits of all probes of a run together, besides those of each; left out: only those of each",
    )
    errors: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=Bounds().errors,
        ge=0.01,
        le=1,
        description="share of the service's answers that may become errors while a probe runs",
    )
    slower: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=Bounds().slower,
        ge=1,
        description="how many times its median latency may grow while a probe runs",
    )
    slower_by: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=Bounds().slower_s),
        description="growth of the median latency that is always allowed",
    )

    @model_validator(mode="after")
    def _items_are_named_once(self) -> Self:
        names = [one.item for one in self.items]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`items` names {', '.join(twice)} twice: keep one entry for each item")
        return self

    def limits(self, item: str) -> Limits:
        """Return the limits of each probe of an item."""
        usual = checks.limits_of(item)
        if self.every is not None:
            lower = {name: min(value, getattr(usual, name)) for name, value in self.every.said.items()}
            usual = usual.lowered(lower)
        own = next((one for one in self.items if one.item == item), None)
        return usual.lowered(own.said) if own else usual

    @property
    def whole(self) -> Limits:
        """The limits of all probes of a run together."""
        return UNBOUNDED if self.together is None else UNBOUNDED.lowered(self.together.said)

    @property
    def bounds(self) -> Bounds:
        """When a probe ends because the service suffers."""
        return replace(
            Bounds(), errors=self.errors, slower=self.slower, slower_s=self.slower_by.total_seconds()
        )


class Keys(InventoryKeys):
    """The key `blast_radius`."""

    blast_radius: Annotated[
        BlastRadius | None,
        Given("blast_radius", "blast_radius: {every: {requests: 2000, concurrency: 8}}"),
    ] = Field(default=None, description="what active probes may send, and when they end by themselves")
