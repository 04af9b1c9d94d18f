"""The inventory's `after_load` section: what bulk loads leave behind."""

from pydantic import Field

from pytest_deploygate.fields.types import Section


class AfterLoad(Section):
    """What is checked after data was loaded in bulk."""

    schemas: list[str] = Field(
        default=[], description="schemas to check; if omitted, all of the user's except the gate's own"
    )
    max_sequence_used: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.8,
        gt=0,
        le=1,
        description="share of a sequence's range that may be used",
    )
    replica_identity: bool = Field(
        default=False,
        description="every table needs a replica identity, not only published ones",
    )
    ignore: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="relations to ignore (schema.name, * as wildcard); the finding lists them",
    )
