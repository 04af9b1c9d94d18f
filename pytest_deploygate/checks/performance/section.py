"""The inventory's `performance` section: limits of response times, the servers' histogram, and our own client."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.load.section import Histogram, LatencyLimits, Visits
from pytest_deploygate.fields.types import Duration, FilePath, Given, InventoryKeys, Section


class ServersHistogram(Histogram):
    """The servers' own latency histogram, in the Prometheus of `monitoring`."""


class OwnClient(Visits):
    """Requests of our own at a low rate, as one more client sends them."""


class Performance(Section):
    """Response times that must hold with the traffic as it is; no load is sent."""

    limits: LatencyLimits = Field(default=LatencyLimits(), description="how fast requests must be")
    server: ServersHistogram = Field(description="the servers' own histogram, in Prometheus")
    client: OwnClient = Field(description="requests of our own: what one more client sees")
    night: Duration = Field(
        default=timedelta(hours=12), description="how far back requests are counted on the morning after"
    )
    baseline: FilePath | None = Field(
        default=None,
        description="the run before, for the servers: a change's folder, or a file; being slower than it is a regression",
    )
    client_baseline: FilePath | None = Field(
        default=None, description="the same for our own client; worth it where both run on a quiet machine"
    )
    slower_by: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.25,
        gt=0,
        description="how much slower than the run before counts as a regression: 0.25 is a quarter",
    )

    @property
    def over_night(self) -> ServersHistogram:
        """The same histogram over the night."""
        return self.server.model_copy(update={"window": self.night})


class Keys(InventoryKeys):
    """The key `performance`."""

    performance: Annotated[
        Performance | None,
        Given(
            "performance",
            "performance: {server: {metric: NAME}, client: {allow: NAME, target: {host: …}, endpoints: [{path: /}]}, baseline: FOLDER}",
        ),
    ] = Field(default=None, description="response times with the traffic as it is")
