"""The inventory's `database.migration_lint` section: migrations to read before they run."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from pytest_deploygate.fields.types import Duration, FilePath, Section, Size


class AllowedStep(Section):
    """A finding that was looked at and may stay."""

    file: str = Field(description="name of the file, without folder")
    rule: str = Field(description="name of the rule, as the finding says it")
    reason: str = Field(min_length=10, description="why it does no harm here")

    def __str__(self) -> str:
        """Say it as the report lists weakenings."""
        return f"{self.rule} in {self.file} ({self.reason})"


class MigrationLint(Section):
    """Which SQL is about to run, and what it may do to the tables as they are now."""

    files: list[FilePath] = Field(
        default=[], description="SQL files, folders of them, or patterns like migrations/V2*.sql"
    )
    alembic: bool = Field(
        default=True,
        description="also what Alembic would run from the database's revision to the head (`migrations.alembic`)",
    )
    alembic_since: str | None = Field(
        default=None, description="read Alembic's migrations after this revision, though they ran already"
    )
    small: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=16 * 1024**2,
        description="rewriting, scanning or locking a table up to this size is harmless",
    )
    lock_timeout: Duration | None = Field(
        json_schema_extra={"weaker": "null"},
        default=timedelta(seconds=10),
        description="statements that lock a table must run under a lock_timeout of at most this; `null`: not asked",
    )
    lock_timeout_is_set: bool = Field(
        json_schema_extra={"weaker": "any"},
        default=False,
        description="the migrating role or tool sets lock_timeout itself, so that files need not",
    )
    allowed: list[AllowedStep] = Field(
        json_schema_extra={"weaker": "any"}, default=[], description="findings that may stay, with the reason"
    )
