"""The inventory's `database.data_loss` section: what is written, by which way, and where it is looked for."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.replication.section import WriteLoad
from pytest_deploygate.fields.types import DatabaseKeys, Duration, Given, Section


class DataLoss(Section):
    """Writes that are looked for everywhere afterwards. Needs `writes.schema`."""

    through: str | None = Field(
        default=None,
        description="name of the pooler that the writers use; left out: the first one, or the primary without poolers",
    )
    load: WriteLoad = Field(default=WriteLoad(), description="what is written")
    within: Duration = Field(
        default=timedelta(seconds=30),
        description="how long to wait for a replica to replay the last write; a slower one is inconclusive",
    )
    restored: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="whether the writes are looked for in a restored backup, too; needs `backup.scratch`",
    )

    allow: str = Field(
        default="",
        description="the inventory's name: `deploygate load --writes` may write here as fast as the server can",
    )
    max_per_second: int = Field(
        default=5000, ge=1, description="most rows a second that `deploygate load --writes` writes"
    )

    @property
    def patience_s(self) -> float:
        """How long the probe waits for a replica, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class InDatabase(DatabaseKeys):
    """The key `database.data_loss`."""

    data_loss: Annotated[DataLoss, Given("data_loss", "data_loss: {through: pgbouncer}")] = Field(
        default=DataLoss(), description="acknowledged writes that are looked for everywhere afterwards"
    )
