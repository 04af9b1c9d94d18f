"""The inventory as a whole, as a frozen pydantic model. The field descriptions are the reference and the JSON Schema.

Every section but `name` may be left out: its items are then `not_covered`, in words that say what to add. A section
has its models in a file of its own beside this one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.checks.dns.section import Dns
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.pages.section import Pages
from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.checks.postgres.section.statements import Caching
from pytest_deploygate.checks.privacy.section import AuditTrail, DataRetention, Erasure
from pytest_deploygate.checks.timescale.section import Timescale
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.fields.types import Each, Given, Section
from pytest_deploygate.inventory.contacts import Contact
from pytest_deploygate.inventory.database import Database
from pytest_deploygate.inventory.policy import NotApplicable, Policy, Timetable, Writes


class Inventory(Section):
    """One environment that can be gated."""

    name: str = Field(description="name of the environment; `--allow-disruptive` must repeat it")
    description: str = Field(default="", description="one line for the report")
    database: Annotated[
        Database | None, Given("postgres", "database: {name: …, user: …, primary: db1.example.com}")
    ] = Field(default=None, description="the database cluster")
    uptime: Uptime | None = Field(default=None, description="the promise of uptime and its records")
    load: Annotated[
        Load | None,
        Given("load", "load: {allow: NAME, peak_per_second: 300, target: {host: …}, endpoints: [{path: /}]}"),
    ] = Field(default=None, description="load to send, and how quick requests must be under it")
    backup: Annotated[
        Backup | None, Given("backups", "backup: {tool: pgbackrest, server: STANZA, scratch: {folder: …}}")
    ] = Field(default=None, description="the backup tool, its objectives, and the restore drill")
    audit_trail: Annotated[
        AuditTrail | None,
        Given("audit_trail", "audit_trail: {table: …, role: {…}, operation: […], record: …}"),
    ] = Field(default=None, description="the audit trail and who must not change it")
    data_retention: Annotated[
        DataRetention | None, Given("data_retention", "data_retention: {tables: […], files: […]}")
    ] = Field(default=None, description="personal data, logs and backups that must go at an age")
    erasure: Annotated[
        Erasure | None, Given("erasure", "erasure: {role: {…}, create: […], erase: […], expected: […]}")
    ] = Field(default=None, description="the right to erasure, tried with a synthetic person")
    caching: Annotated[Caching | None, Given("caching", "caching: {buffers: {min_hit_ratio: 0.95}}")] = Field(
        default=None, description="floors for hit ratios"
    )
    after_load: Annotated[AfterLoad | None, Given("after_load", "after_load: {max_sequence_used: 0.8}")] = (
        Field(default=None, description="what bulk loads leave behind")
    )
    timescale: Annotated[
        Timescale | None,
        Given("timescale", 'timescale: {version: "2.28", hypertables: […]}', optional=True),
    ] = Field(default=None, description="TimescaleDB, in the cluster of `database` or on a server of its own")
    endpoints: Annotated[list[Endpoint], Each("endpoint", "endpoints: [app.example.com]")] = Field(
        default=[], description="every TLS port that is offered"
    )
    tls: Tls = Field(default=Tls(), description="what holds for all endpoints")
    dns: Annotated[
        Dns | None, Given("dns", "dns: {zone: example.com, servers: [192.0.2.53, 198.51.100.53], names: […]}")
    ] = Field(default=None, description="the zone, who serves it, and the names that matter")
    pages: Annotated[
        Pages | None, Given("pages", "pages: {privacy_policy: {url: https://www.example.com/privacy}}")
    ] = Field(default=None, description="policy pages and the maintenance page")
    writes: Writes | None = Field(default=None, description="where the gate may write")
    not_applicable: list[NotApplicable] = Field(
        default=[], description="items that do not apply, with reason"
    )
    schedule: Timetable | None = Field(
        default=None, description="when the change is planned; the plan and the report show its windows"
    )
    contacts: list[Contact] = Field(default=[], description="who to call, by role; shown in the report")
    policy: Policy = Field(default=Policy(), description="how findings become a decision")
    rollback: Annotated[
        Rollback | None, Given("rollback", "rollback: {old_side: […], controls: […], steps: […]}")
    ] = Field(default=None, description="how to decide against a clock, and how to go back")
