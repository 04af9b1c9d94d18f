"""The inventory's keys `endpoints` and `tls`."""

from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.fields.types import Each, Given, InventoryKeys

__all__ = ["profile"]


class Keys(InventoryKeys):
    """The keys `endpoints` and `tls`."""

    endpoints: Annotated[list[Endpoint], Each("endpoint", "endpoints: [app.example.com]")] = Field(
        default=[], description="every TLS port that is offered"
    )
    tls: Annotated[Tls, Given("tls", "tls: {profile: intermediate}")] = Field(
        default=Tls(), description="settings of all endpoints"
    )
