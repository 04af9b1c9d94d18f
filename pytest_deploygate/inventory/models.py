"""The inventory as a whole, as a frozen pydantic model. The field descriptions are the reference and the JSON Schema.

Every section but `name` may be left out: its items are then `not_covered`, in words that say what to add. A section
has its models in a file of its own beside this one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_deploygate.inventory.database import Database
from pytest_deploygate.inventory.fields import Given, Section
from pytest_deploygate.inventory.policy import NotApplicable, Policy, Timetable, Writes
from pytest_deploygate.inventory.rollback import Rollback


class Inventory(Section):
    """One environment that can be gated."""

    name: str = Field(description="name of the environment; `--allow-disruptive` must repeat it")
    description: str = Field(default="", description="one line for the report")
    database: Annotated[
        Database | None, Given("postgres", "database: {name: …, user: …, primary: db1.example.com}")
    ] = Field(default=None, description="the database cluster")
    writes: Writes | None = Field(default=None, description="where the gate may write")
    not_applicable: list[NotApplicable] = Field(
        default=[], description="items that do not apply, with reason"
    )
    schedule: Timetable | None = Field(
        default=None, description="when the change is planned; the plan and the report show its windows"
    )
    policy: Policy = Field(default=Policy(), description="how findings become a decision")
    rollback: Annotated[
        Rollback | None, Given("rollback", "rollback: {old_side: […], controls: […], steps: […]}")
    ] = Field(default=None, description="how to decide against a clock, and how to go back")
