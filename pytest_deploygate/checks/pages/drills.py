"""The drill of the maintenance page: the application stopped, the page read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pytest_deploygate.checks.pages import probe
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.fields.handed import Sections


def drills(sections: Sections, environment: str, _writes_schema: str | None) -> Iterator[Drill]:
    """Yield the drill, if the inventory says how to stop and start the application."""
    maintenance = sections.get("maintenance")
    if maintenance is not None and maintenance.drill is not None:
        run = partial(probe.drill, sections.need("pages"), environment)
        yield Drill("maintenance page with the application down", "edge", run, after="dns")
