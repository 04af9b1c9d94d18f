"""The inventory's `old_application` section: whose statements are recorded where, and its smoke checks on the new schema."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.fields.postgres import OtherDatabase
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section


class OldApplication(Section):
    """The application before the change, which must work on the schema after it: it serves while the new one starts, and
    after a rollback.
    """

    roles: list[str] = Field(
        min_length=1, description="database roles whose recorded statements are those of the old application"
    )
    recorded_in: OtherDatabase | None = Field(
        default=None,
        description="the old side's database with pg_stat_statements; left out: the platform's own, which has no old schema "
        "to compare with",
    )
    as_role: str | None = Field(
        default=None,
        description="role that the old application uses on the new schema; default: the first of `roles`",
    )
    search_path: str | None = Field(
        default=None,
        description="search_path that the application sets itself, for example `app, public`; default: the role's own",
    )
    covers: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(days=1),
        description="the record must reach back at least so far, so that it has what runs once a day",
    )
    parameters: Literal["typed", "untyped"] | None = Field(
        default=None,
        description="whether its driver sends the types of parameters (JDBC, Npgsql) or leaves them to the server; left out: "
        "where it matters the result is inconclusive",
    )
    ignore: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="statements that are not looked at, * as wildcard, for example `[SELECT * FROM pg_temp.*]`",
    )
    accepted: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="columns (schema.table.column, * as wildcard) whose changed type was found to fit the old application",
    )
    smoke: list[HealthCheck] = Field(
        default=[],
        description="smoke checks of an instance of the old application that runs on the new schema",
    )


class Keys(InventoryKeys):
    """The key `old_application`."""

    old_application: Annotated[
        OldApplication | None,
        Given(
            "old_application",
            "old_application: {roles: [app], recorded_in: {host: …, name: …, user: …}}",
        ),
    ] = Field(default=None, description="the application before the change, on the schema after it")
