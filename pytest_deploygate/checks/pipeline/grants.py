"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    pipeline: Pipeline | None = sections.get("pipeline")
    if pipeline is None:
        return
    ways = ", ".join(f"{entrance.name} ({entrance.way})" for entrance in pipeline.entrances)
    yield BesideSql(("phase3.pipeline",), f"to send events of synthetic devices by {ways}")
    yield BesideSql(("phase3.pipeline",), "to subscribe to events, and to read those of synthetic devices")
    if any(out.database for out in pipeline.exits) or pipeline.left_out.queries:
        yield BesideSql(("phase3.pipeline",), "SELECT on the tables that the queries of `pipeline` read")
    if pipeline.clean_up:
        yield BesideSql(("phase3.pipeline",), "to take events of synthetic devices away")
