"""The inventory's `contact_rules`: which roles need a contact, and how mail domains are looked up."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.dns.section import NameServer
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section

#: Whom an emergency needs, and who signs: five and five, three of them both.
CONTACTS = ("deployment-lead", "database-admin", "security-lead", "operations-manager", "customer-success")
SIGNERS = (
    "deployment-lead",
    "technical-lead",
    "operations-manager",
    "customer-success",
    "executive-sponsor",
)


class ContactRules(Section):
    """What the contact list must have."""

    roles: list[Annotated[str, Field(min_length=2)]] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="roles that need a contact, no two of them the same person; left out: the five emergency contacts "
        "and the five who sign",
    )
    may_share: list[Annotated[list[str], Field(min_length=2)]] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="roles that one person may have: `[[technical-lead, database-admin]]`",
    )
    acknowledged_within: Duration | None = Field(
        default=None,
        description="every contact must have acknowledged a code within this time; left out: it is only shown",
    )
    acknowledged_for: Duration = Field(
        default=timedelta(days=30),
        json_schema_extra={"weaker": "larger"},
        description="how long an acknowledgement settles what could not be looked up, such as a mail domain",
    )
    escalation_steps: int = Field(
        default=2,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="how many contacts the escalation has at least",
    )
    resolvers: list[NameServer] = Field(
        default=[],
        description="resolvers for mail domains; left out: those of `dns`, else those of this machine",
    )
    timeout: Duration = Field(default=timedelta(seconds=3), description="time for an answer of a resolver")

    @property
    def wanted(self) -> list[str]:
        """The roles that need a contact."""
        return self.roles or list(dict.fromkeys((*CONTACTS, *SIGNERS)))


class Keys(InventoryKeys):
    """The key `contact_rules`."""

    contact_rules: Annotated[
        ContactRules, Given("contact_rules", "contact_rules: {roles: […]}", defaults_with="contacts")
    ] = Field(default=ContactRules(), description="what the contact list must have")
