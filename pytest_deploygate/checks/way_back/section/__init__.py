"""The inventory's key `rollback`."""

from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.fields.types import Given, InventoryKeys


class Keys(InventoryKeys):
    """The key `rollback`."""

    rollback: Annotated[
        Rollback | None, Given("rollback", "rollback: {old_side: […], controls: […], steps: […]}")
    ] = Field(default=None, description="how to decide within a deadline, and how to roll back")
