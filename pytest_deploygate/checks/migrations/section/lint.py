"""The inventory's `database.migration_lint` section: migrations to check before they run."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from pytest_deploygate.fields.types import Duration, FilePath, Section, Size


class AllowedStep(Section):
    """A finding that was reviewed and accepted."""

    file: str = Field(description="name of the file, without folder")
    rule: str = Field(description="name of the rule, as in the finding")
    reason: str = Field(min_length=10, description="why it does no harm here")

    def __str__(self) -> str:
        """Format it for the report's list of weakenings."""
        return f"{self.rule} in {self.file} ({self.reason})"


class MigrationLint(Section):
    """Which SQL is about to run, and what it may do to the current tables."""

    files: list[FilePath] = Field(
        default=[], description="SQL files, folders of them, or patterns like migrations/V2*.sql"
    )
    alembic: bool = Field(
        default=True,
        description="also check what Alembic would run from the database's revision to the head (`migrations.alembic`)",
    )
    alembic_since: str | None = Field(
        default=None,
        description="check Alembic's migrations after this revision, even if they have run already",
    )
    small: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=16 * 1024**2,
        description="rewriting, scanning or locking a table up to this size is harmless",
    )
    lock_timeout: Duration | None = Field(
        json_schema_extra={"weaker": "null"},
        default=timedelta(seconds=10),
        description="statements that lock a table must run under a lock_timeout of at most this; `null`: not required",
    )
    lock_timeout_is_set: bool = Field(
        json_schema_extra={"weaker": "any"},
        default=False,
        description="the migrating role or tool sets lock_timeout itself, so that files need not",
    )
    allowed: list[AllowedStep] = Field(
        json_schema_extra={"weaker": "any"}, default=[], description="accepted findings, with the reason"
    )
