"""The inventory's `database.migration_lint` section: migrations to check before they run."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.types import Duration, FilePath, OptionalText, Section, Size, Words

#: The rule of a statement whose effect nobody knows.
UNKNOWN = "unknown-statement"
#: The rule of a statement that goes on by rows, which a rehearsal has not.
ROWS = "depends-on-rows"


class AllowedStep(Section):
    """A finding that was reviewed and accepted."""

    file: str = Field(description="name of the file, without folder")
    rule: str = Field(description="name of the rule, as in the finding")
    reason: Words = Field(min_length=10, description="why it does no harm here")
    statement: OptionalText = Field(
        default=None,
        description="text of the one statement that it is for, or its beginning and `...`; left out: each of the file. "
        "`unknown-statement` and `depends-on-rows` need it: nobody has seen what another one does",
    )

    @model_validator(mode="after")
    def _one_statement(self) -> Self:
        if self.rule in (UNKNOWN, ROWS) and not self.statement:
            raise ValueError(f"{self.rule} is allowed for one statement: add `statement` with its text")
        return self

    def __str__(self) -> str:
        """Format it for the report's list of weakenings."""
        what = f" for {self.statement}" if self.statement else ""
        return f"{self.rule} in {self.file}{what} ({self.reason})"


class Scratch(Section):
    """Where migrations are rehearsed: on a server of their own on this host, removed afterwards."""

    folder: FilePath = Field(
        default=Path("/var/tmp"),  # noqa: S108 (a folder of its own is made in it)
        description="folder in which the server's folder is made and removed",
    )
    programs: FilePath | None = Field(
        default=None,
        description="folder with postgres, initdb, pg_dump and psql; left out: found by the live server's version",
    )
    user: OptionalText = Field(
        default=None,
        description="OS user that the server runs as if the gate runs as root; left out: postgres or nobody",
    )
    within: Duration = Field(default=timedelta(minutes=10), description="time limit of the migrations")


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
    rehearse: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="run the pending migrations on a scratch server; `false`: a reading of their SQL is enough",
    )
    scratch: Scratch = Field(default_factory=Scratch, description="the scratch server; left out: in /var/tmp")
    command: str | None = Field(
        default=None,
        description="command that runs the pending migrations on the database `{url}` (or `{host}`, `{port}`, `{user}`, "
        "`{password}`, `{database}`), e.g. `DATABASE_URL={url} python manage.py migrate`",
    )
    files_as: Literal["psql", "transaction", "one_query"] = Field(
        default="psql",
        description="how `files` run: `psql` statement by statement, in one `transaction` per file (Flyway), or each file "
        "as `one_query` (golang-migrate)",
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

    @field_validator("command")
    @classmethod
    def _names_the_scratch_server(cls, value: str | None) -> str | None:
        if value is not None and "{url}" not in value and "{port}" not in value:
            raise ValueError(
                "`command` needs `{url}` (or `{host}` and `{port}`), the address of the scratch server: without it the "
                "migrations would run on whatever database the tool is configured for"
            )
        return value
