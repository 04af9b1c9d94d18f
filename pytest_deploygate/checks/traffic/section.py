"""The inventory's `traffic` section: which counters tell requests on the new and the old side, and how many there must be."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.prometheus import Selector
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section


class NewSide(Section):
    """The new system."""

    requests: Selector = Field(description="counters of its requests; all series are added up")
    at_least_per_second: float = Field(gt=0, description="requests per second that must arrive")


class OldSide(Section):
    """The old system."""

    requests: Selector = Field(
        description="counters of its requests; there must be a series while there are no requests, too"
    )
    at_most_per_second: float = Field(gt=0, description="requests per second that may still arrive")


class Traffic(Section):
    """Where requests arrive, counted in Prometheus."""

    new: NewSide = Field(description="the new system")
    old: OldSide = Field(description="the old system")
    window: Duration = Field(
        default=timedelta(minutes=10),
        description="how far back requests are counted; its last fifth is judged, too",
    )
    alpha: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.05,
        gt=0,
        le=0.2,
        description="maximum probability of a wrong verdict",
    )


class Keys(InventoryKeys):
    """The key `traffic`."""

    traffic: Annotated[
        Traffic | None,
        Given(
            "traffic",
            "traffic: {new: {requests: SELECTOR, at_least_per_second: 10}, old: {requests: SELECTOR, at_most_per_second: 0.1}}",
        ),
    ] = Field(default=None, description="where requests arrive")
