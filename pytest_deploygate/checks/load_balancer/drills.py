"""The drill of a pool: one backend's health turns bad under a light load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pytest_deploygate.checks.load_balancer import probe
from pytest_deploygate.checks.load_balancer.section import LoadBalancer
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.fields.handed import Sections


def drills(sections: Sections, environment: str, _writes_schema: str | None) -> Iterator[Drill]:
    """Yield the drills whose record is kept and which a run does not make by itself."""
    section: LoadBalancer | None = sections.get("load_balancer")
    for pool in section.pools if section else ():
        if pool.drill and pool.drill.record and pool.drill.opt_in != environment:
            run = partial(probe.drill, pool, environment, unrecorded("infra.load-balancer"))
            yield Drill(f"backend of {pool.name} that turns bad", "balancer", run)
