"""The inventory's `backup` section: the tool that takes backups, what is expected of them, and where restores are tested."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.fields.references import looked_up
from pytest_deploygate.fields.types import (
    REFERENCE,
    Duration,
    FilePath,
    Flag,
    Given,
    InventoryKeys,
    OptionalText,
    Section,
    Size,
)
from pytest_deploygate.fields.validating import Before


def _tool(value: object) -> object:
    return looked_up(value, instead="pgbackrest")


Tool = Annotated[
    Literal["pgbackrest", "barman", "base-backup", "pg-dump"],
    Before(_tool),
    WithJsonSchema({"anyOf": [{"enum": ["pgbackrest", "barman", "base-backup", "pg-dump"]}, REFERENCE]}),
]


class Scratch(Section):
    """Where the restore drill puts the restored server. It is removed afterwards, after a crash too."""

    folder: FilePath = Field(description="folder in which the drill creates and removes a folder of its own")
    host: str = Field(
        default="local://", description="connection, e.g. ssh://restore1.example.com; left out: this one"
    )
    user: OptionalText = Field(
        default=None,
        description="OS user that the restored server runs as, not root; left out: `backup.user`",
    )
    programs: FilePath | None = Field(
        default=None,
        description="folder with postgres, pg_ctl and psql; left out: found by the server's version",
    )
    spare: Size = Field(
        json_schema_extra={"weaker": "smaller"},
        default=512 * 1024**2,
        description="space that must stay free on that file system while the drill runs",
    )
    within: Duration = Field(default=timedelta(hours=2), description="time limit of the drill")
    table_size: Size = Field(
        json_schema_extra={"weaker": "smaller"},
        default=1024**3,
        description="tables up to this size are compared whole, larger ones by block ranges up to it",
    )
    amcheck: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="verify the restored B-tree indexes with amcheck's bt_index_check",
    )

    @property
    def patience_s(self) -> float:
        """How long the drill may take, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class Backup(Section):
    """The backups of the database cluster, their objectives, and the restore drill."""

    tool: Tool = Field(
        description="pgbackrest, barman, base-backup (plain, with a WAL archive) or pg-dump (small databases)"
    )
    server: str | None = Field(
        default=None, description="pgBackRest's stanza or Barman's server name; other tools have none"
    )
    config: FilePath | None = Field(default=None, description="configuration file of pgBackRest or Barman")
    repository: FilePath | None = Field(
        default=None,
        description="folder of the base backups or dumps; pgBackRest and Barman know theirs",
    )
    archive: FilePath | None = Field(
        default=None, description="folder of the archived WAL that belongs to base backups"
    )
    restore_command: str | None = Field(
        default=None,
        description="command that fetches a WAL segment, as in postgresql.conf; left out: the tool's own",
    )
    host: str = Field(
        default="local://",
        description="connection of the host that the tool runs on, e.g. ssh://backup1.example.com",
    )
    user: OptionalText = Field(
        default=None,
        description="OS user that the tool runs as; left out: the one that the host is reached as",
    )
    passfile: FilePath | None = Field(
        default=None, description="libpq password file for the tool (PGPASSFILE)"
    )
    take: OptionalText = Field(
        default=None,
        description="command that takes a small backup, run on `host`; pgBackRest (incremental) and Barman know theirs",
    )
    take_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=30),
        description="that small backup must complete within this time",
    )
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=26),
        description="the newest backup of any type is at most this old, also the morning after",
    )
    full_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=8),
        description="the newest full backup is at most this old",
    )
    final_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=12),
        description="on the morning of the deployment the newest full backup is at most this old",
    )
    keep: int = Field(
        json_schema_extra={"weaker": "smaller"},
        default=1,
        ge=1,
        description="number of full backups that must exist",
    )
    retention: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="the tool must have a retention of its own (pgBackRest, Barman)",
    )
    encrypted: Flag = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="the repository must be encrypted, by the tool or by its volume",
    )
    min_free: Size | None = Field(
        default=None, description="free space of the repository; left out: twice the newest full backup"
    )
    archived_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=60),
        description="a WAL segment must be in the archive this long after its switch",
    )
    rto: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=4),
        description="recovery time objective: a restore must complete within this time",
    )
    rpo: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=15),
        description="recovery point objective: at most this much may be lost",
    )
    record: FilePath | None = Field(
        default=None,
        description="file where the restore drill writes its dated record, which disaster recovery reads",
    )
    record_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="a record older than this does not count",
    )
    scratch: Scratch | None = Field(
        default=None, description="where the newest backup is restored; left out: only a record is judged"
    )

    @model_validator(mode="after")
    def _tool_has_its_keys(self) -> Self:
        needed = {
            "pgbackrest": ("server",),
            "barman": ("server",),
            "base-backup": ("repository", "archive"),
            "pg-dump": ("repository",),
        }[self.tool]
        lacking = [key for key in needed if getattr(self, key) is None]
        if self.tool == "base-backup" and self.restore_command:
            lacking = [key for key in lacking if key != "archive"]
        if lacking:
            raise ValueError(f"`tool: {self.tool}` needs {' and '.join(f'`{key}`' for key in lacking)}")
        return self

    @model_validator(mode="after")
    def _not_root(self) -> Self:
        if self.scratch and self.scratch.user == "root":
            raise ValueError(
                "`scratch.user` is root, and PostgreSQL refuses to run as root; name another user"
            )
        return self

    @property
    def archive_patience_s(self) -> float:
        """How long the probe waits for a segment to be archived, in seconds: a probe waits this long and does not judge."""
        return self.archived_within.total_seconds()

    @property
    def take_patience_s(self) -> float:
        """How long the small backup may take, in seconds: a probe waits this long and does not judge."""
        return self.take_within.total_seconds()


class Keys(InventoryKeys):
    """The key `backup`."""

    backup: Annotated[
        Backup | None, Given("backups", "backup: {tool: pgbackrest, server: STANZA, scratch: {folder: …}}")
    ] = Field(default=None, description="the backup tool, its objectives, and the restore drill")
