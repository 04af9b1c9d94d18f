"""The sections of an inventory for this subject."""

from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.section.versions import HOW, Migrations
from pytest_deploygate.fields.types import DatabaseKeys, Given


class InDatabase(DatabaseKeys):
    """The keys `database.migrations` and `database.migration_lint`."""

    migrations: Annotated[Migrations | None, Given("migrations", HOW)] = Field(
        default=None, description="the expected schema version"
    )
    migration_lint: Annotated[
        MigrationLint | None, Given("migration_lint", "migration_lint: {files: [migrations/*.sql]}")
    ] = Field(default=None, description="migrations to check before they run")
