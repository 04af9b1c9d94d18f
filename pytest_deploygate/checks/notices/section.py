"""The inventory's `notices` section; what is in it is described in `fields.notices`, as the command line sends by it."""

from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.notices import Notices
from pytest_deploygate.fields.types import Given, InventoryKeys


class Keys(InventoryKeys):
    """The key `notices`."""

    notices: Annotated[
        Notices | None,
        Given(
            "notices",
            "notices: {sender: platform@example.com, server: {host: mail.example.com}, audiences: "
            "[{name: stakeholders, roles: [deployment-lead]}]}",
        ),
    ] = Field(default=None, description="notices to people, sent by `deploygate notify send`")
